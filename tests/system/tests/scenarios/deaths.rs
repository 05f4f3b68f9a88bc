//! Servers that are ended, and first tasks that end: the rest goes on, or the run says what happened.

use crate::Scenario;
use std::time::Duration;
use tests_runner::archive::Member;
use tests_runner::ending::Ending;
use tests_system::image::Maker;
use tests_system::machine_code::program;
use tests_system::{Boot, Conversation};

pub const SCENARIOS: &[Scenario] = &[
    ("of_the_file_server", || of_a_server("ext")),
    ("of_the_block_driver", || of_a_server("block")),
    ("of_init", of_init),
    ("of_the_first_task", of_the_first_task),
];

/// An instruction that is none.
const FAULT: [u8; 2] = [0x0f, 0x0b];

/// Whoever asks a server that is gone is told so when the deadline of the call has passed, and the shell works on. (The
/// books are not compared: the server's contract goes with it.)
fn of_a_server(name: &str) {
    let image = Maker::new("ext4", 1024).file("file", b"contents\n").make();
    let mut shell = Boot::new().disk(&image).limit(Duration::from_secs(90)).talk();
    let principal = principal(&mut shell, name);
    shell.command(&format!("kill {principal}"));
    let answer = shell.command("cat /file");
    assert!(!answer.is_empty() && !answer.contains("contents"), "{name}: {answer}");
    assert_eq!(shell.command("echo $?; echo alive").lines().last(), Some("alive"));
    shell.say("poweroff\r");
    shell.end().success();
}

#[track_caller]
fn principal(shell: &mut Conversation, name: &str) -> u64 {
    let tasks = shell.command("ps");
    let line = tasks.lines().find(|line| line.split_whitespace().nth(1) == Some(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no {name} in:\n{tasks}"))
}

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
