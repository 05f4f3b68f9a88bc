//! The global clock: a hand goes over the pages of all holders of extra frames, those first whose address spaces ran least recently.
//!
//! A page that was not referenced since the hand passed it last is *cold*; passing, the hand forgets the reference. When frames
//! are missing a *round* begins: holders are called in that order for as many frames as were found cold, and if that does not
//! suffice when the round is over, for the rest in proportion. Now and then, while frames are lent, a round *prepares*: it
//! looks at a part of the pages and calls nobody, so that the next one knows what was referenced since.
//!
//! Within a contract pages get a second chance: the hand of each container passes those that were in use when it passed last or
//! since, and takes the others; when it comes round it takes what was not used again, and at last whatever is there.
//!
//! Source: Corbató, A Paging Experiment with the Multics System (1968), for the hand; the order of address spaces follows
//! Denning's reasoning (1968) that who does not run has no working set.

use super::client_order::take_in_proportion;
use super::lap::{Extent, Lap, Next};
use super::search::{Found, Search, all_of};
use super::{Policy, View};
use crate::limits::{PASS_INTERVAL_NS, PASS_PAGES, ROUND_PAGES};
use crate::seizure::Run;
use containers_core::record::{Contract, Name};

/// A note on a contract: when it ran last, whether it had its turn, and in which round that was written.
#[derive(Clone, Copy)]
struct Note {
    round: u16,
    is_done: bool,
    last_run: u64,
}

/// Bits of the count of the last run in a note; it starts again after 2^39 changes between address spaces.
const RUN_BITS: u32 = 39;

/// In a page's age: it was referenced when the hand passed last.
const LAST_PASS: u8 = 1 << 7;

impl Note {
    fn of(view: &impl View, holder: Name<Contract>) -> Option<Note> {
        let word = view.note(holder)?;
        let last_run = word & ((1 << RUN_BITS) - 1);
        Some(Note { round: (word >> (RUN_BITS + 1)) as u16, is_done: word >> RUN_BITS & 1 == 1, last_run })
    }

    fn write(self, view: &mut impl View, holder: Name<Contract>) {
        let last_run = self.last_run & ((1 << RUN_BITS) - 1);
        let word = u64::from(self.round) << (RUN_BITS + 1) | u64::from(self.is_done) << RUN_BITS | last_run;
        view.set_note(holder, word);
    }
}

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GlobalClock {
    /// Frames that are still to be found.
    wanted: u64,
    /// A round goes on.
    goes_round: bool,
    /// It calls nobody.
    prepares: bool,
    /// Number of the round.
    round: u16,
    /// When the next one that prepares is due.
    next_look: u64,
    /// Of all pages, the part that such a one looks at.
    of: u64,
    /// Pages that the round still looks at.
    left: u64,
    /// Whose pages the hand is at.
    holder: Option<Name<Contract>>,
    lap: Lap,
    /// Cold pages found of them.
    cold: u64,
    search: Search,
}

impl GlobalClock {
    /// Whether a holder has its turn in this round.
    fn takes_part(&self, view: &impl View, holder: Name<Contract>) -> bool {
        self.prepares || view.takeable(holder) != 0
    }

    /// Writes down when holders ran last, as far as the budget goes. True: all are known.
    fn ask_runs(&self, view: &mut impl View) -> bool {
        let mut next = view.next_holder(None);
        while let Some(holder) = next {
            next = view.next_holder(Some(holder));
            if Note::of(view, holder).is_some_and(|note| note.round == self.round) {
                continue;
            }
            if view.budget() == 0 {
                return false;
            }
            let last_run = view.last_run(holder);
            Note { round: self.round, is_done: false, last_run }.write(view, holder);
            view.spend(1);
        }
        true
    }

    /// The holder that ran least recently of those that have not had their turn.
    fn least_recent(&self, view: &impl View) -> Option<Name<Contract>> {
        let (mut found, mut least) = (None, u64::MAX);
        let mut next = view.next_holder(None);
        while let Some(holder) = next {
            next = view.next_holder(Some(holder));
            let waits = |note: &Note| note.round == self.round && !note.is_done && note.last_run < least;
            if let Some(note) = Note::of(view, holder).filter(waits)
                && self.takes_part(view, holder)
            {
                (found, least) = (Some(holder), note.last_run);
            }
        }
        found
    }

