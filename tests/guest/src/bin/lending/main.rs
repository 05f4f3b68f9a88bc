//! Lends and takes back: children borrow all memory that this program is guaranteed and does not use, and then it uses it.
//!
//! With `calls`: a child that answers its call in time loses nothing but what it gave, and keeps its standing; one that does not
//! loses what its order says, sees that in its record, and is ended by a touch of such a page and of no other. With
//! `cache FILE`: the file cache lives on the same memory, gives way, and what is read stays the same. With `claims COUNT`: the
//! guarantee is claimed so often and given up again, whatever else goes on.
//!
//! To be run with most of the machine's memory guaranteed (`with all`), on a machine of at most 64 MiB.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod borrower;

use alloc::format;
use alloc::string::ToString;
use containers_api::FaultReason;
use containers_api::container::OPERATION_PAGES_MAX;
use containers_api::control::{RevocationStat, RevocationStatus, SystemStat};
use core::time::Duration;
use kernel_runtime::containers::{Allowance, OwnContainer, contract_status};
use kernel_runtime::files::{Names, Window};
use kernel_runtime::ipc::call;
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::notification::Notification;
use kernel_runtime::process::ExitStatus;
use kernel_runtime::startup::Startup;
use kernel_runtime::{Deadline, clock};
use tests_guest::child::Child;
use tests_guest::{Failed, Report};

kernel_runtime::program!(main);

/// What a borrower is guaranteed: itself, and the bookkeeping of what it borrows.
const BORROWER_FRAMES: u64 = 384;
/// Percent of what is guaranteed and idle that a borrower must get.
const LENT_PERCENT: u64 = 90;
/// A guarantee is met within a term of extra frames (100 ms) and the grace of a call (20 ms), and the work of it.
const WAIT_NS_MAX: u64 = 140_000_000;
/// How long a child may take.
const CHILD_TIME: Duration = Duration::from_secs(30);
/// Pages of a page array that fill a frame of records, at worst.
const PAGES_PER_RECORD_FRAME: u64 = 256;
/// Frames of this program's guarantee that it leaves alone, for reading files and for records.
const KEPT_FRAMES: u64 = 400;
/// Pages read at a time.
const WINDOW_PAGES: u64 = 64;

fn main(startup: Startup<'static>) -> i32 {
    let mut report = Report::new(&startup);
    let result = match startup.arguments[..] {
        [b"calls"] => watches(&startup, &mut report).and_then(|()| ignores(&startup, &mut report)),
        [b"cache", file] => cache(&startup, &mut report, file),
        [b"claims", count] => claims(&mut report, count),
        [b"borrower", part] => return borrower::run(&startup, &mut report, part),
        _ => Err(Failed("usage: lending calls|cache FILE|claims COUNT".to_string())),
    };
    report.finish("lending", result)
}

fn look(startup: &Startup<'_>) -> Result<RevocationStatus, Failed> {
    let control = startup.capability("control").ok_or(Failed("no control capability".to_string()))?;
    call(control, &RevocationStat {}, &[], Deadline::NEVER).map_err(|error| ("revocation", error).into())
}

/// Starts a borrower and waits until it has taken all that it gets.
fn borrow(startup: &Startup<'_>, part: &[u8]) -> Result<Child, Failed> {
    let own = contract_status(CONTRACT).map_err(|error| ("status", error))?;
    let allowance = Allowance { guaranteed: BORROWER_FRAMES, extra_limit: own.extra_limit, pin_limit: 0 };
    let ready = Notification::new().map_err(|error| ("notification", error))?;
    let signaller = ready.signaller(1).map_err(|error| ("signaller", error))?;
    let given = [("ready", signaller.handle())];
    let child = Child::start_with(startup, "/.boot/test/lending", &[b"borrower", part], &given, &allowance)?;
    ready.wait(Deadline::after(CHILD_TIME)).map_err(|error| ("the borrower takes nothing", error))?;
    Ok(child)
}

/// Takes frames within the guarantee, request by request; they are given back when what is returned is dropped. Checks how long
/// each request took.
fn claim(report: &mut Report, frames: u64) -> Result<OwnContainer, Failed> {
    let container = OwnContainer::new(frames).map_err(|error| ("container", error))?;
    let begin = clock::now();
    let (mut longest, mut first) = (0, 0);
    while first < frames {
        let next = frames.min(first + OPERATION_PAGES_MAX);
        let start = clock::now();
        container.allocate(first..next, false).map_err(|error| ("allocate within the guarantee", error))?;
        longest = longest.max(clock::now() - start);
        first = next;
    }
    let time = clock::now() - begin;
    report.line(format_args!(
        "lending: {frames} guaranteed frames after {} us, {} us the longest request",
        time / 1000,
        longest / 1000
    ));
    if longest > WAIT_NS_MAX {
        return Err(Failed(format!("{longest} ns, at most {WAIT_NS_MAX}")));
    }
    Ok(container)
}

/// All that is left of the guarantee, with room for its own records.
fn claimable() -> Result<u64, Failed> {
    let own = contract_status(CONTRACT).map_err(|error| ("status", error))?;
    let left = own.guaranteed.saturating_sub(own.pages + own.records + own.kernel + KEPT_FRAMES);
    Ok(left - left / PAGES_PER_RECORD_FRAME)
}

