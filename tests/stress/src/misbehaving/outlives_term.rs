//! Lets a contract run out while everything under it is in use.
//!
//! Laws 6 and 7: a contract with a term is there until its end and gone soon after it, whatever is done with it meanwhile. The
//! task splits one off for some tens of milliseconds and then holds on to it in every way it knows: pages pinned for a
//! device, locks through a grant whose terms are far longer, a lock passed on, a mapping in use and a thread that
//! waits in a page fault for a lock, a child contract that was to last for ever. It extends the contract by itself (which only
//! its parent may), or as its parent does at the last moment, more than once. When the end has come every capability
//! must name nothing, and the whole guarantee and pin limit must be the task's again.

use super::Attacker;
use crate::page::Page;
use crate::rest::Rest;
use containers_api::contract::ContractStatus;
use containers_api::space::MapProtection;
use containers_api::{ContainerRights, LockMode};
use core::hint::black_box;
use core::time::Duration;
use kernel_runtime::containers::{Allowance, Container, OwnContainer, OwnContract, Terms, contract_status};
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::memory::Mapping;
use kernel_runtime::{Capability, clock, threads};
use tests_guest::{Failed, Random};

/// Shortest term that a contract may have.
pub const TERM_MIN_NS: u64 = 40_000_000;
/// What an end may be late by, however busy the machine is.
pub const LATE_NS: u64 = 2_000_000_000;
/// Longest term of anything.
const LONG_NS: u64 = 60_000_000_000;
/// What the contract may have.
const ALLOWANCE: Allowance = Allowance { guaranteed: 48, extra_limit: 0, pin_limit: 16 };
/// Pages of the container; a quarter each is pinned, locked through the grant, passed on, and left alone.
const PAGES: u64 = 16;
/// Between two looks whether the contract is gone.
const LOOK: Duration = Duration::from_millis(3);

/// What holds on to the contract.
struct Holdings {
    container: Container,
    grant: Container,
    passed: Option<Capability>,
    child: OwnContract,
}

/// One round.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, .. } = attacker;
    let rest = Rest::new().map_err(|error| ("rest", error))?;
    let before = contract_status(CONTRACT).map_err(|error| ("status", error))?;
    let term_ns = TERM_MIN_NS + random.below(TERM_MIN_NS);
    let terms = Terms { term_ns, ..Terms::default() };
    let contract = OwnContract::split_with(CONTRACT, &ALLOWANCE, &terms, "termed");
    let contract = contract.map_err(|error| ("split", error))?;
    let status = contract.status().map_err(|error| ("status", error))?;
    let latest = clock::now() + term_ns;
    page.check(status.expires <= latest, format_args!("it ends at {}, not {latest}", status.expires));
    let held = hold(page, random, &contract)?;
    page.must_refuse("a term from oneself", contract.extend(contract.handle(), LONG_NS));
    page.must_refuse("a term of a grandchild", held.child.extend(CONTRACT, LONG_NS));
    page.outcome(held.child.extend(contract.handle(), LONG_NS));
    if let Some(child) = page.outcome(held.child.status()) {
        page.check(child.expires <= status.expires, format_args!("a child ends at {}", child.expires));
    }
    wait_for_end(page, random, &rest, &contract)?;
    check_gone(page, &held);
    wait_for_return(page, &rest, &before)
}