    fn begin_round(&mut self, view: &impl View, prepares: bool) {
        self.goes_round = true;
        self.prepares = prepares;
        self.round = self.round.wrapping_add(1);
        self.of = view.charged_in_sum().max(1);
        self.left = ROUND_PAGES;
        self.holder = None;
    }

    fn end_round(&mut self, view: &mut impl View) {
        self.goes_round = false;
        if !self.prepares && self.wanted != 0 {
            take_in_proportion(view, self.wanted);
        }
        self.wanted = 0;
    }

    /// Goes to the next holder; where there is none the round is over.
    fn next_turn(&mut self, view: &mut impl View) {
        if !self.ask_runs(view) {
            return;
        }
        self.holder = self.least_recent(view);
        (self.lap, self.cold) = (Lap::default(), 0);
        view.spend(1);
        if self.holder.is_none() {
            self.end_round(view);
        }
    }

    /// The holder has had its turn: it is called for what was found cold.
    fn end_turn(&mut self, view: &mut impl View, holder: Name<Contract>) {
        self.holder = None;
        if let Some(note) = Note::of(view, holder) {
            Note { is_done: true, ..note }.write(view, holder);
        }
        if !self.prepares {
            self.wanted -= view.take(holder, self.cold.min(self.wanted));
        }
        if self.left == 0 || !self.prepares && self.wanted == 0 {
            self.end_round(view);
        }
    }

    /// Goes on with a holder's pages. False: this step is over.
    fn pass(&mut self, view: &mut impl View, holder: Name<Contract>) -> bool {
        let extent = if self.prepares { Extent::Part(PASS_PAGES, self.of) } else { Extent::ALL };
        match self.lap.next(view, holder, extent) {
            Next::Pause => return false,
            Next::End => self.end_turn(view, holder),
            Next::Pages(run) => {
                let pages = run.span.pages;
                self.cold += pages - u64::from(view.pass(run).count_ones());
                self.left = self.left.saturating_sub(pages);
                let enough = !self.prepares && self.cold >= self.wanted.min(view.takeable(holder));
                if enough || self.left == 0 {
                    self.end_turn(view, holder);
                }
            }
        }
        true
    }
}

impl Policy for GlobalClock {
    fn choose(&mut self, view: &mut impl View, wanted: u64) {
        self.wanted = wanted;
        if wanted == 0 {
            self.goes_round &= self.prepares;
            return;
        }
        // One that prepares gives way.
        if !self.goes_round || self.prepares {
            self.begin_round(view, false);
        }
    }

    fn has_work(&self) -> bool {
        self.goes_round
    }

    fn step(&mut self, view: &mut impl View) {
        while self.goes_round && view.budget() > 0 {
            match self.holder.filter(|&holder| view.is_holder(holder)) {
                None => self.next_turn(view),
                Some(holder) => {
                    if !self.pass(view, holder) {
                        return;
                    }
                }
            }
        }
    }

    fn next_look(&self) -> u64 {
        self.next_look
    }

    fn begin_look(&mut self, view: &mut impl View) {
        self.next_look = view.now() + PASS_INTERVAL_NS;
        if !self.goes_round {
            self.begin_round(view, true);
        }
    }

    fn next_run(&mut self, view: &mut impl View, of: Name<Contract>, most: u64) -> Found {
        self.search.resume(view, of);
        self.search.next(
            view,
            most,
            |view, run, lap| if lap < 2 { cold_ones(view, run) } else { all_of(run) },
        )
    }
}

/// The pages that were not referenced when the hand passed last, nor since. It passes them now.
fn cold_ones(view: &mut impl View, run: Run) -> u128 {
    let before = (0..).zip(run.span.first..run.span.end());
    let was_used = before.filter(|&(_, page)| view.age(run.container, page) & LAST_PASS != 0);
    let was_used: u128 = was_used.fold(0, |mask, (index, _)| mask | 1 << index);
    all_of(run) & !was_used & !view.pass(run)
}
