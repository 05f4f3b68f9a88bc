//! Records of the `pmap` calls, by which physmem, and nobody else, maps frames into address spaces.

use bitflags::bitflags;

bitflags! {
    /// How a page is mapped. Readable always; user code may have a page writable or executable, and a
    /// policy against both at once belongs above the kernel.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Protection: u64 {
        /// Stores are allowed.
        const WRITE = 1 << 0;
        /// Instruction fetches are allowed.
        const EXECUTE = 1 << 1;
        /// A 2 MiB page: address and frame are aligned to 512 pages.
        const SUPERPAGE = 1 << 2;
        /// Not cached: device registers.
        const DEVICE = 1 << 3;
        /// The frame is cleared before it is entered; nobody may map it yet. For items of one small page.
        const CLEAR = 1 << 4;
    }
}

/// One item of [`crate::SystemCall::PmapEnter`]: `frames` pages from `frame` on, at successive addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Mapping {
    /// Page-aligned address; the low 12 bits hold [`Protection`].
    pub address: u64,
    /// First frame.
    pub frame: u32,
    /// Number of successive frames (with `SUPERPAGE`: of 2 MiB pages, 512 frames each).
    pub frames: u32,
}

impl Mapping {
    /// A mapping of successive frames. `address` must be page-aligned.
    pub const fn new(address: u64, protection: Protection, frame: u32, frames: u32) -> Mapping {
        Mapping { address: address | protection.bits(), frame, frames }
    }

    /// The address without the protection bits.
    pub const fn page_address(self) -> u64 {
        self.address & !0xfff
    }

    /// The protection, unless a bit is set that means nothing.
    pub const fn protection(self) -> Option<Protection> {
        Protection::from_bits(self.address & 0xfff)
    }
}

/// One item of [`crate::SystemCall::PmapRemove`], [`crate::SystemCall::PmapProtect`] and
/// [`crate::SystemCall::PmapQuery`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct PageRange {
    /// Page-aligned address; for `PmapProtect` the low 12 bits hold the new [`Protection`].
    pub address: u64,
    /// Number of 4 KiB pages.
    pub pages: u64,
}

/// One item of [`crate::SystemCall::FrameCopy`]: bytes of one frame to the same or another place of
/// another. The kernel copies, so that physmem need not map a client's frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct FrameSpan {
    /// Frame that is read.
    pub source: u32,
    /// Frame that is written.
    pub destination: u32,
    /// First byte read in `source`.
    pub source_offset: u16,
    /// First byte written in `destination`.
    pub destination_offset: u16,
    /// Number of bytes; both spans end within their frames.
    pub bytes: u16,
    /// Must be 0.
    pub reserved: u16,
}

/// One item of [`crate::SystemCall::FrameZero`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct FrameRange {
    /// Frame that is cleared.
    pub frame: u32,
    /// First byte.
    pub offset: u16,
    /// Number of bytes; 4096 for a whole frame.
    pub bytes: u16,
}

/// Items that one pmap or frame call may carry at most.
pub const BATCH_ITEMS: usize = 512;

/// Frames (of 4 KiB) that all items of one [`crate::SystemCall::PmapEnter`] may name at most: 1 GiB. A batch whose items
/// name no more than 512 frames each cannot exceed it.
pub const BATCH_FRAMES: u64 = BATCH_ITEMS as u64 * 512;

/// Pages of one [`crate::SystemCall::PmapQuery`] at most.
pub const QUERY_PAGES: u64 = 4096;

/// Pages of one [`crate::SystemCall::PmapEnterDevice`] at most.
pub const DEVICE_PAGES: u64 = 4096;

/// What [`crate::SystemCall::PmapQuery`] clears: nothing.
pub const QUERY_CLEAR_NOTHING: u64 = 0;
/// Referenced and dirty bits.
pub const QUERY_CLEAR_ALL: u64 = 1;
/// Referenced bits; which pages were written stays known.
pub const QUERY_CLEAR_REFERENCED: u64 = 2;

/// Bit of a byte that [`crate::SystemCall::PmapQuery`] writes for a page: a mapping is present.
pub const QUERY_PRESENT: u8 = 1 << 0;
/// The page was read, written or executed since the bit was cleared last.
pub const QUERY_REFERENCED: u8 = 1 << 1;
/// The page was written since the bit was cleared last.
pub const QUERY_DIRTY: u8 = 1 << 2;
