//! Calls from above: the parent asks for frames back, and the logic is told what it owes and when.
//!
//! The parent's deadline is not the children's. A slice of the time stays here: to seize what they do not give back, and to
//! give it up. So each level of a stack leaves the next one less, and a deep one nothing: there frames are seized unasked.

use crate::bank::BANK_PAGES;
use crate::parent::Parent;
use crate::pmap::ParentPmap;
use containers_api::container::Deallocate;
use containers_api::contract::CallStat;

/// Of the time that a call gives, what a stacked physmem keeps for itself: a quarter of the grace of the first one.
pub const STACK_SLICE_NS: u64 = physmem_core::limits::CALL_GRACE_NS / 4;

impl<C: Parent> ParentPmap<'_, C> {
    /// Frames that the parent calls for, and when they are due from children; 0: none. Asking also ends a call that is met.
    pub fn called_for(&mut self) -> (u64, u64) {
        // A parent that does not answer wants nothing that it could be given.
        let call = self.parent.ask(self.contract, &CallStat {}, &[]);
        call.map_or((0, 0), |call| (call.frames, call.deadline.saturating_sub(STACK_SLICE_NS)))
    }

    /// Gives frames back to the parent, each run of successive ones with a message.
    pub(crate) fn give_away(&mut self, frames: &mut [u32]) {
        frames.sort_unstable();
        let is_next =
            |first: &u32, second: &u32| *second == first + 1 && first / BANK_PAGES == second / BANK_PAGES;
        for run in frames.chunk_by(is_next) {
            for &frame in run {
                self.frames[frame as usize].given_up = true;
            }
            if let Some(place) = self.banks.place(run[0]) {
                let request = Deallocate { first_page: place.page, pages: run.len() as u64 };
                // The parent refuses nothing to whoever gives back, and would seize the pages otherwise.
                let _ = self.parent.ask(place.container, &request, &[]);
            }
        }
    }
}
