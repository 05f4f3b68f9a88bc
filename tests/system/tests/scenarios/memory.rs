//! Machines of all sizes, and how long they take to the prompt.

use crate::Scenario;
use std::time::Duration;
use tests_system::Boot;
use tests_system::image::{Maker, noise};

pub const SCENARIOS: &[Scenario] = &[
    ("little", little),
    ("much", much),
    ("too_little", too_little),
    ("instructions_to_the_prompt", instructions_to_the_prompt),
];

/// Instructions from QEMU's start to the prompt, at most.
const INSTRUCTIONS_MAX: u64 = 200_000_000;

/// Every program, with what its output must hold.
const PROGRAMS: [(&str, &str); 11] = [
    ("ls -l -a /", "file"),
    ("cat /short", "a short file"),
    ("stat /file", "regular file"),
    ("sha256sum /file", "/file"),
    ("hexdump /short", "|a short file"),
    ("mounts", "ext4"),
    ("ps", "shell"),
    ("contracts", "contracts hold"),
    ("containers", "PRINCIPAL"),
    ("free", "bytes by device"),
    ("time true", "real "),
];

fn all_programs(memory: &str) {
    let image =
        Maker::new("ext4", 4096).file("file", &noise(1, 3 << 20)).file("short", b"a short file\n").make();
    let commands: Vec<String> = PROGRAMS.iter().map(|(command, _)| format!("{command} || exit 1")).collect();
    let mut outcome = Boot::new().disk(&image).memory(memory).exec(&commands.join("\n")).success();
    for (_, text) in PROGRAMS {
        outcome = outcome.mentions(text);
    }
    outcome.mentions(&image.sha256sum_line("/file"));
}

fn little() {
    all_programs("64M");
}

fn much() {
    all_programs("1G");
    all_programs("4G");
}

/// A machine too small either does its work or says that it is too small.
fn too_little() {
    for memory in ["16M", "20M", "24M", "32M"] {
        let outcome =
            Boot::new().memory(memory).limit(Duration::from_secs(20)).exec_alone("echo up").ends_in_order();
        if outcome.output != b"up\n" {
            println!(
                "{memory}: {:?}, the log ends with: {}",
                outcome.ending,
                outcome.log().lines().last().unwrap_or("")
            );
        }
    }
}

fn instructions_to_the_prompt() {
    let image = Maker::new("ext4", 4096).file("file", b"contents").make();
    let outcome = Boot::new().disk(&image).counted().exec_alone("true").success();
    let instructions = outcome.ticks_to_prompt();
    println!("{instructions} instructions from QEMU's start to the prompt");
    assert!(instructions <= INSTRUCTIONS_MAX, "{instructions} instructions, at most {INSTRUCTIONS_MAX}");
}
