//! What the programs have in common: arguments, output, complaints, exit statuses (0 done, 1 something failed,
//! 2 wrong arguments), and asking physmem for its lists.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod lists;

use alloc::vec::Vec;
use core::fmt::{Display, Write};
use hurd_glue_programs_core::arguments::{Accepts, Arguments, UsageError};
use kernel_runtime::Handle;
use kernel_runtime::console::{Console, Output};
use kernel_runtime::files::Names;
use kernel_runtime::startup::Startup;

/// Everything is done.
pub const DONE: i32 = 0;
/// Something failed, and the program said what.
pub const FAILED: i32 = 1;
/// The arguments make no sense.
pub const USAGE: i32 = 2;

/// What a program says of itself.
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// Its arguments, as `--help` shows them, and what it does.
    pub help: &'static str,
    /// What it takes.
    pub accepts: Accepts,
}

/// A running program.
pub struct Context<'a> {
    /// Its name.
    name: &'static str,
    /// Its arguments.
    pub arguments: Arguments<'a>,
    /// Where it writes.
    pub out: Output,
    /// Where it may read what is typed.
    pub console: Option<Console>,
    /// Where it looks names up.
    pub names: Names,
    control: Option<Handle>,
    pager: Option<Handle>,
    failed: bool,
}

/// Runs a program: reads its arguments, gives help, turns failures into a status.
pub fn run(startup: &Startup<'static>, program: &Program, body: fn(&mut Context<'_>)) -> i32 {
    let console = startup.capability("console").map(Console::new);
    let mut out = Output::new(console);
    let arguments = match Arguments::parse(&startup.arguments, program.accepts) {
        Ok(arguments) => arguments,
        Err(UsageError::Help) => {
            out.write(program.help.as_bytes());
            return DONE;
        }
        Err(error) => {
            let name = program.name;
            // Writing to the console's buffer cannot fail.
            let _ = writeln!(out, "{name}: {error} (see `{name} --help`)");
            return USAGE;
        }
    };
    let mut context = Context {
        name: program.name,
        arguments,
        out,
        console,
        names: Names::from_startup(startup),
        control: startup.capability("control"),
        pager: startup.capability("pager"),
        failed: false,
    };
    body(&mut context);
    context.out.flush();
    if context.failed || context.out.failed() { FAILED } else { DONE }
}

impl<'a> Context<'a> {
    /// Says what is wrong with something, and goes on.
    pub fn complain(&mut self, subject: &[u8], error: impl Display) {
        self.failed = true;
        let _ = write!(self.out, "{}: ", self.name);
        self.out.write(subject);
        let _ = writeln!(self.out, ": {error}");
    }

    /// The operands. Taken out, so that the context can be used while going through them.
    pub fn take_operands(&mut self) -> Vec<&'a [u8]> {
        core::mem::take(&mut self.arguments.operands)
    }

    /// Writes text.
    pub fn print(&mut self, text: &str) {
        self.out.write(text.as_bytes());
    }

    /// The capability to look at the default pager, where it was given.
    pub fn pager(&self) -> Option<Handle> {
        self.pager
    }

    /// The capability to look at physmem's records; complains where it was not given.
    pub fn control(&mut self) -> Option<Handle> {
        if self.control.is_none() {
            self.complain(b"physmem", "no capability to look at it");
        }
        self.control
    }
}
