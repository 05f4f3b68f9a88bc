//! Asks for more than any machine has, in one request.
//!
//! Laws 4 and 9: numbers that overflow, ranges beyond every end, guarantees beyond the parent's must each be answered with
//! a typed error, at once, and change nothing. The largest request that physmem takes at all ([`LARGEST`] pages) must fail
//! as a whole where the contract cannot pay for it, leaving no page behind.

use super::Attacker;
use containers_api::container::{Allocate, Changed, OPERATION_PAGES_MAX};
use kernel_runtime::Deadline;
use kernel_runtime::containers::{
    Allowance, Container, MemoryCallError, OwnContainer, OwnContract, contract_status,
};
use kernel_runtime::ipc::call;
use kernel_runtime::layout::CONTRACT;
use tests_guest::Failed;

/// Pages that one request may have.
const LARGEST: u64 = OPERATION_PAGES_MAX;
/// Pages of the largest container.
const CONTAINER_MAX: u64 = 1 << 36;

/// One request, whatever its size: the runtime's own stub would make several of it.
fn allocate(container: &Container, first_page: u64, end: u64) -> Result<Changed, MemoryCallError> {
    let request = Allocate { first_page, pages: end - first_page, any_contents: false };
    call(container.handle(), &request, &[], Deadline::NEVER)
}

/// One round.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, .. } = attacker;
    let own = contract_status(CONTRACT).map_err(|error| ("status", error))?;
    let huge = OwnContainer::new(CONTAINER_MAX).map_err(|error| ("container", error))?;
    page.must_refuse("a container beyond the limit", OwnContainer::new(CONTAINER_MAX + 1));
    page.must_refuse("a container of all numbers", OwnContainer::new(u64::MAX));
    page.must_refuse("more pages than there are frames", allocate(&huge, 0, LARGEST));
    page.must_refuse("more pages than a request may have", allocate(&huge, 0, LARGEST + 1));
    page.must_refuse("all pages", allocate(&huge, 0, CONTAINER_MAX));
    page.must_refuse("a range that wraps", allocate(&huge, CONTAINER_MAX - 1, CONTAINER_MAX + 1));
    let start = random.edgy().min(u64::MAX - 1);
    page.must_refuse("a range beyond the end", huge.deallocate(start.max(CONTAINER_MAX)..u64::MAX));
    let left = huge.status().map_err(|error| ("status", error))?.present;
    page.check(left == 0, format_args!("refused allocations left {left} pages"));

    let beyond = own.guaranteed + 1 + random.below(1 << 40);
    for (guaranteed, pin_limit) in [(beyond, 0), (u64::MAX, 0), (1, 2), (1, u64::MAX), (u64::MAX, u64::MAX)] {
        let allowance = Allowance { guaranteed, extra_limit: 0, pin_limit };
        page.must_refuse("a guarantee beyond one's own", OwnContract::split(CONTRACT, &allowance, "huge"));
    }
    let allowance = Allowance { guaranteed: 1, extra_limit: u64::MAX, pin_limit: 0 };
    page.must_refuse("extra beyond one's own", OwnContract::split(CONTRACT, &allowance, "huge"));
    Ok(())
}
