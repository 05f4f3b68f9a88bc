//! Lists the tasks.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::ToString;
use hurd_glue_programs::{Program, lists, run};
use hurd_glue_programs_core::arguments::Accepts;
use hurd_glue_programs_core::table::{Align, Table};
use hurd_glue_programs_core::units;
use kernel_runtime::startup::Startup;

kernel_runtime::program!(main);

const PROGRAM: Program = Program {
    name: "ps",
    help: "\
usage: ps
Lists the tasks: the principal that pays (what `kill` takes), threads, memory mapped (present or not), frames for
page tables, page faults so far, and processor time used, with what servers used to answer its calls.
",
    accepts: Accepts { letters: "", least: 0, most: 0 },
};

fn main(startup: Startup<'static>) -> i32 {
    run(&startup, &PROGRAM, |context| {
        let Some(control) = context.control() else { return };
        let spaces = match lists::spaces(control) {
            Ok(spaces) => spaces,
            Err(error) => return context.complain(b"physmem", error),
        };
        let mut table = Table::new(&[
            ("PRINCIPAL", Align::Right),
            ("NAME", Align::Left),
            ("THREADS", Align::Right),
            ("MAPPINGS", Align::Right),
            ("MAPPED", Align::Right),
            ("TABLES", Align::Right),
            ("FAULTS", Align::Right),
            ("TIME", Align::Right),
        ]);
        for space in spaces {
            table.row([
                space.principal.to_string(),
                space.name.to_string(),
                space.threads.to_string(),
                space.mappings.to_string(),
                units::frames(space.pages),
                space.tables.to_string(),
                space.faults.to_string(),
                units::duration(space.used_ns),
            ]);
        }
        context.print(&table.text());
    })
}
