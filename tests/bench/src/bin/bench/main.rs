//! What operations of the running system cost; see the library for what is printed.
//!
//! `bench [NAME...]`: rows whose names begin so, or all. `bench files=PATH` names the folder of files to read; without it no
//! file is read. Other first arguments are for the tasks that this program starts of itself: `caller`, `yielder`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod calls;
mod file;
mod kernel;
mod memory;
mod process;

use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt::Arguments;
use kernel_runtime::clock;
use kernel_runtime::startup::Startup;
use tests_bench::{Plan, Wanted, row};
use tests_guest::{Failed, Report};

kernel_runtime::program!(main);

/// Where this program is.
const SELF: &str = "/.boot/bench/bench";

fn main(startup: Startup<'static>) -> i32 {
    let mut report = Report::new(&startup);
    let result = match startup.arguments[..] {
        [b"yielder"] => kernel::yield_for_ever(),
        [b"caller", ref names @ ..] => {
            calls::run_caller(&startup, &mut Bench { report: &mut report, wanted: Wanted(names) })
        }
        _ => run(&startup, &mut report),
    };
    report.finish("bench", result)
}

/// Rows that are wanted, and where they go.
pub struct Bench<'a> {
    report: &'a mut Report,
    wanted: Wanted<'a>,
}

impl Bench<'_> {
    /// Whether a row, or any row whose name begins so, is wanted.
    pub fn wants(&self, name: &str) -> bool {
        let begins =
            |wanted: &&[u8]| name.as_bytes().starts_with(wanted) || wanted.starts_with(name.as_bytes());
        self.wanted.0.is_empty() || self.wanted.0.iter().any(begins)
    }

    /// Measures a row, if it is wanted.
    pub fn row(
        &mut self,
        name: &str,
        plan: Plan,
        once: impl FnMut() -> Result<u64, Failed>,
    ) -> Result<(), Failed> {
        if !self.wanted.has(name) {
            return Ok(());
        }
        let report = &mut *self.report;
        row(&mut |line: Arguments<'_>| report.line(line), name, plan, once)
            .map_err(|Failed(reason)| Failed(alloc::format!("{name}: {reason}")))
    }
}

fn run(startup: &Startup<'_>, report: &mut Report) -> Result<(), Failed> {
    let names: Vec<&[u8]> =
        startup.arguments.iter().copied().filter(|argument| !argument.contains(&b'=')).collect();
    let (ticks, moment) = (clock::ticks(), clock::now());
    let control = startup.capability("control").ok_or(Failed("no control capability".to_string()))?;
    let mut bench = Bench { report, wanted: Wanted(&names) };
    kernel::measure(startup, &mut bench)?;
    calls::measure(startup, &mut bench)?;
    memory::measure(control, &mut bench)?;
    process::measure(startup, &mut bench)?;
    if let Some(folder) = startup.value("files") {
        file::measure(startup, folder, &mut bench)?;
    }
    // For whoever wants to know what a tick is.
    report.line(format_args!("clock {} {}", clock::ticks() - ticks, clock::now() - moment));
    Ok(())
}
