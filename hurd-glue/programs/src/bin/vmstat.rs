//! Shows once a second how memory stands, and what has happened in between.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use containers_api::control::{RevocationStat, SystemStat};
use containers_api::pager::SwapStat;
use core::time::Duration;
use hurd_glue_programs::{Program, run};
use hurd_glue_programs_core::arguments::Accepts;
use hurd_glue_programs_core::vmstat::{Sample, heading, row};
use kernel_runtime::containers::MemoryCallError;
use kernel_runtime::ipc::call;
use kernel_runtime::notification::Notification;
use kernel_runtime::startup::Startup;
use kernel_runtime::{Deadline, Handle, clock};

kernel_runtime::program!(main);

const PROGRAM: Program = Program {
    name: "vmstat",
    help: "\
usage: vmstat [COUNT]
Prints COUNT lines, one a second (1 if not said): frames free, lent as extra, and
callers that wait for them; pages with the default pager; then how many a second
went out to it, came in from it, were faulted for, were zeroed, were seized, and
were lost on their way. The first line counts since boot.
",
    accepts: Accepts { letters: "", least: 0, most: 1 },
};

/// Between two lines.
const INTERVAL: Duration = Duration::from_secs(1);
/// Lines at most.
const COUNT_MAX: u64 = 100_000;

fn main(startup: Startup<'static>) -> i32 {
    run(&startup, &PROGRAM, |context| {
        let Some(control) = context.control() else { return };
        let operands = context.take_operands();
        let given = operands.first().copied().unwrap_or(b"1");
        let number = core::str::from_utf8(given).ok().and_then(|text| text.parse().ok());
        let Some(count) = number.filter(|number| (1..=COUNT_MAX).contains(number)) else {
            return context.complain(given, "not a number of lines");
        };
        let nobody = match Notification::new() {
            Ok(notification) => notification,
            Err(error) => return context.complain(b"notification", error),
        };
        context.print(&heading());
        let mut before = Sample::default();
        for line in 0..count {
            if line > 0 {
                // Nobody signals it: this is how to let time pass.
                let _ = nobody.wait(Deadline::after(INTERVAL));
            }
            let now = match sample(control) {
                Ok(sample) => sample,
                Err(error) => return context.complain(b"physmem", error),
            };
            context.print(&row(&before, &now));
            context.out.flush();
            before = now;
        }
    })
}

fn sample(control: Handle) -> Result<Sample, MemoryCallError> {
    let system = call(control, &SystemStat {}, &[], Deadline::NEVER)?;
    let revocation = call(control, &RevocationStat {}, &[], Deadline::NEVER)?;
    let swap = call(control, &SwapStat {}, &[], Deadline::NEVER)?;
    Ok(Sample {
        moment_ns: clock::now(),
        free: system.free_zero + system.free_dirty,
        extra: revocation.extra,
        waiting: revocation.waiting,
        swapped: swap.swapped,
        counters: [swap.paged_out, swap.paged_in, system.faults, system.zeroed, revocation.seized, swap.lost],
    })
}
