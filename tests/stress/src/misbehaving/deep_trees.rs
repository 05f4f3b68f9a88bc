//! Makes deep and wide trees of contracts.
//!
//! Laws 5 and 8: a walk up the tree is bounded by its depth (`CONTRACT_DEPTH_MAX`), every contract is a record that its
//! parent pays for, and destroying the top takes everything below back. Each contract of a chain holds some memory, so that
//! the end of the chain has something to destroy. Guarantee and what was handed on must add up at every step.

use super::Attacker;
use alloc::vec::Vec;
use kernel_runtime::containers::{Allowance, Container, OwnContainer, OwnContract, contract_status};
use kernel_runtime::layout::CONTRACT;
use tests_guest::Failed;

/// Deeper than any tree may be.
const DEPTH: u64 = 40;
/// Frames that each contract keeps for itself.
const KEPT: u64 = 5;
/// Children of one contract.
const WIDTH: u64 = 60;

/// One round.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let before = contract_status(CONTRACT).map_err(|error| ("status", error))?;
    if attacker.random.below(2) == 0 {
        grow_deep(attacker)?
    } else {
        grow_wide(attacker)
    }
    let after = contract_status(CONTRACT).map_err(|error| ("status", error))?;
    let same = (before.guaranteed, before.pin_limit) == (after.guaranteed, after.pin_limit);
    let page = &mut attacker.page;
    page.check(
        same && after.handed_on == 0,
        format_args!("the tree is gone, {} frames are not back", after.handed_on),
    );
    Ok(())
}

fn grow_deep(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, .. } = attacker;
    let mut chain: Vec<OwnContract> = Vec::new();
    let mut containers: Vec<Container> = Vec::new();
    let own = contract_status(CONTRACT).map_err(|error| ("status", error))?;
    let mut frames = (own.guaranteed - own.pages - own.records - own.kernel).saturating_sub(KEPT);
    for level in 0..DEPTH {
        let parent = chain.last().map_or(CONTRACT, OwnContract::handle);
        frames = frames.saturating_sub(KEPT);
        let allowance = Allowance { guaranteed: frames, extra_limit: 0, pin_limit: 0 };
        let Some(child) = page.outcome(OwnContract::split(parent, &allowance, "chain")) else { break };
        if let Some(container) = page.outcome(OwnContainer::under(child.handle(), 16)) {
            page.outcome(container.allocate(0..1 + level % 2, false));
            containers.push(container.keep());
        }
        chain.push(child);
    }
    page.check((chain.len() as u64) < DEPTH, format_args!("a tree of {DEPTH} levels"));
    // The top goes first, or a random one; what is below goes with it.
    while !chain.is_empty() {
        drop(chain.swap_remove(random.below(chain.len() as u64) as usize));
    }
    for container in &containers {
        page.must_refuse("a container of a contract that is gone", container.status());
    }
    Ok(())
}

fn grow_wide(attacker: &mut Attacker) {
    let page = &mut attacker.page;
    let allowance = Allowance { guaranteed: 3, extra_limit: 0, pin_limit: 0 };
    let split = || OwnContract::split(CONTRACT, &allowance, "leaf");
    let leaves: Vec<OwnContract> = (0..WIDTH).map_while(|_| page.outcome(split())).collect();
    drop(leaves);
}
