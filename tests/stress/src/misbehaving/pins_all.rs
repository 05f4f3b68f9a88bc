//! Pins all that it may, tries to pin more, and sleeps on it.
//!
//! Laws 4 and 6: pins are covered by guarantees, so pinned frames hurt nobody but their holder. The task takes dma locks on
//! its own pages, piece by piece, until it is refused for its pin limit, tries to get around the limit through a child
//! contract, and sleeps while holding everything. What is pinned may never exceed the limit.

use super::Attacker;
use crate::rest::Rest;
use containers_api::LockMode;
use core::time::Duration;
use kernel_runtime::containers::{Allowance, OwnContainer, OwnContract, contract_status};
use kernel_runtime::layout::CONTRACT;
use tests_guest::Failed;

/// Pages of the container.
const PAGES: u64 = 4096;
/// Pages of one lock.
const PIECE: u64 = 4;
/// Locks tried: more than the limits allow.
const LOCKS: u64 = 70;
/// Term of a lock.
const TERM_NS: u64 = 60_000_000_000;

/// One round.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, .. } = attacker;
    let rest = Rest::new().map_err(|error| ("rest", error))?;
    let container = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
    let limit = contract_status(CONTRACT).map_err(|error| ("status", error))?.pin_limit;
    for number in 0..LOCKS {
        let first = number * PIECE;
        page.outcome(container.lock(first..first + PIECE, LockMode::Dma, TERM_NS));
        let pinned = contract_status(CONTRACT).map_err(|error| ("status", error))?.pinned;
        page.check(pinned <= limit, format_args!("{pinned} pages pinned, {limit} allowed"));
    }
    let more = Allowance { guaranteed: limit + 1, extra_limit: 0, pin_limit: limit + 1 };
    page.must_refuse("a child that may pin more", OwnContract::split(CONTRACT, &more, "pins"));
    rest.rest(Duration::from_millis(random.below(100)));
    Ok(())
}
