//! Hands guarantees down, takes them back and merges contracts, all of it wrongly.
//!
//! Laws 2 and 4: a guarantee is part of exactly one contract, and the sum of all never changes, whatever is moved where and by
//! how many at once; pins stay covered, and what is firm stays within the guarantee. The task splits off a child and a
//! grandchild, gives both something that cannot be taken back (records, pages pinned for a device), and then asks for what must be
//! refused: more than there is, with numbers that wrap, to itself, to what is not its child, from below what is firm.
//! It takes back guarantee that the child's pages lie on, which the child does nothing about: they must be gone in time.
//! Two threads move guarantee back and forth over the same pair. Then it merges while locks are in force, twice, upwards,
//! into itself, and a contract whose term is about to end; what was merged must stay, and nothing may fire for it later.

use super::Attacker;
use super::outlives_term::{TERM_MIN_NS, wait_for_return};
use crate::page::Page;
use crate::rest::Rest;
use alloc::sync::Arc;
use containers_api::contract::{ContractStatus, HandDown, Merge, TakeBack};
use containers_api::{ContainerRights, LockMode};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use kernel_runtime::containers::{
    Allowance, Container, MemoryCallError, OwnContainer, OwnContract, Terms, contract_status,
};
use kernel_runtime::ipc::call;
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::{Deadline, Handle, clock, threads};
use tests_guest::{Failed, Random};

/// What the child may have.
const CHILD: Allowance = Allowance { guaranteed: 64, extra_limit: 0, pin_limit: 16 };
/// What the grandchild may have.
const GRANDCHILD: Allowance = Allowance { guaranteed: 24, extra_limit: 0, pin_limit: 6 };
/// Pages that each of them pins.
const PINNED: u64 = 4;
/// Pages that lie on a guarantee of which half of them is taken back.
const SQUEEZED: u64 = 16;
/// By then what nothing guarantees any more is gone; a hundred times the grace of a call, as the host may be busy.
const SQUEEZE_NS: u64 = 2_000_000_000;
/// Moves of each thread.
const MOVES: u64 = 24;
/// Longest lock.
const LONG_NS: u64 = 60_000_000_000;
/// Between two looks whether the other thread is done.
const LOOK: Duration = Duration::from_millis(1);

/// The pair, and what they hold.
struct Family {
    child: OwnContract,
    grandchild: OwnContract,
    holdings: [OwnContainer; 2],
}

/// One round.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, .. } = attacker;
    let rest = Rest::new().map_err(|error| ("rest", error))?;
    let before = contract_status(CONTRACT).map_err(|error| ("status", error))?;
    let family = found(random)?;
    move_too_much(page, &family);
    move_elsewhere(page, &family);
    squeeze(page, &rest, &family.child)?;
    race(page, random, &rest, &family, &before)?;
    merge_wrongly(page, &family);
    merge(page, random, &rest, &family)?;
    drop(family);
    wait_for_return(page, &rest, &before)
}

/// A child that may end soon, a grandchild, and something in each that cannot be taken back.
fn found(random: &mut Random) -> Result<Family, Failed> {
    let term_ns = if random.below(2) == 0 { TERM_MIN_NS } else { 0 };
    let terms = Terms { term_ns: term_ns * 20, ..Terms::default() };
    let child =
        OwnContract::split_with(CONTRACT, &CHILD, &terms, "child").map_err(|error| ("split", error))?;
    let grandchild =
        OwnContract::split(child.handle(), &GRANDCHILD, "grandchild").map_err(|error| ("split", error))?;
    let hold = |contract: &OwnContract| -> Result<OwnContainer, MemoryCallError> {
        let container = OwnContainer::under(contract.handle(), 2 * PINNED)?;
        container.allocate(0..2 * PINNED, false)?;
        container.lock(0..PINNED, LockMode::Dma, LONG_NS)?;
        Ok(container)
    };
    let holdings = [
        hold(&child).map_err(|error| ("holding", error))?,
        hold(&grandchild).map_err(|error| ("holding", error))?,
    ];
    Ok(Family { child, grandchild, holdings })
}

