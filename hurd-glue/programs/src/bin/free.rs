//! Says where the frames are, and what was done with them.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::{String, ToString};
use containers_api::control::{RevocationStat, RevocationStatus, SystemStat, SystemStatus};
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
Says in which state the frames of memory are, and what is guaranteed.
Then how they are lent: room left for charges, extra frames that are held beyond
guarantees, claims of those who waited for frames, and callers that wait now.
Then what was done since boot: frames zeroed when they were handed over, found
zero, or not zeroed because nobody could see a difference; client bytes moved by
the processor, pages copied without moving a byte, bytes that devices wrote into
client frames; faults and requests; callers that had to wait, calls for extra
frames, how many were met in time, how many missed, and of these how many by who
had no processor time to answer; frames seized, of them discardable ones; locks
broken for that, and contracts that ended by their term.
",
    accepts: Accepts { letters: "", least: 0, most: 0 },
};

fn main(startup: Startup<'static>) -> i32 {
    run(&startup, &PROGRAM, |context| {
        let Some(control) = context.control() else { return };
        let system = call(control, &SystemStat {}, &[], Deadline::NEVER);
        let revocation = call(control, &RevocationStat {}, &[], Deadline::NEVER);
        match (system, revocation) {
            (Ok(system), Ok(revocation)) => context.print(&tables(&system, &revocation)),
            (Err(error), _) | (_, Err(error)) => context.complain(b"physmem", error),
        }
    })
}

/// A table of amounts with what they are in bytes.
struct Amounts(Table);

impl Amounts {
    fn new(heading: &'static str) -> Amounts {
        Amounts(Table::new(&[(heading, Align::Left), ("", Align::Right), ("", Align::Right)]))
    }

    fn row(&mut self, name: &str, number: u64, as_memory: String) {
        self.0.row([String::from(name), number.to_string(), as_memory]);
    }

    fn frames(&mut self, name: &str, frames: u64) {
        self.row(name, frames, units::frames(frames));
    }

    fn bytes(&mut self, name: &str, bytes: u64) {
        self.row(name, bytes, units::bytes(bytes));
    }

    fn count(&mut self, name: &str, count: u64) {
        self.row(name, count, String::new());
    }
}

fn tables(system: &SystemStatus, revocation: &RevocationStatus) -> String {
    let mut frames = Amounts::new("FRAMES");
    for (name, number) in [
        ("all", system.frames),
        ("kernel and physmem", system.kernel),
        ("free, zero", system.free_zero),
        ("free, dirty", system.free_dirty),
        ("held", system.held),
        ("quarantined", system.quarantined),
        ("guaranteed", system.guaranteed),
        ("reserve", system.reserve),
    ] {
        frames.frames(name, number);
    }
    let mut lent = Amounts::new("LENDING");
    lent.frames("room", revocation.room);
    lent.frames("lent as extra", revocation.extra);
    lent.frames("claims", revocation.claimed);
    lent.count("waiting callers", revocation.waiting);
    let mut done = Amounts::new("SINCE BOOT");
    done.count("frames zeroed", system.zeroed);
    done.count("frames found zero", system.pre_zeroed);
    done.count("zeroing skipped", system.zeroing_skipped);
    done.bytes("bytes moved", system.moved_bytes);
    done.frames("pages shared", system.shared_pages);
    done.bytes("bytes by device", system.dma_bytes);
    done.count("page faults", system.faults);
    done.count("requests", system.requests);
    done.count("callers that waited", revocation.waited);
    done.count("calls", revocation.calls);
    done.count("calls met", revocation.met);
    done.count("calls missed", revocation.missed);
    done.count("calls excused", revocation.excused);
    done.frames("frames seized", revocation.seized);
    done.frames("of them discarded", revocation.discarded);
    done.count("locks broken", revocation.locks_broken);
    done.count("terminations", revocation.terminations);
    [frames, lent, done].map(|table| table.0.text()).join("\n")
}
