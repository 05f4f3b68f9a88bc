//! The plain policy: everybody gives in proportion to what could be taken from it, less by its weight, and pages go in the owner's order;
//! where there is none, in the order in which they lie, from where the last seizure ended.
//! It looks at nothing.

use super::search::Found;
use super::{Policy, View};
use containers_core::record::{Contract, Name};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientOrder;

/// Frames of a holder in proportion to others: what can be taken, divided by the weight.
fn burden(view: &impl View, holder: Name<Contract>) -> u64 {
    view.takeable(holder).saturating_mul(1 << 16) / view.weight(holder)
}

/// Takes frames from everybody in proportion.
pub(super) fn take_in_proportion(view: &mut impl View, wanted: u64) {
    let (mut left, mut burdens) = (wanted, 0u64);
    let mut next = view.next_holder(None);
    while let Some(holder) = next {
        burdens = burdens.saturating_add(burden(view, holder));
        next = view.next_holder(Some(holder));
    }
    next = view.next_holder(None);
    while let Some(holder) = next {
        // The chain may change where a holder has nothing left.
        next = view.next_holder(Some(holder));
        let mine = burden(view, holder);
        if left == 0 || mine == 0 {
            continue;
        }
        let share = u128::from(left) * u128::from(mine) / u128::from(burdens);
        burdens -= mine;
        left -= view.take(holder, (share as u64 + 1).min(left));
    }
}

impl Policy for ClientOrder {
    fn choose(&mut self, view: &mut impl View, wanted: u64) {
        if wanted != 0 {
            take_in_proportion(view, wanted);
        }
    }

    fn next_run(&mut self, view: &mut impl View, of: Name<Contract>, most: u64) -> Found {
        let mut next = view.next_container(of, None);
        while let Some(here) = next {
            let is_candidate = !view.is_vital(here) && !view.is_ordered(here);
            if is_candidate && let Some(run) = view.seizable_by_hand(here, most) {
                return Found::Run(run);
            }
            next = view.next_container(of, Some(here));
        }
        Found::Nothing
    }
}
