//! What it takes to get frames back, while threads of the same address space run on all other processors.
//!
//! Arguments: the number of processors; operations by name, or none for all. Prints one line for each operation and size,
//!
//! `revocation NAME FRAMES MEDIAN P99 WORST COUNT sent=N shootdowns=N wakes=N stops=N late=N [warm=N] [unmarked]`
//!
//! in nanoseconds (guest instructions, where the emulator counts them), for all frames together. The counters are of the
//! kernel, of all processors and all rounds together. Each round is marked as a sample, but for `seizure`: its times are physmem's own, from the
//! deadline on. `late`: rounds in which the client was not done by the deadline of its call, on a host that has other things to do.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use containers_api::LockMode;
use containers_api::contract::Watch;
use containers_api::space::MapProtection;
use containers_api::{ContainerRights, control::Latency};
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use kernel_abi::call::ProcessorCounter;
use kernel_runtime::containers::OwnContainer;
use kernel_runtime::ipc::call;
use kernel_runtime::layout::LOG;
use kernel_runtime::memory::Mapping;
use kernel_runtime::notification::Notification;
use kernel_runtime::startup::Startup;
use kernel_runtime::{Deadline, Handle, clock, region, syscall, threads};
use tests_guest::lent::{Lent, seizure, times};
use tests_guest::{Failed, Report};

kernel_runtime::program!(main);

/// Frames that are called or seized at a time.
const CALLED: [u64; 3] = [16, 256, 4096];
/// Pages that are unmapped at a time: above 32 a processor forgets everything.
const UNMAPPED: [u64; 3] = [1, 16, 64];
/// Rounds of an operation, and of one on many frames.
const ROUNDS: u64 = 200;
const ROUNDS_OF_MANY: u64 = 12;
const MANY: u64 = 1024;
/// Rounds before them that do not count.
const WARM: u64 = 4;
const TERM_NS: u64 = 1_000_000_000;
const WORDS_PER_PAGE: usize = 512;
const NEVER: Deadline = Deadline::NEVER;

fn main(startup: Startup<'static>) -> i32 {
    let mut report = Report::new(&startup);
    let number = |bytes: &[u8]| core::str::from_utf8(bytes).ok().and_then(|number| number.parse().ok());
    let result = match startup.arguments.split_first() {
        Some((first, names)) if number(first).is_some_and(|number| (1..=16).contains(&number)) => {
            run(&startup, &mut report, number(first).unwrap_or(1), names)
        }
        _ => Err(Failed("usage: taking-back PROCESSORS [NAME...]".into())),
    };
    report.finish("bench", result)
}

/// What came of a round.
struct Round {
    /// In nanoseconds.
    took: u64,
    /// False: the client was not done by the deadline of its call, so that its frames were seized.
    in_time: bool,
}

impl From<u64> for Round {
    fn from(took: u64) -> Round {
        Round { took, in_time: true }
    }
}

/// What is counted, and by whom.
struct Rounds<'a> {
    report: &'a mut Report,
    processors: u64,
    /// Operations that are wanted; none: all.
    names: &'a [&'a [u8]],
}

fn run(startup: &Startup<'_>, report: &mut Report, processors: u64, names: &[&[u8]]) -> Result<(), Failed> {
    let control = startup.capability("control").ok_or(Failed("no control capability".into()))?;
    occupy(processors - 1)?;
    let mut rounds = Rounds { report, processors, names };
    for frames in CALLED {
        rounds.measure("notice", frames, true, || met(control, frames))?;
    }
    for frames in CALLED {
        rounds.measure("seizure", frames, false, || Ok(seizure(control, frames)?.into()))?;
    }
    rounds.measure("grant", 1, true, || {
        let container = container(1)?;
        let (took, granted) = timed(|| container.grant(0..1, ContainerRights::all(), TERM_NS));
        granted.map_err(|error| ("grant", error))?;
        Ok(took.into())
    })?;
    rounds.measure("revoke", 1, true, || {
        let container = container(1)?;
        let granted =
            container.grant(0..1, ContainerRights::all(), TERM_NS).map_err(|error| ("grant", error))?;
        let (took, revoked) = timed(|| container.revoke(&granted, false));
        revoked.map_err(|error| ("revoke", error))?;
        Ok(took.into())
    })?;
    for frames in UNMAPPED {
        rounds.measure("break-lock", frames, true, || Ok(break_lock(frames)?.into()))?;
    }
    for frames in UNMAPPED {
        rounds.measure("shootdown", frames, true, || Ok(shootdown(frames)?.into()))?;
    }
    Ok(())
}

/// Threads that use this address space for ever, one for each other processor.
fn occupy(threads: u64) -> Result<(), Failed> {
    let running = Arc::new(AtomicU64::new(0));
    for _ in 0..threads {
        let running = running.clone();
        let work = move || {
            running.fetch_add(1, Ordering::SeqCst);
            loop {
                // An emulator that runs processors in turns goes on to the next one here.
                core::hint::spin_loop();
            }
        };
        threads::spawn(threads::STACK_PAGES, work).map_err(|error| ("thread", error))?;
    }
    let limit = Deadline::after(Duration::from_secs(10));
    let pause = Notification::new().map_err(|error| ("notification", error))?;
    while running.load(Ordering::SeqCst) < threads {
        if limit.has_passed() {
            return Err(Failed("the other processors do not run".into()));
        }
        let _ = pause.wait(Deadline::after(Duration::from_millis(1)));
    }
    Ok(())
}

