//! Threads of one address space on all processors, against law 3: pages are taken away while other processors use them, and
//! nobody may see or change through an old translation what is there no more. Then wake-ups across processors, calls,
//! and children that are killed while they run.
//!
//! - *stale reads*: a page says which round it was filled in. Before the rounds' number is raised the pages were taken away, so
//!   whoever sees the number must find a page empty or filled in that round or later.
//! - *stale writes*: readers write into every page too. Pages that the writer gets afterwards, most likely the very
//!   frames, must stay empty as long as it looks.
//!
//! Arguments: the number of threads, of rounds. Or `spin`: for ever.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use containers_api::space::MapProtection;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use kernel_abi::{MessageInfo, SystemCall};
use kernel_runtime::containers::{Allowance, OwnContainer, create_endpoint};
use kernel_runtime::memory::Mapping;
use kernel_runtime::notification::Notification;
use kernel_runtime::startup::Startup;
use kernel_runtime::syscall::raw;
use kernel_runtime::{Deadline, Handle, clock, syscall, threads};
use tests_guest::child::Child;
use tests_guest::{Failed, Report};

kernel_runtime::program!(main);

/// Pages that are taken away and come back.
const PAGES: u64 = 8;
const WORDS_PER_PAGE: usize = 512;
/// The word of a page that readers write.
const SCRIBBLE: usize = 100;
/// Words of a page that are looked at for scribbles, and how often.
const LOOKS: u32 = 4;
/// Calls that are timed.
const CALLS: u64 = 20_000;
/// Children that are killed as they run.
const KILLS: u64 = 10;
/// What each of them may hold.
const CHILD: Allowance = Allowance { guaranteed: 160, extra_limit: 0, pin_limit: 0 };
/// Longest that anything may take.
const LIMIT: Duration = Duration::from_secs(100);

fn main(startup: Startup<'static>) -> i32 {
    let mut report = Report::new(&startup);
    let number = |bytes: &[u8]| core::str::from_utf8(bytes).ok().and_then(|text| text.parse::<u64>().ok());
    let result = match startup.arguments[..] {
        [b"spin"] => spin(),
        [threads, rounds] => match (number(threads), number(rounds)) {
            (Some(threads), Some(rounds)) if threads > 0 => run(&startup, &mut report, threads, rounds),
            _ => Err(Failed("threads and rounds must be numbers".to_string())),
        },
        _ => Err(Failed("usage: processors THREADS ROUNDS".to_string())),
    };
    report.finish("processors", result)
}

fn run(startup: &Startup<'_>, report: &mut Report, threads: u64, rounds: u64) -> Result<(), Failed> {
    let begin = clock::now();
    let seen = shoot_at(threads, rounds)?;
    let milliseconds = (clock::now() - begin) / 1_000_000;
    report.line(format_args!(
        "processors: {rounds} rounds in {milliseconds} ms, {seen} filled pages seen, none stale"
    ));
    let nanoseconds = ping_pong(rounds * 10)?;
    report.line(format_args!("processors: {nanoseconds} ns a wake-up there and back"));
    let nanoseconds = calls()?;
    report.line(format_args!("processors: {nanoseconds} ns a call and reply"));
    let begin = clock::now();
    kill_running(startup)?;
    let milliseconds = (clock::now() - begin) / 1_000_000;
    report
        .line(format_args!("processors: {} tasks were killed as they ran, in {milliseconds} ms", 2 * KILLS));
    Ok(())
}

/// What the threads of the first part share.
struct Range {
    pages: Mapping,
    /// Pages filled in earlier rounds than this are gone.
    floor: AtomicU64,
    seen: AtomicU64,
    stale: AtomicU64,
    ended: AtomicBool,
    reading: AtomicU64,
}

fn shoot_at(threads: u64, rounds: u64) -> Result<u64, Failed> {
    let container = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
    let witness = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
    let map = |container: &OwnContainer| {
        Mapping::new(container, 0, PAGES, MapProtection::WRITE).map_err(|error| ("mapping", error))
    };
    let witness_pages = map(&witness)?;
    let range = Arc::new(Range {
        pages: map(&container)?,
        floor: AtomicU64::new(1),
        seen: AtomicU64::new(0),
        stale: AtomicU64::new(0),
        ended: AtomicBool::new(false),
        reading: AtomicU64::new(0),
    });
    for _ in 0..threads {
        let range = range.clone();
        range.reading.fetch_add(1, Ordering::SeqCst);
        threads::spawn(threads::STACK_PAGES, move || read(&range)).map_err(|error| ("thread", error))?;
    }
    let mut result = Ok(());
    for round in 1..=rounds {
        fill(&range.pages, round);
        let gone = if round % 2 == 0 { 0..PAGES } else { round % PAGES..round % PAGES + 1 };
        let first = gone.clone();
        container.deallocate(gone).map_err(|error| ("deallocate", error))?;
        if first.end - first.start == PAGES {
            range.floor.store(round + 1, Ordering::SeqCst);
            result = look_for_scribbles(&witness, &witness_pages);
        }
        if result.is_err() || range.stale.load(Ordering::SeqCst) != 0 {
            break;
        }
    }
    range.ended.store(true, Ordering::SeqCst);
    let limit = Deadline::after(LIMIT);
    while range.reading.load(Ordering::SeqCst) != 0 {
        if limit.has_passed() {
            return Err(Failed("a reader does not end".to_string()));
        }
        syscall::yield_now();
    }
    result?;
    match range.stale.load(Ordering::SeqCst) {
        0 => Ok(range.seen.load(Ordering::SeqCst)),
        stale => Err(Failed(alloc::format!("{stale} stale pages were seen"))),
    }
}

