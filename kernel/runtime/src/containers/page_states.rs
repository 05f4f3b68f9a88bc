//! How the pages of a container are: an iterator that asks for many of them at a time.

use super::{Container, NEVER, Result};
use crate::ipc::call;
use containers_api::container::{
    PAGE_DIRTY, PAGE_LOST, PAGE_PRESENT, PAGE_REFERENCED, PAGE_SHARED, PageQuery, QUERY_PAGES_MAX,
};
use core::ops::Range;

/// How a page is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageState(u8);

impl PageState {
    /// It has a frame.
    pub const fn is_present(self) -> bool {
        self.0 & PAGE_PRESENT != 0
    }

    /// It was read, written or run through some mapping since the bits were cleared.
    pub const fn is_referenced(self) -> bool {
        self.0 & PAGE_REFERENCED != 0
    }

    /// It was written through some mapping since the bits were cleared.
    pub const fn is_dirty(self) -> bool {
        self.0 & PAGE_DIRTY != 0
    }

    /// Its frame was seized and its contents are gone.
    pub const fn is_lost(self) -> bool {
        self.0 & PAGE_LOST != 0
    }

    /// It takes part in a logical copy.
    pub const fn is_shared(self) -> bool {
        self.0 & PAGE_SHARED != 0
    }
}

/// Pages of a range with how they are; one message for [`QUERY_PAGES_MAX`] pages. Ends with the first error.
#[derive(Debug)]
pub struct PageStates<'a> {
    container: &'a Container,
    range: Range<u64>,
    clear: bool,
    /// What was told and not yet passed on: states from the start of the range on.
    told: [u8; QUERY_PAGES_MAX as usize],
    /// The part of it that is left.
    left: Range<usize>,
}

impl<'a> PageStates<'a> {
    pub(super) fn new(container: &'a Container, range: Range<u64>, clear: bool) -> PageStates<'a> {
        PageStates { container, range, clear, told: [0; QUERY_PAGES_MAX as usize], left: 0..0 }
    }

    fn ask(&mut self) -> Result<()> {
        let pages = (self.range.end - self.range.start).min(QUERY_PAGES_MAX);
        let query = PageQuery { first_page: self.range.start, pages, clear: self.clear };
        let states = call(self.container.handle(), &query, &[], NEVER)?.states;
        // As many as were asked for, or the peer is not physmem.
        let states = states.as_slice().get(..pages as usize).ok_or(crate::ipc::CallError::Violation)?;
        self.told[..states.len()].copy_from_slice(states);
        self.left = 0..states.len();
        Ok(())
    }
}

impl Iterator for PageStates<'_> {
    type Item = Result<(u64, PageState)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.range.is_empty() {
            return None;
        }
        if self.left.is_empty()
            && let Err(error) = self.ask()
        {
            self.range = 0..0;
            return Some(Err(error));
        }
        let state = PageState(self.told[self.left.next()?]);
        let page = self.range.next()?;
        Some(Ok((page, state)))
    }
}
