//! Random system calls from ring 3, with handles, addresses and numbers that are plausible, off by one, or absurd. The calls
//! are made by children, one after the other, because some of them end their caller; the kernel must stand, and after each child
//! every frame must be where it was. The children count their calls in a page that they share with their parent, so that
//! those of a child that died count too, and none is counted that was not made.
//!
//! Arguments: a seed, the number of calls.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::ToString;
use containers_api::ContainerRights;
use containers_api::space::MapProtection;
use core::sync::atomic::AtomicU64;
use core::time::Duration;
use kernel_abi::SystemCall;
use kernel_runtime::containers::{Container, OwnContainer};
use kernel_runtime::memory::Mapping;
use kernel_runtime::startup::Startup;
use kernel_runtime::syscall::raw;
use kernel_runtime::{Capability, Deadline, clock};
use tests_guest::child::{self, Child};
use tests_guest::{Books, Failed, Random, Report};

kernel_runtime::program!(main);

/// Calls that one child makes at most.
const CALLS_PER_CHILD: u64 = 20_000;
/// Name of the container that the calls are counted in.
const TALLY: &str = "tally";
/// Children at most that die without having made a call.
const IDLE_CHILDREN_MAX: u64 = 100;

/// Something to point at.
static WORDS: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];

fn main(startup: Startup<'static>) -> i32 {
    let mut report = Report::new(&startup);
    let number = |index: usize| {
        let text = startup.arguments.get(index).and_then(|bytes| core::str::from_utf8(bytes).ok());
        text.and_then(|text| text.parse::<u64>().ok())
    };
    if startup.arguments.first() == Some(&&b"victim"[..]) {
        return victim(&startup, number(1).unwrap_or(0)).map_or(1, |()| 0);
    }
    let (Some(seed), Some(calls)) = (number(0), number(1)) else {
        return report.finish("fuzz", Err(Failed("usage: fuzz SEED CALLS".to_string())));
    };
    let result = run(&startup, &mut report, seed, calls);
    report.finish("fuzz", result)
}

/// A page in which a child counts its calls.
struct Tally {
    // In this order: the mapping goes first.
    mapping: Mapping,
    container: OwnContainer,
}

fn run(startup: &Startup<'_>, report: &mut Report, seed: u64, calls: u64) -> Result<(), Failed> {
    let container = OwnContainer::new(1).map_err(|error| ("container", error))?;
    let mapping = Mapping::new(&container, 0, 1, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
    let mut tally = Tally { mapping, container };
    one_child(startup, &mut tally, seed.wrapping_sub(1))?;
    let before = Books::look(startup)?;
    let (mut made, mut children, mut idle) = (0, 0, 0);
    while made < calls {
        let by_this = one_child(startup, &mut tally, seed.wrapping_add(children))?;
        Books::look(startup)?.check_same(&before, "fuzz")?;
        made += by_this;
        children += 1;
        idle += u64::from(by_this == 0);
        if idle > IDLE_CHILDREN_MAX {
            return Err(Failed("the children make no calls".to_string()));
        }
    }
    report.line(format_args!("fuzz: {made} calls made, by {children} children"));
    Ok(())
}

/// Runs a child to its end; how many calls it has made.
fn one_child(startup: &Startup<'_>, tally: &mut Tally, seed: u64) -> Result<u64, Failed> {
    tally.mapping.as_mut_slice().fill(0);
    let shared = tally
        .container
        .share(ContainerRights::MAP | ContainerRights::WRITE)
        .map_err(|error| ("sharing the tally", error))?;
    let seed = seed.to_string();
    let arguments: &[&[u8]] = &[b"victim", seed.as_bytes()];
    let more = [(TALLY, shared.handle())];
    let child = Child::start_with(startup, "/.boot/test/fuzz", arguments, &more, &child::ALLOWANCE)?;
    child.wait(Duration::from_secs(20));
    let count = tally.mapping.as_slice()[..8].try_into().map_or(0, u64::from_le_bytes);
    if count > CALLS_PER_CHILD { Err(Failed("the tally was scribbled on".to_string())) } else { Ok(count) }
}

/// The child.
fn victim(startup: &Startup<'_>, seed: u64) -> Result<(), Failed> {
    let handle = startup.capability(TALLY).ok_or(Failed("no tally".to_string()))?;
    let container = Container::new(Capability::from_handle(handle));
    let mut mapping =
        Mapping::new(&container, 0, 1, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
    let mut random = Random::new(seed);
    for count in 1..=CALLS_PER_CHILD {
        call_at_random(&mut random);
        mapping.as_mut_slice()[..8].copy_from_slice(&count.to_le_bytes());
    }
    Ok(())
}

/// Makes one call.
fn call_at_random(random: &mut Random) {
    let call = loop {
        let call = SystemCall::ALL[random.below(SystemCall::ALL.len() as u64) as usize];
        if !is_drastic(call) || random.below(2000) == 0 {
            break call;
        }
    };
    let mut argument = || argument(random);
    let (first, second) = (argument(), argument());
    let words = core::array::from_fn(|_| argument());
    // Blocking calls come back soon.
    let deadline = Deadline::at(clock::now() + 20_000);
    raw::message(call, first, second, words, deadline.nanoseconds());
}

/// Ends the caller, robs it of its memory, or fills the log: allowed, but it proves little, so it is done once in a while.
fn is_drastic(call: SystemCall) -> bool {
    use SystemCall::{LogWrite, TaskExit, TaskKill, ThreadBuffer, ThreadExit};
    matches!(call, TaskExit | TaskKill | ThreadExit | ThreadBuffer | LogWrite)
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
