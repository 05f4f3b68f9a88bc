//! What came of a boot, with assertions that show the log and the backtrace when they fail.

use crate::world::World;
use tests_runner::ending::Ending;
use tests_runner::logfile::Log;
use tests_runner::report;

/// Mark of the line that the shell logs when it prompts for the first time.
const PROMPT_MARK: &str = "boot: prompt after ";

/// An ended run. Its log is removed with it, unless the test is failing.
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// What the guest wrote to its serial port.
    pub output: Vec<u8>,
    log: Option<Log>,
    log_text: String,
    world: &'static World,
}

impl Outcome {
    pub(crate) fn new(ending: Ending, output: Vec<u8>, log: Log, world: &'static World) -> Outcome {
        let log_text = log.text();
        Outcome { ending, output, log: Some(log), log_text, world }
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
        self.check(self.output == expected.as_bytes(), &format!("the output must be:\n{expected}"));
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

    /// All that is known, for a person.
    fn account(&self, demand: &str) -> String {
        let Some(log) = &self.log else { return demand.to_owned() };
        let (guest, places) = (&self.world.guest, &self.world.places);
        let explained = report::explain(&self.ending, &self.log_text, log.path(), guest, places);
        let explained = explained.unwrap_or_else(|| format!("log: {}\n", places.shown(log.path())));
        format!("{demand}\nit ended with {:?}\nthe output was:\n{}\n{explained}", self.ending, self.text())
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        if let Some(log) = self.log.take().filter(|_| !std::thread::panicking()) {
            log.discard();
        }
    }
}

fn ticks_to_prompt(log: &str) -> Option<u64> {
    let (_, rest) = log.split_once(PROMPT_MARK)?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::ticks_to_prompt;

    #[test]
    fn the_first_prompt_is_found_in_the_log() {
        let log = "kernel: up\nshell: boot: prompt after 123456 ticks\nmore\n";
        assert_eq!(ticks_to_prompt(log), Some(123_456));
        assert_eq!(ticks_to_prompt("boot: prompt after soon"), None);
        assert_eq!(ticks_to_prompt(""), None);
    }
}