fn check_lent(report: &mut Report, idle: u64, lent: u64) -> Result<(), Failed> {
    let percent = lent * 100 / idle.max(1);
    report.line(format_args!("lending: {lent} of {idle} idle frames are lent, {percent} %"));
    if percent < LENT_PERCENT { Err(Failed(format!("{percent} % of idle frames are lent"))) } else { Ok(()) }
}

fn watches(startup: &Startup<'_>, report: &mut Report) -> Result<(), Failed> {
    let before = look(startup)?;
    let child = borrow(startup, b"watches")?;
    let after = look(startup)?;
    check_lent(report, before.room, after.extra - before.extra)?;
    let claimed = claim(report, claimable()?)?;
    match child.wait(CHILD_TIME) {
        Some(ExitStatus::Exited(borrower::RIGHT)) => {}
        end => return Err(Failed(format!("the borrower that watches ended with {end:?}"))),
    }
    drop(claimed);
    let end = look(startup)?;
    if (end.missed, end.seized) != (before.missed, before.seized) || end.met == before.met {
        return Err(Failed(format!("calls were not met: {before:?}, then {end:?}")));
    }
    report.line(format_args!("lending: {} calls, all met", end.met - before.met));
    Ok(())
}

fn ignores(startup: &Startup<'_>, report: &mut Report) -> Result<(), Failed> {
    let before = look(startup)?;
    let child = borrow(startup, b"ignores")?;
    let lent = look(startup)?.extra - before.extra;
    // Enough to take the first of its containers, and part of the second.
    let room = look(startup)?.room;
    let claimed = claim(report, (room + lent * 3 / 8).min(claimable()?))?;
    match child.wait(CHILD_TIME) {
        Some(ExitStatus::Fault(reason)) if reason == FaultReason::Repossessed.label() => {}
        end => return Err(Failed(format!("the borrower that ignores ended with {end:?}"))),
    }
    drop(claimed);
    let end = look(startup)?;
    if end.missed == before.missed || end.seized == before.seized || end.discarded == before.discarded {
        return Err(Failed(format!("nothing was seized: {before:?}, then {end:?}")));
    }
    report.line(format_args!(
        "lending: {} frames seized, of them {} discardable",
        end.seized - before.seized,
        end.discarded - before.discarded
    ));
    Ok(())
}

fn cache(startup: &Startup<'_>, report: &mut Report, file: &[u8]) -> Result<(), Failed> {
    let control = startup.capability("control").ok_or(Failed("no control capability".to_string()))?;
    let requests = || {
        let status = call(control, &SystemStat {}, &[], Deadline::NEVER);
        status.map(|status| status.requests).map_err(|error| ("system status", error))
    };
    let names = Names::from_startup(startup);
    let empty = look(startup)?;
    let first = checksum(&names, file)?;
    let full = look(startup)?;
    check_lent(report, empty.room, full.extra - empty.extra)?;
    // What is extra is callable when its term is over: then no time goes by but what the work takes.
    borrower::pause(Duration::from_millis(150))?;
    let begin = requests()?;
    let claimed = claim(report, claimable()?)?;
    let asked = requests()? - begin - 1;
    let back = full.extra - look(startup)?.extra;
    report
        .line(format_args!("lending: the cache gave {back} frames back; {asked} requests to physmem in all"));
    if checksum(&names, file)? != first {
        return Err(Failed("under pressure the file is not the same".to_string()));
    }
    drop(claimed);
    if checksum(&names, file)? != first {
        return Err(Failed("after the pressure the file is not the same".to_string()));
    }
    Ok(())
}

fn claims(report: &mut Report, count: &[u8]) -> Result<(), Failed> {
    let count = core::str::from_utf8(count).ok().and_then(|text| text.parse().ok());
    let count: u32 = count.ok_or(Failed("the count is no number".to_string()))?;
    for _ in 0..count {
        let claimed = claim(report, claimable()?)?;
        borrower::pause(Duration::from_millis(200))?;
        drop(claimed);
        borrower::pause(Duration::from_millis(200))?;
    }
    Ok(())
}

/// A checksum of a file (FNV-1a over words), and its length.
fn checksum(names: &Names, file: &[u8]) -> Result<(u64, u64), Failed> {
    let node = names.lookup(file, true).map_err(|error| ("looking the file up", error))?;
    let mut window = Window::new(WINDOW_PAGES).map_err(|error| ("window", error))?;
    let (mut sum, mut offset) = (0xcbf2_9ce4_8422_2325_u64, 0);
    loop {
        let bytes = window.read(&node, offset).map_err(|error| ("read", error))?;
        if bytes.is_empty() {
            return Ok((sum, offset));
        }
        let (words, rest) = bytes.as_chunks::<8>();
        let rest = rest.iter().map(|&byte| u64::from(byte));
        sum = words
            .iter()
            .map(|word| u64::from_le_bytes(*word))
            .chain(rest)
            .fold(sum, |sum, word| (sum ^ word).wrapping_mul(0x100_0000_01b3));
        offset += bytes.len() as u64;
    }
}
