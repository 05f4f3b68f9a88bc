//! The plain policy: everybody gives in proportion to what could be taken from it, less by its weight, and pages go in the owner's order;
//! where there is none, in the order in which they lie, from where the last seizure ended.

use super::{Policy, View};
use crate::seizure::Run;
use containers_core::record::{Contract, Name};

/// See the module.
pub(crate) struct ClientOrder;

/// Frames of a holder in proportion to others: what can be taken, divided by the weight.
fn burden(view: &impl View, holder: Name<Contract>) -> u64 {
    view.takeable(holder).saturating_mul(1 << 16) / view.weight(holder)
}

impl Policy for ClientOrder {
    fn choose(view: &mut impl View, wanted: u64) {
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
            let frames = (share as u64 + 1).min(left).min(view.takeable(holder));
            burdens -= mine;
            view.take(holder, frames);
            left -= frames;
        }
    }

    fn next_run(view: &mut impl View, of: Name<Contract>, most: u64) -> Option<Run> {
        let mut next = view.next_unordered(of, None);
        while let Some(here) = next {
            if let Some(run) = view.seizable_by_hand(here, most) {
                return Some(run);
            }
            next = view.next_unordered(of, Some(here));
        }
        None
    }
}
