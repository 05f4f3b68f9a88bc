//! The end of contracts: those whose term is over, and those that are being destroyed, in steps between messages.
//!
//! All contracts that end some day, or are ending, are in one tree by the moment at which something is to be done: a notice
//! (a call for everything), `CALL_GRACE_NS` before the end; then the end. A contract that is being destroyed is due at once,
//! until it is gone or waits for a device.

use crate::destroy::ending;
use crate::layout::{ENDINGS, contract};
use crate::limits::CALL_GRACE_NS;
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_core::container::Step;
use containers_core::record::{Contract, Name, Records};
use kernel_abi::Handle;

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Sets when a contract ends; `u64::MAX`: never.
    pub(crate) fn set_end(&mut self, this: Name<Contract>, expires: u64) {
        self.forget_end(this);
        self.set(this, contract::EXPIRES, expires);
        if expires != u64::MAX {
            self.plan_end(this, expires.saturating_sub(CALL_GRACE_NS).max(1));
        }
    }

    fn plan_end(&mut self, this: Name<Contract>, moment: u64) {
        self.set(this, contract::END_STEP, moment);
        self.endings = Some(ENDINGS.insert(self, self.endings, this));
    }

    /// Takes a contract out of the tree of those that end.
    pub(crate) fn forget_end(&mut self, this: Name<Contract>) {
        if self.get(this, contract::END_STEP) != 0 {
            self.endings = ENDINGS.remove(self, self.endings, this);
            self.set(this, contract::END_STEP, 0);
        }
    }

    /// The contract for which something is to be done first, and when.
    fn first_end(&self) -> Option<(Name<Contract>, u64)> {
        let first = ENDINGS.first(self, self.endings)?;
        Some((first, self.get(first, contract::END_STEP)))
    }

    /// When the next contract is due.
    pub(crate) fn next_end(&self) -> Option<u64> {
        self.first_end().map(|(_, moment)| moment)
    }

    /// Whether a contract is due.
    pub(crate) fn is_ending_due(&self) -> bool {
        self.first_end().is_some_and(|(_, moment)| moment <= self.now)
    }

    /// Begins to destroy a contract; the rest follows step by step. Who asked for it is answered in the end, at `reply`.
    pub(crate) fn destroy_later(&mut self, this: Name<Contract>, reply: Option<Handle>) {
        self.begin_destroy(this);
        self.forget_end(this);
        self.set(this, contract::END_REPLY, reply.map_or(0, |reply| reply.0));
        // Moment 1 has passed whenever anything is asked.
        self.plan_end(this, 1);
    }

    /// Does a step for the contract that is due first.
    pub(crate) fn end_step(&mut self) {
        let Some((this, moment)) = self.first_end() else { return };
        if self.get(this, contract::ENDING) != ending::ALIVE {
            self.continue_destroy(this);
        } else if moment < self.get(this, contract::EXPIRES) {
            self.give_notice(this);
        } else {
            self.counters.terminations += 1;
            self.destroy_later(this, None);
        }
    }

    fn give_notice(&mut self, this: Name<Contract>) {
        let expires = self.get(this, contract::EXPIRES);
        self.forget_end(this);
        self.plan_end(this, expires);
        self.write_contract_page(this);
        let notification = self.get(this, contract::CALL_NOTIFICATION);
        if notification != 0 {
            self.pmap.signal(Handle(notification));
        }
    }

    fn continue_destroy(&mut self, this: Name<Contract>) {
        if self.destroy_step(this) == Step::More {
            return;
        }
        // A contract that waits for a device is empty, and due no more.
        if self.resolve::<Contract>(this.word()).is_some() {
            self.leave_endings(this);
        }
    }

    /// A contract is gone, or is empty and waits for a device: whoever waits for that is answered.
    pub(crate) fn leave_endings(&mut self, this: Name<Contract>) {
        self.forget_end(this);
        let reply = self.get(this, contract::END_REPLY);
        if reply != 0 {
            self.set(this, contract::END_REPLY, 0);
            self.answer_end(Handle(reply));
        }
    }
}
