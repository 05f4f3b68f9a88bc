//! The global clock: a hand goes over the pages of all holders of extra frames, those first whose address spaces ran least recently.
//!
//! The hand moves while frames are lent: now and then it passes a part of the pages, and forgets their references. A page is *cold*
//! that was not referenced when the hand passed it last, nor since. When frames are missing a *round* begins: it looks at
//! holders in that order, until it has found as many cold frames; for these their holders are called, and for what is
//! missing when the round is over all of them in proportion. A round forgets nothing: shortages that follow each other closely would find all cold.
//!
//! Within a contract cold pages go first, then those not referenced since the hand passed, then whatever is there.
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

/// A note on a contract, and in which round it was written.
#[derive(Clone, Copy)]
struct Note {
    round: u16,
    turn: Turn,
}

/// How a contract stands in a round.
#[derive(Clone, Copy)]
enum Turn {
    /// It will be looked at; when it ran last.
    Waits(u64),
    /// It was looked at; frames that it is to be called for.
    Done(u64),
}

/// Bits of the number in a note. The count of runs starts again after 2^39 changes between address spaces.
const NUMBER_BITS: u32 = 39;

/// In a page's age: it was referenced when the hand passed last.
const LAST_PASS: u8 = 1 << 7;

impl Note {
    fn of(view: &impl View, holder: Name<Contract>) -> Option<Note> {
        let word = view.note(holder)?;
        let number = word & ((1 << NUMBER_BITS) - 1);
        let turn = if word >> NUMBER_BITS & 1 == 1 { Turn::Done(number) } else { Turn::Waits(number) };
        Some(Note { round: (word >> (NUMBER_BITS + 1)) as u16, turn })
    }

    fn write(self, view: &mut impl View, holder: Name<Contract>) {
        let (is_done, number) = match self.turn {
            Turn::Waits(number) => (0, number & ((1 << NUMBER_BITS) - 1)),
            Turn::Done(number) => (1, number),
        };
        let word = u64::from(self.round) << (NUMBER_BITS + 1) | is_done << NUMBER_BITS | number;
        view.set_note(holder, word);
    }
}

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GlobalClock {
    /// Frames that are to be found.
    wanted: u64,
    /// Of these, found.
    planned: u64,
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
            Note { round: self.round, turn: Turn::Waits(last_run) }.write(view, holder);
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
            let Some(Note { round, turn: Turn::Waits(last_run) }) = Note::of(view, holder) else { continue };
            if round == self.round && last_run < least && self.takes_part(view, holder) {
                (found, least) = (Some(holder), last_run);
            }
        }
        found
    }

    fn begin_round(&mut self, view: &impl View, prepares: bool) {
        self.goes_round = true;
        self.prepares = prepares;
        self.round = self.round.wrapping_add(1);
        self.of = view.charged_in_sum().max(1);
        (self.left, self.planned) = (ROUND_PAGES, 0);
        self.holder = None;
    }

    fn end_round(&mut self, view: &mut impl View) {
        self.goes_round = false;
        if !self.prepares && self.wanted != 0 {
            let round = self.round;
            take_in_proportion(
                view,
                self.wanted.saturating_sub(self.planned),
                |view, holder| match Note::of(view, holder) {
                    Some(Note { round: of, turn: Turn::Done(frames) }) if of == round => frames,
                    _ => 0,
                },
            );
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

    /// Frames that the holder is to be called for, as far as it has been looked at.
    fn plan(&self, view: &impl View, holder: Name<Contract>) -> u64 {
        let missing = self.wanted.saturating_sub(self.planned);
        if self.prepares { 0 } else { self.cold.min(missing).min(view.takeable(holder)) }
    }

    /// The holder has had its turn.
    fn end_turn(&mut self, view: &mut impl View, holder: Name<Contract>) {
        self.holder = None;
        let frames = self.plan(view, holder);
        self.planned += frames;
        Note { round: self.round, turn: Turn::Done(frames) }.write(view, holder);
        if self.left == 0 || !self.prepares && self.planned >= self.wanted {
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
                if self.prepares {
                    view.pass(run);
                } else {
                    self.cold += u64::from(cold_ones(view, run).count_ones());
                }
                self.left = self.left.saturating_sub(pages);
                let enough = !self.prepares && self.plan(view, holder) < self.cold;
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

/// The pages that were not referenced when the hand passed last, nor since.
fn cold_ones(view: &mut impl View, run: Run) -> u128 {
    let pages = (0..).zip(run.span.first..run.span.end());
    let was_used = pages.filter(|&(_, page)| view.age(run.container, page) & LAST_PASS != 0);
    let was_used: u128 = was_used.fold(0, |mask, (index, _)| mask | 1 << index);
    all_of(run) & !was_used & !view.look(run)
}
