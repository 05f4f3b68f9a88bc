//! Fills its memory with secrets and sees that they stay what they are; gives pages back and takes new ones, all within
//! its guarantee, which must never fail.
//!
//! Laws 3 and 4. A secret is a word that nobody else writes: the upper half is a mark, the lower half says where it
//! belongs. Whoever finds the mark in memory of his own has read what he must not (see `misbehaving::probes`). The time that
//! an allocation takes is measured.
//!
//! As the false witness it damages one of its own words after a while. The run must then fail: that proves that a breach
//! reaches the exit status.

use crate::page::Page;
use crate::rest::Rest;
use containers_api::space::MapProtection;
use core::time::Duration;
use kernel_abi::FRAME_BYTES;
use kernel_runtime::clock;
use kernel_runtime::containers::{OwnContainer, contract_status};
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::memory::Mapping;
use kernel_runtime::startup::Startup;
use tests_guest::{Failed, Random};
use tests_stress_core::tally::Counter;

/// Pages of secrets.
const PAGES: u64 = 192;
/// Words of a page.
const WORDS: u64 = FRAME_BYTES / 8;
/// Upper half of every secret.
const MARK: u64 = 0x5ec2_e75e << 32;
/// Steps after which the false witness lies.
const FALSE_STEP: u64 = 20;
/// Between two steps.
const PAUSE: Duration = Duration::from_millis(3);

/// The secret that belongs at a word.
pub const fn secret(number: u64) -> u64 {
    MARK | (number & 0xffff_ffff)
}

/// Whether a word is somebody's secret.
pub const fn is_secret(word: u64) -> bool {
    word & 0xffff_ffff_0000_0000 == MARK
}

/// The witness.
pub fn run(_: &Startup<'static>, page: &mut Page, random: &mut Random, is_false: bool) -> Result<(), Failed> {
    let rest = Rest::new().map_err(|error| ("rest", error))?;
    let container = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
    container.allocate(0..PAGES, false).map_err(|error| ("allocation within the guarantee", error))?;
    let mut mapping =
        Mapping::new(&container, 0, PAGES, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
    (0..PAGES).for_each(|index| write(&mut mapping, index));
    for step in 0.. {
        let (first, count) = (random.below(PAGES), 1 + random.below(8));
        let range = first..(first + count).min(PAGES);
        range.clone().for_each(|index| check(page, &mapping, index));
        container.deallocate(range.clone()).map_err(|error| ("giving back", error))?;
        let start = clock::ticks();
        let any_contents = random.below(2) == 0;
        container
            .allocate(range.clone(), any_contents)
            .map_err(|error| ("allocation within the guarantee", error))?;
        page.record(clock::ticks() - start);
        range.clone().for_each(|index| check_fresh(page, &mapping, index, any_contents));
        range.for_each(|index| write(&mut mapping, index));
        let status = contract_status(CONTRACT).map_err(|error| ("status", error))?;
        let held = status.pages + status.records + status.kernel;
        page.check(
            held <= status.guaranteed + status.extra_limit,
            format_args!("{held} frames under a contract of {}", status.guaranteed),
        );
        page.count(Counter::Tried);
        page.count(Counter::Granted);
        if is_false && step == FALSE_STEP {
            mapping.as_mut_slice().iter_mut().for_each(|byte| *byte ^= 1);
        }
        rest.rest(PAUSE);
    }
    Ok(())
}

fn words(mapping: &Mapping, index: u64) -> &[[u8; 8]] {
    let first = (index * FRAME_BYTES) as usize;
    mapping.as_slice()[first..first + FRAME_BYTES as usize].as_chunks::<8>().0
}

fn write(mapping: &mut Mapping, index: u64) {
    let first = (index * FRAME_BYTES) as usize;
    let bytes = &mut mapping.as_mut_slice()[first..first + FRAME_BYTES as usize];
    for (number, word) in bytes.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        *word = secret(index * WORDS + number as u64).to_le_bytes();
    }
}

/// Every word of a page is the secret that belongs there.
fn check(page: &mut Page, mapping: &Mapping, index: u64) {
    let expected = |number: usize| secret(index * WORDS + number as u64);
    let wrong = words(mapping, index)
        .iter()
        .enumerate()
        .find(|(number, word)| u64::from_le_bytes(**word) != expected(*number));
    match wrong {
        None => page.count(Counter::Checked),
        Some((number, word)) => page.breach(format_args!(
            "a secret was changed: word {number} of page {index} is {:#x}",
            u64::from_le_bytes(*word)
        )),
    }
}

/// A fresh page holds zeros, or, where any contents would do, at most secrets.
fn check_fresh(page: &mut Page, mapping: &Mapping, index: u64, any_contents: bool) {
    let allowed = |word: u64| word == 0 || (any_contents && is_secret(word));
    let odd = words(mapping, index).iter().map(|word| u64::from_le_bytes(*word)).find(|&word| !allowed(word));
    page.check(odd.is_none(), format_args!("a fresh page holds {:#x}", odd.unwrap_or(0)));
}
