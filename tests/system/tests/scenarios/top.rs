//! `top`, in a batch and live.

use crate::Scenario;
use tests_system::Boot;

pub const SCENARIOS: &[Scenario] = &[
    ("tables_are_printed_one_after_the_other", tables_are_printed_one_after_the_other),
    ("a_screen_is_as_large_as_the_terminal_says_and_ends_by_a_key", live),
];

fn tables_are_printed_one_after_the_other() {
    let outcome = Boot::new().exec("top -n 2; top -n 0; top 5; top -n").ends_in_order();
    let text = outcome.text();
    assert_eq!(text.matches("WITHIN").count(), 2, "{text}");
    assert_eq!(text.matches(" callers wait").count(), 2, "{text}");
    for name in ["init", "shell", "console", "bootfs", "top"] {
        let line = text.lines().find(|line| line.split_whitespace().nth(1) == Some(name));
        let line = line.unwrap_or_else(|| panic!("no task {name}: {text}"));
        assert!(line.split_whitespace().count() >= 10, "{line}");
    }
    outcome.mentions("top: 0: not a number of tables").mentions("top: -n: needs a number").status(1);
}

fn live() {
    let mut shell = Boot::new().talk();
    shell.say("top\n");
    shell.hear(" callers wait");
    // The terminal's answer: 8 lines of 40 characters. The next table keeps to it.
    shell.hear("\u{1b}[6n");
    shell.say("\u{1b}[8;40R");
    shell.hear("\u{1b}[6n");
    let table = shell.hear("\u{1b}[6n");
    let lines: Vec<_> = table.split("\u{1b}[K\r\n").collect();
    assert!(lines.len() <= 8, "{table:?}");
    let shown = |line: &str| line.replace("\u{1b}[H", "").replace("\u{1b}8", "").chars().count();
    assert!(lines[..lines.len() - 1].iter().all(|line| shown(line) <= 40), "{table:?}");
    shell.say("q");
    shell.answer();
    assert!(shell.command("echo $?").contains('0'), "a key is a good end");
    shell.say("top\n");
    shell.hear(" callers wait");
    shell.say("\u{3}");
    shell.answer();
    shell.close();
}
