//! Lists the containers.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::{String, ToString};
use hurd_glue_programs::{Program, lists, run};
use hurd_glue_programs_core::arguments::Accepts;
use hurd_glue_programs_core::table::{Align, Table};
use kernel_runtime::startup::Startup;

kernel_runtime::program!(main);

const PROGRAM: Program = Program {
    name: "containers",
    help: "\
usage: containers
Lists the containers: the principal that pays, size and present pages, pages whose frame has other holders too,
pages that are OUT with the default pager, mappings, grants, locks in force, version.
",
    accepts: Accepts { letters: "", least: 0, most: 0 },
};

fn main(startup: Startup<'static>) -> i32 {
    run(&startup, &PROGRAM, |context| {
        let Some(control) = context.control() else { return };
        let containers = match lists::containers(control) {
            Ok(containers) => containers,
            Err(error) => return context.complain(b"physmem", error),
        };
        let mut table = Table::new(&[
            ("NUMBER", Align::Right),
            ("PRINCIPAL", Align::Right),
            ("PAGES", Align::Right),
            ("PRESENT", Align::Right),
            ("SHARED", Align::Right),
            ("OUT", Align::Right),
            ("MAPPINGS", Align::Right),
            ("GRANTS", Align::Right),
            ("LOCKS", Align::Right),
            ("VERSION", Align::Right),
            ("", Align::Left),
        ]);
        for one in containers {
            table.row([
                one.number.to_string(),
                one.principal.to_string(),
                one.pages.to_string(),
                one.present.to_string(),
                one.shared.to_string(),
                one.out.to_string(),
                one.mappings.to_string(),
                one.grants.to_string(),
                one.locks.to_string(),
                one.version.to_string(),
                String::from(if one.sealed { "sealed" } else { "" }),
            ]);
        }
        context.print(&table.text());
    })
}
