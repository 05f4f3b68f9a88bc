//! Explains a run that went wrong: the complaint, the end of the log, the backtrace with names, the log's path.

use crate::build::Guest;
use crate::ending::Ending;
use crate::places::Places;
use crate::symbols::{self, Symbols};
use std::path::Path;

/// Lines of the log that are shown.
const LOG_LINES: usize = 15;

/// Frames that are shown of a backtrace.
const FRAMES: usize = 64;

/// The explanation, or nothing if there is nothing to explain.
pub fn explain(
    ending: &Ending,
    log: &str,
    log_path: &Path,
    guest: &Guest,
    places: &Places,
) -> Option<String> {
    let complaint = ending.complaint()?;
    let mut text = format!("error: {complaint}\n");
    let lines = last_lines(log);
    if !lines.is_empty() {
        text += "the log ends with:\n";
        lines.iter().for_each(|line| text += &format!("  {line}\n"));
    }
    text += &backtrace(log, guest, places);
    if !log.is_empty() {
        text += &format!("log: {}\n", places.shown(log_path));
    }
    Some(text)
}

/// The last lines that are not addresses.
fn last_lines(log: &str) -> Vec<&str> {
    let lines: Vec<&str> = log.lines().filter(|line| symbols::frames(line).is_empty()).collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].to_vec()
}

/// All backtraces of a log, with names; empty if there are none.
pub fn backtrace(log: &str, guest: &Guest, places: &Places) -> String {
    let frames = symbols::frames(log);
    if frames.is_empty() {
        return String::new();
    }
    let mut symbols = Symbols::new(guest);
    let mut text = String::from("backtrace:\n");
    for frame in &frames[frames.len().saturating_sub(FRAMES)..] {
        for line in symbols.describe(frame, &places.root) {
            text += &format!("  {line}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Archive;

    fn explained(ending: &Ending, log: &str) -> Option<String> {
        let guest = Guest { kernel: "/none".into(), programs: Vec::new(), archive: Archive::new() };
        let places = Places { root: "/root".into(), target: "/root/target".into() };
        explain(ending, log, Path::new("/root/target/tenure/logs/1.log"), &guest, &places)
    }

    #[test]
    fn a_status_needs_no_explanation() {
        assert_eq!(explained(&Ending::Status(1), "anything"), None);
    }

    #[test]
    fn an_empty_log_is_not_worth_a_look() {
        let text = explained(&Ending::QemuFailed("no such device\n".into()), "").unwrap();
        assert_eq!(text, "error: no such device\n");
    }

    #[test]
    fn a_panic_is_explained_by_log_and_backtrace() {
        let text = explained(&Ending::KernelPanic, "first\npanic: x\nbacktrace: kernel 0x10\n").unwrap();
        let expected = "error: the kernel panicked\nthe log ends with:\n  first\n  panic: x\nbacktrace:\n";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.ends_with("log: target/tenure/logs/1.log\n"), "{text}");
        assert!(text.contains("kernel     0x0000000000000010"), "{text}");
    }

    #[test]
    fn a_long_log_is_cut_to_its_end() {
        let log: String = (0..100).map(|number| format!("line {number}\n")).collect();
        let text = explained(&Ending::FirstTaskEnded, &log).unwrap();
        assert!(!text.contains("line 84\n") && text.contains("line 85\n") && text.contains("line 99\n"));
    }
}
