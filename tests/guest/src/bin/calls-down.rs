//! `calls-down`: takes guarantee back from a program that runs under a stacked physmem, one and two levels deep. What the first
//! physmem calls for must come up through all levels in time, so that it has nothing to seize itself: from a program that answers
//! calls, out of its cache; from one that does not, out of the cache all the same, because its own physmem seizes that first.
//!
//! The program is this one, with a part to play. It runs under its own physmem's contracts and notices nothing of the levels.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use containers_api::container::SetEviction;
use containers_api::space::MapProtection;
use core::hint::black_box;
use core::time::Duration;
use kernel_runtime::clock;
use kernel_runtime::containers::{Allowance, OwnContainer, call_status, contract_status};
use kernel_runtime::files::Names;
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::memory::Mapping;
use kernel_runtime::notification::Notification;
use kernel_runtime::process::{ExitStatus, FileSource, Given, Process, Program};
use kernel_runtime::self_paging::{GiveBack, InOrder, Watch};
use kernel_runtime::startup::Startup;
use kernel_runtime::sync::Mutex;
use kernel_runtime::{Deadline, Handle, Rights, syscall, threads};
use tests_guest::{Failed, Report};

kernel_runtime::program!(main);

/// Where this program is, and the stacked physmem.
const SELF: &[u8] = b"/.boot/test/calls-down";
const STACKED: &[u8] = b"/.boot/bin/stacked";
/// By level: frames of the first stacked physmem, and of them, those taken back.
const LEVELS: [(u64, u64); 2] = [(700, 180), (1000, 280)];
/// Exit status of a program that found everything as it must be.
const RIGHT: u32 = 55;
/// Pages that must stay, and frames that are left alone for stacks and the like.
const KEPT: u64 = 40;
const LEFT: u64 = 40;
/// Bytes of stack and of heap that the program inside uses at most.
const STACK_BYTES: usize = 32 << 10;
const HEAP_BYTES: usize = 32 << 10;
/// Bits of the notification.
const ENDED: u64 = 1;
const READY: u64 = 2;
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(2);
/// After that nothing more is expected to happen.
const QUIET: Duration = Duration::from_millis(100);

fn main(startup: Startup<'static>) -> i32 {
    let mut report = Report::new(&startup);
    match startup.arguments.first().copied() {
        None => {
            let result = outside(&startup, &mut report);
            report.finish("calls-down", result)
        }
        Some(part) => match inside(&startup, part == b"answers") {
            Ok(()) => RIGHT as i32,
            failed => report.finish("inside", failed),
        },
    }
}

fn outside(startup: &Startup<'static>, report: &mut Report) -> Result<(), Failed> {
    for (levels, (frames, taken)) in (1..).zip(LEVELS) {
        for part in ["answers", "ignores"] {
            one_call(startup, report, part, (levels, frames, taken))?;
        }
    }
    Ok(())
}

/// Starts the program so many levels deep, and takes frames back from the first level.
fn one_call(
    startup: &Startup<'static>,
    report: &mut Report,
    part: &str,
    (levels, frames, taken): (usize, u64, u64),
) -> Result<(), Failed> {
    let new = || Notification::new().map_err(|error| ("notification", error));
    // Nobody sets a bit of the second one.
    let (notification, rest) = (new()?, new()?);
    let process = start(startup, &notification, part, (levels, frames))?;
    wait_for(&notification, READY)?;
    let contract = process.contract();
    let before = call_status(contract.handle()).map_err(|error| ("call", error))?;
    let start = clock::now();
    contract.take_back(CONTRACT, taken, 0).map_err(|error| ("taking back", error))?;
    let call = call_status(contract.handle()).map_err(|error| ("call", error))?;
    let mut now = call;
    while now.frames != 0 && clock::now() < start + PATIENCE.as_nanos() as u64 {
        let _ = rest.wait(Deadline::after(LOOK));
        now = call_status(contract.handle()).map_err(|error| ("call", error))?;
    }
    let (status, elapsed) = (contract.status().map_err(|error| ("status", error))?, clock::now() - start);
    report.line(format_args!(
        "calls-down: {levels} levels, {part}: {} frames after {} us, {} seized from above",
        call.frames,
        elapsed / 1000,
        status.seized
    ));
    let is_met = call.frames != 0 && now.frames == 0 && now.met > before.met && status.seized == 0;
    if !is_met {
        return Err(Failed(format!("{call:?}, then {now:?}")));
    }
    wait_for(&notification, ENDED)?;
    match process.exit_status() {
        Some(ExitStatus::Exited(RIGHT)) => Ok(()),
        other => Err(Failed(format!("the program inside: {other:?}"))),
    }
}

