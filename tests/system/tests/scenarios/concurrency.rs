//! Several readers at once: contents are right, and those that are ended midway leave nothing behind.

use crate::Scenario;
use std::time::Duration;
use tests_system::image::{Image, Maker, noise};
use tests_system::{Boot, Conversation};

pub const SCENARIOS: &[Scenario] = &[
    ("readers_that_come_and_go", readers_that_come_and_go),
    ("readers_in_a_cache_that_is_too_small", readers_in_a_cache_that_is_too_small),
    ("programs_in_the_background", programs_in_the_background),
];

/// Files, by their number.
const FILES: usize = 6;

fn image(bytes: usize) -> Image {
    let mut maker = Maker::new("ext4", 1024).size("128M");
    for index in 0..FILES {
        maker = maker.file(&format!("file{index}"), &noise(index as u64, bytes + 1000 * index));
    }
    maker.make()
}

fn names() -> String {
    (0..FILES).map(|index| format!(" /file{index}")).collect()
}

fn readers_that_come_and_go() {
    let image = image(1 << 20);
    let boot = Boot::new().disk(&image).limit(Duration::from_secs(120));
    boot.exec(&format!("/.boot/test/crowd 30{}", names())).mentions("crowd: ok\n").success();
}

/// 48 MiB of files and 48 MiB of memory: everything is read from the disk again and again, while pages are given up.
fn readers_in_a_cache_that_is_too_small() {
    let image = image(8 << 20);
    let boot = Boot::new().disk(&image).memory("48M").limit(Duration::from_secs(120));
    let outcome = boot.exec(&format!("/.boot/test/crowd 3{0}\nsha256sum{0}", names())).success();
    let sums: String = (0..FILES).map(|index| image.sha256sum_line(&format!("/file{index}"))).collect();
    outcome.mentions("crowd: ok\n").mentions(&sums);
}

/// The shell's own: some of the same file, some of others, one killed; each sum is right.
fn programs_in_the_background() {
    let image = image(6 << 20);
    let mut shell = Boot::new().disk(&image).limit(Duration::from_secs(120)).talk();
    for index in [0, 0, 1, 2, 3] {
        shell.command(&format!("sha256sum /file{index} &"));
    }
    kill_one(&mut shell);
    while !(1..=5).all(|job| shell.transcript().contains(&format!("[{job}] sha256sum: "))) {
        shell.command("true");
    }
    let said = shell.transcript();
    let sums = [0, 0, 1, 2, 3].map(|index| image.sha256sum_line(&format!("/file{index}")));
    // A sum may stand behind a prompt.
    let is_right = |line: &&str| sums.iter().any(|sum| line.ends_with(sum.trim_end()));
    let (right, wrong): (Vec<&str>, Vec<&str>) =
        said.lines().filter(|line| line.contains("  /file")).partition(is_right);
    assert!((4..=5).contains(&right.len()) && wrong.is_empty(), "{said}");
    shell.close();
}

fn kill_one(shell: &mut Conversation) {
    let tasks = shell.command("ps");
    let running = tasks.lines().find(|line| line.split_whitespace().nth(1) == Some("sha256sum"));
    if let Some(principal) = running.and_then(|line| line.split_whitespace().next()) {
        shell.command(&format!("kill {principal}"));
    }
}