impl Rounds<'_> {
    fn counters(&self) -> Result<[u64; ProcessorCounter::ALL.len()], Failed> {
        let mut sums = [0; ProcessorCounter::ALL.len()];
        for (sum, counter) in sums.iter_mut().zip(ProcessorCounter::ALL) {
            for processor in 0..self.processors {
                *sum += syscall::processor_count(LOG, processor, counter)
                    .map_err(|error| ("processor count", error))?;
            }
        }
        Ok(sums)
    }

    fn measure(
        &mut self,
        name: &str,
        frames: u64,
        marked: bool,
        mut once: impl FnMut() -> Result<Round, Failed>,
    ) -> Result<(), Failed> {
        if !self.names.is_empty() && !self.names.contains(&name.as_bytes()) {
            return Ok(());
        }
        let count = if frames >= MANY { ROUNDS_OF_MANY } else { ROUNDS };
        // Most of seizing is waiting for the deadline.
        let count = if marked { count } else { count.min(ROUNDS_OF_MANY) };
        for _ in 0..WARM {
            once()?;
        }
        let (mut times, mut late_rounds) = (Vec::with_capacity(count as usize), 0);
        let before = self.counters()?;
        for _ in 0..count {
            let round = once()?;
            times.push(round.took);
            late_rounds += u64::from(!round.in_time);
        }
        let after = self.counters()?;
        times.sort_unstable();
        let (median, late) = (times[times.len() / 2], times[(times.len() - 1) * 99 / 100]);
        let worst = times[times.len() - 1];
        let of = |counter: ProcessorCounter| after[counter as usize] - before[counter as usize];
        let sent = of(ProcessorCounter::ShootdownsSent);
        let (shootdowns, wakes) = (of(ProcessorCounter::Shootdowns), of(ProcessorCounter::WakesSent));
        let stops = of(ProcessorCounter::StopsSent);
        let mark = if marked { format!("warm={WARM}") } else { "unmarked".into() };
        self.report.line(format_args!(
            "revocation {name} {frames} {median} {late} {worst} {count} sent={sent} shootdowns={shootdowns} wakes={wakes} stops={stops} late={late_rounds} {mark}"
        ));
        Ok(())
    }
}

/// Nanoseconds of some work, marked as a sample.
fn timed<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let start = clock::now();
    region::begin::<{ region::SAMPLE }>();
    let result = work();
    region::end::<{ region::SAMPLE }>();
    (clock::now() - start, result)
}

fn container(pages: u64) -> Result<OwnContainer, Failed> {
    let container = OwnContainer::new(pages).map_err(|error| ("container", error))?;
    container.allocate(0..pages, true).map_err(|error| ("allocate", error))?;
    Ok(container)
}

/// From the request that brings a call about to the frames being free, where the client gives them back as soon as it is
/// told.
fn met(control: Handle, frames: u64) -> Result<Round, Failed> {
    let lent = Lent::new(frames)?;
    let called = Notification::new().map_err(|error| ("notification", error))?;
    let signaller = called.signaller(1).map_err(|error| ("signaller", error))?;
    call(lent.child.handle(), &Watch {}, &[signaller.handle()], NEVER).map_err(|error| ("watch", error))?;
    let earlier = times(control, Latency::Call)?;
    let (took, result) = timed(|| {
        lent.take_back()?;
        called.wait(Deadline::after(Duration::from_secs(1))).map_err(|error| ("no call", error))?;
        lent.container.deallocate(0..lent.asked).map_err(|error| Failed::from(("giving back", error)))
    });
    result?;
    let is_met = times(control, Latency::Call)?.count > earlier.count;
    Ok(Round { took, in_time: is_met })
}

/// Pages that are mapped and were written here.
fn used(container: &OwnContainer, pages: u64) -> Result<Mapping, Failed> {
    let mapping =
        Mapping::new(container, 0, pages, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
    for page in 0..pages as usize {
        mapping.as_words()[page * WORDS_PER_PAGE].store(1, Ordering::Relaxed);
    }
    Ok(mapping)
}

/// What it costs an owner to take a range back from the holder of a fill lock, who has it mapped.
fn break_lock(pages: u64) -> Result<u64, Failed> {
    let container = container(pages)?;
    container.lock(0..pages, LockMode::Fill, TERM_NS).map_err(|error| ("lock", error))?;
    let _mapping = used(&container, pages)?;
    let (took, broken) = timed(|| container.break_locks(0..pages));
    broken.map_err(|error| ("break", error))?;
    Ok(took)
}

/// Pages that are used here are taken away.
fn shootdown(pages: u64) -> Result<u64, Failed> {
    let container = container(pages)?;
    let _mapping = used(&container, pages)?;
    let (took, gone) = timed(|| container.deallocate(0..pages));
    gone.map_err(|error| ("deallocate", error))?;
    Ok(took)
}
