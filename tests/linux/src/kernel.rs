//! The kernel alone: calls, switches, signals.

use crate::report::Report;
use crate::sys::{self, fork};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{Result, write};
use rustix::process::{Signal, getpid, getppid, kill_process};
use rustix::thread::sched_yield;
use tests_linux_core::Row;

/// Samples of each row.
const COUNT: usize = 1000;

/// Measures all rows of this module.
pub fn measure(report: &mut Report) -> Result<()> {
    report.each(Row::Getppid, COUNT, |_| {
        std::hint::black_box(getppid());
        Ok(())
    });
    report.each(Row::Yield, COUNT, |_| {
        sched_yield();
        Ok(())
    });
    let event = eventfd(0, EventfdFlags::empty())?;
    report.each(Row::EventWrite, COUNT, |_| write(&event, &1u64.to_ne_bytes()).map(drop));
    sys::handle(libc::SIGUSR1)?;
    let own = getpid();
    report.each(Row::Signal, COUNT, |_| kill_process(own, Signal::USR1));
    yields(report)
}

/// In the first-come-first-served class a yield goes to the other one, and its yield back: two switches.
fn yields(report: &mut Report) -> Result<()> {
    sys::first_come_first_served(true)?;
    let yields = || (0..2 * COUNT).for_each(|_| sched_yield());
    let there_and_back = |_| {
        sched_yield();
        Ok(())
    };
    let child = fork(|| {
        yields();
        Ok(())
    })?;
    report.many(Row::YieldProcess, COUNT, 2, there_and_back);
    child.wait()?;
    std::thread::scope(|scope| {
        scope.spawn(yields);
        report.many(Row::YieldThread, COUNT, 2, there_and_back);
    });
    sys::first_come_first_served(false)
}
