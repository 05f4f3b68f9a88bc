//! Touches pages that are not there, within its guarantee, and gives them back.
//!
//! Law 4: each touch succeeds. While it rests its frames may be lent to others, so a touch may have to wait for one to come
//! back: one extra-term and the grace of a call at most, as `lender` does for many at once. What a fault costs besides is
//! measured by `faulter`.

use super::{BOUND_NS, LATE_NS};
use crate::page::Page;
use crate::rest::Rest;
use alloc::vec::Vec;
use containers_api::space::MapProtection;
use core::hint::black_box;
use core::time::Duration;
use kernel_runtime::clock;
use kernel_runtime::containers::{MemoryCallError, OwnContainer};
use kernel_runtime::memory::Mapping;
use kernel_runtime::startup::Startup;
use tests_guest::{Failed, Random};
use tests_stress_core::tally::Counter;

/// Pages that are touched between two rests. Each is a container of its own, so that no neighbour comes along with it.
const PAGES: usize = 16;
/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(5);

fn make() -> Result<(Mapping, OwnContainer), MemoryCallError> {
    let container = OwnContainer::new(1)?;
    Ok((Mapping::new(&container, 0, 1, MapProtection::WRITE)?, container))
}

/// The toucher.
pub fn run(_: &Startup<'static>, page: &mut Page, _: &mut Random) -> Result<(), Failed> {
    let rest = Rest::new().map_err(|error| ("rest", error))?;
    let pages: Result<Vec<_>, _> = (0..PAGES).map(|_| make()).collect();
    let mut pages = pages.map_err(|error| ("pages", error))?;
    loop {
        for (mapping, _) in &mut pages {
            let (begin, start) = (clock::now(), clock::ticks());
            let found = core::mem::replace(&mut black_box(mapping.as_mut_slice())[0], 0xff);
            page.record(clock::ticks() - start);
            let waited = clock::now() - begin;
            page.check(waited <= BOUND_NS + LATE_NS, format_args!("{waited} ns for a page of the guarantee"));
            page.check(found == 0, format_args!("an absent page reads {found:#x}"));
            page.count(Counter::Tried);
            page.count(Counter::Granted);
        }
        for (_, container) in &pages {
            container.deallocate(0..1).map_err(|error| ("giving back", error))?;
        }
        rest.rest(PAUSE);
    }
}