/// Takes hold of the contract.
fn hold(page: &mut Page, random: &mut Random, contract: &OwnContract) -> Result<Holdings, Failed> {
    let quarter = PAGES / 4;
    let container =
        OwnContainer::under(contract.handle(), PAGES).map_err(|error| ("container", error))?.keep();
    page.outcome(container.allocate(0..PAGES, false));
    page.outcome(container.lock(0..quarter, LockMode::Dma, LONG_NS));
    let rights = ContainerRights::LOCK | ContainerRights::FILL | ContainerRights::MAP;
    let grant = container.grant(quarter..PAGES, rights, LONG_NS).map_err(|error| ("grant", error))?;
    page.outcome(grant.lock(0..quarter, LockMode::Fill, LONG_NS));
    let locked = page.outcome(grant.lock(quarter..2 * quarter, LockMode::Fill, LONG_NS));
    let passed = locked.and_then(|locked| page.outcome(grant.lock_pass(locked.lock, LockMode::Dma, LONG_NS)));
    let mapping =
        Mapping::new(&container, 0, PAGES, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
    if random.below(4) == 0 {
        // It waits for the lock, and ends with the contract, for nothing is mapped there any more.
        let first = (quarter * kernel_abi::FRAME_BYTES) as usize;
        let bytes = mapping.leak();
        let touch = move || {
            black_box(bytes[first]);
        };
        threads::spawn(2, touch).map_err(|error| ("thread", error))?;
    }
    let allowance = Allowance { guaranteed: 8, extra_limit: 0, pin_limit: 2 };
    let child =
        OwnContract::split(contract.handle(), &allowance, "child").map_err(|error| ("child", error))?;
    if let Some(below) = page.outcome(OwnContainer::under(child.handle(), 2)) {
        page.outcome(below.lock(0..2, LockMode::Dma, LONG_NS));
        let _ = below.keep();
    }
    Ok(Holdings { container, grant, passed: passed.map(|(_, capability)| capability), child })
}

/// Waits until the contract is gone. Not before its end, nor long after it.
fn wait_for_end(
    page: &mut Page,
    random: &mut Random,
    rest: &Rest,
    contract: &OwnContract,
) -> Result<(), Failed> {
    let mut expires = contract.status().map_or(0, |status| status.expires);
    let mut extensions = random.below(3);
    loop {
        let now = clock::now();
        let near = expires.saturating_sub(now) < 2 * LOOK.as_nanos() as u64;
        // At the last moment: either it is granted, or the contract has ended.
        if near && extensions > 0 && page.outcome(contract.extend(CONTRACT, TERM_MIN_NS)).is_some() {
            extensions -= 1;
            expires = now + TERM_MIN_NS;
        }
        match page.outcome(contract.status()) {
            Some(status) => {
                expires = status.expires;
                let late = clock::now().saturating_sub(expires);
                if !page.check(late < LATE_NS, format_args!("a contract is there {late} ns after its end")) {
                    return Ok(());
                }
            }
            None => {
                let now = clock::now();
                page.check(now >= expires, format_args!("a contract until {expires} is gone at {now}"));
                return Ok(());
            }
        }
        rest.rest(LOOK);
    }
}

/// Nothing under the contract can be used any more.
fn check_gone(page: &mut Page, held: &Holdings) {
    page.must_refuse("a container whose contract has ended", held.container.allocate(0..1, false));
    page.must_refuse("a grant whose contract has ended", held.grant.lock(12..13, LockMode::Stable, LONG_NS));
    page.must_refuse("a child whose parent has ended", held.child.status());
    page.must_refuse(
        "a child of what has ended",
        OwnContract::split(held.child.handle(), &ALLOWANCE, "late"),
    );
    if let Some(passed) = &held.passed {
        page.must_refuse(
            "a lock whose contract has ended",
            kernel_runtime::containers::examine(passed.handle()),
        );
    }
}

/// All that was handed on is the task's again, in bounded time.
pub fn wait_for_return(page: &mut Page, rest: &Rest, before: &ContractStatus) -> Result<(), Failed> {
    let end = clock::now() + LATE_NS;
    loop {
        let now = contract_status(CONTRACT).map_err(|error| ("status", error))?;
        let is_back = now.guaranteed == before.guaranteed && now.pin_limit == before.pin_limit;
        if is_back && now.handed_on == before.handed_on {
            page.check(true, format_args!(""));
            return Ok(());
        }
        if clock::now() > end {
            page.check(false, format_args!("{} frames of a contract are not back", now.handed_on));
            return Ok(());
        }
        rest.rest(LOOK);
    }
}
