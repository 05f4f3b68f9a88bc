//! The frame table: 8 bytes a frame, the kernel's only bookkeeping that grows with memory.
//!
//! A frame is *plain* (physmem's, may be mapped), holds kernel objects of one kind, or is a page table. Only a
//! plain frame that nobody maps becomes a kernel frame; a kernel frame is never mapped. A mapping of 2 MiB counts at each of its 512
//! frames, so that none of them becomes a kernel frame meanwhile. Frame 0 is never plain: as
//! the number of a table or of a frame in stock, 0 is none.

use kernel_abi::KernelError;

/// What a frame is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum FrameKind {
    /// Not RAM, or the kernel's own for ever.
    #[default]
    Reserved = 0,
    /// Physmem's to use.
    Plain = 1,
    /// Threads.
    Thread = 2,
    /// Tasks.
    Task = 3,
    /// Endpoints.
    Endpoint = 4,
    /// Notifications.
    Notification = 5,
    /// A part of a capability table.
    CapabilityTable = 6,
    /// A page table, or in the stock to become one.
    PageTable = 7,
    /// Schedules.
    Schedule = 8,
}

/// Highest map count; one mapping more is refused.
pub const MAP_COUNT_MAX: u32 = (1 << 24) - 1;

/// One frame: kind (8 bits), map count (24 bits), generation (32 bits).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C, align(8))]
pub struct FrameEntry {
    kind_and_count: u32,
    generation: u32,
}

impl FrameEntry {
    /// A frame of a kind, first generation, not mapped.
    pub const fn new(kind: FrameKind) -> FrameEntry {
        FrameEntry { kind_and_count: kind as u32, generation: 0 }
    }

    /// What the frame is used for.
    pub const fn kind(self) -> FrameKind {
        match self.kind_and_count as u8 {
            1 => FrameKind::Plain,
            2 => FrameKind::Thread,
            3 => FrameKind::Task,
            4 => FrameKind::Endpoint,
            5 => FrameKind::Notification,
            6 => FrameKind::CapabilityTable,
            7 => FrameKind::PageTable,
            8 => FrameKind::Schedule,
            _ => FrameKind::Reserved,
        }
    }

    /// Mappings of the frame in all address spaces.
    pub const fn map_count(self) -> u32 {
        self.kind_and_count >> 8
    }

    /// Bumped whenever the frame stops holding kernel objects.
    pub const fn generation(self) -> u32 {
        self.generation
    }

    /// Whether the frame may become a kernel frame.
    pub const fn check_kernel_use(self) -> Result<(), KernelError> {
        match self.kind() {
            FrameKind::Plain if self.map_count() != 0 => Err(KernelError::WrongFrame),
            FrameKind::Plain if self.generation == u32::MAX => Err(KernelError::Retired),
            FrameKind::Plain => Ok(()),
            _ => Err(KernelError::WrongFrame),
        }
    }

    /// Makes an unmapped plain frame a kernel frame.
    pub fn take_for(&mut self, kind: FrameKind) {
        debug_assert!(self.check_kernel_use().is_ok());
        self.kind_and_count = kind as u32;
    }

    /// Takes back [`FrameEntry::take_for`], before anything was put into the frame.
    pub fn undo_take(&mut self) {
        self.kind_and_count = FrameKind::Plain as u32;
    }

    /// Makes a kernel frame plain again; names of what was in it match no more.
    pub fn give_back(&mut self) {
        debug_assert!(self.map_count() == 0);
        self.kind_and_count = FrameKind::Plain as u32;
        self.generation += 1;
    }

    /// Whether one more mapping is allowed.
    pub const fn check_map(self) -> Result<(), KernelError> {
        match self.kind() {
            FrameKind::Plain if self.map_count() == MAP_COUNT_MAX => Err(KernelError::MapCountFull),
            FrameKind::Plain => Ok(()),
            _ => Err(KernelError::WrongFrame),
        }
    }

    /// Counts a mapping that [`FrameEntry::check_map`] allowed.
    pub fn add_mapping(&mut self) {
        self.kind_and_count += 1 << 8;
    }

    /// Counts a mapping gone.
    pub fn remove_mapping(&mut self) {
        self.remove_mappings(1);
    }

    /// Counts several mappings gone; of a page table: entries.
    pub fn remove_mappings(&mut self, count: u32) {
        debug_assert!(self.map_count() >= count);
        self.kind_and_count -= count << 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bookkeeping_is_eight_bytes_a_frame() {
        assert_eq!(core::mem::size_of::<FrameEntry>(), 8);
    }

    #[test]
    fn only_an_unmapped_plain_frame_becomes_a_kernel_frame() {
        let mut entry = FrameEntry::new(FrameKind::Plain);
        entry.add_mapping();
        assert_eq!(entry.check_kernel_use(), Err(KernelError::WrongFrame));
        entry.remove_mapping();
        entry.take_for(FrameKind::Thread);
        assert_eq!(entry.check_kernel_use(), Err(KernelError::WrongFrame));
        assert_eq!(entry.check_map(), Err(KernelError::WrongFrame), "a kernel frame is never mapped");
        entry.give_back();
        assert_eq!((entry.kind(), entry.generation()), (FrameKind::Plain, 1));
        assert_eq!(FrameEntry::new(FrameKind::Reserved).check_map(), Err(KernelError::WrongFrame));
    }

    #[test]
    fn a_frame_whose_generation_would_wrap_is_retired_from_kernel_use() {
        let mut entry = FrameEntry { generation: u32::MAX - 1, ..FrameEntry::new(FrameKind::Plain) };
        entry.take_for(FrameKind::Endpoint);
        entry.give_back();
        assert_eq!(entry.check_kernel_use(), Err(KernelError::Retired));
        assert_eq!(entry.check_map(), Ok(()));
    }

    #[test]
    fn the_map_count_is_refused_beyond_its_limit() {
        let full = FrameKind::Plain as u32 | MAP_COUNT_MAX << 8;
        let entry = FrameEntry { kind_and_count: full, generation: 0 };
        assert_eq!((entry.map_count(), entry.kind()), (MAP_COUNT_MAX, FrameKind::Plain));
        assert_eq!(entry.check_map(), Err(KernelError::MapCountFull));
    }
}
