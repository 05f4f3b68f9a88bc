//! How a broken law is reported: as a panic that carries its name, caught by the run.

use std::panic::panic_any;

/// A law that was found broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which check found it; `crash` if the code under test panicked.
    pub law: &'static str,
    /// What was found.
    pub text: String,
}

/// Reports a broken law.
pub fn broken(law: &'static str, text: String) -> ! {
    panic_any(Violation { law, text })
}

/// Reports the law as broken unless the condition holds.
#[macro_export]
macro_rules! law {
    ($law:expr, $condition:expr, $($text:tt)+) => {
        if !$condition {
            $crate::violation::broken($law, format!($($text)+));
        }
    };
}
