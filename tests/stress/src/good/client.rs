//! Lends memory to the server that lies (`misbehaving::lies`) and takes it back.
//!
//! Law 7: the owner always gets the range back, by unlock, break, expiry or the holder's death, and what the server was not
//! lent stays untouched. Each round: a pattern over the whole container, a grant on its middle, a call with a deadline;
//! then the range is taken back by breaking locks and revoking the grant, and from that moment on the bytes must not
//! change any more; the pages outside the grant must hold the pattern throughout. Processor time is lent with a call too: when
//! the call is over the server works at the client's cost no longer.

use crate::misbehaving::lies::{SERVICE, Serve};
use crate::page::Page;
use crate::rest::Rest;
use alloc::string::ToString;
use containers_api::ContainerRights;
use containers_api::space::MapProtection;
use core::ops::Range;
use core::time::Duration;
use kernel_abi::FRAME_BYTES;
use kernel_abi::schedule::Figure;
use kernel_runtime::containers::OwnContainer;
use kernel_runtime::ipc::call;
use kernel_runtime::layout::SCHEDULE;
use kernel_runtime::memory::Mapping;
use kernel_runtime::startup::Startup;
use kernel_runtime::{Deadline, Handle, clock, syscall};
use tests_guest::{Failed, Random};
use tests_stress_core::tally::Counter;

/// Pages of the container.
const PAGES: u64 = 12;
/// The part that is lent.
const LENT: Range<u64> = 4..8;
/// Longest lock.
const LOCK_NS: u64 = 20_000_000;
/// How long the server may take.
const ANSWER: Duration = Duration::from_millis(40);
/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(5);
/// Rest after a call that was not answered, in which nobody works for the client.
const SILENCE: Duration = Duration::from_millis(20);
/// Processor time that going to rest and waking up take at most, with what the host adds, as a rule.
const WAKING_NS: u64 = 5_000_000;
/// Rests in a row in which more is used only if somebody works at the client's cost: no busy host explains so many.
const SILENCES: u32 = 5;

/// The client.
pub fn run(startup: &Startup<'static>, page: &mut Page, random: &mut Random) -> Result<(), Failed> {
    let server = startup.capability(SERVICE).ok_or(Failed("no server".to_string()))?;
    let rest = Rest::new().map_err(|error| ("rest", error))?;
    loop {
        if !one_round(server, page, random)? {
            let is_billed = is_billed(&rest)?;
            page.check(!is_billed, format_args!("time that was lent is used after the call"));
        }
        rest.rest(PAUSE);
    }
}

/// Whether somebody works at the client's cost while it rests.
fn is_billed(rest: &Rest) -> Result<bool, Failed> {
    let used = || syscall::schedule_read(SCHEDULE, Figure::Used);
    let used = || used().map_err(|_| Failed("its schedule cannot be read".to_string()));
    for _ in 0..SILENCES {
        let before = used()?;
        rest.rest(SILENCE);
        if used()? - before <= WAKING_NS {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the server has answered.
fn one_round(server: Handle, page: &mut Page, random: &mut Random) -> Result<bool, Failed> {
    let container = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
    let mut mapping =
        Mapping::new(&container, 0, PAGES, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
    let pattern = random.number() as u8 | 1;
    mapping.as_mut_slice().fill(pattern);
    let rights =
        ContainerRights::LOCK | ContainerRights::FILL | ContainerRights::MAP | ContainerRights::WRITE;
    let grant = container.grant(LENT, rights, LOCK_NS).map_err(|error| ("grant", error))?;
    let before = container.status().map_err(|error| ("status", error))?.version;
    let answer = page.outcome(call(server, &Serve {}, &[grant.handle()], Deadline::after(ANSWER)));

    let start = clock::ticks();
    let by_expiry = random.below(2) == 0;
    if by_expiry {
        // Waits for the end of the locks, which cannot be further than the grant allows.
        let revoked = container.revoke(&grant, false);
        revoked.map_err(|error| ("revoking", error))?;
    } else {
        container.break_locks(LENT).map_err(|error| ("breaking locks", error))?;
        container.revoke(&grant, true).map_err(|error| ("revoking", error))?;
    }
    page.record(clock::ticks() - start);
    check_back(page, &container, &mut mapping, pattern, before)?;
    Ok(answer.is_some())
}

/// The range is back: writable, and nobody else writes to it.
fn check_back(
    page: &mut Page,
    container: &OwnContainer,
    mapping: &mut Mapping,
    pattern: u8,
    before: u64,
) -> Result<(), Failed> {
    let status = container.status().map_err(|error| ("status", error))?;
    page.check(status.locks == 0, format_args!("{} locks outlive the grant", status.locks));
    page.check(status.version >= before, format_args!("the version went back"));
    let lent = bytes_of(LENT);
    let mine = |range: Range<usize>, mapping: &Mapping| {
        mapping.as_slice()[range].iter().all(|byte| *byte == pattern)
    };
    let end = mapping.bytes();
    let outside = mine(0..lent.start, mapping) && mine(lent.end..end, mapping);
    page.check(outside, format_args!("the server wrote outside of what it was lent"));
    let again = pattern.wrapping_add(2);
    mapping.as_mut_slice()[lent.clone()].fill(again);
    syscall::yield_now();
    let stays = mapping.as_slice()[lent].iter().all(|byte| *byte == again);
    page.check(stays, format_args!("somebody writes to what was taken back"));
    page.count(Counter::Met);
    Ok(())
}

fn bytes_of(pages: Range<u64>) -> Range<usize> {
    (pages.start * FRAME_BYTES) as usize..(pages.end * FRAME_BYTES) as usize
}
