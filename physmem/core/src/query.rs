//! Looking at how pages are used: the bits that processors set, gathered over all mappings of a page.
//!
//! A page's use is looked at where it is mapped. Clearing the bits clears them in every mapping, so that several who look
//! would disturb each other: only the owner and the policy clear. The policy leaves it known which pages were written; of
//! references each sees those since the last look of either.

use crate::layout::{CONTAINER_MAPPINGS, mapping, space};
use crate::machine::Physmem;
use crate::pmap::{Clear, Pmap, RecordMemory};
use containers_api::container::{
    PAGE_DIRTY, PAGE_LOST, PAGE_OUT, PAGE_PRESENT, PAGE_REFERENCED, PAGE_SHARED, PageStates, QUERY_PAGES_MAX,
};
use containers_api::{ContainerRights, MemoryError};
use containers_core::frames::Span;
use containers_core::layout::container;
use containers_core::record::{Container, Name, Records};
use containers_core::{Access, Entry, pages};
use kernel_abi::pmap::{QUERY_DIRTY, QUERY_REFERENCED};
use kernel_abi::{FRAME_BYTES, Handle};
use kernel_protocol::Bytes;

/// Most pages looked at in one go.
const PIECE: usize = QUERY_PAGES_MAX as usize;

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// How pages are. Errors: `MissingRight`, `OutOfRange`, `Limit`.
    pub(crate) fn page_states(
        &mut self,
        access: &Access,
        first: u64,
        count: u64,
        clear: bool,
    ) -> Result<PageStates, MemoryError> {
        access.require(ContainerRights::MAP)?;
        if clear {
            access.require_whole()?;
            access.require(ContainerRights::GRANT)?;
        }
        let span = access.span(self, first, count)?;
        if span.pages > QUERY_PAGES_MAX {
            return Err(MemoryError::Limit);
        }
        let mut states = [0; PIECE];
        let states = &mut states[..span.pages as usize];
        let cleared = if clear { Clear::All } else { Clear::Nothing };
        self.look(access.container, span, states, cleared);
        for (state, page) in states.iter_mut().zip(span.first..) {
            let entry = pages::entry(self, access.container, page);
            let bits = [
                (entry.frame().is_some(), PAGE_PRESENT),
                (entry == Entry::LOST, PAGE_LOST),
                (entry.is_shared(), PAGE_SHARED),
                (entry.out().is_some(), PAGE_OUT),
            ];
            *state |= bits.iter().filter(|(is_so, _)| *is_so).map(|(_, bit)| bit).sum::<u8>();
        }
        let version = self.get(access.container, container::VERSION);
        let states = Bytes::new(states).ok_or(MemoryError::Limit)?;
        Ok(PageStates { version, states })
    }

    /// Adds to each page's state whether it was referenced and written, over all its mappings.
    pub(crate) fn look(&mut self, this: Name<Container>, span: Span, states: &mut [u8], clear: Clear) {
        let mut next = CONTAINER_MAPPINGS.first(self, this);
        while let Some(here) = next {
            next = self.get(here, mapping::NEXT);
            let first = self.get(here, mapping::FIRST_PAGE);
            let mapped = Span { first, pages: self.get(here, mapping::PAGES) };
            let Some(part) = mapped.intersection(span) else { continue };
            let space = self.get(here, mapping::SPACE);
            if self.get(space, space::ENDED) {
                continue;
            }
            let mut bits = [0; PIECE];
            let bits = &mut bits[..part.pages as usize];
            let address = self.get(here, mapping::ADDRESS) + (part.first - first) * FRAME_BYTES;
            self.pmap.query(Handle(self.get(space, space::TASK)), address, bits, clear);
            let start = (part.first - span.first) as usize;
            for (state, bits) in states[start..].iter_mut().zip(bits) {
                if *bits & QUERY_REFERENCED != 0 {
                    *state |= PAGE_REFERENCED;
                }
                if *bits & QUERY_DIRTY != 0 {
                    *state |= PAGE_DIRTY;
                }
            }
        }
    }
}
