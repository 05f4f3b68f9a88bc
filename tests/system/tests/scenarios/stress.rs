//! The tasks that misbehave, all at once, beside tasks that check what is theirs (docs/stress.md). A short run of what
//! `cargo run -- stress` does for as long as one likes.

use crate::Scenario;
use std::time::Duration;
use tests_runner::stress::{Findings, Verdict, image};
use tests_stress_core::tasks::{Part, TASKS};
use tests_system::{Boot, Outcome};

pub const SCENARIOS: &[Scenario] = &[
    ("every_law_holds_while_all_misbehave", || every_law_holds_while_all_misbehave(1)),
    ("every_law_holds_on_two_processors", || every_law_holds_while_all_misbehave(2)),
    ("a_fault_waits_two_milliseconds_at_most", a_fault_waits_two_milliseconds_at_most),
    ("a_broken_law_is_noticed", a_broken_law_is_noticed),
];

/// Longest wait for the answer to a page fault, in guest instructions: 2 ms at one instruction a nanosecond.
const FAULT_WORST: u64 = 2_000_000;
/// And the median of all, also of those that need a frame: 20 microseconds.
const FAULT_MEDIAN: u64 = 20_000;
/// Longest wait for a page fault that needs a frame of the guarantee: one term of extra frames, and the grace of a call.
const FRAME_WORST: u64 = 100_000_000 + 20_000_000;

/// What a run printed.
fn findings(outcome: &Outcome) -> Findings {
    let mut findings = Findings::default();
    findings.take(&outcome.output);
    findings
}

fn boot() -> Boot {
    let world = tests_system::world::prepare().unwrap_or_else(|failure| panic!("{failure}"));
    let disk = image(&world.places).unwrap_or_else(|failure| panic!("{failure}"));
    Boot::new().memory("64M").disk_file(&disk).limit(Duration::from_secs(180))
}

fn every_law_holds_while_all_misbehave(cpus: u32) {
    let outcome = boot().cpus(cpus).exec("with all /.boot/stress/stress seed=3 seconds=8").success();
    let findings = findings(&outcome);
    assert_eq!(findings.verdict(), Verdict::Kept, "{findings:?}");
    for task in TASKS.iter().filter(|task| task.part != Part::OnRequest) {
        let line = findings.tasks.iter().find(|line| line.get("name") == Some(task.name));
        let tried = line.map_or(0, |line| line.number("tried"));
        assert!(tried > 0, "{} has tried nothing: {line:?}", task.name);
    }
}

fn a_fault_waits_two_milliseconds_at_most() {
    let outcome = boot().counted().exec("with all /.boot/stress/stress seed=5 seconds=2").success();
    let findings = findings(&outcome);
    for (name, worst) in [("faulter", FAULT_WORST), ("toucher", FRAME_WORST)] {
        let faults = findings.latencies.iter().find(|line| line.get("name") == Some(name));
        let faults = faults.unwrap_or_else(|| panic!("no latencies: {findings:?}"));
        assert!(faults.number("count") > 1000, "{faults}");
        assert!(faults.number("median") < FAULT_MEDIAN && faults.number("worst") <= worst, "{faults}");
    }
}

/// A witness that damages its own secrets is a broken law to all who look: the check can fail, and the status says so.
fn a_broken_law_is_noticed() {
    let outcome = boot().exec("with all /.boot/stress/stress seed=1 seconds=2 only=false-witness").status(1);
    let findings = findings(&outcome);
    assert!(matches!(findings.verdict(), Verdict::Broken(_)), "{findings:?}");
    assert_eq!(findings.breaches[0].get("task"), Some("false-witness"), "{findings:?}");
}
