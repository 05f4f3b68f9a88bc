//! Banks: the containers whose pages are the frames of a stacked physmem.
//!
//! A bank is as large as its mappings can be many, so that the parent's limit on mappings of one container is not met by
//! pages that are mapped once or twice.

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

/// All banks. Frame 0 is page 0 of the first, and nobody's.
#[derive(Clone, Copy, Debug)]
pub struct Banks<'a>(pub &'a [Handle]);

impl Banks<'_> {
    /// Where a frame lies; none: it is no frame.
    pub fn place(self, frame: u32) -> Option<Place> {
        let container = *self.0.get((frame / BANK_PAGES) as usize)?;
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
        let banks = Banks(&[Handle(7), Handle(9)]);
        assert_eq!(banks.place(BANK_PAGES - 1).map(|place| place.container), Some(Handle(7)));
        assert_eq!(banks.place(BANK_PAGES), Some(Place { container: Handle(9), page: 0 }));
        assert_eq!(banks.place(2 * BANK_PAGES), None);
        assert_eq!((banks.run(BANK_PAGES - 3, 8), banks.run(BANK_PAGES, 8)), (3, 8));
    }
}
