//! Writes files to its output.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use hurd_glue_programs::{Context, Program, run};
use hurd_glue_programs_core::arguments::Accepts;
use kernel_runtime::files::{ReadError, Window};
use kernel_runtime::startup::Startup;

kernel_runtime::program!(main);

const PROGRAM: Program = Program {
    name: "cat",
    help: "\
usage: cat NAME...
Writes the contents of files, one after the other.
",
    accepts: Accepts { letters: "", least: 1, most: usize::MAX },
};

/// Pages read at a time.
const WINDOW_PAGES: u64 = 32;

fn main(startup: Startup<'static>) -> i32 {
    run(&startup, &PROGRAM, |context| {
        let mut window = match Window::new(WINDOW_PAGES) {
            Ok(window) => window,
            Err(error) => return context.complain(b"memory", error),
        };
        for operand in context.take_operands() {
            if let Err(error) = copy(context, operand, &mut window) {
                context.complain(operand, error);
            }
        }
    })
}

fn copy(context: &mut Context<'_>, name: &[u8], window: &mut Window) -> Result<(), ReadError> {
    let node = context.names.lookup(name, true)?;
    let mut offset = 0;
    loop {
        let bytes = window.read(&node, offset)?;
        // A device may have no end, but nobody reads on for an output that takes nothing.
        if bytes.is_empty() || context.out.failed() {
            return Ok(());
        }
        context.out.write(bytes);
        offset += bytes.len() as u64;
    }
}
