//! Shows files, or parts of one, in hexadecimal.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use hurd_glue_programs::{Context, Program, run};
use hurd_glue_programs_core::arguments::{Accepts, number};
use hurd_glue_programs_core::hexdump::Hexdump;
use kernel_runtime::files::{ReadError, Window};
use kernel_runtime::startup::Startup;

kernel_runtime::program!(main);

const PROGRAM: Program = Program {
    name: "hexdump",
    help: "\
usage: hexdump NAME [OFFSET [COUNT]]
Shows a file in hexadecimal and as text, sixteen bytes a line; COUNT bytes from OFFSET on, if given.
Lines that repeat the one before are shown as one star.
",
    accepts: Accepts { letters: "", least: 1, most: 3 },
};

/// Pages read at a time.
const WINDOW_PAGES: u64 = 32;

/// Bytes of a page.
const PAGE_BYTES: u64 = 4096;

fn main(startup: Startup<'static>) -> i32 {
    run(&startup, &PROGRAM, |context| {
        let operands = context.take_operands();
        let numbers = |index: usize, otherwise: u64| match operands.get(index) {
            Some(text) => number(text).ok_or(*text),
            None => Ok(otherwise),
        };
        let (offset, count) = match (numbers(1, 0), numbers(2, u64::MAX)) {
            (Ok(offset), Ok(count)) => (offset, count),
            (Err(text), _) | (_, Err(text)) => return context.complain(text, "not a number"),
        };
        if let Err(error) = dump(context, operands[0], offset, count) {
            context.complain(operands[0], error);
        }
    })
}

fn dump(context: &mut Context<'_>, name: &[u8], offset: u64, count: u64) -> Result<(), ReadError> {
    let node = context.names.lookup(name, true)?;
    let mut window = Window::new(WINDOW_PAGES)?;
    let mut dump = Hexdump::new(offset);
    let (mut at, mut left) = (offset, count);
    while left > 0 {
        // Whole pages are read, for they need no copying.
        let start = at - at % PAGE_BYTES;
        let bytes = window.read(&node, start)?;
        let bytes = bytes.get((at - start) as usize..).unwrap_or_default();
        let bytes = &bytes[..usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len())];
        if bytes.is_empty() {
            break;
        }
        dump.add(bytes, |line| context.print(line));
        at += bytes.len() as u64;
        left -= bytes.len() as u64;
    }
    dump.finish(|line| context.print(line));
    Ok(())
}
