//! The tasks that misbehave, one module each. A module's header says what it tries, which law that attacks and what must
//! come of it.
//!
//! A task makes rounds of its attack until it is ended. A round that cannot begin because the task's own contract is used
//! up counts as *unable*; where an attack succeeds, the task itself tells the breach.

mod absurd_terms;
mod answers_late;
mod asks_huge;
mod asks_small;
mod breeds;
mod claims_returned;
mod deep_terms;
mod deep_trees;
mod dies;
mod faults;
mod floods_driver;
mod floods_files;
mod floods_physmem;
mod floods_signals;
pub mod forges;
mod garbles;
mod half_calls;
mod hands_around;
mod hogs;
mod ignores_calls;
pub mod lies;
mod makes_tables;
mod makes_threads;
mod maps_often;
mod never_unlocks;
mod outlives_term;
mod pins_all;
mod poisons_cache;
mod probes;
mod races_fill;
mod rides;
mod splits_time;
mod touches_returned;

use crate::page::Page;
use crate::rest::Rest;
use alloc::string::ToString;
use core::time::Duration;
use kernel_runtime::startup::Startup;
use tests_guest::{Failed, Random};
use tests_stress_core::tally::Counter;

/// What a misbehaving task works with.
pub struct Attacker {
    /// What it was started with.
    pub startup: Startup<'static>,
    /// Where it counts.
    pub page: Page,
    /// Its random numbers.
    pub random: Random,
}

/// One round of an attack.
type Attack = fn(&mut Attacker) -> Result<(), Failed>;

/// All of them, by name.
const ALL: &[(&str, Attack)] = &[
    ("absurd-terms", absurd_terms::attack),
    ("answers-late", answers_late::attack),
    ("asks-huge", asks_huge::attack),
    ("asks-small", asks_small::attack),
    ("breeds", breeds::attack),
    ("claims-returned", claims_returned::attack),
    ("deep-terms", deep_terms::attack),
    ("deep-trees", deep_trees::attack),
    ("dies", dies::attack),
    ("faults", faults::attack),
    ("floods-driver", floods_driver::attack),
    ("floods-files", floods_files::attack),
    ("floods-physmem", floods_physmem::attack),
    ("floods-signals", floods_signals::attack),
    ("forges", forges::attack),
    ("garbles", garbles::attack),
    ("half-calls", half_calls::attack),
    ("hands-around", hands_around::attack),
    ("hogs", hogs::attack),
    ("ignores-calls", ignores_calls::attack),
    ("lies", lies::attack),
    ("makes-tables", makes_tables::attack),
    ("makes-threads", makes_threads::attack),
    ("maps-often", maps_often::attack),
    ("never-unlocks", never_unlocks::attack),
    ("outlives-term", outlives_term::attack),
    ("pins-all", pins_all::attack),
    ("poisons-cache", poisons_cache::attack),
    ("probes", probes::attack),
    ("races-fill", races_fill::attack),
    ("rides", rides::attack),
    ("splits-time", splits_time::attack),
    ("touches-returned", touches_returned::attack),
];

/// After a round that could not begin.
const UNABLE_REST: Duration = Duration::from_millis(10);
/// Rounds that cannot begin, one after the other, before the task gives up and is started anew.
const UNABLE_MAX: u32 = 20;

/// `misbehave NAME seed=N`. Exit status 0: it came to an end of its own; 2: it could not begin.
pub fn main(startup: Startup<'static>) -> i32 {
    let Ok(page) = Page::open(&startup) else { return 2 };
    let random = Random::new(startup.number("seed").unwrap_or(0));
    let name = startup.arguments.first().copied().unwrap_or_default();
    let Some((_, attack)) = ALL.iter().find(|(known, _)| known.as_bytes() == name) else { return 2 };
    let Ok(rest) = Rest::new() else { return 2 };
    let mut attacker = Attacker { startup, page, random };
    let mut unable = 0;
    while unable < UNABLE_MAX {
        match attack(&mut attacker) {
            Ok(()) => unable = 0,
            Err(Failed(reason)) => {
                if unable == 0 {
                    log::debug!("unable: {reason}");
                }
                attacker.page.count(Counter::Unable);
                unable += 1;
                rest.rest(UNABLE_REST);
            }
        }
    }
    0
}

/// Why a round could not begin.
fn unable(what: &str) -> Failed {
    Failed(what.to_string())
}
