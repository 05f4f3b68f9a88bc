//! The simulator itself: runs are clean, repeat exactly, and what breaks is named, replayed and shrunk.
#![forbid(unsafe_code)]

use std::time::Duration;
use tests_simulator::env::Counter;
use tests_simulator::report;
use tests_simulator::run::{Plan, Runner, Steps};
use tests_simulator::scenario::{Mix, SCENARIOS};

/// Steps of the seeds here.
const STEPS: u64 = 600;

fn plan(seed: u64, scenario: &'static Mix) -> Plan {
    Plan { seed, steps: Steps::All(STEPS), only: Some(scenario) }
}

#[test]
fn every_scenario_keeps_the_laws() {
    let mut runner = Runner::new();
    for scenario in SCENARIOS {
        for seed in 0..40 {
            let outcome = runner.run(&plan(seed, scenario), false);
            assert_eq!(outcome.broken, None, "seed {seed} of {}", scenario.name);
        }
    }
}

#[test]
fn all_that_is_to_happen_happens() {
    let mut runner = Runner::new();
    let mut sums = report::Sums::default();
    for seed in 0..30 {
        for scenario in SCENARIOS {
            let plan = Plan { steps: Steps::All(2000), ..plan(seed, scenario) };
            sums.add(&runner.run(&plan, false));
        }
    }
    for &(counter, name) in Counter::ALL {
        assert!(sums.counts[counter as usize] > 0, "none of: {name}\n{}", sums.table(Duration::ZERO));
    }
}

#[test]
fn a_seed_does_the_same_every_time_and_others_something_else() {
    let mut runner = Runner::new();
    for scenario in SCENARIOS {
        let [first, again, other] = [1, 1, 2].map(|seed| runner.run(&plan(seed, scenario), false).hash);
        assert_eq!(first, again);
        assert_ne!(first, other);
    }
    let told = runner.run(&plan(1, &SCENARIOS[1]), true);
    assert_eq!(told.hash, runner.run(&plan(1, &SCENARIOS[1]), false).hash, "telling changes nothing");
    assert!(told.story.len() > STEPS as usize / 4, "{} lines", told.story.len());
}

#[test]
fn a_script_is_written_as_it_is_read() {
    let steps = vec![3, 5, 6, 7, 12, 13];
    assert_eq!(report::script(&steps), "3,5-7,12-13");
    assert_eq!(report::parse_script("3,5-7,12-13"), Some(steps));
    assert_eq!(report::parse_script("3,x"), None);
}
