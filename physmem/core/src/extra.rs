//! Extra frames: what a contract holds beyond its guarantee, and for how long it is its.
//!
//! Extra is a count, with a short list of (frames, end of term); no frame is marked. Before the end of its term an extra
//! frame is the client's; after it, it is *callable*. What is given back counts against the oldest terms first.
//! Contracts with extra frames are in one chain, the *holders*.

use crate::chain::Chain;
use crate::layout::contract::{self, TERMS};
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_core::record::{Contract, Name, Records};

/// Contracts with extra frames.
pub const HOLDERS: Chain<Contract> =
    Chain { next: contract::HOLDER_NEXT, previous: contract::HOLDER_PREVIOUS };

/// Terms of a contract that end within this part of the term of each other are one.
const MERGE_PART: u64 = 4;

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// What a contract holds beyond the guarantee.
    pub fn extra_of(&self, payer: Name<Contract>) -> u64 {
        self.charged(payer).saturating_sub(self.get(payer, contract::GUARANTEED))
    }

    /// The sum of what all contracts hold beyond their guarantees.
    pub fn extra_in_sum(&self) -> u64 {
        self.extra
    }

    /// A contract's charges or guarantee have changed; `before` is what its extra was.
    pub(crate) fn extra_changed(&mut self, payer: Name<Contract>, before: u64) {
        let after = self.extra_of(payer);
        if before == after {
            return;
        }
        self.extra = self.extra - before + after;
        let limit = self.get(payer, contract::EXTRA_LIMIT);
        self.over_limit = self.over_limit - u64::from(before > limit) + u64::from(after > limit);
        if after > before {
            self.lengthen(payer, after - before);
        } else {
            self.shorten(payer, before - after);
        }
        if before == 0 {
            self.holders = HOLDERS.push(self, self.holders, payer);
        } else if after == 0 {
            self.holders = HOLDERS.remove(self, self.holders, payer);
            self.call_is_over(payer);
        }
    }

    /// Frames get a term from now on.
    fn lengthen(&mut self, payer: Name<Contract>, frames: u64) {
        let term = self.get(payer, contract::EXTRA_TERM_NS);
        let ends = self.now.saturating_add(term);
        let used = TERMS.iter().take_while(|(count, _)| self.get(payer, *count) != 0).count();
        if let Some(last) = used.checked_sub(1) {
            let (count, end) = TERMS[last];
            // Where the list is full the last term is prolonged: in doubt for the client.
            if used == TERMS.len() || self.get(payer, end) >= ends.saturating_sub(term / MERGE_PART) {
                self.raise(payer, count, frames);
                self.set(payer, end, ends);
                return;
            }
        }
        let (count, end) = TERMS[used];
        self.set(payer, count, frames);
        self.set(payer, end, ends);
    }

    /// Frames are given back: the oldest terms first.
    fn shorten(&mut self, payer: Name<Contract>, frames: u64) {
        let mut left = frames;
        let mut kept = [(0, 0); TERMS.len()];
        let mut used = 0;
        for (count, end) in TERMS {
            let held = self.get(payer, count);
            let taken = held.min(left);
            left -= taken;
            if held > taken {
                kept[used] = (held - taken, self.get(payer, end));
                used += 1;
            }
        }
        debug_assert!(left == 0, "the terms add up to the extra frames");
        for ((count, end), (frames, ends)) in TERMS.into_iter().zip(kept) {
            self.set(payer, count, frames);
            self.set(payer, end, ends);
        }
    }

    /// Extra frames whose term is over.
    pub fn callable(&self, payer: Name<Contract>) -> u64 {
        let over = TERMS.iter().filter(|(_, end)| self.get(payer, *end) <= self.now);
        over.map(|(count, _)| self.get(payer, *count)).sum()
    }

    /// When the next term ends that is not over.
    pub(crate) fn next_term_end(&self, payer: Name<Contract>) -> Option<u64> {
        let running = |(count, end): &(_, _)| {
            (self.get(payer, *count) != 0).then(|| self.get(payer, *end)).filter(|&end| end > self.now)
        };
        TERMS.iter().filter_map(running).min()
    }

    /// Starts all terms anew: how many frames, and until when.
    pub(crate) fn renew_terms(&mut self, payer: Name<Contract>) -> (u64, u64) {
        let extra = self.extra_of(payer);
        let ends = self.now.saturating_add(self.get(payer, contract::EXTRA_TERM_NS));
        for (count, _) in TERMS {
            self.set(payer, count, 0);
        }
        self.set(payer, TERMS[0].0, extra);
        self.set(payer, TERMS[0].1, ends);
        (extra, ends)
    }

    /// Ends all terms: what is beyond a limit that was lowered.
    pub(crate) fn end_terms(&mut self, payer: Name<Contract>) {
        for (_, end) in TERMS {
            self.set(payer, end, self.now);
        }
    }
}
