//! Hogs: programs that take all the processor time there is delay nobody beyond a bound.

use crate::Scenario;
use std::time::Duration;
use tests_system::Boot;
use tests_system::image::{Maker, noise};

pub const SCENARIOS: &[Scenario] = &[
    ("hogs_delay_nobody_beyond_the_bound", hogs_delay_nobody_beyond_the_bound),
    ("hogs_on_two_processors", hogs_on_two_processors),
];

/// Hogs at once.
const HOGS: usize = 8;
/// Principal of the first one: numbers are given as contracts are made, and the measurement before has the one below.
const FIRST_HOG: usize = 11;
/// Longest that a fault, a read of a cached page, the end of a call or a wake-up may take or be late, in microseconds of guest time:
/// what servers do at a time, and the budgets of all hogs once at the end and once at the beginning of their period.
const BOUND_US: u64 = 2000;

fn commands(bound: u64) -> String {
    let hogs = "/.boot/test/hog spin &\n".repeat(HOGS);
    let measure = format!("/.boot/test/hog measure /file {bound} || exit 1\n");
    let kill: String = (FIRST_HOG..FIRST_HOG + HOGS).map(|principal| format!("kill {principal}\n")).collect();
    format!("{measure}{hogs}{measure}ps\n{kill}true\n")
}

fn hogs_delay_nobody_beyond_the_bound() {
    let image = Maker::new("ext4", 1024).file("file", &noise(1, 100_000)).make();
    let boot = Boot::new().counted().disk(&image).limit(Duration::from_secs(240));
    let outcome = boot.exec(&commands(BOUND_US)).mentions("hog: ok\n").success();
    println!("{}", outcome.text());
}

/// Without a bound: how fast emulated processors run is the host's affair.
fn hogs_on_two_processors() {
    let image = Maker::new("ext4", 1024).file("file", &noise(1, 100_000)).make();
    let boot = Boot::new().cpus(2).disk(&image).limit(Duration::from_secs(240));
    boot.exec(&commands(0)).mentions("hog: ok\n").success();
}
