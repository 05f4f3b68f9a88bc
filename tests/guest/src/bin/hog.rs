//! Hogs spin with all the time that they can get, and somebody else measures how long they keep it waiting: for faults, for reads
//! of a file, for deadlines of calls and for its own wake-ups. It attacks law 6 by way of the processor: what the shell runs
//! in the background has small shares of time, and beyond these gets only what nobody else wants.
//!
//! `hog spin`: spins. `hog measure FILE BOUND`: measures, with a rest before each sample as a program that waits for
//! its work has; no sample may take longer than so many microseconds (0: any).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::ToString;
use alloc::vec::Vec;
use containers_api::space::MapProtection;
use core::hint;
use core::sync::atomic::Ordering;
use core::time::Duration;
use kernel_abi::schedule::Figure;
use kernel_runtime::containers::{OwnContainer, create_endpoint};
use kernel_runtime::files::{Names, Window};
use kernel_runtime::layout::SCHEDULE;
use kernel_runtime::memory::Mapping;
use kernel_runtime::notification::Notification;
use kernel_runtime::startup::Startup;
use kernel_runtime::{Deadline, KernelError, clock, ipc, syscall};
use tests_guest::{Failed, Report};

kernel_runtime::program!(main);

/// Samples of each kind.
const SAMPLES: u64 = 200;
/// Rest before each sample.
const REST: Duration = Duration::from_micros(700);
/// Deadline of a call that nobody answers.
const PATIENCE: Duration = Duration::from_micros(500);

fn main(startup: Startup<'static>) -> i32 {
    let mut report = Report::new(&startup);
    let number = |bytes: &[u8]| core::str::from_utf8(bytes).ok().and_then(|text| text.parse::<u64>().ok());
    let result = match startup.arguments[..] {
        [b"spin"] => loop {
            hint::spin_loop();
        },
        [b"measure", file, bound] => match number(bound) {
            Some(bound) => measure(&startup, &mut report, file, bound),
            None => Err(Failed("the bound must be a number".to_string())),
        },
        _ => Err(Failed("usage: hog spin | hog measure FILE BOUND".to_string())),
    };
    report.finish("hog", result)
}

fn measure(startup: &Startup<'_>, report: &mut Report, file: &[u8], bound: u64) -> Result<(), Failed> {
    let rest = Notification::new().map_err(|error| ("notification", error))?;
    let mut worst = 0;
    let mut tell = |what: &str, mut samples: Vec<u64>| {
        samples.sort_unstable();
        let (median, longest) = (samples[samples.len() / 2], samples[samples.len() - 1]);
        worst = worst.max(longest);
        report.line(format_args!("hog: {what}: median {median} ns, worst {longest} ns"));
    };
    tell("fault", faults(&rest)?);
    tell("read", reads(startup, &rest, file)?);
    tell("late call", late_calls()?);
    tell("late wake-up", late_wakes(&rest)?);
    let used = syscall::schedule_read(SCHEDULE, Figure::Used).map_err(|error| ("schedule", error))?;
    let dry = syscall::schedule_read(SCHEDULE, Figure::Background).map_err(|error| ("schedule", error))?;
    report.line(format_args!("hog: {used} ns used, of these {dry} ns without a budget"));
    if bound != 0 && worst > bound * 1000 {
        return Err(Failed(alloc::format!("{worst} ns are more than {bound} us")));
    }
    Ok(())
}

/// Waits, as for work; how late it was woken.
fn pause(rest: &Notification) -> Result<u64, Failed> {
    let until = Deadline::after(REST);
    match rest.wait(until) {
        Err(KernelError::TimedOut) => Ok(clock::now().saturating_sub(until.nanoseconds())),
        other => Err(Failed(alloc::format!("a rest ended with {other:?}"))),
    }
}

/// From the touch of a page that is not there to the word written. Each page is a container of its own, so that no neighbour
/// comes along with it.
fn faults(rest: &Notification) -> Result<Vec<u64>, Failed> {
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        let container = OwnContainer::new(1).map_err(|error| ("container", error))?;
        let page =
            Mapping::new(&container, 0, 1, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
        pause(rest)?;
        let begin = clock::now();
        page.as_words()[0].store(begin, Ordering::SeqCst);
        samples.push(clock::now() - begin);
    }
    Ok(samples)
}

/// Reads of a page of a file, which is in the file server's cache.
fn reads(startup: &Startup<'_>, rest: &Notification, file: &[u8]) -> Result<Vec<u64>, Failed> {
    let names = Names::from_startup(startup);
    let node = names.lookup(file, true).map_err(|error| ("looking the file up", error))?;
    let mut window = Window::new(1).map_err(|error| ("window", error))?;
    let mut samples = Vec::new();
    for sample in 0..=SAMPLES {
        pause(rest)?;
        let begin = clock::now();
        let bytes = window.read(&node, 0).map_err(|error| ("read", error))?;
        if bytes.is_empty() {
            return Err(Failed("the file is empty".to_string()));
        }
        // The first one comes from the disk.
        if sample != 0 {
            samples.push(clock::now() - begin);
        }
    }
    Ok(samples)
}

/// How long after its deadline a call returns that nobody receives.
fn late_calls() -> Result<Vec<u64>, Failed> {
    let endpoint = create_endpoint().map_err(|error| ("endpoint", error))?;
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        let until = Deadline::after(PATIENCE);
        let result = ipc::call(endpoint.handle(), &containers_api::contract::Examine {}, &[], until);
        let now = clock::now();
        if result.is_ok() || now < until.nanoseconds() {
            return Err(Failed("a call that nobody answers was answered, or ended early".to_string()));
        }
        samples.push(now - until.nanoseconds());
    }
    Ok(samples)
}

fn late_wakes(rest: &Notification) -> Result<Vec<u64>, Failed> {
    (0..SAMPLES).map(|_| pause(rest)).collect()
}
