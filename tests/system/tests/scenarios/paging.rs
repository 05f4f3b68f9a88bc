//! What is guaranteed and idle is lent, and comes back: by calls that are answered, by seizure, from the file cache.

use crate::Scenario;
use std::time::Duration;
use tests_system::image::{Image, Maker, noise};
use tests_system::{Boot, Outcome};

pub const SCENARIOS: &[Scenario] = &[
    ("borrowers_that_answer_and_that_do_not", borrowers_that_answer_and_that_do_not),
    ("the_cache_fills_memory_and_gives_way", the_cache_fills_memory_and_gives_way),
    ("reads_stay_right_while_the_cache_gives_way", reads_stay_right_while_the_cache_gives_way),
    ("policies_are_shown_and_set", policies_are_shown_and_set),
    ("tables_fit_the_screen", tables_fit_the_screen),
];

/// Columns of a screen.
const COLUMNS: usize = 80;

/// Prints the figures that a program gave.
fn figures(outcome: &Outcome) {
    outcome.text().lines().filter(|line| line.starts_with("lending: ")).for_each(|line| println!("{line}"));
}

/// A file larger than the memory of the machine that reads it.
fn large() -> Image {
    Maker::new("ext4", 4096).size("96M").file("large", &noise(5, 60 << 20)).make()
}

/// Times are guest instructions: how long frames take to come back does not depend on how busy the host is.
fn borrowers_that_answer_and_that_do_not() {
    let image = Maker::new("ext4", 4096).file("short", b"a short file\n").make();
    let boot = Boot::new().disk(&image).memory("64M").counted().limit(Duration::from_secs(180));
    let outcome = boot.exec("with all /.boot/test/lending calls; contracts; free");
    figures(&outcome);
    outcome
        .mentions("calls, all met\n")
        .mentions("container are lost, as ")
        .mentions("lending: ok\n")
        .success();
}

fn the_cache_fills_memory_and_gives_way() {
    let image = large();
    let commands = "with all /.boot/test/lending cache /large\nsha256sum /large\ncontracts\nfree";
    let boot = Boot::new().disk(&image).memory("64M").limit(Duration::from_secs(120));
    let outcome = boot.exec(commands).success();
    figures(&outcome);
    outcome.mentions("lending: ok\n").mentions(&image.sha256sum_line("/large"));
}

/// Readers in the background, while what is guaranteed is claimed again and again and the frames of their files go.
fn reads_stay_right_while_the_cache_gives_way() {
    let mut maker = Maker::new("ext4", 1024).size("128M").file("large", &noise(5, 60 << 20));
    for index in 0..4 {
        maker = maker.file(&format!("file{index}"), &noise(index, (6 << 20) + 1000));
    }
    let image = maker.make();
    let crowd = "/.boot/test/crowd 2 /file0 /file1 /file2 /file3";
    let claim = "with 9000 /.boot/test/lending claims 6";
    let commands = format!(
        "sha256sum /large\n{crowd} &\n{claim} || exit 1\nsha256sum /file0 /large /file1 /file2 /file3\n{crowd} || exit 1"
    );
    let boot = Boot::new().disk(&image).memory("64M").limit(Duration::from_secs(240));
    // Without the books: a shell that runs a script keeps what its programs in the background leave until its end.
    let outcome = boot.exec_alone(&commands).success();
    figures(&outcome);
    let sums: String = ["/file0", "/large", "/file1"].map(|name| image.sha256sum_line(name)).concat();
    outcome.mentions("lending: ok\n").mentions("crowd: ok\n").mentions(&sums);
}

fn policies_are_shown_and_set() {
    let mut shell = Boot::new().talk();
    let before = shell.command("policy");
    assert_eq!(before.lines().filter(|line| line.starts_with("* ")).count(), 1, "{before}");
    for policy in ["aging", "global-clock", "client-order"] {
        assert_eq!(shell.command(&format!("policy {policy}")), "");
        assert!(shell.command("policy").contains(&format!("* {policy}")));
    }
    assert!(shell.command("policy best").contains("no such policy"));
    assert!(shell.command("policy aging aging").contains("usage"));
    shell.close();
}

fn tables_fit_the_screen() {
    let mut shell = Boot::new().memory("1G").talk();
    let commands = ["contracts", "contracts -l", "free", "policy", "free --help", "contracts --help", "help"];
    for command in commands {
        let text = shell.command(command);
        let wide = text.lines().find(|line| line.chars().count() > COLUMNS);
        assert_eq!(wide, None, "{command}");
        assert!(text.lines().count() > 2, "{command}: {text}");
    }
    shell.close();
}
