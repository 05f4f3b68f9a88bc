//! Laying out physical memory at boot.
//!
//! ```text
//! 1 MiB   kernel image | frame table | kernel page tables | first task's frames | free ...   boot archive ... free
//!         <------------- the kernel's for ever ----------> <-- the cursor moves ->
//! ```
//! Everything taken at boot comes from one run of frames behind the image, so what is whose is a few ranges.

use crate::BootError;
use crate::start_info::StartInfo;
use core::ops::Range;
use core::sync::atomic::AtomicU64;
use kernel_abi::FRAME_BYTES;
use kernel_abi::boot::{BOOT_ARCHIVE_BYTES_MAX, BOOT_RANGES, BootRange, RangeUse};
use kernel_abi::object::FRAMES_MAX;
use kernel_arch::layout::{direct, image_physical};
use kernel_arch::paging::BootFrames;
use kernel_core::frame_table::{FrameEntry, FrameKind};

unsafe extern "C" {
    static image_end: u8;
}

/// See the module.
pub struct Memory {
    ram: [(u32, u32); BOOT_RANGES / 2],
    ram_count: usize,
    archive: Range<u32>,
    cursor: u32,
    limit: u32,
    kernel_end: u32,
    clock: u32,
    trace: Range<u32>,
}

impl Memory {
    /// Finds room behind the kernel's image.
    pub fn lay_out(info: &StartInfo) -> Result<Memory, BootError> {
        let (address, bytes) = info.archive;
        if bytes == 0 || bytes > BOOT_ARCHIVE_BYTES_MAX || !address.is_multiple_of(FRAME_BYTES) {
            return Err("the boot archive is empty, too large or not page-aligned");
        }
        let frame = |address: u64| (address / FRAME_BYTES) as u32;
        let archive = frame(address)..frame(address + bytes.next_multiple_of(FRAME_BYTES));
        let behind_image = frame(image_physical(&raw const image_end as u64));
        let mut memory = Memory {
            ram: [(0, 0); BOOT_RANGES / 2],
            ram_count: 0,
            archive,
            cursor: behind_image,
            limit: 0,
            kernel_end: 0,
            clock: 0,
            trace: 0..0,
        };
        for (slot, range) in memory.ram.iter_mut().zip(info.ram()) {
            if range.end / FRAME_BYTES >= u64::from(FRAMES_MAX) {
                return Err("the machine has more memory than the kernel can name");
            }
            *slot = (frame(range.start), frame(range.end));
            memory.ram_count += 1;
        }
        let home =
            memory.ram().find(|range| range.contains(&behind_image)).ok_or("no memory behind the kernel")?;
        memory.limit = if home.contains(&memory.archive.start) { memory.archive.start } else { home.end };
        let archive_in_ram =
            memory.ram().any(|range| range.start <= memory.archive.start && memory.archive.end <= range.end);
        if !archive_in_ram || memory.archive.start < behind_image {
            return Err("the boot archive overlaps the kernel or lies outside memory");
        }
        Ok(memory)
    }

    fn ram(&self) -> impl Iterator<Item = Range<u32>> {
        self.ram[..self.ram_count].iter().map(|&(start, end)| start..end)
    }

    /// Takes the memory for the frame table: one entry for every frame up to the highest.
    pub fn take_frame_table(&mut self) -> &'static mut [FrameEntry] {
        let frames = self.ram().last().map_or(0, |range| range.end) as usize;
        let bytes = frames * size_of::<FrameEntry>();
        let start = self.take();
        for _ in 1..bytes.div_ceil(FRAME_BYTES as usize) {
            self.take();
        }
        let table = direct(u64::from(start) * FRAME_BYTES) as *mut FrameEntry;
        // SAFETY: the frames follow each other, were just taken for this, and are zero: a valid `Reserved` entry each.
        unsafe { core::slice::from_raw_parts_mut(table, frames) }
    }

    /// Ends the kernel's own share: what is taken from now on is the first task's. Marks all other RAM plain.
    pub fn close_kernel(&mut self, table: &mut [FrameEntry]) {
        self.clock = self.take();
        self.kernel_end = self.cursor;
        for range in self.ram() {
            for frame in range {
                let plain = frame >= self.kernel_end || frame == self.clock;
                table[frame as usize] =
                    FrameEntry::new(if plain { FrameKind::Plain } else { FrameKind::Reserved });
            }
        }
    }

    /// The frame of the clock page.
    pub fn clock(&self) -> u32 {
        self.clock
    }

    /// Takes the memory for rings of events: so many pages, all zero. It is mapped by whoever reads them, and stays the
    /// kernel's to write. After [`Memory::close_kernel`], before anything else is taken.
    pub fn take_rings(&mut self, pages: u64) -> Result<&'static [AtomicU64], BootError> {
        if u64::from(self.limit - self.cursor) < pages {
            return Err("there is too little memory for the rings of events");
        }
        self.trace = self.cursor..self.cursor + pages as u32;
        for _ in 0..pages {
            self.take();
        }
        let start = direct(u64::from(self.trace.start) * FRAME_BYTES) as *const AtomicU64;
        // SAFETY: the frames follow each other, were just taken for this, and are zero. Nobody has another reference to them;
        // tasks that map them can only read.
        Ok(unsafe { core::slice::from_raw_parts(start, (pages * FRAME_BYTES / 8) as usize) })
    }

    /// The frames of the boot archive.
    pub fn archive(&self) -> Range<u32> {
        self.archive.clone()
    }

    /// Frames nobody has taken.
    pub fn free_frames(&self) -> u32 {
        let mut free = 0;
        self.ranges(|range| free += if range.used_as == RangeUse::Free as u32 { range.frames } else { 0 });
        free
    }

    /// Tells all RAM by use, in ascending order.
    pub fn ranges(&self, mut tell: impl FnMut(BootRange)) {
        let marks = [
            (0, RangeUse::Kernel),
            (self.clock, RangeUse::Clock),
            (self.clock + 1, RangeUse::Trace),
            (self.clock + 1 + self.trace.len() as u32, RangeUse::FirstTask),
            (self.cursor, RangeUse::Free),
            (self.archive.start, RangeUse::BootArchive),
            (self.archive.end, RangeUse::Free),
        ];
        for range in self.ram() {
            for (index, &(start, used_as)) in marks.iter().enumerate() {
                let end = marks.get(index + 1).map_or(u32::MAX, |&(start, _)| start);
                let (start, end) = (start.max(range.start), end.min(range.end));
                if start < end {
                    tell(BootRange { frame: start, frames: end - start, used_as: used_as as u32 });
                }
            }
        }
    }
}

impl BootFrames for Memory {
    fn take(&mut self) -> u32 {
        assert!(self.cursor < self.limit, "too little memory to boot");
        let frame = self.cursor;
        self.cursor += 1;
        // SAFETY: the frame is RAM behind the image and before the archive, given out once; it lies below 4 GiB, where the
        // boot tables and the final ones map it.
        unsafe {
            core::ptr::write_bytes(direct(u64::from(frame) * FRAME_BYTES) as *mut u8, 0, FRAME_BYTES as usize)
        };
        frame
    }
}
