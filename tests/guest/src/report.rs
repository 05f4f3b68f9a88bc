//! What a test program prints, and how it fails.

use alloc::string::String;
use core::fmt::{Debug, Write};
use kernel_runtime::console::Console;
use kernel_runtime::output::Output;
use kernel_runtime::startup::Startup;

/// Why a test failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failed(pub String);

impl<E: Debug> From<(&'static str, E)> for Failed {
    fn from((what, error): (&'static str, E)) -> Failed {
        Failed(alloc::format!("{what}: {error:?}"))
    }
}

/// The program's output.
pub struct Report(Output);

impl Report {
    /// To the console that the program was given.
    pub fn new(startup: &Startup<'_>) -> Report {
        Report(Output::new(startup.capability("console").map(Console::new)))
    }

    /// One line.
    pub fn line(&mut self, text: core::fmt::Arguments<'_>) {
        let _ = writeln!(self.0, "{text}");
        self.0.flush();
    }

    /// The last line, and the exit status that goes with it.
    pub fn finish(&mut self, name: &str, result: Result<(), Failed>) -> i32 {
        match result {
            Ok(()) => {
                self.line(format_args!("{name}: ok"));
                0
            }
            Err(Failed(reason)) => {
                self.line(format_args!("{name}: FAILED: {reason}"));
                1
            }
        }
    }
}
