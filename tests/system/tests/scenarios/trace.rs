//! Traces: what a run tells, and the page that is made of it.

use crate::Scenario;
use std::time::Duration;
use tests_runner::trace_report::html;
use tests_runner::trace_report::read::Trace;
use tests_system::Boot;
use tests_system::image::Maker;

pub const SCENARIOS: &[Scenario] = &[
    ("a_run_tells_what_it_does", a_run_tells_what_it_does),
    ("calls_and_seizures_have_their_place", calls_and_seizures_have_their_place),
    ("without_rings_nothing_is_collected", without_rings_nothing_is_collected),
];

fn count(trace: &Trace, category: &str, phase: char) -> usize {
    trace.entries.iter().filter(|one| one.category == category && one.phase == phase).count()
}

fn a_run_tells_what_it_does() {
    let image = Maker::new("ext4", 4096).file("file", &[7; 100_000]).make();
    let boot = Boot::new().disk(&image).cpus(2).traced().limit(Duration::from_secs(120));
    let outcome = boot.exec_alone("sha256sum /file; ps").success();
    let (told, bytes) = outcome.trace.as_ref().expect("it was traced");
    let trace = Trace::read(&bytes[..]);
    assert_eq!((told.unknown, trace.bad_lines, trace.is_whole), (0, 0, true));
    assert_eq!(told.lost, trace.lost, "what is lost is told");
    for (category, phase, least) in [
        ("run", 'X', 100),
        ("ipc", 'X', 100),
        ("fault", 'X', 50),
        ("lock", 'b', 1),
        ("lock", 'e', 1),
        ("disk", 'b', 1),
        ("disk", 'e', 1),
        ("file", 'e', 1),
        ("contract", 'C', 6),
        ("frames", 'C', 1),
        ("interrupt", 'i', 1),
    ] {
        let count = count(&trace, category, phase);
        assert!(count >= least, "{count} of {category} {phase}, {} lost", told.lost);
    }
    let arrived: f64 =
        trace.entries.iter().filter(|one| one.category == "disk").map(|one| one.number("arrived")).sum();
    assert!(arrived >= 100_000.0, "the file came from the disk: {arrived}");
    let names: Vec<_> = trace.threads.values().collect();
    for name in ["physmem", "init", "block", "ext", "shell", "sha256sum", "trace"] {
        assert!(names.iter().any(|one| one.starts_with(name)), "{name}: {names:?}");
    }
    let processors = |number| trace.entries.iter().any(|one| one.category == "run" && one.thread == number);
    assert!(processors(0) && processors(1));
}

fn calls_and_seizures_have_their_place() {
    let image = Maker::new("ext4", 4096).file("short", b"a short file\n").make();
    let boot = Boot::new().disk(&image).memory("64M").traced().limit(Duration::from_secs(180));
    let outcome = boot.exec_alone("with all /.boot/test/lending calls; contracts").success();
    let (_, bytes) = outcome.trace.as_ref().expect("it was traced");
    let trace = Trace::read(&bytes[..]);
    let outcomes = |outcome: &str| trace.entries.iter().filter(|one| one.text("outcome") == outcome).count();
    assert!(count(&trace, "call", 'b') >= 2 && outcomes("met") >= 1 && outcomes("missed") >= 1);
    assert!(count(&trace, "seized", 'i') >= 1 && count(&trace, "seizure", 'e') >= 1);
    let page = html(&trace, "trace");
    for shown in ["class='met'", "class='missed'", "mark deadline", "mark seized", ": extra"] {
        assert!(page.contains(shown), "{shown}");
    }
}

/// The collector is there only on a machine that was booted with rings, and takes no memory on others.
fn without_rings_nothing_is_collected() {
    let outcome = Boot::new().exec("ps; contracts").success();
    assert!(!outcome.text().lines().any(|line| line.split_whitespace().nth(1) == Some("trace")));
}
