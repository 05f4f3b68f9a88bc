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

use alloc::string::ToString;
use alloc::vec::Vec;
use containers_api::container::{BreakLocks, Grant, Revoke};
use containers_api::contract::{ContractStat, Watch};
use containers_api::control::Latency;
use containers_api::space::MapProtection;
use containers_api::{ContainerRights, LockMode};
use core::time::Duration;
use kernel_runtime::containers::OwnContainer;
use kernel_runtime::ipc::{call, call_for_capability};
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::memory::Mapping;
use kernel_runtime::notification::Notification;
use kernel_runtime::startup::Startup;
use kernel_runtime::{Deadline, Handle, clock};
use tests_guest::lent::{BESIDE, Lent, seizure, times};
use tests_guest::{Failed, Report};

kernel_runtime::program!(main);

/// Sizes that are measured.
const SIZES: [u64; 6] = [16, 64, 256, 1024, 4096, 16384];
/// Frames that all rounds of one size may take together, and the least and most rounds.
const ROUNDS_FRAMES: u64 = 1 << 16;
const ROUNDS_MIN: u64 = 5;
const ROUNDS_MAX: u64 = 101;
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
    report.line(format_args!("OPERATION                    FRAMES    MEDIAN      99 %     WORST  A FRAME"));
    for frames in SIZES.into_iter().filter(|frames| *frames + BESIDE <= room) {
        measure(report, "seizure, deadline to free", frames, || seizure(control, frames))?;
    }
    for frames in SIZES.into_iter().filter(|frames| *frames + BESIDE <= room) {
        measure(report, "call that is met, to free", frames, || met(control, frames))?;
    }
    measure(report, "grant", 1, || grant_and_revoke().map(|times| times.0))?;
    measure(report, "revoke", 1, || grant_and_revoke().map(|times| times.1))?;
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
    for _ in 0..(ROUNDS_FRAMES / frames).clamp(ROUNDS_MIN, ROUNDS_MAX) {
        times.push(once()?);
    }
    times.sort_unstable();
    let median = times[times.len() / 2];
    let (late, worst) = (times[(times.len() - 1) * 99 / 100], times[times.len() - 1]);
    let each = median / frames;
    report.line(format_args!("{what:28} {frames:6} {median:9} {late:9} {worst:9} {each:8}"));
    Ok(())
}

/// From the request that brings a call about to the frames being free, where the client gives them back as soon as it is
/// told.
fn met(control: Handle, frames: u64) -> Result<u64, Failed> {
    let lent = Lent::new(frames)?;
    let called = Notification::new().map_err(|error| ("notification", error))?;
    let signaller = called.signaller(1).map_err(|error| ("signaller", error))?;
    call(lent.child.handle(), &Watch {}, &[signaller.handle()], NEVER).map_err(|error| ("watch", error))?;
    let earlier = times(control, Latency::Call)?;
    let start = clock::now();
    lent.take_back()?;
    called.wait(Deadline::after(Duration::from_millis(1))).map_err(|error| ("no call", error))?;
    lent.container.deallocate(0..lent.asked).map_err(|error| ("giving back", error))?;
    let took = clock::now() - start;
    if times(control, Latency::Call)?.count == earlier.count {
        return Err(Failed("the call is not met".to_string()));
    }
    Ok(took)
}

/// What granting one page costs, and revoking the grant.
fn grant_and_revoke() -> Result<(u64, u64), Failed> {
    let container = OwnContainer::new(1).map_err(|error| ("container", error))?;
    let request = Grant { first_page: 0, pages: 1, rights: RIGHTS, maximum_lock_ns: u64::MAX };
    let start = clock::now();
    let (_, grant) =
        call_for_capability(container.handle(), &request, &[], NEVER).map_err(|error| ("grant", error))?;
    let granted = clock::now();
    call(container.handle(), &Revoke { break_locks: false }, &[grant.handle()], NEVER)
        .map_err(|error| ("revoke", error))?;
    Ok((granted - start, clock::now() - granted))
}

/// What it costs an owner to take a range back from the holder of a fill lock, who has it mapped.
fn break_lock(frames: u64) -> Result<u64, Failed> {
    let container = OwnContainer::new(frames).map_err(|error| ("container", error))?;
    container.allocate(0..frames, true).map_err(|error| ("allocate", error))?;
    container.lock(0..frames, LockMode::Fill, 1_000_000_000).map_err(|error| ("lock", error))?;
    let mut mapping =
        Mapping::new(&container, 0, frames, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
    mapping.as_mut_slice().iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    let start = clock::now();
    call(container.handle(), &BreakLocks { first_page: 0, pages: frames }, &[], NEVER)
        .map_err(|error| ("break", error))?;
    Ok(clock::now() - start)
}
