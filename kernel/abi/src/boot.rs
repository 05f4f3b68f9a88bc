//! What the kernel leaves for the first task, physmem: a page of facts and a few capabilities.
//!
//! The boot archive is an uncompressed ustar file, loaded by the boot loader. The kernel looks up the one
//! member that it starts itself, [`FIRST_TASK`]; everything else in the archive is physmem's and init's.

use crate::capability::Handle;

/// Name of the archive member that the kernel starts.
pub const FIRST_TASK: &str = "physmem";

/// physmem's own task.
pub const TASK: Handle = Handle(1);
/// physmem's first thread.
pub const THREAD: Handle = Handle(2);
/// Authority over free frames, kernel objects and page tables.
pub const FRAMES: Handle = Handle(3);
/// Authority over I/O ports, interrupts and device memory.
pub const HARDWARE: Handle = Handle(4);
/// An endpoint with all rights, at which physmem serves requests and faults.
pub const ENDPOINT: Handle = Handle(5);
/// A notification with all rights, already bound to the first thread.
pub const NOTIFICATION: Handle = Handle(6);
/// The system log.
pub const LOG: Handle = Handle(7);
/// The root schedule: all processors' time, at every priority.
pub const SCHEDULE: Handle = Handle(12);
/// The right to write events ([`crate::trace`]), where there are rings for them.
pub const TRACE: Handle = Handle(9);
/// First handle that is free in physmem's table of one frame.
pub const FREE_HANDLES: Handle = Handle(16);

/// Address at which the [`BootInfo`] is mapped, read-only, in physmem.
pub const BOOT_INFO_ADDRESS: u64 = 0x1000_0000;
/// Address at which the boot archive is mapped, read-only, in physmem.
pub const BOOT_ARCHIVE_ADDRESS: u64 = 0x2000_0000;
/// Boot archive bytes at most.
pub const BOOT_ARCHIVE_BYTES_MAX: u64 = 64 << 20;
/// End (highest address) of physmem's stack, which has [`FIRST_STACK_BYTES`].
pub const FIRST_STACK_END: u64 = 0x0000_7000_0000_0000;
/// Bytes of physmem's stack.
pub const FIRST_STACK_BYTES: u64 = 64 << 10;

/// [`BootInfo::magic`].
pub const BOOT_INFO_MAGIC: u64 = 0x5445_4e55_5245_0001;

/// Memory ranges that the boot information can describe at most. A machine with more is refused at boot.
pub const BOOT_RANGES: usize = 64;

/// Bytes of the kernel command line at most, excess is refused at boot.
pub const COMMAND_LINE_BYTES: usize = 1024;

/// What a range of frames is at the moment physmem starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum RangeUse {
    /// Free, contents arbitrary: physmem's to hand out.
    Free = 0,
    /// Kernel image, frame table, boot page tables: never physmem's.
    Kernel = 1,
    /// physmem's own image, stack, page tables and kernel objects.
    FirstTask = 2,
    /// The boot archive, plain frames that physmem may map and hand on.
    BootArchive = 3,
    /// The clock page, a plain frame that may be mapped read-only by anybody.
    Clock = 4,
    /// The rings of events ([`crate::trace`]), which the kernel writes for ever: plain frames that may be mapped read-only.
    Trace = 5,
}

/// A range of frames. `used_as` is a [`RangeUse`] as a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct BootRange {
    /// First frame.
    pub frame: u32,
    /// Number of frames.
    pub frames: u32,
    /// A [`RangeUse`].
    pub used_as: u32,
}

/// The page at [`BOOT_INFO_ADDRESS`].
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct BootInfo {
    /// [`BOOT_INFO_MAGIC`].
    pub magic: u64,
    /// Frames that the kernel's frame table covers: one more than the highest frame of RAM.
    pub frame_table_frames: u64,
    /// Bytes of the boot archive, from the first byte of its first frame.
    pub boot_archive_bytes: u64,
    /// Bytes used in `command_line`.
    pub command_line_bytes: u64,
    /// Ranges used in `ranges`.
    pub range_count: u64,
    /// All RAM, in ascending order, without overlap.
    pub ranges: [BootRange; BOOT_RANGES],
    /// The kernel command line.
    pub command_line: [u8; COMMAND_LINE_BYTES],
}

/// The clock page: how to read the time without a call. Nanoseconds since boot are
/// `(rdtsc - tsc_at_boot) * multiplier >> 32`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ClockPage {
    /// Time-stamp counter at boot.
    pub tsc_at_boot: u64,
    /// Nanoseconds a tick, times 2^32.
    pub multiplier: u64,
}

impl ClockPage {
    /// Nanoseconds since boot at a reading of the time-stamp counter.
    pub const fn nanoseconds(&self, tsc: u64) -> u64 {
        ((tsc.wrapping_sub(self.tsc_at_boot) as u128 * self.multiplier as u128) >> 32) as u64
    }
}

const _: () = assert!(core::mem::size_of::<BootInfo>() <= 4096);
