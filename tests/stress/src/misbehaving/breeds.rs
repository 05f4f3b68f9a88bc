//! Starts children that start children.
//!
//! Laws 1 and 4: a child is made of its parent's guarantee, so the tree of them can never hold more than its root was given,
//! and ending the root ends all of them and gives everything back. Each generation splits its contract, starts the same
//! program under the part, and goes on until it is refused; then it drops some of them and begins anew.

use super::Attacker;
use alloc::vec::Vec;
use core::time::Duration;
use kernel_runtime::containers::{Allowance, contract_status};
use kernel_runtime::layout::CONTRACT;
use tests_guest::Failed;
use tests_guest::child::Child;
use tests_stress_core::tally::Counter;

/// Where the program is.
const PROGRAM: &str = "/.boot/stress/misbehave";
/// Frames that a child needs to start at all.
const CHILD_FRAMES: u64 = 220;
/// Frames that are kept for oneself.
const KEPT_FRAMES: u64 = 8;
/// Children at a time.
const CHILDREN: usize = 16;
/// Longest life of a child.
const LIFE_NS: u64 = 30_000_000;

/// One round.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, startup } = attacker;
    let mut children = Vec::new();
    while children.len() < CHILDREN {
        let own = contract_status(CONTRACT).map_err(|error| ("status", error))?;
        let left = own.guaranteed.saturating_sub(own.pages + own.records + own.kernel + KEPT_FRAMES);
        // Half of what is left, so that a child can have children.
        let guaranteed = CHILD_FRAMES.max(left / 2);
        let allowance = Allowance { guaranteed, extra_limit: 0, pin_limit: 0 };
        page.count(Counter::Tried);
        match Child::start_with(startup, PROGRAM, &[b"breeds"], &[], &allowance) {
            Ok(child) => children.push(child),
            Err(_) => {
                page.count(Counter::Refused);
                break;
            }
        }
        page.count(Counter::Granted);
    }
    for child in children {
        child.wait(Duration::from_nanos(random.below(LIFE_NS)));
    }
    let own = contract_status(CONTRACT).map_err(|error| ("status", error))?;
    page.check(own.handed_on == 0, format_args!("{} frames did not come back", own.handed_on));
    Ok(())
}
