//! The one error type of the runner: what went wrong, and what the reader can do about it.

use std::fmt;
use std::path::Path;

/// A failure to show to a person. Printed as `error: what` and, where there is one, `hint: remedy`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// What could not be done, and why.
    pub what: String,
    /// What to do about it; may have several lines.
    pub remedy: Option<String>,
}

/// Result of everything that may fail.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure without a known remedy.
    pub fn new(what: impl Into<String>) -> Failure {
        Failure { what: what.into(), remedy: None }
    }

    /// Adds the remedy.
    pub fn hint(mut self, remedy: impl Into<String>) -> Failure {
        self.remedy = Some(remedy.into());
        self
    }

    /// An input or output error on a file.
    pub fn file(doing: &str, path: &Path, error: &std::io::Error) -> Failure {
        Failure::new(format!("cannot {doing} {}: {error}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "error: {}", self.what)?;
        if let Some(remedy) = &self.remedy {
            write!(formatter, "\nhint: {}", remedy.replace('\n', "\n      "))?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[test]
    fn a_failure_reads_as_error_and_hint() {
        assert_eq!(Failure::new("no disk").to_string(), "error: no disk");
        let failure = Failure::new("no QEMU").hint("run:\napt-get install qemu-system-x86");
        assert_eq!(failure.to_string(), "error: no QEMU\nhint: run:\n      apt-get install qemu-system-x86");
    }
}
