//! Shares frames to ride on others' accounts.
//!
//! Laws 1 and 2: a present page costs its contract one, shared or not; a copy is charged to each holder. The task copies the
//! same pages logically into one container after the other, moves them between a child's contract and its own, and gives
//! originals back; after each step the charges must be the sum of what is present. Writing to a copy must not change the
//! others. Another capability to the same container must cost nobody anything and die with it.

use super::Attacker;
use crate::page::Page;
use alloc::vec::Vec;
use containers_api::ContainerRights;
use containers_api::space::MapProtection;
use kernel_abi::FRAME_BYTES;
use kernel_runtime::containers::{Allowance, OwnContainer, OwnContract, contract_status};
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::memory::Mapping;
use tests_guest::Failed;

/// Pages that are shared.
const PAGES: u64 = 8;
/// Copies tried.
const COPIES: u64 = 40;
/// The child's.
const ALLOWANCE: Allowance = Allowance { guaranteed: 40, extra_limit: 0, pin_limit: 0 };

fn charged() -> Result<u64, Failed> {
    Ok(contract_status(CONTRACT).map_err(|error| ("status", error))?.pages)
}

/// One round.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let page = &mut attacker.page;
    let original = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
    Mapping::new(&original, 0, PAGES, MapProtection::WRITE)
        .map_err(|error| ("mapping", error))?
        .as_mut_slice()
        .fill(1);
    let before = charged()?;
    let copies = copy_often(page, &original)?;
    let expected = before + copies.len() as u64 * PAGES;
    let now = charged()?;
    page.check(now == expected, format_args!("{now} pages are charged, {expected} are present"));
    write_one(page, &copies)?;
    drop(original);
    let now = charged()?;
    page.check(now == expected - PAGES, format_args!("{now} pages charged after the original has gone"));
    move_to_child(page, &copies)?;
    share(page)
}

fn copy_often(page: &mut Page, original: &OwnContainer) -> Result<Vec<OwnContainer>, Failed> {
    let mut copies = Vec::new();
    for _ in 0..COPIES {
        let Some(copy) = page.outcome(OwnContainer::new(PAGES)) else { break };
        if page.outcome(original.copy_to(0, &copy, 0, PAGES * FRAME_BYTES)).is_none() {
            // Half a copy may be there; it goes with its container.
            break;
        }
        copies.push(copy);
    }
    Ok(copies)
}

/// A write to the first copy is seen there alone.
fn write_one(page: &mut Page, copies: &[OwnContainer]) -> Result<(), Failed> {
    let [first, second, ..] = copies else { return Ok(()) };
    let mapped = |copy: &OwnContainer| Mapping::new(copy, 0, PAGES, MapProtection::WRITE);
    let (Some(mut first), Some(second)) = (page.outcome(mapped(first)), page.outcome(mapped(second))) else {
        return Ok(());
    };
    first.as_mut_slice().fill(2);
    let unchanged = second.as_slice().iter().all(|byte| *byte == 1);
    page.check(unchanged, format_args!("a write to one copy is seen in another"));
    Ok(())
}

/// Moved pages are charged to whom they were moved to, and nobody else.
fn move_to_child(page: &mut Page, copies: &[OwnContainer]) -> Result<(), Failed> {
    let Some(copy) = copies.last() else { return Ok(()) };
    let Some(child) = page.outcome(OwnContract::split(CONTRACT, &ALLOWANCE, "ridden")) else { return Ok(()) };
    let Some(container) = page.outcome(OwnContainer::under(child.handle(), PAGES)) else { return Ok(()) };
    let before = charged()?;
    if page.outcome(copy.move_to(0..PAGES, &container, 0)).is_some() {
        let (own, theirs) = (charged()?, child.status().map_err(|error| ("status", error))?.pages);
        page.check(
            own + PAGES == before && theirs == PAGES,
            format_args!("{before} pages before a move, then {own} and {theirs}"),
        );
    }
    Ok(())
}

/// Another capability to the same container: no charge, and no life of its own.
fn share(page: &mut Page) -> Result<(), Failed> {
    let container = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
    let Some(shared) = page.outcome(container.share(ContainerRights::all())) else { return Ok(()) };
    let before = charged()?;
    if page.outcome(shared.allocate(0..PAGES, false)).is_some() {
        let now = charged()?;
        page.check(now == before + PAGES, format_args!("{now} pages charged, not {}", before + PAGES));
    }
    drop(container);
    page.must_refuse("a share of a container that is gone", shared.status());
    Ok(())
}
