//! Locks everything and never unlocks.
//!
//! Law 7: the owner always gets the range back. Through a grant the task plays a server that takes as many locks as there
//! can be, of every mode, and forgets them. As the owner it then takes its pages back in every way there is (breaking,
//! revoking, waiting for the expiry, destroying the container), and must succeed at once, or at the term's end.

use super::Attacker;
use containers_api::{ContainerRights, LockMode};
use kernel_runtime::clock;
use kernel_runtime::containers::OwnContainer;
use tests_guest::Failed;

/// Pages.
const PAGES: u64 = 80;
/// Longest term of the grant.
const TERM_NS: u64 = 5_000_000;
/// What an expiry may be late by, on top of the timer's tick.
const LATE_NS: u64 = 2_000_000_000;

/// One round.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, .. } = attacker;
    let container = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
    let rights = ContainerRights::LOCK | ContainerRights::FILL | ContainerRights::COPY_OUT;
    let grant = container.grant(0..PAGES, rights, TERM_NS).map_err(|error| ("grant", error))?;
    let mut last = 0;
    for number in 0..PAGES {
        let mode = [LockMode::Stable, LockMode::Fill, LockMode::Dma][random.below(3) as usize];
        if let Some(locked) = page.outcome(grant.lock(number..number + 1, mode, u64::MAX)) {
            page.check(
                locked.expires <= clock::now() + TERM_NS,
                format_args!("a lock lasts longer than the grant allows"),
            );
            last = locked.expires.max(last);
        }
    }
    let start = clock::ticks();
    match random.below(4) {
        0 => drop(page.outcome(container.break_locks(0..PAGES))),
        1 => drop(page.outcome(container.revoke(&grant, true))),
        2 => {
            // Waits for the expiry of every lock.
            page.outcome(container.revoke(&grant, false));
            let late = clock::now().saturating_sub(last);
            page.check(late < LATE_NS, format_args!("the locks ended {late} ns after their term"));
        }
        _ => return Ok(()),
    }
    page.record(clock::ticks() - start);
    let status = container.status().map_err(|error| ("status", error))?;
    page.check(status.locks == 0, format_args!("{} locks are still in force", status.locks));
    let allocated = container.deallocate(0..PAGES);
    page.check(allocated.is_ok(), format_args!("the range is not back: {allocated:?}"));
    Ok(())
}
