//! Touches pages that are there and not mapped, and measures how long that takes: the time that a well-behaved task waits
//! for physmem to answer a page fault while all others misbehave.
//!
//! Law 5. Its pages are allocated once and never given back, so no fault has to wait for a frame; a fill lock, taken and
//! ended at once, takes them out of the page tables. Each page is a container of its own, so that no neighbour comes
//! along. It runs above all tasks but `toucher`, and the supervisor: what is measured is physmem and the kernel, not the queue
//! for the processor.

use crate::page::Page;
use crate::rest::Rest;
use alloc::vec::Vec;
use containers_api::LockMode;
use containers_api::space::MapProtection;
use core::hint::black_box;
use core::time::Duration;
use kernel_abi::FRAME_BYTES;
use kernel_runtime::clock;
use kernel_runtime::containers::{MemoryCallError, OwnContainer};
use kernel_runtime::memory::Mapping;
use kernel_runtime::startup::Startup;
use tests_guest::{Failed, Random};
use tests_stress_core::tally::Counter;

/// Pages that are touched between two rests.
const PAGES: usize = 16;
/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(5);
/// Term of the lock; it ends long before, on the slowest of hosts.
const TERM_NS: u64 = 60_000_000_000;
/// What the pages are filled with.
const CONTENTS: u8 = 0xf1;

fn make() -> Result<(Mapping, OwnContainer), MemoryCallError> {
    let container = OwnContainer::new(1)?;
    let mut mapping = Mapping::new(&container, 0, 1, MapProtection::WRITE)?;
    mapping.as_mut_slice().fill(CONTENTS);
    Ok((mapping, container))
}

/// The faulter.
pub fn run(_: &Startup<'static>, page: &mut Page, _: &mut Random) -> Result<(), Failed> {
    let rest = Rest::new().map_err(|error| ("rest", error))?;
    let pages: Result<Vec<_>, _> = (0..PAGES).map(|_| make()).collect();
    let pages = pages.map_err(|error| ("pages", error))?;
    loop {
        for (mapping, container) in &pages {
            let locked = container.lock(0..1, LockMode::Fill, TERM_NS).map_err(|error| ("lock", error))?;
            container.unlock(locked.lock, FRAME_BYTES).map_err(|error| ("unlock", error))?;
            let start = clock::ticks();
            let found = black_box(mapping.as_slice())[0];
            page.record(clock::ticks() - start);
            page.check(found == CONTENTS, format_args!("a page reads {found:#x}"));
            page.count(Counter::Tried);
            page.count(Counter::Granted);
        }
        rest.rest(PAUSE);
    }
}
