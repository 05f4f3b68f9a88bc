//! Says where the frames are, and what was done with them.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::{String, ToString};
use containers_api::control::SystemStat;
use hurd_glue_programs::{Program, run};
use hurd_glue_programs_core::arguments::Accepts;
use hurd_glue_programs_core::table::{Align, Table};
use hurd_glue_programs_core::units;
use kernel_runtime::Deadline;
use kernel_runtime::ipc::call;
use kernel_runtime::startup::Startup;

kernel_runtime::program!(main);

const PROGRAM: Program = Program {
    name: "free",
    help: "\
usage: free
Says in which state the frames of memory are, what is guaranteed, and what was done since boot: frames zeroed when they
were handed over, found zero, or not zeroed because nobody could see a difference; client bytes moved by the
processor, pages copied without moving a byte, bytes that devices wrote into client frames; faults and requests.
",
    accepts: Accepts { letters: "", least: 0, most: 0 },
};

fn main(startup: Startup<'static>) -> i32 {
    run(&startup, &PROGRAM, |context| {
        let Some(control) = context.control() else { return };
        let status = match call(control, &SystemStat {}, &[], Deadline::NEVER) {
            Ok(status) => status,
            Err(error) => return context.complain(b"physmem", error),
        };
        let heading = [("FRAMES", Align::Left), ("", Align::Right), ("", Align::Right)];
        let mut table = Table::new(&heading);
        for (name, frames) in [
            ("all", status.frames),
            ("kernel and physmem", status.kernel),
            ("free, zero", status.free_zero),
            ("free, dirty", status.free_dirty),
            ("held", status.held),
            ("quarantined", status.quarantined),
            ("guaranteed", status.guaranteed),
            ("reserve", status.reserve),
        ] {
            table.row([String::from(name), frames.to_string(), units::frames(frames)]);
        }
        context.print(&table.text());
        context.print("\n");
        let mut table = Table::new(&[("SINCE BOOT", Align::Left), ("", Align::Right), ("", Align::Right)]);
        let count = |name: &str, number: u64| [String::from(name), number.to_string(), String::new()];
        let bytes = |name: &str, number: u64| [String::from(name), number.to_string(), units::bytes(number)];
        table.row(count("frames zeroed", status.zeroed));
        table.row(count("frames found zero", status.pre_zeroed));
        table.row(count("zeroing skipped", status.zeroing_skipped));
        table.row(bytes("bytes moved", status.moved_bytes));
        table.row([
            String::from("pages shared"),
            status.shared_pages.to_string(),
            units::frames(status.shared_pages),
        ]);
        table.row(bytes("bytes by device", status.dma_bytes));
        table.row(count("page faults", status.faults));
        table.row(count("requests", status.requests));
        context.print(&table.text());
    })
}
