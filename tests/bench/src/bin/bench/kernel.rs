//! Kernel calls that any program can make: entering and leaving, switching threads, notifications.

use crate::{Bench, SELF};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use kernel_runtime::layout::{CONTRACT, PRIORITY_PROGRAM};
use kernel_runtime::notification::Notification;
use kernel_runtime::startup::Startup;
use kernel_runtime::syscall;
use kernel_runtime::syscall::raw;
use kernel_runtime::{Deadline, threads};
use tests_bench::{Begun, Plan, USUAL, timed};
use tests_guest::Failed;
use tests_guest::child::Child;

/// Two switches a sample: there and back.
const SWITCHES: Plan = Plan { each: 2, ..USUAL };

/// Measures them.
pub fn measure(startup: &Startup<'_>, bench: &mut Bench<'_>) -> Result<(), Failed> {
    bench.row("kernel/null-call", USUAL, || Ok(timed(null_call).0))?;
    bench.row("kernel/identify", USUAL, || {
        let (ticks, identity) = timed(|| syscall::capability_identify(CONTRACT));
        identity.map_err(|error| ("identify", error))?;
        Ok(ticks)
    })?;
    bench.row("kernel/yield", USUAL, || Ok(timed(syscall::yield_now).0))?;
    if bench.wants("kernel/switch") {
        switches(startup, bench)?;
    }
    if bench.wants("kernel/signal") {
        signals(bench)?;
    }
    Ok(())
}

/// A call whose number means nothing: the kernel is entered, finds that out, and is left.
#[inline(always)]
fn null_call() -> u64 {
    const NO_SUCH_CALL: u64 = 255;
    raw::unknown(NO_SUCH_CALL)
}

fn switches(startup: &Startup<'_>, bench: &mut Bench<'_>) -> Result<(), Failed> {
    let ended = Arc::new(AtomicBool::new(false));
    let other = ended.clone();
    let work = move || {
        while !other.load(Ordering::Relaxed) {
            syscall::yield_now();
        }
    };
    threads::spawn(threads::STACK_PAGES, work).map_err(|error| ("thread", error))?;
    bench.row("kernel/switch", SWITCHES, || Ok(timed(syscall::yield_now).0))?;
    ended.store(true, Ordering::Relaxed);
    (0..8).for_each(|_| syscall::yield_now());
    let child = Child::start(startup, SELF, &[b"yielder"])?;
    // Until it has started.
    (0..64).for_each(|_| syscall::yield_now());
    let result = bench.row("kernel/switch-space", SWITCHES, || Ok(timed(syscall::yield_now).0));
    let _ = child.wait(Duration::ZERO);
    result
}

/// The other one of two that yield to each other.
pub fn yield_for_ever() -> ! {
    loop {
        syscall::yield_now();
    }
}

fn signals(bench: &mut Bench<'_>) -> Result<(), Failed> {
    let notification = Notification::new().map_err(|error| ("notification", error))?;
    let signaller = notification.signaller(1).map_err(|error| ("signaller", error))?;
    bench.row("kernel/signal", USUAL, || {
        let (ticks, result) = timed(|| syscall::signal(signaller.handle()));
        result.map_err(|error| ("signal", error))?;
        notification.poll().map_err(|error| ("poll", error))?;
        Ok(ticks)
    })?;
    // The other thread is lower, so that it runs only while this one waits.
    let begun = Arc::new(AtomicU64::new(0));
    let (theirs, ended) = (begun.clone(), Arc::new(AtomicBool::new(false)));
    let stop = ended.clone();
    let work = move || {
        while !stop.load(Ordering::Relaxed) {
            // The store belongs to the sample, so that nothing of the sample comes before it.
            let begun = Begun::now();
            theirs.store(begun.to_number(), Ordering::Relaxed);
            let _ = syscall::signal(signaller.handle());
        }
    };
    threads::spawn_at(PRIORITY_PROGRAM - 1, threads::STACK_PAGES, work).map_err(|error| ("thread", error))?;
    let result = bench.row("kernel/signal-wake", USUAL, || {
        let woken = notification.wait(Deadline::NEVER);
        let ticks = Begun::from_number(begun.load(Ordering::Relaxed)).end();
        woken.map_err(|error| ("wait", error))?;
        Ok(ticks)
    });
    ended.store(true, Ordering::Relaxed);
    result
}
