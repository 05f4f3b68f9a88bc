//! What came of a boot, with assertions that show the log and the backtrace when they fail.

use crate::books::{self, Books};
use crate::world::World;
use tests_runner::ending::Ending;
use tests_runner::logfile::Log;
use tests_runner::report;
use tests_runner::trace::Told;

/// Mark of the line that the shell logs when it prompts for the first time.
const PROMPT_MARK: &str = "boot: prompt after ";

/// Lines of the output that a failure shows.
const OUTPUT_LINES: usize = 15;

/// An ended run. Its log is removed with it, unless the test is failing.
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// What the guest wrote to its serial port.
    pub output: Vec<u8>,
    /// What the guest's books held, look by look.
    pub books: Vec<Books>,
    /// The trace that was written, of a traced boot.
    pub trace: Option<(Told, Vec<u8>)>,
    log: Option<Log>,
    log_text: String,
    world: &'static World,
}

impl Outcome {
    pub(crate) fn new(ending: Ending, output: Vec<u8>, log: Log, world: &'static World) -> Outcome {
        let log_text = log.text();
        let (output, books) = books::separate(&output);
        Outcome { ending, output, books, trace: None, log: Some(log), log_text, world }
    }

    /// If the shell ended in order there is a look before and one after, and nothing has leaked between them.
    #[track_caller]
    pub(crate) fn keep_books(self) -> Outcome {
        if let Ending::Status(_) = self.ending {
            self.check(self.books.len() == 2, "the books must have been looked at twice");
            let leak = self.books[1].check_same(&self.books[0]);
            self.check(leak.is_ok(), &format!("nothing may leak: {leak:?}"));
        }
        self
    }

    /// The output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// What kernel and servers logged.
    pub fn log(&self) -> &str {
        &self.log_text
    }

    /// The shell ended with this status.
    #[track_caller]
    pub fn status(self, status: u8) -> Outcome {
        self.check(self.ending == Ending::Status(status), &format!("the status must be {status}"));
        self
    }

    /// The last command succeeded.
    #[track_caller]
    pub fn success(self) -> Outcome {
        self.status(0)
    }

    /// The run ended like this.
    #[track_caller]
    pub fn ends(self, ending: &Ending) -> Outcome {
        self.check(self.ending == *ending, &format!("it must end with {ending:?}"));
        self
    }

    /// The run ended in order, whatever its result: no panic, no reset, no hang.
    #[track_caller]
    pub fn ends_in_order(self) -> Outcome {
        let in_order =
            matches!(self.ending, Ending::Status(_) | Ending::DidNotComeUp | Ending::FirstTaskEnded);
        self.check(in_order, "it must end in order");
        self
    }

    /// The output is exactly this.
    #[track_caller]
    pub fn prints(self, expected: &str) -> Outcome {
        if self.output != expected.as_bytes() {
            self.check(false, &difference(&self.text(), expected));
        }
        self
    }

    /// The output contains this.
    #[track_caller]
    pub fn mentions(self, expected: &str) -> Outcome {
        self.check(self.text().contains(expected), &format!("the output must mention `{expected}`"));
        self
    }

    /// The log contains this.
    #[track_caller]
    pub fn logs(self, expected: &str) -> Outcome {
        self.check(self.log_text.contains(expected), &format!("the log must mention `{expected}`"));
        self
    }

    /// Instructions from QEMU's start to the first prompt. For a [`crate::Boot::counted`] boot, whose
    /// time-stamp counter counts them.
    #[track_caller]
    pub fn ticks_to_prompt(&self) -> u64 {
        ticks_to_prompt(&self.log_text).unwrap_or_else(|| panic!("{}", self.account("no prompt was logged")))
    }

    #[track_caller]
    fn check(&self, holds: bool, demand: &str) {
        assert!(holds, "{}", self.account(demand));
    }

    /// What the runner says of a run that went wrong; empty if nothing did.
    pub fn explanation(&self) -> String {
        let Some(log) = &self.log else { return String::new() };
        let (guest, places) = (&self.world.guest, &self.world.places);
        report::explain(&self.ending, &self.log_text, log.path(), guest, places).unwrap_or_default()
    }

    /// All that is known, for a person.
    fn account(&self, demand: &str) -> String {
        let Some(log) = &self.log else { return demand.to_owned() };
        let (guest, places) = (&self.world.guest, &self.world.places);
        let explained = report::explain(&self.ending, &self.log_text, log.path(), guest, places);
        let explained = explained.unwrap_or_else(|| format!("log: {}\n", places.shown(log.path())));
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        let shown = lines[lines.len().saturating_sub(OUTPUT_LINES)..].join("\n");
        format!("{demand}\nit ended with {:?}\nthe output ended with:\n{shown}\n{explained}", self.ending)
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        if let Some(log) = self.log.take().filter(|_| !std::thread::panicking()) {
            log.discard();
        }
    }
}

/// The first line in which an output is not what it must be.
fn difference(output: &str, expected: &str) -> String {
    let (is, must) = (output.split('\n'), expected.split('\n'));
    let pairs = is.map(Some).chain(std::iter::repeat(None)).zip(must.map(Some).chain([None]));
    match pairs.enumerate().find(|(_, (is, must))| is != must) {
        Some((index, (is, must))) => {
            let shown = |line: Option<&str>| line.map_or("missing".to_owned(), |line| format!("{line:?}"));
            format!("line {} of the output is\n  {}\nand must be\n  {}", index + 1, shown(is), shown(must))
        }
        None => "the output must be as expected".to_owned(),
    }
}

fn ticks_to_prompt(log: &str) -> Option<u64> {
    let (_, rest) = log.split_once(PROMPT_MARK)?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{difference, ticks_to_prompt};

    #[test]
    fn the_first_difference_is_shown() {
        assert_eq!(difference("a\nb\n", "a\nc\n"), "line 2 of the output is\n  \"b\"\nand must be\n  \"c\"");
        assert!(difference("a\n", "a\nc\n").starts_with("line 2"));
        assert!(difference("a", "a\nc").contains("missing"));
        assert!(difference("a\nc", "a").contains("missing"));
    }

    #[test]
    fn the_first_prompt_is_found_in_the_log() {
        let log = "kernel: up\nshell: boot: prompt after 123456 ticks\nmore\n";
        assert_eq!(ticks_to_prompt(log), Some(123_456));
        assert_eq!(ticks_to_prompt("boot: prompt after soon"), None);
        assert_eq!(ticks_to_prompt(""), None);
    }
}
