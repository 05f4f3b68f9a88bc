//! Takes all the memory that physmem lends, and claims to have given back what it has not.
//!
//! Law 6: physmem counts, it does not ask. When called, the task renews its terms, gives pages back and takes them again at
//! once, hides pages by moving them to a child's contract, shares them by logical copies so that they seem fewer, or pins
//! them. None of it may help beyond the deadline: what is due then is seized.

use super::Attacker;
use crate::hoard::Hoard;
use crate::page::Page;
use containers_api::LockMode;
use containers_api::contract::Renew;
use core::time::Duration;
use kernel_runtime::Deadline;
use kernel_runtime::containers::{Allowance, OwnContainer, OwnContract};
use kernel_runtime::ipc::call;
use kernel_runtime::layout::CONTRACT;
use tests_guest::Failed;

/// Longest wait for a call.
const PATIENCE: Duration = Duration::from_millis(50);
/// Pages that are hidden.
const HIDDEN: u64 = 16;
/// The contract that they are hidden under.
const ALLOWANCE: Allowance = Allowance { guaranteed: 0, extra_limit: 64, pin_limit: 0 };
/// Term of a lock.
const TERM_NS: u64 = 60_000_000_000;

/// For ever.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, .. } = attacker;
    let mut hoard = Hoard::new()?;
    loop {
        hoard.fill(page);
        if hoard.wait_for_call(Deadline::after(PATIENCE)) {
            let called = hoard.call(page)?;
            page.outcome(call(CONTRACT, &Renew {}, &[], Deadline::NEVER));
            match random.below(3) {
                0 => {
                    page.outcome(hoard.give_back(called.frames));
                    hoard.fill(page);
                }
                1 => hide(page),
                _ => pin(page),
            }
        }
        hoard.check_revocation(page)?;
    }
}

/// Under a child without a guarantee.
fn hide(page: &mut Page) {
    let Some(child) = page.outcome(OwnContract::split(CONTRACT, &ALLOWANCE, "hidden")) else { return };
    if let Some(container) = page.outcome(OwnContainer::under(child.handle(), HIDDEN)) {
        page.outcome(container.allocate(0..HIDDEN, false));
    }
}

/// Under a lock that devices need.
fn pin(page: &mut Page) {
    let Some(container) = page.outcome(OwnContainer::new(HIDDEN)) else { return };
    page.outcome(container.lock(0..HIDDEN, LockMode::Dma, TERM_NS));
}
