//! Random system calls by several tasks, with plausible and absurd arguments, interrupts, faults and time. Whatever they
//! do, nothing panics, all invariants hold, and in the end every frame comes back.
//!
//! A failure prints its seed and the last steps. `KERNEL_FUZZ_SEED` runs one seed alone, `KERNEL_FUZZ_CALLS` sets how many
//! calls each seed makes.

mod arguments;
mod boss;
mod random;
mod run;
mod signatures;

use run::Run;

/// Seeds of one test.
const SEEDS: u64 = 5;
/// Calls of one seed.
const CALLS: u64 = 100_000;

fn fuzz(first_seed: u64) {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse().expect("a number"));
    let calls = number("KERNEL_FUZZ_CALLS").unwrap_or(CALLS);
    if let Some(seed) = number("KERNEL_FUZZ_SEED") {
        return Run::new(seed).make(calls);
    }
    for seed in first_seed..first_seed + SEEDS {
        Run::new(seed).make(calls);
    }
}

#[test]
fn random_calls_break_nothing() {
    fuzz(1);
}

#[test]
fn more_random_calls_break_nothing() {
    fuzz(1001);
}
