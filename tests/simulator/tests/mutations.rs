//! The checks are checked: each deliberate bug must be found by the law that it breaks. A crash alone does not count.
#![forbid(unsafe_code)]

use containers_core::mutations::{Mutation, switch};
use tests_simulator::run::{Plan, Runner, Steps};
use tests_simulator::scenario;

/// Seeds that are tried at most.
const SEEDS: u64 = 300;
/// Steps of each.
const STEPS: u64 = 1500;

/// Which law must find a bug, and in which scenario it is looked for.
fn expected(mutation: Mutation) -> (&'static str, &'static str) {
    match mutation {
        Mutation::SkipZeroing => ("contents", "memory"),
        Mutation::ForgetUnmap => ("unmapped-before-reuse", "memory"),
        Mutation::ForgetWriteProtect => ("sharing", "memory"),
        Mutation::ExpireLate => ("deadlines", "locks"),
        Mutation::LoseCharge => ("charges", "memory"),
        Mutation::KeepTail => ("contents", "boot-read"),
        Mutation::KeepRaw => ("raw-pages-unseen", "disk"),
        Mutation::KeepVersion => ("versions", "memory"),
        Mutation::ShareWrites => ("sharing", "memory"),
        Mutation::ShortGuarantee => ("guarantee", "ladder"),
        Mutation::KeepPins => ("pins-are-covered", "boot-read"),
        Mutation::SeizeEarly => ("terms-are-kept", "ladder"),
        Mutation::SeizeVital => ("eviction-order", "ladder"),
        Mutation::LoseSilently => ("lost-pages-unseen", "pressure"),
        Mutation::ForgetWaiter => ("waits-end", "ladder"),
        Mutation::ForgetEnd => ("contract-terms", "terms"),
        Mutation::KeepOwnersMappings => ("locks-shut-out", "boot-read"),
        Mutation::SkipQuarantine => ("dma-stays-in-lent-frames", "disk"),
        Mutation::MissCall => ("calls-are-met", "ladder"),
        Mutation::ForgetRepossession => ("repossession-record", "ladder"),
        Mutation::StalePressure => ("pressure-page", "ladder"),
        Mutation::StaleContractPage => ("contract-page", "ladder"),
        Mutation::ForgetChoice => ("waits-end", "ladder"),
        Mutation::KeepHoldersMappings => ("locks-shut-out", "liar"),
        Mutation::LockWhileRevoking => ("owner-gets-range-back", "liar"),
        Mutation::ForeignLock => ("grants-bound", "liar"),
        Mutation::KeepFillTail => ("tails-are-zero", "liar"),
        Mutation::CopyAnyway => ("grants-bound", "liar"),
        Mutation::WidenGrant => ("grants-bound", "liar"),
        Mutation::KeepBelow => ("below-what-ends", "trees"),
        Mutation::KeepOutMapped => ("unmapped-before-reuse", "swap"),
        Mutation::KeepStaleNumber => ("clean-is-clean", "swap"),
        Mutation::KeepHolder => ("numbers", "swap"),
        Mutation::SwapBeyondLimit => ("swap-limits", "swap"),
    }
}

/// The first seed whose run breaks the law, and the laws that other seeds broke before it.
fn find(runner: &mut Runner, law: &str, scenario: &str) -> (Option<u64>, Vec<&'static str>) {
    let mut others = Vec::new();
    for seed in 0..SEEDS {
        let plan = Plan { seed, steps: Steps::All(STEPS), only: scenario::named(scenario) };
        match runner.run(&plan, false).broken {
            Some(broken) if broken.law == law => return (Some(seed), others),
            Some(broken) => others.push(broken.law),
            None => {}
        }
    }
    (None, others)
}

#[test]
fn each_bug_is_found_by_the_law_that_it_breaks() {
    let mut runner = Runner::new();
    let mut missed = Vec::new();
    for mutation in Mutation::ALL {
        let (law, scenario) = expected(mutation);
        switch(Some(mutation));
        let (seed, others) = find(&mut runner, law, scenario);
        switch(None);
        println!("{mutation:?}: {law} at seed {seed:?} of {scenario}, before it {others:?}");
        if seed.is_none() {
            missed.push(mutation);
        }
        // The same seeds are clean without it.
        let plan =
            Plan { seed: seed.unwrap_or(0), steps: Steps::All(STEPS), only: scenario::named(scenario) };
        assert_eq!(runner.run(&plan, false).broken, None, "{mutation:?}");
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
