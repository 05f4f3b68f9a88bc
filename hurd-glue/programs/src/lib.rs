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
use kernel_runtime::console::Console;
use kernel_runtime::files::Names;
use kernel_runtime::output::{Output, Sink};
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
    /// Where it complains, if that is not where it writes.
    errors: Option<Output>,
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
    // Whoever has its output somewhere else is told what is wrong on the console all the same.
    let file = startup.capability("output").map(Sink::File);
    let mut errors = file.map(|_| Output::new(console));
    let mut out = Output::to(file.or(console.map(Sink::Console)));
    let arguments = match Arguments::parse(&startup.arguments, program.accepts) {
        Ok(arguments) => arguments,
        Err(UsageError::Help) => {
            out.write(program.help.as_bytes());
            return DONE;
        }
        Err(error) => {
            let name = program.name;
            // Writing to the console's buffer cannot fail.
            let _ = writeln!(errors.as_mut().unwrap_or(&mut out), "{name}: {error} (see `{name} --help`)");
            return USAGE;
        }
    };
    let mut context = Context {
        name: program.name,
        arguments,
        out,
        errors,
        console,
        names: Names::from_startup(startup),
        control: startup.capability("control"),
        pager: startup.capability("pager"),
        failed: false,
    };
    body(&mut context);
    context.out.flush();
    if let Some(error) = context.out.error() {
        context.complain(b"output", error);
    }
    if context.failed { FAILED } else { DONE }
}

impl<'a> Context<'a> {
    /// Says what is wrong with something, and goes on.
    pub fn complain(&mut self, subject: &[u8], error: impl Display) {
        self.failed = true;
        let errors = self.errors.as_mut().unwrap_or(&mut self.out);
        let _ = write!(errors, "{}: ", self.name);
        errors.write(subject);
        let _ = writeln!(errors, ": {error}");
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