/// Numbers beyond what there is.
fn move_too_much(page: &mut Page, family: &Family) {
    let child = &family.child;
    for (frames, pins) in
        [(u64::MAX, 0), (0, u64::MAX), (1 << 63, 1 << 63), (u64::MAX, u64::MAX), (1 << 40, 0)]
    {
        page.must_refuse("handing down what nobody has", child.hand_down(CONTRACT, frames, pins));
        page.must_refuse("taking back what nobody has", child.take_back(CONTRACT, frames, pins));
    }
    page.must_refuse("more pins than guarantee", child.hand_down(CONTRACT, 0, CHILD.guaranteed));
    let Some(status) = page.outcome(child.status()) else { return };
    let firm = status.records + status.kernel + status.pinned + status.vital;
    page.must_refuse("all there is", child.take_back(CONTRACT, status.guaranteed, 0));
    page.must_refuse("a frame that is firm", child.take_back(CONTRACT, status.guaranteed - firm + 1, 0));
    page.must_refuse("pins that are in use", child.take_back(CONTRACT, 0, status.pin_limit - PINNED + 1));
    page.must_refuse(
        "a guarantee handed on already",
        child.take_back(CONTRACT, status.guaranteed + status.handed_on, 0),
    );
}

/// To and from contracts that are nobody's child, or somebody else's.
fn move_elsewhere(page: &mut Page, family: &Family) {
    let (child, grandchild) = (&family.child, &family.grandchild);
    page.must_refuse("handing down to a grandchild", grandchild.hand_down(CONTRACT, 1, 0));
    page.must_refuse("taking from a grandchild", grandchild.take_back(CONTRACT, 1, 0));
    page.must_refuse("handing down to oneself", child.hand_down(child.handle(), 1, 0));
    let upwards = HandDown { guaranteed: 1, pin_limit: 0 };
    page.must_refuse(
        "handing down to a parent",
        call(child.handle(), &upwards, &[CONTRACT], Deadline::NEVER),
    );
    let upwards = TakeBack { guaranteed: 1, pin_limit: 0 };
    page.must_refuse("taking from a parent", call(child.handle(), &upwards, &[CONTRACT], Deadline::NEVER));
    let container = family.holdings[0].handle();
    page.must_refuse("taking from a container", call(CONTRACT, &upwards, &[container], Deadline::NEVER));
}

/// Takes back guarantee that the child's pages lie on. It may hold nothing extra and does not answer calls: they are seized.
fn squeeze(page: &mut Page, rest: &Rest, child: &OwnContract) -> Result<(), Failed> {
    let plain = OwnContainer::under(child.handle(), SQUEEZED).map_err(|error| ("plain container", error))?;
    plain.allocate(0..SQUEEZED, false).map_err(|error| ("plain pages", error))?;
    let status = child.status().map_err(|error| ("status", error))?;
    let held = status.pages + status.records + status.kernel;
    let taken = status.guaranteed - (held - SQUEEZED / 2);
    if page.outcome(child.take_back(CONTRACT, taken, 0)).is_none() {
        return Ok(());
    }
    let since = clock::now();
    loop {
        let status = child.status().map_err(|error| ("status", error))?;
        let held = status.pages + status.records + status.kernel;
        let is_over = clock::now().saturating_sub(since) > SQUEEZE_NS;
        if held <= status.guaranteed || is_over {
            page.check(held <= status.guaranteed, format_args!("{held} held of {}", status.guaranteed));
            break;
        }
        rest.rest(LOOK);
    }
    drop(plain);
    page.outcome(child.hand_down(CONTRACT, taken, 0));
    Ok(())
}

