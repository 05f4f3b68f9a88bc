//! `cargo run`: see the library.
#![forbid(unsafe_code)]

use clap::Parser;
use std::process::ExitCode;
use tests_runner::options::{Command, Options};
use tests_runner::{bench, interrupt, simulate, start, stress, trace_report};

/// Exit status when the runner could not do its own part.
const FAILED: u8 = 125;
/// Exit status after Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let options = Options::parse();
    let result = match &options.command {
        Some(Command::Simulate { arguments }) => simulate::simulate(arguments),
        Some(Command::Report { trace, page }) => trace_report::report(trace, page),
        Some(Command::Stress(options)) => stress::run(options),
        Some(Command::Bench(options)) => bench::run(options),
        None => start::start(&options),
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(_) if interrupt::requested() => ExitCode::from(INTERRUPTED),
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(FAILED)
        }
    }
}
