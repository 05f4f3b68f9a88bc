//! What taking frames back costs, in guest instructions where the machine counts them (one nanosecond each), from 16 frames
//! to 16384: from the deadline of a call that nobody answers to the frames being free. And around it: granting, revoking a
//! grant, breaking a lock.
//!
//! A child contract holds so many pages, mapped here and touched; then its guarantee is taken back. Its extra frames are called
//! at once, ignored, and seized at the deadline.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use containers_api::container::{Allocate, BreakLocks, Grant, Revoke};
use containers_api::contract::{CallStat, ContractStat, TakeBack};
use containers_api::control::{Latencies, Latency, LatencyStat};
use containers_api::space::MapProtection;
use containers_api::{ContainerRights, LockMode};
use core::time::Duration;
use kernel_runtime::containers::{Allowance, OwnContainer, OwnContract};
use kernel_runtime::ipc::{call, call_for_capability};
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::memory::Mapping;
use kernel_runtime::notification::Notification;
use kernel_runtime::startup::Startup;
use kernel_runtime::{Deadline, Handle, clock};
use tests_guest::{Failed, Report};

kernel_runtime::program!(main);

/// Sizes that are measured, each as often as [`ROUNDS`] says.
const SIZES: [u64; 6] = [16, 64, 256, 1024, 4096, 16384];
const ROUNDS: usize = 5;
/// Frames of the child beside its pages: records of its container, and of this page array.
const BESIDE: u64 = 128;
/// Pages of one request at most.
const STEP_PAGES: u64 = 1024;
const NEVER: Deadline = Deadline::NEVER;
const RIGHTS: ContainerRights = ContainerRights::all();

fn main(startup: Startup<'static>) -> i32 {
    let mut report = Report::new(&startup);
    let result = run(&startup, &mut report);
    report.finish("revocation", result)
}

fn run(startup: &Startup<'_>, report: &mut Report) -> Result<(), Failed> {
    let control = startup.capability("control").ok_or(Failed("no control capability".to_string()))?;
    let status = call(CONTRACT, &ContractStat {}, &[], NEVER).map_err(|error| ("contract", error))?;
    let room = status.guaranteed.saturating_sub(status.pages + status.records + status.kernel + 2 * BESIDE);
    report.line(format_args!("OPERATION                 FRAMES    MEDIAN     WORST  A FRAME"));
    for frames in SIZES.into_iter().filter(|frames| *frames + BESIDE <= room) {
        measure(report, "seizure, deadline to free", frames, || seizure(control, frames))?;
    }
    measure(report, "grant", 1, || grant_and_revoke(false).map(|times| times.0))?;
    measure(report, "revoke", 1, || grant_and_revoke(false).map(|times| times.1))?;
    for frames in [16, 256, 1024] {
        measure(report, "break of a fill lock", frames, || break_lock(frames))?;
    }
    Ok(())
}

fn measure(
    report: &mut Report,
    what: &str,
    frames: u64,
    mut once: impl FnMut() -> Result<u64, Failed>,
) -> Result<(), Failed> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        times.push(once()?);
    }
    times.sort_unstable();
    let (median, worst) = (times[ROUNDS / 2], times[ROUNDS - 1]);
    report.line(format_args!("{what:25} {frames:6} {median:9} {worst:9} {:8}", median / frames));
    Ok(())
}

fn seizures(control: Handle) -> Result<Latencies, Failed> {
    call(control, &LatencyStat { which: Latency::Seizure }, &[], NEVER)
        .map_err(|error| ("times", error).into())
}

/// From the deadline to the frames being free.
fn seizure(control: Handle, frames: u64) -> Result<u64, Failed> {
    let allowance = Allowance { guaranteed: frames + BESIDE, extra_limit: 0, pin_limit: 0 };
    let child = OwnContract::split(CONTRACT, &allowance, "child").map_err(|error| ("split", error))?;
    let container = OwnContainer::under(child.handle(), frames).map_err(|error| ("container", error))?;
    allocate(&container, frames)?;
    let _mapping =
        Mapping::new(&container, 0, frames, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
    let before = child.status().map_err(|error| ("status", error))?;
    // Everything that it holds but the pages stays its own.
    let kept = before.records + before.kernel;
    let earlier = seizures(control)?;
    let take = TakeBack { guaranteed: before.guaranteed - kept, pin_limit: 0 };
    call(CONTRACT, &take, &[child.handle()], NEVER).map_err(|error| ("taking back", error))?;
    let called = call(child.handle(), &CallStat {}, &[], NEVER).map_err(|error| ("call", error))?;
    if called.frames == 0 && child.status().is_ok_and(|status| status.standing == before.standing) {
        return Err(Failed(format!("no call: {called:?}")));
    }
    let nobody = Notification::new().map_err(|error| ("notification", error))?;
    let _ = nobody.wait(Deadline::at(called.deadline));
    for _ in 0..100 {
        let _ = nobody.wait(Deadline::after(Duration::from_millis(20)));
        let now = seizures(control)?;
        if now.count > earlier.count {
            let after = child.status().map_err(|error| ("status", error))?;
            if after.pages != 0 {
                return Err(Failed(format!("{} pages are left", after.pages)));
            }
            return Ok(now.sum - earlier.sum);
        }
    }
    Err(Failed("nothing was seized".to_string()))
}

fn allocate(container: &OwnContainer, frames: u64) -> Result<(), Failed> {
    let mut first = 0;
    while first < frames {
        let pages = STEP_PAGES.min(frames - first);
        let request = Allocate { first_page: first, pages, any_contents: true };
        call(container.handle(), &request, &[], NEVER).map_err(|error| ("allocate", error))?;
        first += pages;
    }
    Ok(())
}

/// What granting one page costs, and revoking the grant.
fn grant_and_revoke(break_locks: bool) -> Result<(u64, u64), Failed> {
    let container = OwnContainer::new(1).map_err(|error| ("container", error))?;
    let request = Grant { first_page: 0, pages: 1, rights: RIGHTS, maximum_lock_ns: u64::MAX };
    let start = clock::now();
    let (_, grant) =
        call_for_capability(container.handle(), &request, &[], NEVER).map_err(|error| ("grant", error))?;
    let granted = clock::now();
    call(container.handle(), &Revoke { break_locks }, &[grant.handle()], NEVER)
        .map_err(|error| ("revoke", error))?;
    Ok((granted - start, clock::now() - granted))
}

/// What it costs an owner to take a range back from the holder of a fill lock, who has it mapped.
fn break_lock(frames: u64) -> Result<u64, Failed> {
    let container = OwnContainer::new(frames).map_err(|error| ("container", error))?;
    allocate(&container, frames)?;
    container.lock(0..frames, LockMode::Fill, 1_000_000_000).map_err(|error| ("lock", error))?;
    let mut mapping =
        Mapping::new(&container, 0, frames, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
    mapping.as_mut_slice().iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    let start = clock::now();
    call(container.handle(), &BreakLocks { first_page: 0, pages: frames }, &[], NEVER)
        .map_err(|error| ("break", error))?;
    Ok(clock::now() - start)
}
