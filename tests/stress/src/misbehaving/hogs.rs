//! Burns all processor time that it gets, on several threads.
//!
//! Laws 5 and 6: time is shared out by priority, and nothing that physmem promised depends on a client's getting any. The
//! good tasks run above; the hog is ended by its contract's end, wherever it is.

use super::Attacker;
use core::hint::black_box;
use kernel_runtime::threads;
use tests_guest::{Failed, Random};
use tests_stress_core::tally::Counter;

/// Further threads.
const THREADS: u64 = 3;
/// Numbers drawn between two counts.
const STEPS: u32 = 100_000;

/// For ever.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    for seed in 0..THREADS {
        threads::spawn(1, move || burn(seed, || ())).map_err(|error| ("thread", error))?;
    }
    burn(THREADS, || {
        attacker.page.count(Counter::Tried);
        attacker.page.count(Counter::Granted);
    });
    Ok(())
}

fn burn(seed: u64, mut each: impl FnMut()) {
    let mut random = Random::new(seed);
    loop {
        for _ in 0..STEPS {
            black_box(random.number());
        }
        each();
    }
}
