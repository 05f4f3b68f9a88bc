//! Banks: the containers whose pages are the frames of a stacked physmem.
//!
//! A bank is as large as its mappings can be many, so that the parent's limit on mappings of one container is not met by
//! pages that are mapped once or twice.
//!
//! While a frame holds records it lies elsewhere: in a container that the parent never seizes ([`RecordPages`]).

use core::cell::Cell;
use kernel_abi::Handle;
use physmem_core::limits::MAPPINGS_PER_CONTAINER;

/// Pages of a bank.
pub const BANK_PAGES: u32 = MAPPINGS_PER_CONTAINER as u32 / 2;

/// Stands for the clock page, which is the parent's to map.
pub const CLOCK_FRAME: u32 = u32::MAX;

/// Where a frame lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The container.
    pub container: Handle,
    /// The page in it.
    pub page: u64,
}

/// Where frames lie that hold records. Without a frame: in their banks like all others.
#[derive(Clone, Copy, Debug)]
pub struct RecordPages<'a> {
    /// The container.
    pub container: Handle,
    /// By frame: 1 + its page in the container; 0: it holds no records.
    pub pages: &'a [Cell<u16>],
}

impl RecordPages<'_> {
    /// There is no such container.
    pub const NONE: RecordPages<'static> = RecordPages { container: Handle::NULL, pages: &[] };

    fn place(self, frame: u32) -> Option<Place> {
        let page = self.pages.get(frame as usize)?.get().checked_sub(1)?;
        Some(Place { container: self.container, page: u64::from(page) })
    }
}

/// All banks. Frame 0 is page 0 of the first, and nobody's.
#[derive(Clone, Copy, Debug)]
pub struct Banks<'a> {
    /// The containers.
    pub banks: &'a [Handle],
    /// Frames of records.
    pub records: RecordPages<'a>,
}

impl Banks<'_> {
    /// Where a frame lies; none: it is no frame.
    pub fn place(self, frame: u32) -> Option<Place> {
        self.records.place(frame).or_else(|| self.page_of(frame))
    }

    /// The page of a bank that is a frame's, whatever the frame holds.
    pub fn page_of(self, frame: u32) -> Option<Place> {
        let container = *self.banks.get((frame / BANK_PAGES) as usize)?;
        Some(Place { container, page: u64::from(frame % BANK_PAGES) })
    }

    /// How many of successive frames lie in the first one's bank.
    pub fn run(self, frame: u32, frames: u32) -> u32 {
        frames.min(BANK_PAGES - frame % BANK_PAGES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_lie_one_after_the_other_and_runs_end_with_their_bank() {
        let banks = Banks { banks: &[Handle(7), Handle(9)], records: RecordPages::NONE };
        assert_eq!(banks.place(BANK_PAGES - 1).map(|place| place.container), Some(Handle(7)));
        assert_eq!(banks.place(BANK_PAGES), Some(Place { container: Handle(9), page: 0 }));
        assert_eq!(banks.place(2 * BANK_PAGES), None);
        assert_eq!((banks.run(BANK_PAGES - 3, 8), banks.run(BANK_PAGES, 8)), (3, 8));
    }

    #[test]
    fn a_frame_of_records_lies_in_their_container_as_long_as_it_holds_some() {
        let pages = [const { Cell::new(0) }; 4];
        let records = RecordPages { container: Handle(11), pages: &pages };
        let banks = Banks { banks: &[Handle(7)], records };
        let in_bank = Some(Place { container: Handle(7), page: 3 });
        assert_eq!(banks.place(3), in_bank);
        pages[3].set(1);
        assert_eq!(banks.place(3), Some(Place { container: Handle(11), page: 0 }));
        assert_eq!((banks.page_of(3), banks.place(2).map(|place| place.page)), (in_bank, Some(2)));
        pages[3].set(0);
        assert_eq!(banks.place(3), in_bank);
    }
}
