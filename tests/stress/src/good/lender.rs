//! Leaves its guaranteed memory idle for a while, so that it is lent to others, and then wants all of it at once.
//!
//! Law 4: an allocation inside the guarantee never fails, and waits at most one extra-term plus grace, however many of those
//! who have it ignore the calls for it. Each wait is measured, and each page checked.

use super::{BOUND_NS, LATE_NS};
use crate::page::Page;
use crate::rest::Rest;
use containers_api::space::MapProtection;
use core::time::Duration;
use kernel_abi::FRAME_BYTES;
use kernel_runtime::clock;
use kernel_runtime::containers::OwnContainer;
use kernel_runtime::memory::Mapping;
use kernel_runtime::startup::Startup;
use tests_guest::{Failed, Random};
use tests_stress_core::tally::Counter;

/// Pages, of the guarantee.
const PAGES: u64 = 1280;
/// Pages of one request.
const PIECE: u64 = 64;
/// Longest time of idleness, and of use.
const PAUSE_NS: u64 = 300_000_000;

/// The lender.
pub fn run(_: &Startup<'static>, page: &mut Page, random: &mut Random) -> Result<(), Failed> {
    let rest = Rest::new().map_err(|error| ("rest", error))?;
    let container = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
    let mut mapping =
        Mapping::new(&container, 0, PAGES, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
    loop {
        for first in (0..PAGES).step_by(PIECE as usize) {
            page.count(Counter::Tried);
            let (start, ticks) = (clock::now(), clock::ticks());
            container
                .allocate(first..first + PIECE, false)
                .map_err(|error| ("allocation within the guarantee", error))?;
            page.record(clock::ticks() - ticks);
            page.count(Counter::Granted);
            let waited = clock::now() - start;
            page.check(
                waited <= BOUND_NS + LATE_NS,
                format_args!("{waited} ns for {PIECE} pages of the guarantee"),
            );
            let range = (first * FRAME_BYTES) as usize..((first + PIECE) * FRAME_BYTES) as usize;
            let odd = mapping.as_slice()[range.clone()].iter().find(|&&byte| byte != 0).copied();
            page.check(odd.is_none(), format_args!("a fresh page holds {:#x}", odd.unwrap_or(0)));
            mapping.as_mut_slice()[range].fill(0x99);
        }
        rest.rest(Duration::from_nanos(random.below(PAUSE_NS)));
        let changed = mapping.as_slice().iter().find(|&&byte| byte != 0x99).copied();
        page.check(changed.is_none(), format_args!("a page was changed: {:#x}", changed.unwrap_or(0)));
        container.deallocate(0..PAGES).map_err(|error| ("giving back", error))?;
        rest.rest(Duration::from_nanos(random.below(PAUSE_NS)));
    }
}
