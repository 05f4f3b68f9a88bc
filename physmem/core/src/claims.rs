//! Claims: frames of a guarantee that are kept for a contract because a caller has waited for them.
//!
//! While a claim lasts nobody else's charge can take the frames; the contract's own charges use it up. It is never more than
//! what the guarantee leaves, so claims and charges together stay within what may be charged. One that is not used
//! lapses.

use crate::chain::Chain;
use crate::layout::contract;
use crate::limits::CLAIM_TERM_NS;
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
            self.set(payer, contract::CLAIM_ENDS, self.now.saturating_add(CLAIM_TERM_NS));
            self.claims = CLAIMS.push(self, self.claims, payer);
        }
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
