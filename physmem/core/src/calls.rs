//! Calls: asking a contract to give extra frames back by a deadline, and judging what came of it.
//!
//! There is at most one call of a contract at a time; it lies in the contract's own record, so making one needs nothing that could
//! be missing. A call names how many extra frames may be left at its deadline (the *target*). Whoever holds no
//! more by then has met it, however it got there. What is above the target at the deadline is seized, and costs standing
//! ([`crate::conduct`]); a contract without standing is not asked any more.
//!
//! ```text
//!                 call                    extra <= target
//!   (nothing) ───────────> called ───────────────────────────> (nothing)      met
//!       │                    │ deadline
//!       │ no standing        v
//!       └───────────────> seizing ── nothing left to seize ──> (nothing)      missed
//! ```

use crate::layout::contract;
use crate::limits::CALL_GRACE_NS;
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_api::contract::CallStatus;
use containers_core::frames::Frames;
use containers_core::mutations::{self, Mutation};
use containers_core::record::{Contract, Name, Records};
use kernel_abi::Handle;
use kernel_abi::trace::EventKind;

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Whether a call to a contract is in progress.
    pub(crate) fn is_called(&self, this: Name<Contract>) -> bool {
        self.get(this, contract::CALL_DEADLINE) != 0
    }

    /// Frames that a contract still has to give back for its call, and those that are being seized.
    pub(crate) fn due(&self, this: Name<Contract>) -> u64 {
        let called = match self.is_called(this) {
            true => self.extra_of(this).saturating_sub(self.get(this, contract::CALL_TARGET)),
            false => 0,
        };
        called + self.get(this, contract::SEIZING)
    }

    /// Takes frames back from a contract that holds as many extra ones: asks for them, or seizes them where asking has
    /// turned out to be in vain. Nothing, while a call is in progress.
    pub(crate) fn call_or_seize(&mut self, this: Name<Contract>, frames: u64) {
        if self.is_called(this) || frames == 0 {
            return;
        }
        // Whoever is called from above cannot give longer than it was given.
        let above = if self.owed() == 0 { u64::MAX } else { self.owed.due };
        let deadline = self.now.saturating_add(CALL_GRACE_NS).min(above);
        if self.standing(this) == 0 || deadline <= self.now {
            self.seizing_since.get_or_insert(self.now);
            self.raise(this, contract::SEIZING, frames);
            self.seizing += frames;
            return;
        }
        let target = self.extra_of(this).saturating_sub(frames + self.get(this, contract::SEIZING));
        self.set(this, contract::CALL_TARGET, target);
        self.set(this, contract::CALL_DEADLINE, deadline);
        self.raise(this, contract::CALLS, 1);
        self.counters.calls += 1;
        self.called += 1;
        self.note_time_used(this);
        self.write_contract_page(this);
        self.trace_call(EventKind::ContractCalled, this, frames);
        let notification = self.get(this, contract::CALL_NOTIFICATION);
        if notification != 0 {
            self.pmap.signal(Handle(notification));
        }
    }

    /// Looks whether a call has been met or its deadline has passed.
    pub(crate) fn judge(&mut self, this: Name<Contract>) {
        if !self.is_called(this) {
            return;
        }
        let missed = u64::from(mutations::has(Mutation::MissCall));
        let left = (self.extra_of(this) + missed).saturating_sub(self.get(this, contract::CALL_TARGET));
        if left == 0 {
            self.call_is_over(this);
        } else if self.get(this, contract::CALL_DEADLINE) <= self.now {
            self.call_is_missed(this, left);
        }
    }

    /// Tells people who look at the system.
    fn trace_call(&mut self, kind: EventKind, this: Name<Contract>, frames: u64) {
        if self.is_tracing {
            let (principal, number) = (self.get(this, contract::PRINCIPAL), self.get(this, contract::CALLS));
            let deadline = self.get(this, contract::CALL_DEADLINE);
            self.trace(kind, [principal, number, frames, deadline]);
        }
    }

    fn call_is_missed(&mut self, this: Name<Contract>, left: u64) {
        let deadline = self.get(this, contract::CALL_DEADLINE);
        self.seizing_since.get_or_insert(deadline);
        self.set(this, contract::CALL_DEADLINE, 0);
        self.called -= 1;
        self.counters.calls_missed += 1;
        if self.had_its_time(this) {
            self.lower_standing(this);
        } else {
            self.counters.calls_excused += 1;
        }
        self.raise(this, contract::SEIZING, left);
        self.seizing += left;
        self.trace_call(EventKind::CallMissed, this, left);
        self.write_contract_page(this);
    }

    /// A call is met, or its frames are not needed any more, which counts the same.
    pub(crate) fn call_is_over(&mut self, this: Name<Contract>) {
        let seizing = self.get(this, contract::SEIZING);
        self.set(this, contract::SEIZING, 0);
        self.seizing -= seizing;
        if !self.is_called(this) {
            return;
        }
        // The next call, for what is beyond a limit that was lowered meanwhile, is not to wait for anything.
        self.is_new_shortage |= self.over_limit != 0;
        // A deadline from above may have been nearer; then this is too long.
        let begun = self.get(this, contract::CALL_DEADLINE).saturating_sub(CALL_GRACE_NS);
        self.latencies.call.add(self.now.saturating_sub(begun));
        self.set(this, contract::CALL_DEADLINE, 0);
        self.called -= 1;
        self.raise(this, contract::CALLS_MET, 1);
        self.counters.calls_met += 1;
        self.trace_call(EventKind::CallMet, this, 0);
        self.write_contract_page(this);
    }

    /// How a contract's call stands.
    pub(crate) fn call_status(&mut self, this: Name<Contract>) -> CallStatus {
        self.judge(this);
        let called = self.is_called(this);
        CallStatus {
            sequence: self.get(this, contract::CALLS),
            frames: if called { self.due(this) } else { 0 },
            deadline: self.get(this, contract::CALL_DEADLINE),
            met: self.get(this, contract::CALLS_MET),
            extra: self.extra_of(this),
            callable: self.callable(this),
            next_end: self.next_term_end(this).unwrap_or(u64::MAX),
        }
    }
}