fn start(
    startup: &Startup<'static>,
    notification: &Notification,
    part: &str,
    (levels, frames): (usize, u64),
) -> Result<Process, Failed> {
    let names = Names::from_startup(startup);
    let (node, _, bytes) = names.lookup_described(STACKED, true).map_err(|error| ("stacked", error))?;
    let ready = notification.signaller(READY).map_err(|error| ("signaller", error))?;
    let rights = Rights::SEND | Rights::TRANSFER;
    let mut given = alloc::vec![Given { name: "ready", handle: ready.handle(), rights }];
    given.extend(startup.capability("console").map(|handle| Given { name: "console", handle, rights }));
    let mounts: Vec<(&str, Handle)> =
        startup.mounts.iter().map(|&(prefix, entry)| (prefix, Handle(entry))).collect();
    let arguments = [b"stacked".as_slice(), SELF, part.as_bytes()];
    let program = Program {
        name: "stacked",
        arguments: &arguments[2 - levels..],
        capabilities: &given,
        mounts: &mounts,
        directory: b"/",
        allowance: Allowance { guaranteed: frames, extra_limit: 0, pin_limit: 0 },
        swap_limit: 0,
        priority: startup.priority,
        time: None,
    };
    Process::spawn(&mut FileSource::new(&node, bytes), &program, notification, ENDED)
        .map_err(|error| ("starting", error).into())
}

fn wait_for(notification: &Notification, bit: u64) -> Result<(), Failed> {
    let end = Deadline::after(PATIENCE);
    while let Ok(bits) = notification.wait(end) {
        if bits & bit != 0 {
            return Ok(());
        }
        if bits & ENDED != 0 {
            return Err(Failed("the program inside has ended early".to_string()));
        }
    }
    Err(Failed(format!("nothing is heard of bit {bit}")))
}

/// Pages with their numbers in them, from the first one on.
struct Pages {
    container: OwnContainer,
    mapping: Mutex<Mapping>,
    held: Mutex<u64>,
}

impl Pages {
    fn new(pages: u64, order: &SetEviction) -> Result<Pages, Failed> {
        let container = OwnContainer::new(pages).map_err(|error| ("container", error))?;
        container.set_eviction(order).map_err(|error| ("order", error))?;
        container.allocate(0..pages, true).map_err(|error| ("allocate", error))?;
        let mut mapping =
            Mapping::new(&container, 0, pages, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
        for (number, page) in mapping.as_mut_slice().chunks_mut(4096).enumerate() {
            page[..8].copy_from_slice(&(number as u64 + 1).to_le_bytes());
        }
        Ok(Pages { container, mapping: Mutex::new(mapping), held: Mutex::new(pages) })
    }

    fn held(&self) -> u64 {
        *self.held.lock()
    }

    /// Looks at the pages that are held and not lost; how many are lost.
    fn check(&self) -> Result<u64, Failed> {
        let (held, mapping, mut lost) = (self.held(), self.mapping.lock(), 0);
        for state in self.container.page_states(0..held, false) {
            let (page, state) = state.map_err(|error| ("page states", error))?;
            if state.is_lost() {
                lost += 1;
            } else if mapping.as_slice()[page as usize * 4096..][..8] != (page + 1).to_le_bytes() {
                return Err(Failed(format!("page {page} is not what it was")));
            }
        }
        Ok(lost)
    }
}

impl GiveBack for Pages {
    fn give_back(&self, pages: u64) -> u64 {
        let mut held = self.held.lock();
        let first = held.saturating_sub(pages);
        if self.container.deallocate(first..*held).is_err() {
            return 0;
        }
        core::mem::replace(&mut *held, first) - first
    }
}

/// The program under the stacked physmem: a cache that fills the contract, and some pages that must stay.
fn inside(startup: &Startup<'static>, answers: bool) -> Result<(), Failed> {
    let rest = Notification::new().map_err(|error| ("notification", error))?;
    let discardable = SetEviction { rank: 1, discardable: true, vital: false };
    let kept = Pages::new(KEPT, &SetEviction { rank: 2, discardable: false, vital: false })?;
    let own = contract_status(CONTRACT).map_err(|error| ("status", error))?;
    let room = own.guaranteed.saturating_sub(own.pages + own.records + own.kernel + LEFT);
    let cache: &'static Pages = Box::leak(Box::new(Pages::new(room, &discardable)?));
    if answers {
        Watch::start(InOrder::new().cache(cache)).map_err(|error| ("watch", error))?;
    }
    // Who holds no more than it is guaranteed, and is guaranteed less from now on, gets nothing more: what is needed is taken before.
    threads::touch_stack::<STACK_BYTES>();
    drop(black_box(Vec::<u8>::with_capacity(HEAP_BYTES)));
    if cache.check()? + kept.check()? != 0 {
        return Err(Failed("pages are lost before anything was called for".to_string()));
    }
    let ready = startup.capability("ready").ok_or(Failed("nobody to tell".to_string()))?;
    syscall::signal(ready).map_err(|error| ("signal", error))?;
    let end = Deadline::after(PATIENCE);
    let status = || contract_status(CONTRACT).map_err(|error| ("status", error));
    let went = || Ok::<u64, Failed>(room - cache.held() + status()?.seized);
    while went()? == 0 && !end.has_passed() {
        let _ = rest.wait(Deadline::after(LOOK));
    }
    let _ = rest.wait(Deadline::after(QUIET));
    let (status, given, lost) = (status()?, room - cache.held(), cache.check()?);
    let is_right = match answers {
        true => given > 0 && (status.seized, lost) == (0, 0),
        false => given == 0 && lost > 0 && status.seized == lost,
    };
    if !is_right || kept.check()? != 0 {
        return Err(Failed(format!("{given} pages given back, {lost} lost, {status:?}")));
    }
    Ok(())
}
