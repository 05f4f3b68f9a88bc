//! Calls physmem without end from several threads.
//!
//! Laws 5 and 8: physmem serves in bounded steps and nobody has to wait for more than what is in its queue. The threads ask
//! for the cheapest thing there is, for things that are refused, and for some of the more expensive ones, as fast as they
//! can. Nothing is to be gained; the good tasks' latencies show whether it hurts.

use super::Attacker;
use containers_api::contract::ContractStat;
use kernel_runtime::containers::OwnContainer;
use kernel_runtime::ipc::call;
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::{Deadline, threads};
use tests_guest::{Failed, Random};

/// Further threads.
const THREADS: u64 = 3;
/// Pages that are allocated and given back.
const PAGES: u64 = 32;

/// For ever.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    for seed in 0..THREADS {
        let mut random = Random::new(seed);
        threads::spawn(4, move || {
            loop {
                let _ = call(CONTRACT, &ContractStat {}, &[], Deadline::NEVER);
                if let (0, Ok(container)) = (random.below(16), OwnContainer::new(PAGES)) {
                    let _ = container.allocate(0..PAGES, true);
                }
            }
        })
        .map_err(|error| ("thread", error))?;
    }
    let container = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
    loop {
        attacker.page.outcome(container.allocate(0..PAGES, false));
        attacker.page.must_refuse("a range beyond the end", container.deallocate(0..PAGES + 1));
        attacker.page.outcome(container.deallocate(0..PAGES));
    }
}
