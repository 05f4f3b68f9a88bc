//! Grants and takes locks of absurd length.
//!
//! Law 7: no lock outlasts the system's longest term, whatever the numbers say. The task makes grants with terms of nothing,
//! of one nanosecond, of all the time there is, takes locks with the same, and changes and passes them. Each lock must end
//! within [`LONGEST_NS`] of its start, a term of nothing must be refused, and sums of moments must not wrap.

use super::Attacker;
use containers_api::{ContainerRights, LockMode};
use kernel_runtime::clock;
use kernel_runtime::containers::OwnContainer;
use tests_guest::Failed;

/// The system's longest term.
const LONGEST_NS: u64 = 60_000_000_000;
/// Pages.
const PAGES: u64 = 4;
/// Absurd and other terms.
const TERMS: [u64; 7] = [0, 1, 1_000, LONGEST_NS, LONGEST_NS + 1, u64::MAX / 2, u64::MAX];

/// One round.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, .. } = attacker;
    let container = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
    let mut term = || TERMS[random.below(TERMS.len() as u64) as usize];
    let (granted, asked, passed) = (term(), term(), term());
    let rights = ContainerRights::LOCK | ContainerRights::FILL;
    let Some(grant) = page.outcome(container.grant(0..PAGES, rights, granted)) else { return Ok(()) };
    let before = clock::now();
    let taken = grant.lock(0..PAGES, LockMode::Fill, asked);
    if asked == 0 {
        page.must_refuse("a lock for no time", taken);
        return Ok(());
    }
    let Some(locked) = page.outcome(taken) else { return Ok(()) };
    let after = clock::now();
    let most = asked.min(granted).min(LONGEST_NS);
    page.check(
        (before..=after.saturating_add(most)).contains(&locked.expires),
        format_args!("a lock for {most} ns taken at {before} ends at {}", locked.expires),
    );
    if let Some((_, lock)) = page.outcome(grant.lock_pass(locked.lock, LockMode::Dma, passed)) {
        drop(lock);
    }
    page.outcome(container.break_locks(0..PAGES));
    let status = container.status().map_err(|error| ("status", error))?;
    page.check(status.locks == 0, format_args!("{} locks survive a break", status.locks));
    Ok(())
}
