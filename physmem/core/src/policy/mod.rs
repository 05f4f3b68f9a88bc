//! Policies: from whom extra frames are taken first, and which pages go where their owner has not said.
//!
//! A policy sees everything through [`View`] and decides; it changes nothing but its own notes. What it may take is given:
//! only extra frames whose term is over, never more than the ladder asks for; the owner's eviction order always comes
//! before the policy's choice of pages, vital and pinned pages are never shown to it.
//!
//! A policy that must look at pages first does so in steps between messages. Each step has a budget ([`View::budget`]) in
//! pages, and each search a bound on what it passes over ([`ROUND_PAGES`](crate::limits::ROUND_PAGES),
//! [`SEARCH_PAGES_MAX`]): who keeps all its pages in use makes a search dearer, not longer than that.
//!
//! Policies are swapped while the system runs. Notes of a policy are in itself, so they go with it, and in
//! contracts, where the number of the swap is part of them: those of another policy are nothing. A note is read wrongly
//! only if it was left alone for 255 swaps, and then costs one bad choice. Ages of pages outlast a swap; they are told
//! anew with each look.

mod aging;
mod client_order;
mod global_clock;
mod lap;
mod search;
mod view;

pub(crate) use search::Found;
pub(crate) use view::View;

use crate::limits::SCAN_STEP_PAGES;
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use aging::Aging;
use client_order::ClientOrder;
use containers_api::control::PolicyKind;
use containers_core::mutations::{self, Mutation};
use containers_core::record::{Contract, Name};
use global_clock::GlobalClock;

/// A policy.
pub(crate) trait Policy {
    /// So many frames are to be taken back; 0: none any more. It says from whom by [`View::take`], at once or in later steps.
    fn choose(&mut self, view: &mut impl View, wanted: u64);

    /// Whether there is something to look at.
    fn has_work(&self) -> bool {
        false
    }

    /// Looks around within the budget.
    fn step(&mut self, _view: &mut impl View) {}

    /// When it wants to look around next, while frames are lent; `u64::MAX`: it does not.
    fn next_look(&self) -> u64 {
        u64::MAX
    }

    /// That moment has come.
    fn begin_look(&mut self, _view: &mut impl View) {}

    /// The next pages of a contract to seize, so many at most.
    fn next_run(&mut self, view: &mut impl View, of: Name<Contract>, most: u64) -> Found;
}

/// The policies, and the notes of the one in force.
#[derive(Clone, Copy, Debug)]
enum InForce {
    ClientOrder(ClientOrder),
    GlobalClock(GlobalClock),
    Aging(Aging),
}

/// The policy in force, and what all policies share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Central {
    policy: InForce,
    /// Number of the swap, in the notes on contracts; never 0.
    epoch: u8,
    /// Steps of work begun.
    steps: u64,
    /// Pages that may still be looked at in this step.
    budget: u64,
}

impl Default for Central {
    fn default() -> Central {
        Central { policy: InForce::ClientOrder(ClientOrder), epoch: 1, steps: 0, budget: 0 }
    }
}

/// Does the same with whichever policy is in force.
macro_rules! with_policy {
    ($in_force:expr, $policy:ident => $action:expr) => {
        match $in_force {
            InForce::ClientOrder($policy) => $action,
            InForce::GlobalClock($policy) => $action,
            InForce::Aging($policy) => $action,
        }
    };
}

impl Central {
    /// Which policy it is.
    pub fn kind(&self) -> PolicyKind {
        match self.policy {
            InForce::ClientOrder(_) => PolicyKind::ClientOrder,
            InForce::GlobalClock(_) => PolicyKind::GlobalClock,
            InForce::Aging(_) => PolicyKind::Aging,
        }
    }

    /// Whether looking comes before the other work of this step.
    pub fn is_its_turn(&self) -> bool {
        self.steps.is_multiple_of(2)
    }
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Swaps the policy. A choice that the old one was about to make is made by the new one.
    pub(crate) fn set_policy(&mut self, kind: PolicyKind) {
        let policy = match kind {
            PolicyKind::ClientOrder => InForce::ClientOrder(ClientOrder),
            PolicyKind::GlobalClock => InForce::GlobalClock(GlobalClock::default()),
            PolicyKind::Aging => InForce::Aging(Aging::default()),
        };
        let epoch = self.policy.epoch.checked_add(1).unwrap_or(1);
        self.policy = Central { policy, epoch, ..self.policy };
        if mutations::has(Mutation::ForgetChoice) {
            self.next_relief = self.next_relief.map(|_| u64::MAX);
            return;
        }
        self.is_new_shortage = true;
    }

    /// Has the policy do something. Its notes are taken out of here for that long.
    fn by_policy<R>(&mut self, action: impl FnOnce(&mut InForce, &mut Self) -> R) -> R {
        let mut policy = self.policy.policy;
        let result = action(&mut policy, self);
        self.policy.policy = policy;
        result
    }

    /// Says how many frames are to be taken back from now on.
    pub(crate) fn choose_by_policy(&mut self, wanted: u64) {
        if wanted != 0 || self.policy_has_work() {
            self.by_policy(|policy, this| with_policy!(policy, policy => policy.choose(this, wanted)));
        }
    }

    /// The next pages to seize of what its owner has put in no order.
    pub(crate) fn run_by_policy(&mut self, of: Name<Contract>, most: u64) -> Found {
        self.by_policy(|policy, this| with_policy!(policy, policy => policy.next_run(this, of, most)))
    }

    /// Whether the policy has something to look at.
    pub(crate) fn policy_has_work(&self) -> bool {
        with_policy!(&self.policy.policy, policy => policy.has_work())
    }

    /// A step of work begins.
    pub(crate) fn begin_step(&mut self) {
        self.policy.steps += 1;
        self.policy.budget = SCAN_STEP_PAGES;
    }

    /// The policy looks around. Whether it is done, and has said whom to call.
    pub(crate) fn policy_step(&mut self) -> bool {
        self.by_policy(|policy, this| with_policy!(policy, policy => policy.step(this)));
        !self.policy_has_work()
    }

    /// When the policy wants to look around next.
    pub(crate) fn next_look(&self) -> Option<u64> {
        let moment = with_policy!(&self.policy.policy, policy => policy.next_look());
        (self.extra != 0 && moment != u64::MAX).then_some(moment)
    }

    /// Lets the policy begin to look around, when it wanted to.
    pub(crate) fn look_if_due(&mut self) {
        if self.next_look().is_some_and(|moment| moment <= self.now) {
            self.by_policy(|policy, this| with_policy!(policy, policy => policy.begin_look(this)));
        }
    }
}
