//! Makes deep trees of contracts that end at different moments.
//!
//! Laws 6 and 8: whatever terms are asked for on whatever level, nothing below lasts longer than what is above it, and the end
//! of a contract takes everything below along, with one walk of bounded depth. The task builds a chain as deep as it is let, each
//! level with a term of its own that is often longer than its parent's, or for ever, and with memory, pins and a grant. While the
//! terms run out it extends levels in the middle, shortens others to the least there is, and destroys some by hand
//! while they end anyway. A level that is there below one that is gone is a breach; so is one that outlives the term of any
//! level above.

use super::Attacker;
use super::outlives_term::{LATE_NS, TERM_MIN_NS, wait_for_return};
use crate::page::Page;
use crate::rest::Rest;
use alloc::vec::Vec;
use containers_api::{ContainerRights, LockMode};
use core::time::Duration;
use kernel_runtime::clock;
use kernel_runtime::containers::{Allowance, OwnContainer, OwnContract, Terms, contract_status};
use kernel_runtime::layout::CONTRACT;
use tests_guest::{Failed, Random};

/// Deeper than any tree may be.
const DEPTH: usize = 40;
/// Frames that each level keeps for itself.
const KEPT: u64 = 8;
/// Terms that are asked for, in nanoseconds; 0: for ever.
const TERMS: [u64; 6] = [0, TERM_MIN_NS, TERM_MIN_NS + 1, 2 * TERM_MIN_NS, 4 * TERM_MIN_NS, 1 << 60];
/// Between two looks.
const LOOK: Duration = Duration::from_millis(4);
/// Longest lock.
const LONG_NS: u64 = 60_000_000_000;

/// One round.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, .. } = attacker;
    let rest = Rest::new().map_err(|error| ("rest", error))?;
    let before = contract_status(CONTRACT).map_err(|error| ("status", error))?;
    let mut chain = grow(page, random)?;
    let end = clock::now() + 3 * TERM_MIN_NS;
    while clock::now() < end && !chain.is_empty() {
        let level = random.below(chain.len() as u64) as usize;
        match random.below(6) {
            0 | 1 => extend(page, random, &chain, level),
            2 => chain.truncate(level),
            _ => {}
        }
        if !look(page, &chain) {
            // The order of what is left is not known any more.
            break;
        }
        rest.rest(LOOK);
    }
    drop(chain);
    wait_for_return(page, &rest, &before)
}

/// A chain of contracts with something under each.
fn grow(page: &mut Page, random: &mut Random) -> Result<Vec<OwnContract>, Failed> {
    let own = contract_status(CONTRACT).map_err(|error| ("status", error))?;
    let mut frames = own.guaranteed.saturating_sub(own.pages + own.records + own.kernel + KEPT);
    let mut pins = own.pin_limit.min(frames);
    let (mut chain, mut above) = (Vec::<OwnContract>::new(), own.expires);
    for level in 0..DEPTH {
        let parent = chain.last().map_or(CONTRACT, OwnContract::handle);
        frames = frames.saturating_sub(KEPT);
        pins = pins.saturating_sub(2).min(frames);
        let allowance = Allowance { guaranteed: frames, extra_limit: 0, pin_limit: pins };
        let terms = Terms { term_ns: TERMS[random.below(TERMS.len() as u64) as usize], ..Terms::default() };
        let Some(child) = page.outcome(OwnContract::split_with(parent, &allowance, &terms, "level")) else {
            break;
        };
        if let Some(status) = page.outcome(child.status()) {
            let ends = status.expires;
            page.check(ends <= above, format_args!("level {level} ends at {ends}, above it {above}"));
            above = ends;
        }
        if let Some(container) = page.outcome(OwnContainer::under(child.handle(), 4)) {
            page.outcome(container.lock(0..1, LockMode::Dma, LONG_NS));
            page.outcome(container.grant(1..4, ContainerRights::LOCK, LONG_NS));
            let _ = container.keep();
        }
        chain.push(child);
    }
    page.check(chain.len() < DEPTH, format_args!("a tree of {DEPTH} levels"));
    Ok(chain)
}

/// Gives a level another term, which counts from now and ends with its parent's at the latest.
fn extend(page: &mut Page, random: &mut Random, chain: &[OwnContract], level: usize) {
    let parent = if level == 0 { CONTRACT } else { chain[level - 1].handle() };
    let above = contract_status(parent).map_or(0, |status| status.expires);
    let term_ns = TERMS[random.below(TERMS.len() as u64) as usize];
    page.must_refuse("a term that is too short", chain[level].extend(parent, 1));
    if page.outcome(chain[level].extend(parent, term_ns)).is_some()
        && let Some(status) = page.outcome(chain[level].status())
    {
        page.check(
            status.expires <= above,
            format_args!("level {level} ends at {}, its parent at {above}", status.expires),
        );
    }
}

/// Below a level that is gone, or should be, nothing is there. Whether the chain is whole still.
fn look(page: &mut Page, chain: &[OwnContract]) -> bool {
    let (mut gone, mut latest) = (false, u64::MAX);
    for (level, contract) in chain.iter().enumerate() {
        match page.outcome(contract.status()) {
            None => gone = true,
            Some(status) => {
                page.check(!gone, format_args!("level {level} is there, and one above it is gone"));
                latest = latest.min(status.expires);
                let late = clock::now().saturating_sub(latest);
                page.check(late < LATE_NS, format_args!("level {level} is {late} ns late"));
            }
        }
    }
    !gone
}
