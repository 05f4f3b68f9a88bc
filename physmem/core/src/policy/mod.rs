//! Policies: from whom extra frames are taken first, and which pages go where their owner has not said.
//!
//! A policy sees everything through [`View`] and decides; it changes nothing but its own notes. What it may take is given:
//! only extra frames whose term is over, never more than the ladder asks for. Policies are swapped while the
//! system runs; notes of one mean nothing to the next.

mod client_order;

use crate::layout::contract;
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use crate::seizure::Run;
use client_order::ClientOrder;
use containers_api::control::PolicyKind;
use containers_core::layout::container;
use containers_core::record::{Container, Contract, Name, Records};

/// What a policy sees, and the two things that it can say.
pub(crate) trait View {
    /// The contracts with extra frames, one after the other.
    fn next_holder(&self, after: Option<Name<Contract>>) -> Option<Name<Contract>>;
    /// Frames of a holder that may be called and are not yet.
    fn takeable(&self, holder: Name<Contract>) -> u64;
    /// How much a holder counts against others.
    fn weight(&self, holder: Name<Contract>) -> u64;
    /// Has frames taken back from a holder, so many at most.
    fn take(&mut self, holder: Name<Contract>, frames: u64);
    /// The containers of a contract that have no place in its eviction order and are not vital, one after the other.
    fn next_unordered(&self, of: Name<Contract>, after: Option<Name<Container>>) -> Option<Name<Container>>;
    /// Pages that can be seized, from where the container's hand stands on, so many at most.
    fn seizable_by_hand(&self, container: Name<Container>, most: u64) -> Option<Run>;
}

/// A policy.
pub(crate) trait Policy {
    /// Chooses from whom to take so many frames.
    fn choose(view: &mut impl View, wanted: u64);
    /// The next pages of a contract to seize, so many at most.
    fn next_run(view: &mut impl View, of: Name<Contract>, most: u64) -> Option<Run>;
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    pub(crate) fn choose_by_policy(&mut self, wanted: u64) {
        match self.policy {
            PolicyKind::ClientOrder | PolicyKind::GlobalClock | PolicyKind::Aging => {
                ClientOrder::choose(self, wanted);
            }
        }
    }

    pub(crate) fn run_by_policy(&mut self, of: Name<Contract>, most: u64) -> Option<Run> {
        match self.policy {
            PolicyKind::ClientOrder | PolicyKind::GlobalClock | PolicyKind::Aging => {
                ClientOrder::next_run(self, of, most)
            }
        }
    }
}

impl<P: Pmap, M: RecordMemory> View for Physmem<'_, P, M> {
    fn next_holder(&self, after: Option<Name<Contract>>) -> Option<Name<Contract>> {
        match after {
            None => self.holders.first,
            Some(after) => self.get(after, contract::HOLDER_NEXT),
        }
    }

    fn takeable(&self, holder: Name<Contract>) -> u64 {
        if self.is_called(holder) {
            return 0;
        }
        self.callable(holder).saturating_sub(self.get(holder, contract::SEIZING))
    }

    fn weight(&self, holder: Name<Contract>) -> u64 {
        self.get(holder, contract::WEIGHT)
    }

    fn take(&mut self, holder: Name<Contract>, frames: u64) {
        let frames = frames.min(self.takeable(holder));
        self.call_or_seize(holder, frames);
    }

    fn next_unordered(&self, of: Name<Contract>, after: Option<Name<Container>>) -> Option<Name<Container>> {
        let mut next = match after {
            None => self.get(of, contract::CONTAINERS),
            Some(after) => self.get(after, container::NEXT),
        };
        while let Some(here) = next {
            if !self.get(here, container::IN_ORDER) && !self.get(here, container::VITAL) {
                return Some(here);
            }
            next = self.get(here, container::NEXT);
        }
        None
    }

    fn seizable_by_hand(&self, container: Name<Container>, most: u64) -> Option<Run> {
        Physmem::seizable_by_hand(self, container, most).map(|span| Run { container, span })
    }
}
