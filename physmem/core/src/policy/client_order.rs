//! The plain policy: everybody gives in proportion to what could be taken from it, less by its weight, and pages go in the owner's order;
//! where there is none, in the order in which they lie, from where the last seizure ended.
//! It looks at nothing.

use super::search::Found;
use super::{Policy, View};
use containers_core::record::{Contract, Name};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientOrder;

/// Takes from everybody what is planned, and `more` frames in proportion to what could be taken besides, divided by the weight. Each
/// holder is called once: a second call would have to wait for the end of the first.
pub(super) fn take_in_proportion<V: View>(
    view: &mut V,
    more: u64,
    planned: impl Fn(&V, Name<Contract>) -> u64,
) {
    let burden = |view: &V, holder| {
        let rest = view.takeable(holder).saturating_sub(planned(view, holder));
        rest.saturating_mul(1 << 16) / view.weight(holder)
    };
    let (mut left, mut burdens) = (more, 0u64);
    let mut next = view.next_holder(None);
    while let Some(holder) = next {
        burdens = burdens.saturating_add(burden(view, holder));
        next = view.next_holder(Some(holder));
    }
    next = view.next_holder(None);
    while let Some(holder) = next {
        // The chain may change where a holder has nothing left.
        next = view.next_holder(Some(holder));
        let (plan, mine) = (planned(view, holder), burden(view, holder));
        let share = match mine {
            0 => 0,
            _ => (u128::from(left) * u128::from(mine) / u128::from(burdens)) as u64 + 1,
        };
        burdens -= mine;
        let taken = view.take(holder, plan + share.min(left));
        left -= taken.saturating_sub(plan);
    }
}

impl Policy for ClientOrder {
    fn choose(&mut self, view: &mut impl View, wanted: u64) {
        if wanted != 0 {
            take_in_proportion(view, wanted, |_, _| 0);
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
