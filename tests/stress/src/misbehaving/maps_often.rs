//! Maps one container thousands of times.
//!
//! Laws 5 and 8: taking a page away means walking all mappings of its container, so their number is bounded
//! (`MAPPINGS_PER_CONTAINER`, `MAPPINGS_PER_SPACE`), and each is a record that somebody pays for. The task maps one page
//! wherever it can until it is refused, touches some of the places, and then has the page taken away from all of them at
//! once, again and again. All places must show the same page, and zeros once it is gone.

use super::Attacker;
use alloc::vec::Vec;
use containers_api::space::MapProtection;
use core::hint::black_box;
use kernel_runtime::containers::OwnContainer;
use kernel_runtime::memory::Mapping;
use tests_guest::Failed;
use tests_stress_core::tally::Counter;

/// Mappings tried; the contract, or the limit of 1024 a container, ends it before.
const MAPPINGS: usize = 1100;
/// Times that the page is taken away.
const ROUNDS: u8 = 20;

/// One round.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, .. } = attacker;
    let container = OwnContainer::new(1).map_err(|error| ("container", error))?;
    let mut places = Vec::with_capacity(MAPPINGS);
    while places.len() < MAPPINGS {
        match page.outcome(Mapping::new(&container, 0, 1, MapProtection::WRITE)) {
            Some(place) => places.push(place),
            None => break,
        }
    }
    page.check(places.len() < MAPPINGS, format_args!("{MAPPINGS} mappings of one container"));
    for round in 1..=ROUNDS {
        let Some(place) = places.first_mut() else { return Err(super::unable("no mapping")) };
        black_box(place.as_mut_slice())[0] = round;
        let other = &places[random.below(places.len() as u64) as usize];
        let found = black_box(other.as_slice())[0];
        page.check(found == round, format_args!("{round} was written, {found} is read elsewhere"));
        page.outcome(container.deallocate(0..1));
        let found = black_box(other.as_slice())[0];
        page.check(found == 0, format_args!("{found} is still there after the page was given back"));
    }
    page.count(Counter::Tried);
    Ok(())
}
