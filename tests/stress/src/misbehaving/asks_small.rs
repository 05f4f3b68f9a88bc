//! Asks for more than its contract, page by page.
//!
//! Law 4: an allocation inside the guarantee never fails, one beyond guarantee and extra limit always does, and nobody else
//! pays for it. The task allocates single pages, here and there in a huge container, until it is refused, and sees that
//! what its contract is charged is what it was given and never more than is allowed. Each page array that the far-off pages
//! need is charged too: riding on physmem's bookkeeping must not work either. Then it gives half back and asks again.

use super::Attacker;
use containers_api::MemoryError;
use kernel_runtime::containers::{OwnContainer, contract_status};
use kernel_runtime::layout::CONTRACT;
use tests_guest::Failed;
use tests_stress_core::tally::Counter;

/// Pages of the container.
const PAGES: u64 = 1 << 30;
/// More requests than any contract of a stress run has frames.
const REQUESTS: u64 = 1 << 16;

/// One round.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let container = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
    // Side by side, or far from each other.
    let stride = [1, 1, 513, 65_537][attacker.random.below(4) as usize];
    let page = &mut attacker.page;
    let mut given = 0;
    for number in 0..REQUESTS {
        page.count(Counter::Tried);
        let place = number * stride % PAGES;
        match container.allocate(place..place + 1, false) {
            Ok(_) => given += 1,
            Err(error) => {
                let typed = matches!(
                    error.refusal(),
                    Some(MemoryError::ContractExhausted | MemoryError::NoRecord | MemoryError::Limit)
                );
                page.check(typed, format_args!("an allocation failed with {error:?}"));
                page.count(Counter::Refused);
                break;
            }
        }
    }
    page.add(Counter::Granted, given);
    let status = contract_status(CONTRACT).map_err(|error| ("status", error))?;
    let (held, most) =
        (status.pages + status.records + status.kernel, status.guaranteed + status.extra_limit);
    page.check(held <= most, format_args!("{held} frames held, {most} allowed"));
    page.check(status.pages >= given, format_args!("{given} pages given, {} charged", status.pages));
    page.check(given < REQUESTS, format_args!("never refused"));
    container.deallocate(0..given / 2 * stride + 1).map_err(|error| ("giving back", error))?;
    for place in 0..given / 4 {
        page.outcome(container.allocate(place..place + 1, true));
    }
    Ok(())
}
