//! The tasks that misbehave, all at once, beside tasks that check what is theirs (docs/stress.md). A short run of what
//! `cargo run -- stress` does for as long as one likes.

use crate::Scenario;
use clap::Parser;
use std::time::Duration;
use tests_runner::ending::Ending;
use tests_runner::logfile::Log;
use tests_runner::options::{Command, Options};
use tests_runner::stress::{Findings, Verdict, image, make};
use tests_stress_core::tasks::{Part, TASKS};
use tests_system::{Boot, Outcome};

pub const SCENARIOS: &[Scenario] = &[
    ("every_law_holds_and_nobody_waits_for_long", every_law_holds_and_nobody_waits_for_long),
    ("every_law_holds_on_two_processors", every_law_holds_on_two_processors),
    ("a_broken_law_is_noticed", a_broken_law_is_noticed),
    ("a_recorded_run_is_replayed", a_recorded_run_is_replayed),
];

/// Longest wait for the answer to a page fault, in guest instructions: 2 ms at one instruction a nanosecond. Also of one that
/// needs a frame of the guarantee: what its task gave back a moment ago was kept for it.
const FAULT_WORST: u64 = 2_000_000;
/// And the median of all, also of those that need a frame: 20 microseconds.
const FAULT_MEDIAN: u64 = 20_000;

/// What a run printed.
fn findings(outcome: &Outcome) -> Findings {
    let mut findings = Findings::default();
    findings.take(&outcome.output);
    findings
}

fn boot() -> Boot {
    let world = tests_system::world::prepare().unwrap_or_else(|failure| panic!("{failure}"));
    let disk = image(&world.places).unwrap_or_else(|failure| panic!("{failure}"));
    Boot::new().memory("64M").disk_file(&disk).limit(Duration::from_secs(300))
}

/// Instructions are counted, so that how much each task gets done does not depend on the host.
fn every_law_holds_and_nobody_waits_for_long() {
    let outcome = boot().counted().exec("with all /.boot/stress/stress seed=5 seconds=3").success();
    let findings = findings(&outcome);
    assert_eq!(findings.verdict(), Verdict::Kept, "{findings:?}");
    for task in TASKS.iter().filter(|task| task.part != Part::OnRequest) {
        let line = findings.tasks.iter().find(|line| line.get("name") == Some(task.name));
        let tried = line.map_or(0, |line| line.number("tried"));
        assert!(tried > 0, "{} has tried nothing: {line:?}", task.name);
    }
    for name in ["faulter", "toucher"] {
        let faults = findings.latencies.iter().find(|line| line.get("name") == Some(name));
        let faults = faults.unwrap_or_else(|| panic!("no latencies: {findings:?}"));
        assert!(faults.number("count") > 1000, "{faults}");
        assert!(faults.number("median") < FAULT_MEDIAN && faults.number("worst") <= FAULT_WORST, "{faults}");
    }
}

fn every_law_holds_on_two_processors() {
    let outcome = boot().cpus(2).exec("with all /.boot/stress/stress seed=3 seconds=5").success();
    let findings = findings(&outcome);
    assert_eq!(findings.verdict(), Verdict::Kept, "{findings:?}");
}

/// QEMU's record of a run, with the files it was made of, gives the same run again, to the last counter.
fn a_recorded_run_is_replayed() {
    let world = tests_system::world::prepare().unwrap_or_else(|failure| panic!("{failure}"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = folder.path().join("run").display().to_string();
    let make = |arguments: &[&str]| {
        let options = Options::try_parse_from([&["tenure", "stress"], arguments].concat()).expect("options");
        let Some(Command::Stress(options)) = options.command else { panic!("not stress") };
        let mut log = Log::create(&world.places).unwrap_or_else(|failure| panic!("{failure}"));
        let made = make(&options, &world.guest, &world.places, &mut log);
        log.discard();
        made.unwrap_or_else(|failure| panic!("{failure}"))
    };
    let recorded = make(&["--seconds", "1", "--only", "probes,hogs", "--record", &place]);
    assert_eq!((recorded.0, recorded.1.verdict()), (Ending::Status(0), Verdict::Kept), "{:?}", recorded.1);
    let replayed = make(&["--replay", &place]);
    assert_eq!(replayed.1, recorded.1);
}

/// A witness that damages its own secrets is a broken law to all who look: the check can fail, and the status says so.
fn a_broken_law_is_noticed() {
    let outcome =
        boot().counted().exec("with all /.boot/stress/stress seed=1 seconds=1 only=false-witness").status(1);
    let findings = findings(&outcome);
    assert!(matches!(findings.verdict(), Verdict::Broken(_)), "{findings:?}");
    assert_eq!(findings.breaches[0].get("task"), Some("false-witness"), "{findings:?}");
}
