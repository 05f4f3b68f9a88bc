//! Starting a program and waiting for its end.

use crate::Bench;
use core::time::Duration;
use kernel_runtime::containers::Allowance;
use kernel_runtime::files::Names;
use kernel_runtime::notification::Notification;
use kernel_runtime::process::{ExitStatus, FileSource, Process, Program};
use kernel_runtime::startup::Startup;
use kernel_runtime::{Deadline, clock};
use tests_bench::{Begun, USUAL, timed};
use tests_guest::Failed;

/// A program that ends at once.
const NOTHING: &str = "/.boot/bench/nothing";
/// What it may hold.
const ALLOWANCE: Allowance = Allowance { guaranteed: 160, extra_limit: 0, pin_limit: 0 };
/// Longest that it may take.
const LIMIT: Duration = Duration::from_secs(100);

/// Measures it.
pub fn measure(startup: &Startup<'_>, bench: &mut Bench<'_>) -> Result<(), Failed> {
    if !bench.wants("process/") {
        return Ok(());
    }
    let names = Names::from_startup(startup);
    let death = Notification::new().map_err(|error| ("notification", error))?;
    let start = |arguments: &[&[u8]]| {
        let (node, _, bytes) =
            names.lookup_described(NOTHING.as_bytes(), true).map_err(|error| ("lookup", error))?;
        let program = Program {
            name: "nothing",
            arguments,
            capabilities: &[],
            mounts: &[],
            directory: b"/",
            allowance: ALLOWANCE,
            swap_limit: 0,
            priority: startup.priority,
            time: None,
        };
        Process::spawn(&mut FileSource::new(&node, bytes), &program, &death, 1)
            .map_err(|error| Failed::from(("start", error)))
    };
    let wait = || death.wait(Deadline::after(LIMIT)).map_err(|error| Failed::from(("wait", error)));
    bench.row("process/spawn", USUAL, || {
        let (ticks, result) = timed(|| {
            let process = start(&[])?;
            wait()?;
            Ok::<_, Failed>(process.exit_status())
        });
        match result? {
            Some(ExitStatus::Exited(0)) => Ok(ticks),
            status => Err(Failed(alloc::format!("it ended with {status:?}"))),
        }
    })?;
    bench.row("process/exit", USUAL, || {
        let process = start(&[b"tell"])?;
        wait()?;
        let now = Begun::from_number(0).end();
        // It says with its status when it began to end, as far as a status goes.
        match process.exit_status() {
            Some(ExitStatus::Exited(then)) => Ok(u64::from((now as u32).wrapping_sub(then))),
            status => Err(Failed(alloc::format!("it ended with {status:?} at {}", clock::now()))),
        }
    })
}
