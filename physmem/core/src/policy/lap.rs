//! A lap: once through the pages of a contract that can be seized, container by container, each from its hand around.
//!
//! Vital containers are left out. It goes in steps. A container that has ended in between begins the lap anew: whoever laps bounds how many pages it passes.
//! Each container visited costs budget, so that a contract of many empty ones is no long step.

use super::View;
use crate::seizure::Run;
use containers_core::record::{Container, Contract, Name};

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lap {
    container: Option<Name<Container>>,
    /// Page at which the lap through the container began.
    begun: u64,
    /// Page that comes next.
    next: u64,
    /// It has come to the container's end and is on the way back to where it began.
    wrapped: bool,
    /// Pages that may still be visited in this container.
    left: u64,
}

/// Which containers, and how much of each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Extent {
    /// All pages of those that have no place in their owner's order.
    Unordered,
    /// Of each container a part, numerator and denominator, rounded up; the hand goes on to where that ends.
    Part(u64, u64),
}

impl Extent {
    /// Every page.
    pub const ALL: Extent = Extent::Part(1, 1);

    fn pages(self, present: u64) -> u64 {
        match self {
            Extent::Unordered => u64::MAX,
            Extent::Part(part, of) if part < of => (present.saturating_mul(part)).div_ceil(of),
            Extent::Part(..) => u64::MAX,
        }
    }
}

/// How a lap goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// With these pages.
    Pages(Run),
    /// In the next step.
    Pause,
    /// It is done.
    End,
}

impl Lap {
    /// The next pages.
    pub fn next(&mut self, view: &mut impl View, of: Name<Contract>, extent: Extent) -> Next {
        loop {
            if view.budget() == 0 {
                return Next::Pause;
            }
            let here = match self.container.filter(|&here| view.is_of(here, of)) {
                Some(here) => here,
                None => match view.next_container(of, None) {
                    Some(first) => self.enter(view, first, extent),
                    None => return Next::End,
                },
            };
            // Its owner may have said something else since the last step.
            if is_left_out(view, here, extent) {
                self.left = 0;
            }
            if self.left > 0
                && let Some(run) = self.run_in(view, here)
            {
                self.next = run.span.end();
                self.left -= run.span.pages.min(self.left);
                return Next::Pages(run);
            }
            view.spend(1);
            if self.left > 0 && !self.wrapped && self.begun > 0 {
                (self.wrapped, self.next) = (true, 0);
                continue;
            }
            if matches!(extent, Extent::Part(..)) && self.left == 0 {
                view.set_hand(here, self.next);
            }
            match view.next_container(of, Some(here)) {
                Some(next) => self.enter(view, next, extent),
                None => return Next::End,
            };
        }
    }

    fn enter(&mut self, view: &impl View, here: Name<Container>, extent: Extent) -> Name<Container> {
        let hand = view.hand(here);
        let left = extent.pages(view.present(here));
        *self = Lap { container: Some(here), begun: hand, next: hand, wrapped: false, left };
        here
    }

    fn run_in(&self, view: &impl View, here: Name<Container>) -> Option<Run> {
        let end = if self.wrapped { self.begun } else { u64::MAX };
        let mut run = view.seizable(here, self.next, view.piece(here).min(self.left))?;
        run.span.pages = run.span.pages.min(end.saturating_sub(run.span.first));
        (run.span.pages > 0).then_some(run)
    }
}

fn is_left_out(view: &impl View, here: Name<Container>, extent: Extent) -> bool {
    view.is_vital(here) || extent == Extent::Unordered && view.is_ordered(here)
}
