//! Taking a contract back with everything below it, in steps of bounded work.
//!
//! A contract is emptied after its children: address spaces, then containers, page by page, then kernel frames,
//! then records. One that answers for frames in quarantine is emptied all the same; it stays *waiting* with just what
//! covers them, until the last hold is released, and its parents wait with it.

use crate::layout::{CHILDREN, CONTAINERS, HOLDS, SPACES, contract};
use crate::limits::DESTROY_STEP_PAGES;
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_core::container::{self as containers, Step};
use containers_core::layout::{container, hold};
use containers_core::passing;
use containers_core::record::{Container, Contract, Lock, Name, Records};

/// How far the destruction of a contract is, in [`contract::ENDING`].
pub mod ending {
    /// Not begun.
    pub const ALIVE: u8 = 0;
    /// Being emptied: nothing new is made.
    pub const DYING: u8 = 1;
    /// Empty but for holds, its own or its children's.
    pub const WAITING: u8 = 2;
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Begins: from now on requests to the contract are refused.
    pub(crate) fn begin_destroy(&mut self, target: Name<Contract>) {
        self.set(target, contract::ENDING, ending::DYING);
        self.call_is_over(target);
        self.use_claim(target, u64::MAX);
        self.end_place_of(target);
    }

    /// Does a step. Done: the contract is gone, or waits for a device.
    pub(crate) fn destroy_step(&mut self, target: Name<Contract>) -> Step {
        let Some(victim) = self.next_victim(target) else { return Step::Done };
        if self.empty_contract(victim) == Step::More {
            return Step::More;
        }
        self.settle_contract(victim);
        if victim == target { Step::Done } else { Step::More }
    }

    /// Does all steps.
    pub(crate) fn destroy_contract(&mut self, target: Name<Contract>) {
        self.begin_destroy(target);
        while self.destroy_step(target) == Step::More {}
    }

    /// The deepest contract that is not waiting, in the first branch that has one.
    fn next_victim(&self, target: Name<Contract>) -> Option<Name<Contract>> {
        let is_waiting = |this: &Name<Contract>| self.get(*this, contract::ENDING) == ending::WAITING;
        if is_waiting(&target) {
            return None;
        }
        let mut here = target;
        'down: loop {
            let mut child = CHILDREN.first(self, here);
            while let Some(this) = child {
                if !is_waiting(&this) {
                    here = this;
                    continue 'down;
                }
                child = self.get(this, contract::NEXT);
            }
            return Some(here);
        }
    }

    /// One step of emptying a contract whose children are gone or waiting.
    fn empty_contract(&mut self, this: Name<Contract>) -> Step {
        if self.get(this, contract::ENDING) == ending::ALIVE {
            self.begin_destroy(this);
        }
        if let Some(space) = SPACES.first(self, this) {
            self.destroy_space_step(space);
            return Step::More;
        }
        if let Some(container) = CONTAINERS.first(self, this) {
            self.destroy_container_step(container);
            return Step::More;
        }
        let mut next = HOLDS.first(self, this);
        while let Some(told) = next {
            next = self.get(told, hold::NEXT);
            if !self.get(told, hold::OVERDUE) {
                let passed = self.resolve::<Lock>(self.get(told, hold::LOCK));
                passing::end(self, passed.expect("a hold that is not overdue has its lock"));
            }
        }
        self.end_watch(this);
        self.wake_window();
        self.reclaim_shared(this);
        Step::Done
    }

    /// One step of ending a container.
    pub(crate) fn destroy_container_step(&mut self, this: Name<Container>) -> Step {
        if !self.get(this, container::DYING) {
            containers::begin_destroy(self, this);
        }
        if containers::empty_step(self, this, DESTROY_STEP_PAGES) == Step::More {
            return Step::More;
        }
        self.container_goes(this);
        let payer = self.get(this, container::CONTRACT);
        CONTAINERS.remove(self, payer, this);
        self.lower(payer, contract::CONTAINER_COUNT, 1);
        self.delete(payer, this);
        Step::Done
    }

    /// An empty contract goes, or waits with what it still needs.
    fn settle_contract(&mut self, this: Name<Contract>) {
        if HOLDS.first(self, this).is_none() && CHILDREN.first(self, this).is_none() {
            self.finish_contract(this);
            return;
        }
        self.set(this, contract::ENDING, ending::WAITING);
        let spare = self.get(this, contract::GUARANTEED).saturating_sub(self.charged(this));
        let pins = self.get(this, contract::PIN_LIMIT) - self.get(this, contract::PINNED);
        self.take_back(this, spare, pins);
    }

    fn finish_contract(&mut self, this: Name<Contract>) {
        self.leave_endings(this);
        self.return_rings(this);
        assert!(self.charged(this) == 0, "a contract ends with charges");
        let parent = self.get(this, contract::PARENT).expect("the root contract is never destroyed");
        self.take_back(this, self.get(this, contract::GUARANTEED), self.get(this, contract::PIN_LIMIT));
        CHILDREN.remove(self, parent, this);
        self.delete(parent, this);
    }

    /// A hold of a contract has been released: if the contract waited for that, it goes, and so may those above it.
    pub(crate) fn hold_released(&mut self, contract: Name<Contract>) {
        let mut next = Some(contract);
        while let Some(this) = next {
            let waits = self.get(this, contract::ENDING) == ending::WAITING;
            if !waits || HOLDS.first(self, this).is_some() || CHILDREN.first(self, this).is_some() {
                return;
            }
            next = self.get(this, contract::PARENT);
            self.finish_contract(this);
        }
    }
}
