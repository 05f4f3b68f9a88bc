//! Tasks without which there is no system, and that end: the run says what happened. (Servers that end are started
//! again, see `restart`.)

use crate::Scenario;
use std::time::Duration;
use tests_runner::archive::Member;
use tests_runner::ending::Ending;
use tests_system::Boot;
use tests_system::machine_code::program;

pub const SCENARIOS: &[Scenario] = &[("of_init", of_init), ("of_the_first_task", of_the_first_task)];

/// An instruction that is none.
const FAULT: [u8; 2] = [0x0f, 0x0b];

/// Without init there is no system; that is said, and the status tells.
fn of_init() {
    let outcome =
        Boot::new().member(Member::program("init", program(&FAULT))).limit(Duration::from_secs(10)).run();
    assert!(outcome.ending.exec_status() >= 100, "{:?}\n{}", outcome.ending, outcome.log());
    // Vector 6: an instruction that is none.
    outcome.logs("init has ended (Exception(6))").ends_in_order();
}

fn of_the_first_task() {
    let outcome = Boot::new().member(Member::program("physmem", program(&FAULT))).run();
    let explanation = outcome.explanation();
    assert!(explanation.contains("log: "), "{explanation}");
    outcome.ends(&Ending::FirstTaskEnded);
}
