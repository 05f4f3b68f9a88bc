//! Touches pages that are not there and measures how long that takes: the time a well-behaved task waits for a page fault
//! while all others misbehave.
//!
//! Laws 4 and 5. The pages lie within the guarantee, so each touch must succeed. It runs at a higher priority than the
//! misbehaving tasks and rests between touches: what is measured is physmem and the kernel, not the queue for the processor.

use crate::page::Page;
use crate::rest::Rest;
use containers_api::space::MapProtection;
use core::hint::black_box;
use core::time::Duration;
use kernel_abi::FRAME_BYTES;
use kernel_runtime::clock;
use kernel_runtime::containers::OwnContainer;
use kernel_runtime::memory::Mapping;
use kernel_runtime::startup::Startup;
use tests_guest::{Failed, Random};
use tests_stress_core::tally::Counter;

/// Pages that are touched between two rests.
const PAGES: u64 = 16;
/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(5);

/// The faulter.
pub fn run(_: &Startup<'static>, page: &mut Page, _: &mut Random) -> Result<(), Failed> {
    let rest = Rest::new().map_err(|error| ("rest", error))?;
    let container = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
    let mut mapping =
        Mapping::new(&container, 0, PAGES, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
    loop {
        for index in 0..PAGES {
            let place = (index * FRAME_BYTES) as usize;
            let start = clock::ticks();
            let found = core::mem::replace(&mut black_box(mapping.as_mut_slice())[place], 0xff);
            page.record(clock::ticks() - start);
            page.check(found == 0, format_args!("an absent page reads {found:#x}"));
            page.count(Counter::Tried);
            page.count(Counter::Granted);
        }
        container.deallocate(0..PAGES).map_err(|error| ("giving back", error))?;
        rest.rest(PAUSE);
    }
}
