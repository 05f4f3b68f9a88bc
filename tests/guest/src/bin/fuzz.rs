//! Random system calls from ring 3, with handles, addresses and numbers that are plausible, off by one, or absurd. The calls
//! are made by children, one after the other, because many of them end their caller; the kernel must stand, and at the end
//! every frame must be where it was.
//!
//! Arguments: a seed, the number of calls.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::ToString;
use core::sync::atomic::AtomicU64;
use core::time::Duration;
use kernel_abi::SystemCall;
use kernel_runtime::startup::Startup;
use kernel_runtime::syscall::raw;
use kernel_runtime::{Deadline, clock};
use tests_guest::child::Child;
use tests_guest::{Books, Failed, Random, Report};

kernel_runtime::program!(main);

/// Calls that one child makes.
const CALLS_PER_CHILD: u64 = 20_000;
/// Exit status of a child that made all its calls.
const DONE: u32 = 77;

/// Something to point at.
static WORDS: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];

fn main(startup: Startup<'static>) -> i32 {
    let mut report = Report::new(&startup);
    let number = |index: usize| {
        let text = startup.arguments.get(index).and_then(|bytes| core::str::from_utf8(bytes).ok());
        text.and_then(|text| text.parse::<u64>().ok())
    };
    if startup.arguments.first() == Some(&&b"victim"[..]) {
        call_at_random(number(1).unwrap_or(0));
        return DONE as i32;
    }
    let (Some(seed), Some(calls)) = (number(0), number(1)) else {
        return report.finish("fuzz", Err(Failed("usage: fuzz SEED CALLS".to_string())));
    };
    let result = run(&startup, &mut report, seed, calls);
    report.finish("fuzz", result)
}

fn run(startup: &Startup<'_>, report: &mut Report, seed: u64, calls: u64) -> Result<(), Failed> {
    one_child(startup, seed.wrapping_sub(1))?;
    let before = Books::look(startup)?;
    let mut complete = 0;
    let children = calls.div_ceil(CALLS_PER_CHILD);
    for child in 0..children {
        complete += u64::from(one_child(startup, seed.wrapping_add(child))?);
        Books::look(startup)?.check_same(&before, "fuzz")?;
    }
    report.line(format_args!("fuzz: {complete} of {children} children lived to make all their calls"));
    Ok(())
}

fn one_child(startup: &Startup<'_>, seed: u64) -> Result<bool, Failed> {
    let seed = seed.to_string();
    let child = Child::start(startup, "/.boot/test/fuzz", &[b"victim", seed.as_bytes()])?;
    let end = child.wait(Duration::from_secs(20));
    Ok(end == Some(kernel_runtime::process::ExitStatus::Exited(DONE)))
}

fn call_at_random(seed: u64) {
    let mut random = Random::new(seed);
    for _ in 0..CALLS_PER_CHILD {
        let number = random.below(256) as usize;
        let call = SystemCall::ALL[number % SystemCall::ALL.len()];
        // Ending oneself, and losing one's own memory, is allowed and proves little: once in a while is enough.
        let fatal = matches!(call, SystemCall::TaskExit | SystemCall::ThreadExit | SystemCall::ThreadBuffer);
        if fatal && random.below(5000) != 0 || call == SystemCall::LogWrite && random.below(100) != 0 {
            continue;
        }
        let mut argument = || argument(&mut random);
        let first = argument();
        let second = argument();
        let words = core::array::from_fn(|_| argument());
        // Blocking calls come back soon.
        let deadline = Deadline::at(clock::now() + 20_000);
        raw::message(call, first, second, words, deadline.nanoseconds());
    }
}

/// A handle, an address, a size, or an edge.
fn argument(random: &mut Random) -> u64 {
    match random.below(6) {
        0 | 1 => 8 + random.below(24),
        2 => &raw const WORDS as u64 + random.below(520),
        3 => random.below(64),
        _ => random.edgy(),
    }
}
