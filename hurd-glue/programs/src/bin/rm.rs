//! Takes files away.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use hurd_glue_programs::{Program, run};
use hurd_glue_programs_core::arguments::Accepts;
use kernel_runtime::startup::Startup;

kernel_runtime::program!(main);

const PROGRAM: Program = Program {
    name: "rm",
    help: "\
usage: rm NAME...
Takes files away, and gives their memory back to whoever pays for it.
",
    accepts: Accepts { letters: "", least: 1, most: usize::MAX },
};

fn main(startup: Startup<'static>) -> i32 {
    run(&startup, &PROGRAM, |context| {
        for operand in context.take_operands() {
            if let Err(error) = context.names.unlink(operand) {
                context.complain(operand, error);
            }
        }
    })
}
