//! Prints the SHA-256 of files, as the program of this name does elsewhere.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::String;
use core::fmt::Write;
use hurd_glue_programs::{Context, Program, run};
use hurd_glue_programs_core::arguments::Accepts;
use kernel_runtime::files::{ReadError, Window};
use kernel_runtime::startup::Startup;
use sha2::{Digest, Sha256};

kernel_runtime::program!(main);

const PROGRAM: Program = Program {
    name: "sha256sum",
    help: "\
usage: sha256sum NAME...
Prints the SHA-256 of files. Each file is read through one window of 1 MiB, whatever its size.
",
    accepts: Accepts { letters: "", least: 1, most: usize::MAX },
};

/// Pages read at a time: 1 MiB.
const WINDOW_PAGES: u64 = 256;

fn main(startup: Startup<'static>) -> i32 {
    run(&startup, &PROGRAM, |context| {
        let mut window = match Window::new(WINDOW_PAGES) {
            Ok(window) => window,
            Err(error) => return context.complain(b"memory", error),
        };
        for operand in context.take_operands() {
            match sum(context, operand, &mut window) {
                Ok(sum) => {
                    context.print(&sum);
                    context.print("  ");
                    context.out.write(operand);
                    context.print("\n");
                }
                Err(error) => context.complain(operand, error),
            }
        }
    })
}

fn sum(context: &mut Context<'_>, name: &[u8], window: &mut Window) -> Result<String, ReadError> {
    let node = context.names.lookup(name, true)?;
    let mut hasher = Sha256::new();
    let mut offset = 0;
    loop {
        let bytes = window.read(&node, offset)?;
        if bytes.is_empty() {
            break;
        }
        hasher.update(bytes);
        offset += bytes.len() as u64;
    }
    let mut text = String::with_capacity(64);
    for byte in hasher.finalize() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
