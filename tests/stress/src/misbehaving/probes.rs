//! Looks for other tasks' data in every frame it gets.
//!
//! Law 3: no byte of one principal is ever readable by another. The good witnesses fill their memory with words that nobody
//! else writes, give it back and take it again, are ended and started anew, so that their frames go round. This task takes
//! frames in every way there is and reads all of each: fresh pages, pages for which any contents would do, pages of a lock
//! that nobody filled, pages of a lock that was broken, unfilled tails, what a refused copy leaves, its message buffer and
//! stack. A secret in any of them is a breach, and so is anything but zero where zeros were promised.

use super::Attacker;
use crate::good::is_secret;
use crate::page::Page;
use containers_api::space::MapProtection;
use containers_api::{ContainerRights, LockMode};
use kernel_abi::FRAME_BYTES;
use kernel_runtime::containers::OwnContainer;
use kernel_runtime::memory::Mapping;
use tests_guest::Failed;
use tests_stress_core::tally::Counter;

/// Pages that are looked at in one round.
const PAGES: u64 = 48;
/// Term of a lock.
const TERM_NS: u64 = 1_000_000_000;

/// One round.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, .. } = attacker;
    let container = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
    let all = 0..PAGES;
    let what = match random.below(6) {
        0 => {
            page.outcome(container.allocate(all.clone(), false));
            "fresh pages"
        }
        1 => {
            page.outcome(container.allocate(all.clone(), true));
            "pages of any contents"
        }
        2 => {
            // Claims to have filled what no device wrote.
            let locked = page.outcome(container.lock(all.clone(), LockMode::Dma, TERM_NS));
            locked.and_then(|locked| page.outcome(container.unlock(locked.lock, PAGES * FRAME_BYTES)));
            "pages of a dma lock"
        }
        3 => {
            page.outcome(container.lock(all.clone(), LockMode::Dma, TERM_NS));
            page.outcome(container.break_locks(all.clone()));
            "pages of a broken lock"
        }
        4 => {
            let rights = ContainerRights::LOCK | ContainerRights::FILL | ContainerRights::MAP;
            let Some(grant) = page.outcome(container.grant(all.clone(), rights, TERM_NS)) else {
                return Ok(());
            };
            let locked = page.outcome(grant.lock(all.clone(), LockMode::Fill, TERM_NS));
            if let Some(mapping) = page.outcome(Mapping::new(&grant, 0, PAGES, MapProtection::empty())) {
                look(page, &mapping, "pages under a fill lock");
            }
            locked.and_then(|locked| page.outcome(grant.unlock(locked.lock, 100)));
            "pages with an unfilled tail"
        }
        _ => {
            // Absent pages come by faults, and some by a copy of absent ones.
            let other = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
            page.outcome(other.copy_to(8, &container, 100, PAGES * FRAME_BYTES / 2));
            "pages that come by faults"
        }
    };
    if let Some(mapping) = page.outcome(Mapping::new(&container, 0, PAGES, MapProtection::empty())) {
        look(page, &mapping, what);
    }
    Ok(())
}

/// Reads every word. The task itself writes nothing, so all must be zero.
fn look(page: &mut Page, mapping: &Mapping, what: &str) {
    let words = mapping.as_slice().as_chunks::<8>().0;
    let odd = words.iter().map(|word| u64::from_le_bytes(*word)).find(|&word| word != 0);
    page.add(Counter::Checked, PAGES);
    if let Some(word) = odd {
        let whose = if is_secret(word) { "a secret" } else { "somebody's data" };
        page.breach(format_args!("{whose} in {what}: {word:#x}"));
    }
}
