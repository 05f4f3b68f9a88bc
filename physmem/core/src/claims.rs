//! Claims: frames of a guarantee that are kept for a contract because a caller has waited for them, or because it has just given
//! them back.
//!
//! Who works within its guarantee and gives pages back only to need others a moment later never waits for frames that were
//! lent meanwhile: a wait of a term and the grace is the price of growth, not of steady work. What is given back is kept only
//! while lending is tight, and not longer for being used in part, so idle guarantees are lent all the same.
//!
//! While a claim lasts nobody else's charge can take the frames; the contract's own charges use it up. It is never more than
//! what the guarantee leaves, so claims and charges together stay within what may be charged. One that is not used
//! lapses.

use crate::chain::Chain;
use crate::destroy::ending;
use crate::layout::contract;
use crate::limits::{CLAIM_ROOM_PART, CLAIM_TERM_NS};
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_core::record::{Contract, Name, Records};

/// Contracts with claims, by the end of the claim.
pub const CLAIMS: Chain<Contract> = Chain { next: contract::CLAIM_NEXT, previous: contract::CLAIM_PREVIOUS };

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Keeps frames for a contract, within its guarantee.
    pub(crate) fn claim(&mut self, payer: Name<Contract>, frames: u64) {
        let old = self.get(payer, contract::CLAIMED);
        let left = self.get(payer, contract::GUARANTEED).saturating_sub(self.charged(payer));
        let new = (old + frames).min(left);
        if old != 0 {
            self.claims = CLAIMS.remove(self, self.claims, payer);
        }
        self.set(payer, contract::CLAIMED, new);
        self.claimed = self.claimed - old + new;
        if new != 0 {
            self.begin_claim(payer);
        }
    }

    /// Keeps frames for a contract that it has just given back, where they would soon be lent.
    pub(crate) fn keep_returned(&mut self, payer: Name<Contract>, frames: u64) {
        let others = self.room().saturating_sub(frames);
        let is_tight = self.extra != 0 && others < self.capacity / CLAIM_ROOM_PART;
        if !is_tight || self.get(payer, contract::ENDING) != ending::ALIVE {
            return;
        }
        let old = self.get(payer, contract::CLAIMED);
        let left = self.get(payer, contract::GUARANTEED).saturating_sub(self.charged(payer));
        let new = (old + frames).min(left);
        self.set(payer, contract::CLAIMED, new);
        self.claimed += new - old;
        if old == 0 && new != 0 {
            self.begin_claim(payer);
        }
    }

    fn begin_claim(&mut self, payer: Name<Contract>) {
        self.set(payer, contract::CLAIM_ENDS, self.now.saturating_add(CLAIM_TERM_NS));
        self.claims = CLAIMS.push(self, self.claims, payer);
    }

    /// Takes from a claim, at most so many frames.
    pub(crate) fn use_claim(&mut self, payer: Name<Contract>, frames: u64) {
        let old = self.get(payer, contract::CLAIMED);
        if old == 0 {
            return;
        }
        let used = old.min(frames);
        self.set(payer, contract::CLAIMED, old - used);
        self.claimed -= used;
        if old == used {
            self.claims = CLAIMS.remove(self, self.claims, payer);
        }
    }

    /// Ends the claims that were not used in time.
    pub(crate) fn lapse_claims(&mut self) {
        while let Some(first) = self.claims.first
            && self.get(first, contract::CLAIM_ENDS) <= self.now
        {
            self.use_claim(first, u64::MAX);
        }
    }

    /// When the next claim lapses.
    pub(crate) fn next_lapse(&self) -> Option<u64> {
        self.claims.first.map(|first| self.get(first, contract::CLAIM_ENDS))
    }
}
