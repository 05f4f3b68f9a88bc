//! Lists the file systems that names lead to.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use hurd_glue_programs::{Program, run};
use hurd_glue_programs_core::arguments::Accepts;
use hurd_glue_programs_core::table::{Align, Table};
use hurd_glue_programs_core::units;
use kernel_runtime::startup::Startup;

kernel_runtime::program!(main);

const PROGRAM: Program = Program {
    name: "mounts",
    help: "\
usage: mounts
Lists the file systems: where they are mounted, their format, size, and what their cache has done.
",
    accepts: Accepts { letters: "", least: 0, most: 0 },
};

fn main(startup: Startup<'static>) -> i32 {
    run(&startup, &PROGRAM, |context| {
        let mut table = Table::new(&[
            ("MOUNT", Align::Left),
            ("FORMAT", Align::Left),
            ("LABEL", Align::Left),
            ("ACCESS", Align::Left),
            ("BLOCK", Align::Right),
            ("SIZE", Align::Right),
            ("FREE", Align::Right),
            ("CACHED", Align::Right),
            ("HITS", Align::Right),
            ("MISSES", Align::Right),
        ]);
        let mounts: Vec<String> = context.names.mounts().map(|(prefix, _)| prefix.to_string()).collect();
        for prefix in mounts {
            let root = context.names.lookup(prefix.as_bytes(), true);
            let status = match root.and_then(|root| root.file_system()) {
                Ok(status) => status,
                Err(error) => {
                    context.complain(prefix.as_bytes(), error);
                    continue;
                }
            };
            let block_bytes = u64::from(status.block_bytes);
            table.row(vec![
                prefix,
                status.format.to_string(),
                status.label.to_string(),
                String::from(if status.read_only { "read-only" } else { "read-write" }),
                format!("{block_bytes} B"),
                units::bytes(status.blocks.saturating_mul(block_bytes)),
                units::bytes(status.free_blocks.saturating_mul(block_bytes)),
                units::frames(status.cached_pages),
                status.hits.to_string(),
                status.misses.to_string(),
            ]);
        }
        context.print(&table.text());
    })
}