fn fill(pages: &Mapping, round: u64) {
    for page in pages.as_words().chunks(WORDS_PER_PAGE) {
        page[0].store(round, Ordering::SeqCst);
    }
}

/// One reader: looks at all pages again and again, and scribbles into each.
fn read(range: &Range) {
    while !range.ended.load(Ordering::SeqCst) {
        for page in range.pages.as_words().chunks(WORDS_PER_PAGE) {
            let floor = range.floor.load(Ordering::SeqCst);
            let round = page[0].load(Ordering::SeqCst);
            page[SCRIBBLE].store(u64::MAX, Ordering::SeqCst);
            if round != 0 {
                range.seen.fetch_add(1, Ordering::Relaxed);
            }
            if round != 0 && round < floor {
                range.stale.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
    range.reading.fetch_sub(1, Ordering::SeqCst);
}

/// Gets fresh pages, and looks whether somebody writes into them.
fn look_for_scribbles(witness: &OwnContainer, pages: &Mapping) -> Result<(), Failed> {
    witness.deallocate(0..PAGES).map_err(|error| ("deallocate", error))?;
    for _ in 0..LOOKS {
        if pages.as_words().iter().any(|word| word.load(Ordering::SeqCst) != 0) {
            return Err(Failed("somebody writes into a page that is not his".to_string()));
        }
    }
    Ok(())
}

/// Two threads wake each other in turn. Nanoseconds a round.
fn ping_pong(rounds: u64) -> Result<u64, Failed> {
    let make = || Notification::new().map_err(|error| ("notification", error));
    let (ping, pong, done) = (make()?, make()?, Arc::new(AtomicU64::new(0)));
    let signal = |notification: &Notification| {
        notification
            .signaller(1)
            .map(|capability| capability.into_handle())
            .map_err(|error| ("signaller", error))
    };
    let (signal_ping, signal_pong) = (signal(&ping)?, signal(&pong)?);
    let other = done.clone();
    threads::spawn(threads::STACK_PAGES, move || {
        while ping.wait(Deadline::NEVER).is_ok() && syscall::signal(signal_pong).is_ok() {
            other.fetch_add(1, Ordering::SeqCst);
        }
    })
    .map_err(|error| ("thread", error))?;
    let begin = clock::now();
    for round in 0..rounds {
        syscall::signal(signal_ping).map_err(|error| ("signal", error))?;
        pong.wait(Deadline::after(LIMIT)).map_err(|error| ("waiting for the other thread", error))?;
        if done.load(Ordering::SeqCst) < round {
            return Err(Failed("a wake-up came before its time".to_string()));
        }
    }
    Ok((clock::now() - begin) / rounds.max(1))
}

/// Calls to a server thread of the same task. Nanoseconds each.
fn calls() -> Result<u64, Failed> {
    let endpoint = create_endpoint().map_err(|error| ("endpoint", error))?.into_handle();
    threads::spawn(threads::STACK_PAGES, move || serve(endpoint)).map_err(|error| ("thread", error))?;
    let call = |value: u64| {
        let words = [value, 0, 0, 0, 0, 0, 0, 0];
        let info = MessageInfo::new(1, 1, 0).0;
        raw::message(SystemCall::Call, u64::from(endpoint.0), info, words, 0)
    };
    // The first call may find the server on its way.
    call(0);
    let begin = clock::now();
    for value in 0..CALLS {
        let returned = call(value);
        raw::status(returned.status).map_err(|error| ("call", error))?;
        if returned.words[0] != value + 1 {
            return Err(Failed("a wrong reply".to_string()));
        }
    }
    Ok((clock::now() - begin) / CALLS)
}

fn serve(endpoint: Handle) {
    let endpoint = u64::from(endpoint.0);
    let mut returned = raw::message(SystemCall::Receive, endpoint, 0, [0; 8], 0);
    while returned.status == 0 {
        let mut words = returned.words;
        words[0] += 1;
        let info = MessageInfo::new(0, 1, 0).0;
        returned = raw::message(SystemCall::ReplyReceive, endpoint, info, words, 0);
    }
}

/// Starts children that never stop, and ends each.
fn kill_running(startup: &Startup<'_>) -> Result<(), Failed> {
    for _ in 0..KILLS {
        let children = (0..2)
            .map(|_| Child::start_with(startup, "/.boot/test/processors", &[b"spin"], &[], &CHILD))
            .collect::<Result<Vec<_>, _>>()?;
        for child in children {
            if let Some(status) = child.wait(Duration::from_millis(5)) {
                return Err(Failed(alloc::format!("a child ended by itself: {status:?}")));
            }
        }
    }
    Ok(())
}

/// Several threads that never stop.
fn spin() -> Result<(), Failed> {
    for _ in 0..2 {
        threads::spawn(1, count_for_ever).map_err(|error| ("thread", error))?;
    }
    count_for_ever()
}

/// Without `pause`, at which an emulator that counts instructions may stop the clock.
fn count_for_ever<T>() -> T {
    let count = AtomicU64::new(0);
    loop {
        count.fetch_add(1, Ordering::Relaxed);
    }
}
