//! Programs under a physmem that is itself a client, one and two levels deep. The books are compared before and after, as
//! always: no frame may be lost at the first physmem.

use crate::Scenario;
use std::time::Duration;
use tests_system::image::{Maker, noise};
use tests_system::{Boot, Conversation};

pub const SCENARIOS: &[Scenario] = &[
    ("programs_run_the_same", programs_run_the_same),
    ("no_authority_over_frames", no_authority_over_frames),
    ("programs_that_ask_for_too_much", programs_that_ask_for_too_much),
    ("killed_in_the_middle", killed_in_the_middle),
    ("calls_go_down_and_frames_come_up", calls_go_down_and_frames_come_up),
];

/// What may be in a stacked physmem's table: nothing that is made of frames or page tables without a contract.
const ALLOWED: [&str; 6] = ["Task", "Thread", "Endpoint", "Notification", "Reply", "Log"];

/// The same output under each number of physmems.
fn programs_run_the_same() {
    let text = "a short file\n".repeat(700);
    let image =
        Maker::new("ext4", 4096).file("file", &noise(1, 100_000)).file("text", text.as_bytes()).make();
    for command in ["ls -a -l /", "cat /text", "sha256sum /file"] {
        let expected = Boot::new().disk(&image).exec(command).success().text();
        // Each level keeps some two hundred frames for itself.
        let levels = format!("stacked {command} || exit 1\nwith 640 stacked stacked {command}");
        Boot::new()
            .disk(&image)
            .limit(Duration::from_secs(60))
            .exec(&levels)
            .prints(&format!("{expected}{expected}"))
            .success();
    }
}

fn no_authority_over_frames() {
    let outcome = Boot::new().exec("stacked --audit stacked --audit ls /.boot").success();
    let text = outcome.text();
    let lists: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("stacked: holds ")).collect();
    assert_eq!(lists.len(), 2, "{text}");
    for list in lists {
        let kinds: Vec<&str> = list.split(' ').map(|item| item.split('=').next().unwrap_or("")).collect();
        // Its own task and a child's, endpoints of the parent's objects among them.
        assert!(kinds.contains(&"Task") && kinds.contains(&"Endpoint"), "{list}");
        assert!(kinds.iter().all(|kind| ALLOWED.contains(kind)), "{list}");
    }
}

/// What is called for from above comes up in time through one level and two, whether the program answers or not. Instructions are
/// counted, so that the time a call gives is the guest's, whatever the host does.
fn calls_go_down_and_frames_come_up() {
    let boot = Boot::new().memory("64M").counted().limit(Duration::from_secs(120));
    let outcome = boot.exec("with all /.boot/test/calls-down").success();
    outcome
        .text()
        .lines()
        .filter(|line| line.starts_with("calls-down: "))
        .for_each(|line| println!("{line}"));
    outcome.mentions("calls-down: ok\n");
}

/// The limit is the contract inside, and its end is said as for any program.
fn programs_that_ask_for_too_much() {
    let outcome = Boot::new().exec("stacked /.boot/test/greedy\nstacked /.boot/test/greedy touch\necho $?");
    outcome
        .mentions("greedy: ok\n")
        .mentions("stacked: the program was ended by a page fault (the contract has no frames left)\n139\n")
        .success();
}

/// Both levels, and whatever runs above them, end with the outermost one; all comes back.
fn killed_in_the_middle() {
    let image = Maker::new("ext4", 4096).file("file", &noise(1, 8 << 20)).make();
    let mut shell = Boot::new().disk(&image).limit(Duration::from_secs(60)).talk();
    for levels in ["stacked", "stacked stacked"] {
        shell.command(&format!("{levels} sha256sum /file /file /file /file &"));
        let principal = running(&mut shell);
        let mut said = shell.command(&format!("kill {principal}"));
        while !said.contains("[1] stacked: ") {
            said += &shell.command("true");
        }
        let tasks = shell.command("ps");
        assert!(!tasks.contains("stacked") && !tasks.contains("sha256sum"), "{tasks}");
    }
    shell.close();
}

/// The principal of the outermost one, once the program above it runs.
fn running(shell: &mut Conversation) -> u64 {
    loop {
        let tasks = shell.command("ps");
        let of = |name: &str| {
            let line = tasks.lines().find(|line| line.split_whitespace().nth(1) == Some(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        };
        if let (Some(principal), Some(_)) = (of("stacked"), of("sha256sum")) {
            return principal;
        }
        assert!(of("stacked").is_some(), "it ended by itself:\n{tasks}");
    }
}