/// Moves guarantee back and forth from two threads; whatever is granted, the sum stays what it was.
fn race(
    page: &mut Page,
    random: &mut Random,
    rest: &Rest,
    family: &Family,
    before: &ContractStatus,
) -> Result<(), Failed> {
    let child = family.child.handle();
    let done = Arc::new(AtomicBool::new(false));
    let other = done.clone();
    let mut numbers = Random::new(random.number());
    threads::spawn(2, move || {
        for _ in 0..MOVES {
            let _ = move_some(child, &mut numbers);
        }
        other.store(true, Ordering::Release);
    })
    .map_err(|error| ("thread", error))?;
    for _ in 0..MOVES {
        page.outcome(move_some(child, random));
    }
    while !done.load(Ordering::Acquire) {
        rest.rest(LOOK);
    }
    let sum = |of: fn(&ContractStatus) -> u64| -> Result<u64, Failed> {
        let all = [contract_status(CONTRACT), family.child.status(), family.grandchild.status()];
        let mut total = 0;
        for status in all {
            total += of(&status.map_err(|error| ("status", error))?);
        }
        Ok(total)
    };
    let (frames, pins) = (sum(|status| status.guaranteed)?, sum(|status| status.pin_limit)?);
    page.check(frames == before.guaranteed, format_args!("{frames} frames of {}", before.guaranteed));
    page.check(pins == before.pin_limit, format_args!("{pins} pins of {}", before.pin_limit));
    Ok(())
}

/// Moves a little of the guarantee, with or without pins, down or back.
fn move_some(child: Handle, random: &mut Random) -> Result<(), MemoryCallError> {
    let (guaranteed, pin_limit) = (random.below(6), random.below(3));
    match random.below(2) {
        0 => call(CONTRACT, &HandDown { guaranteed, pin_limit }, &[child], Deadline::NEVER).map(drop),
        _ => call(CONTRACT, &TakeBack { guaranteed, pin_limit }, &[child], Deadline::NEVER).map(drop),
    }
}

/// Merges of what is not a child.
fn merge_wrongly(page: &mut Page, family: &Family) {
    let (child, grandchild) = (&family.child, &family.grandchild);
    page.must_refuse("merging a grandchild", grandchild.merge(CONTRACT));
    page.must_refuse("merging oneself", child.merge(child.handle()));
    page.must_refuse("merging a parent", call(child.handle(), &Merge {}, &[CONTRACT], Deadline::NEVER));
}

/// Merges one into the other, or both into the task's own, with locks in force and a term that runs.
fn merge(page: &mut Page, random: &mut Random, rest: &Rest, family: &Family) -> Result<(), Failed> {
    let Family { child, grandchild, holdings } = family;
    let rights = ContainerRights::LOCK | ContainerRights::FILL;
    let grant: Container =
        holdings[1].grant(PINNED..2 * PINNED, rights, LONG_NS).map_err(|error| ("grant", error))?;
    page.outcome(grant.lock(0..1, LockMode::Fill, LONG_NS));
    let inner_first = random.below(2) == 0;
    if inner_first {
        page.outcome(grandchild.merge(child.handle()));
    }
    page.outcome(child.merge(CONTRACT));
    page.must_refuse("a contract that was merged", child.status());
    page.must_refuse("merging twice", child.merge(CONTRACT));
    page.must_refuse("handing down to what was merged", child.hand_down(CONTRACT, 1, 0));
    if !inner_first {
        page.outcome(grandchild.merge(CONTRACT));
    }
    page.must_refuse("a grandchild that was merged", grandchild.take_back(CONTRACT, 1, 0));
    if random.below(8) == 0 {
        // Its term would be over by then.
        rest.rest(Duration::from_nanos(21 * TERM_MIN_NS));
    }
    for container in holdings {
        let status = container.status().map_err(|error| ("what was merged", error))?;
        // What was beyond a guarantee that was taken back may have been seized before; it says so.
        let stays = (status.present + status.lost, status.locks > 0) == (2 * PINNED, true);
        page.check(stays, format_args!("{} pages, {} locks were merged", status.present, status.locks));
    }
    Ok(())
}
