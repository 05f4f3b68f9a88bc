//! Several processors: the same laws, and what only they can break.

use crate::Scenario;
use std::time::Duration;
use tests_system::Boot;
use tests_system::image::{Maker, noise};

pub const SCENARIOS: &[Scenario] = &[
    ("one_processor", || work_on(1)),
    ("two_processors", || work_on(2)),
    ("four_processors", || work_on(4)),
    ("more_processors_than_the_kernel_uses", more_processors_than_the_kernel_uses),
    ("idle_processors_zero_frames", idle_processors_zero_frames),
    ("readers_on_four_processors", readers_on_four_processors),
    ("law_one_on_four_processors", law_one_on_four_processors),
    ("random_calls_on_four_processors", random_calls_on_four_processors),
];

/// Emulated processors share those of the host: everything may take long.
const LIMIT: Duration = Duration::from_secs(240);

fn boot(cpus: u32) -> Boot {
    Boot::new().cpus(cpus).limit(LIMIT)
}

/// More threads than processors, and fewer.
fn work_on(cpus: u32) {
    let outcome = boot(cpus).exec("/.boot/test/processors 1 200 && /.boot/test/processors 5 100").success();
    outcome
        .logs(&format!("processors: {cpus};"))
        .mentions("20 tasks were killed as they ran")
        .mentions("processors: ok\n");
}

fn more_processors_than_the_kernel_uses() {
    boot(18).exec("true").logs("of 18 processors 16 are used").logs("processors: 16;").success();
}

/// The stock that is zeroed in advance fills up while the processors wait for a slow disk, and is used.
fn idle_processors_zero_frames() {
    let image = Maker::new("ext4", 1024).file("file", &noise(1, 300_000)).make();
    for cpus in [1, 2] {
        let boot = boot(cpus).disk(&image).disk_speed(1 << 20);
        let outcome = boot.exec("sha256sum /file\nfree\nfree\n").success();
        let text = outcome.text();
        let number = |name: &str| -> u64 {
            let line = text.lines().rev().find(|line| line.starts_with(name)).expect("free prints it");
            line[name.len()..].split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
        };
        assert!(number("free, zero") > 0, "{text}");
        assert!(number("frames found zero") > 0, "{text}");
    }
}

fn readers_on_four_processors() {
    let mut maker = Maker::new("ext4", 1024).size("64M");
    for index in 0..4 {
        maker = maker.file(&format!("file{index}"), &noise(index, 500_000));
    }
    let image = maker.make();
    let outcome = boot(4).disk(&image).exec("/.boot/test/crowd 20 /file0 /file1 /file2 /file3");
    outcome.mentions("crowd: ok\n").success();
}

fn law_one_on_four_processors() {
    let image = Maker::new("ext2", 1024).file("file", &noise(1, 500_000)).make();
    boot(4).disk(&image).exec("/.boot/test/law-one /file 10000").mentions("law-one: ok\n").success();
}

fn random_calls_on_four_processors() {
    let commands = "/.boot/test/fuzz 7 20000 || exit 1\n/.boot/test/fuzz 8 20000 || exit 1\n";
    boot(4).exec(commands).success();
}
