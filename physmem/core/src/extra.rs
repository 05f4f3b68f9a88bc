//! Extra frames: what a contract holds beyond its guarantee, and for how long it is its.
//!
//! Extra is a count, with a short list of (frames, end of term); no frame is marked. Before the end of its term an extra
//! frame is the client's; after it, it is *callable*. What is given back counts against the oldest terms first.
//! Contracts with extra frames are in one chain, the *holders*.

use crate::chain::Chain;
use crate::contract::charged;
use crate::layout::contract::{self, TERMS};
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_core::record::{Contract, Name, Records};

/// Contracts with extra frames.
pub const HOLDERS: Chain<Contract> =
    Chain { next: contract::HOLDER_NEXT, previous: contract::HOLDER_PREVIOUS };

/// Terms that end within so much of each other are one.
const SAME_TERM_NS: u64 = 1_000_000;

/// Makes terms, in order of their ends, as few as the list holds: those that end nearly together become one that ends
/// with the later. In doubt that is for the client; where there are too many, those that lie closest.
fn merge(terms: &mut [(u64, u64)], mut used: usize) -> &[(u64, u64)] {
    loop {
        let gap = |index: &usize| terms[index + 1].1 - terms[*index].1;
        let Some(closest) = (0..used - 1).min_by_key(gap) else { break };
        if used <= TERMS.len() && gap(&closest) > SAME_TERM_NS {
            break;
        }
        terms[closest] = (terms[closest].0 + terms[closest + 1].0, terms[closest + 1].1);
        terms.copy_within(closest + 2..used, closest + 1);
        used -= 1;
    }
    &terms[..used]
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// What a contract holds beyond the guarantee.
    pub fn extra_of(&self, payer: Name<Contract>) -> u64 {
        let view = self.view(payer);
        charged(&view).saturating_sub(view.get(contract::GUARANTEED))
    }

    /// The sum of what all contracts hold beyond their guarantees.
    pub fn extra_in_sum(&self) -> u64 {
        self.extra
    }

    /// A contract's charges have changed; `before` is what its extra was. More extra frames get a term from now on.
    pub(crate) fn extra_changed(&mut self, payer: Name<Contract>, before: u64) {
        let ends = self.now.saturating_add(self.get(payer, contract::EXTRA_TERM_NS));
        self.count_extra(payer, before, ends);
    }

    /// A contract's guarantee has changed: what is extra because of that was not lent, and has no term.
    pub(crate) fn extra_uncovered(&mut self, payer: Name<Contract>, before: u64) {
        self.count_extra(payer, before, self.now);
    }

    fn count_extra(&mut self, payer: Name<Contract>, before: u64, ends: u64) {
        let after = self.extra_of(payer);
        if before == after {
            return;
        }
        self.extra = self.extra - before + after;
        let limit = self.get(payer, contract::EXTRA_LIMIT);
        self.over_limit = self.over_limit - u64::from(before > limit) + u64::from(after > limit);
        if after > before {
            self.lengthen(payer, after - before, ends);
        } else {
            self.shorten(payer, before - after);
            // What was to be seized may have been given back.
            let seizing = self.get(payer, contract::SEIZING);
            if seizing > after {
                self.set(payer, contract::SEIZING, after);
                self.seizing -= seizing - after;
            }
        }
        if before == 0 {
            self.holders = HOLDERS.push(self, self.holders, payer);
        } else if after == 0 {
            self.holders = HOLDERS.remove(self, self.holders, payer);
            self.call_is_over(payer);
        }
    }

    /// Frames get a term. The list is kept in order of the ends.
    fn lengthen(&mut self, payer: Name<Contract>, frames: u64, ends: u64) {
        let mut terms = [(0, 0); TERMS.len() + 1];
        let mut used = 0;
        for (count, end) in TERMS {
            if self.get(payer, count) != 0 {
                terms[used] = (self.get(payer, count), self.get(payer, end));
                used += 1;
            }
        }
        terms[used] = (frames, ends);
        terms[..=used].sort_unstable_by_key(|term| term.1);
        self.set_terms(payer, merge(&mut terms, used + 1));
    }

    fn set_terms(&mut self, payer: Name<Contract>, terms: &[(u64, u64)]) {
        for (index, (count, end)) in TERMS.into_iter().enumerate() {
            let (frames, ends) = terms.get(index).copied().unwrap_or_default();
            self.set(payer, count, frames);
            self.set(payer, end, ends);
        }
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
        self.set_terms(payer, &kept[..used]);
    }

    /// Extra frames whose term is over.
    pub fn callable(&self, payer: Name<Contract>) -> u64 {
        self.callable_by(payer, self.now)
    }

    /// Extra frames whose term will be over at a moment.
    pub(crate) fn callable_by(&self, payer: Name<Contract>, moment: u64) -> u64 {
        let view = self.view(payer);
        let over = TERMS.iter().filter(|(_, end)| view.get(*end) <= moment);
        over.map(|(count, _)| view.get(*count)).sum()
    }

    /// When the next term ends that is not over.
    pub(crate) fn next_term_end(&self, payer: Name<Contract>) -> Option<u64> {
        let view = self.view(payer);
        let running = |(count, end): &(_, _)| {
            (view.get(*count) != 0).then(|| view.get(*end)).filter(|&end| end > self.now)
        };
        TERMS.iter().filter_map(running).min()
    }

    /// Starts all terms anew: how many frames, and until when.
    pub(crate) fn renew_terms(&mut self, payer: Name<Contract>) -> (u64, u64) {
        let extra = self.extra_of(payer);
        let ends = self.now.saturating_add(self.get(payer, contract::EXTRA_TERM_NS));
        self.set_terms(payer, &[(extra, ends)]);
        (extra, ends)
    }

    /// Ends all terms: what is beyond a limit that was lowered.
    pub(crate) fn end_terms(&mut self, payer: Name<Contract>) {
        for (_, end) in TERMS {
            self.set(payer, end, self.now);
        }
    }
}
