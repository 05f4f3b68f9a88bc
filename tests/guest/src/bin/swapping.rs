//! Works with four times the memory that it may hold: writes, reads and writes again, in order and at random, and checks every word
//! of it. Pages are of three kinds: one word repeated, text that gets smaller, and noise that does not.
//!
//! Argument: how many rounds of random accesses. Prints what was paged out and in, as physmem counts it.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use containers_api::pager::{SwapStat, SwapStatus};
use containers_api::space::MapProtection;
use kernel_runtime::containers::{Allowance, OwnContainer, OwnContract, Terms};
use kernel_runtime::ipc::call;
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::memory::Mapping;
use kernel_runtime::startup::Startup;
use kernel_runtime::{Deadline, Handle};
use tests_guest::{Failed, Random, Report};

kernel_runtime::program!(main);

/// Frames of the contract, records and page array included.
const FRAMES: u64 = 128;
/// Pages that are worked with.
const PAGES: usize = 4 * FRAMES as usize;
const PAGE_BYTES: usize = 4096;
/// Accesses in a round.
const ACCESSES: usize = 256;

fn main(startup: Startup<'static>) -> i32 {
    let mut report = Report::new(&startup);
    let rounds = startup.arguments.first().and_then(|text| core::str::from_utf8(text).ok()?.parse().ok());
    let result = match (rounds, startup.capability("control")) {
        (Some(rounds), Some(control)) => run(&mut report, control, rounds),
        _ => Err(Failed("usage: swapping ROUNDS".to_string())),
    };
    report.finish("swapping", result)
}

fn run(report: &mut Report, control: Handle, rounds: usize) -> Result<(), Failed> {
    let look = || -> Result<SwapStatus, Failed> {
        call(control, &SwapStat {}, &[], Deadline::NEVER).map_err(|error| ("swap status", error).into())
    };
    let before = look()?;
    let allowance = Allowance { guaranteed: FRAMES, extra_limit: 0, pin_limit: 0 };
    let terms = Terms { swap_limit: PAGES as u64, ..Terms::default() };
    let contract = OwnContract::split_with(CONTRACT, &allowance, &terms, "swapping")
        .map_err(|error| ("contract", error))?;
    let container =
        OwnContainer::under(contract.handle(), PAGES as u64).map_err(|error| ("container", error))?;
    let mapping = Mapping::new(&container, 0, PAGES as u64, MapProtection::WRITE)
        .map_err(|error| ("mapping", error))?;
    let mut pages = Pages { mapping, versions: vec![0; PAGES] };
    for page in 0..PAGES {
        pages.write(page);
    }
    for page in 0..PAGES {
        pages.check(page)?;
    }
    let mut random = Random::new(7);
    for _ in 0..rounds * ACCESSES {
        let page = random.below(PAGES as u64) as usize;
        pages.check(page)?;
        if random.below(2) == 0 {
            pages.write(page);
        }
    }
    for page in (0..PAGES).rev() {
        pages.check(page)?;
    }
    let after = look()?;
    let (out, brought) = (after.paged_out - before.paged_out, after.paged_in - before.paged_in);
    report.line(format_args!(
        "swapping: {PAGES} pages within {FRAMES} frames; {out} paged out, {brought} in, {} dropped clean",
        after.dropped_clean - before.dropped_clean
    ));
    if after.lost != before.lost || out < (PAGES as u64 - FRAMES) || brought < (PAGES as u64 - FRAMES) {
        return Err(Failed(format!("{before:?} became {after:?}")));
    }
    Ok(())
}

struct Pages {
    mapping: Mapping,
    /// How often each was written.
    versions: Vec<u64>,
}

impl Pages {
    fn write(&mut self, page: usize) {
        self.versions[page] += 1;
        let version = self.versions[page];
        let start = page * PAGE_BYTES;
        let (words, _) = self.mapping.as_mut_slice()[start..start + PAGE_BYTES].as_chunks_mut::<8>();
        words.iter_mut().enumerate().for_each(|(at, place)| *place = word(page, version, at).to_le_bytes());
    }

    fn check(&self, page: usize) -> Result<(), Failed> {
        let version = self.versions[page];
        let start = page * PAGE_BYTES;
        let (words, _) = self.mapping.as_slice()[start..start + PAGE_BYTES].as_chunks::<8>();
        let differs =
            |(at, found): &(usize, &[u8; 8])| u64::from_le_bytes(**found) != word(page, version, *at);
        match words.iter().enumerate().find(differs) {
            None => Ok(()),
            Some((at, found)) => Err(Failed(format!(
                "word {at} of page {page}, written {version} times, is {:#x}",
                u64::from_le_bytes(*found)
            ))),
        }
    }
}

/// The word at a place of a page that was written so often.
fn word(page: usize, version: u64, at: usize) -> u64 {
    let number = (page as u64) << 32 | version << 12;
    match page % 3 {
        0 => number,
        1 => number | (at % 8) as u64,
        _ => (number + at as u64 + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9),
    }
}
