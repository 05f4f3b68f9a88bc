//! The search for pages of one contract to seize: laps from the hands on, with a judge who says which pages go.
//!
//! It goes on over the steps of one seizure. A judge who wants none is asked again in the next lap, with its number; from a
//! lap on he must say yes to all, so that the search ends. A lap is at most [`SEARCH_PAGES_MAX`] pages long, and
//! [`SEARCH_PAGES_PER_FRAME`] more for each page that was found.

use super::View;
use super::lap::{Extent, Lap, Next};
use crate::limits::{SEARCH_PAGES_MAX, SEARCH_PAGES_PER_FRAME};
use crate::seizure::Run;
use containers_core::record::{Contract, Name};

/// Pages judged at a time.
pub(super) const MASK_PAGES: u64 = 128;

/// What a search has found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// These pages.
    Run(Run),
    /// Nothing in this step; it goes on in the next.
    Later,
    /// Nothing: there are none.
    Nothing,
}

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Search {
    of: Option<Name<Contract>>,
    /// Step in which it went on last.
    step: u64,
    lap: Lap,
    /// Laps done.
    laps: u32,
    /// Pages passed in this lap.
    passed: u64,
    /// The lap has come by a page at all.
    has_pages: bool,
    /// The pages that were judged last.
    judged: Option<Run>,
    /// Those of them that go and have not gone yet.
    going: u128,
}

impl Search {
    /// Goes on for a contract, or begins anew: true.
    pub fn resume(&mut self, view: &impl View, of: Name<Contract>) -> bool {
        // A seizure goes on at least every other step.
        let is_same = self.of == Some(of) && view.steps() <= self.step + 2;
        if !is_same {
            *self = Search { of: Some(of), ..Search::default() };
        }
        self.step = view.steps();
        !is_same
    }

    /// The next pages to seize, so many at most. The judge is given the number of the lap, and answers with a bit a page.
    pub fn next<V: View>(
        &mut self,
        view: &mut V,
        most: u64,
        mut judge: impl FnMut(&mut V, Run, u32) -> u128,
    ) -> Found {
        let Some(of) = self.of else { return Found::Nothing };
        loop {
            if let Some(run) = self.take_judged(view, of, most) {
                return Found::Run(run);
            }
            if self.passed > SEARCH_PAGES_MAX {
                self.end_lap();
            }
            match self.lap.next(view, of, Extent::Unordered) {
                Next::Pages(run) => {
                    self.has_pages = true;
                    self.passed += run.span.pages;
                    self.judged = Some(run);
                    self.going = judge(view, run, self.laps);
                }
                Next::Pause => return Found::Later,
                Next::End if !self.has_pages => return Found::Nothing,
                Next::End => self.end_lap(),
            }
        }
    }

    fn end_lap(&mut self) {
        self.laps += 1;
        (self.lap, self.passed, self.has_pages) = (Lap::default(), 0, false);
    }

    /// What is left of the pages judged last, as far as they can still be seized. Their owner may have said something else since the last step.
    fn take_judged(&mut self, view: &mut impl View, of: Name<Contract>, most: u64) -> Option<Run> {
        let judged = self.judged.filter(|run| view.is_of(run.container, of))?;
        if view.is_vital(judged.container) || view.is_ordered(judged.container) {
            return None;
        }
        while self.going != 0 {
            let skipped = self.going.trailing_zeros();
            let pages = u64::from((self.going >> skipped).trailing_ones()).min(most);
            let first = judged.span.first + u64::from(skipped);
            let Some(run) =
                view.seizable(judged.container, first, pages).filter(|run| run.span.first == first)
            else {
                self.going &= !(1 << skipped);
                continue;
            };
            let gone = (u128::MAX >> (128 - run.span.pages)) << skipped;
            self.going &= !gone;
            self.passed = self.passed.saturating_sub(SEARCH_PAGES_PER_FRAME * run.span.pages);
            return Some(run);
        }
        None
    }
}

/// All pages of a run.
pub(super) fn all_of(run: Run) -> u128 {
    u128::MAX >> (128 - run.span.pages)
}
