//! Working sets by aging, with weights and a tax on what is idle.
//!
//! While frames are lent a *pass* goes over a part of the pages of all holders, now and then, and forgets their references.
//! A page's *age* is a byte that moves right with each look, the look itself in the highest bit: the larger, the more recently
//! used. Of each holder the pass estimates what fraction of its pages is active: at once what it sees if that is more
//! than before, else halfway there.
//!
//! A frame beyond the guarantee costs its holder more where it is idle. With the active fraction f and the tax rate t, a
//! holder of P extra frames with weight S pays per frame
//!
//! ```text
//!   price = S / (P * (f + k * (1 - f)))        k = 1 / (1 - t)
//! ```
//!
//! Frames are taken from whoever pays least, until prices are level. Guaranteed frames cost nothing: they are not counted.
//! Within a contract the least recently used pages go, by age and by what was referenced since.
//!
//! Source: Waldspurger, Memory Resource Management in VMware ESX Server (OSDI 2002), sections 5.2 and 5.3; the ages are those
//! of the textbooks (Tanenbaum: aging).

use super::lap::{Extent, Lap, Next};
use super::search::{Found, Search, all_of};
use super::{Policy, View};
use crate::limits::{PASS_INTERVAL_NS, PASS_PAGES};
use crate::seizure::Run;
use containers_core::record::{Contract, Name};

/// What an idle frame costs, in active ones: with a tax of 75 %, 1 / (1 - 3/4).
const IDLE_COST: u64 = 4;

/// log2 of what a fraction of 1 is written as.
const FRACTION_BITS: u32 = 16;

/// 1.
const WHOLE: u64 = 1 << FRACTION_BITS;

/// The level of prices is found to one part in two to this.
const LEVEL_ROUNDS: u32 = 24;

/// Ages differ by how many looks ago the page was last seen in use: 8 looks, and longer.
const AGE_CLASSES: usize = 9;

/// Class of an age: 0 for pages that were never seen in use.
fn class_of(age: u8) -> usize {
    (u8::BITS - age.leading_zeros()) as usize
}

/// A note on a contract: its active fraction, and the pass that has looked at it last.
fn note(pass: u16, active: u64) -> u64 {
    u64::from(pass) << 32 | active
}

/// The active fraction of a holder; nothing is known of one: all is active.
fn active(view: &impl View, holder: Name<Contract>) -> u64 {
    view.note(holder).map_or(WHOLE, |note| note & 0xffff_ffff)
}

/// What a holder's frame costs it: in `WHOLE` for an active one.
fn cost(view: &impl View, holder: Name<Contract>) -> u64 {
    let active = active(view, holder);
    active + IDLE_COST * (WHOLE - active)
}

/// The reverse of the price that a holder pays.
fn burden(view: &impl View, holder: Name<Contract>) -> u64 {
    view.extra(holder) * cost(view, holder) / view.weight(holder)
}

/// Frames to take from a holder so that its burden is no more than a level.
fn above(view: &impl View, holder: Name<Contract>, level: u64) -> u64 {
    let kept = level.saturating_mul(view.weight(holder)) / cost(view, holder);
    view.extra(holder).saturating_sub(kept).min(view.takeable(holder))
}

/// A pass over all holders.
#[derive(Clone, Copy, Debug, Default)]
struct Pass {
    goes_on: bool,
    number: u16,
    /// When the next one is due.
    next: u64,
    /// Of all pages, the part that is looked at.
    of: u64,
    holder: Option<Name<Contract>>,
    lap: Lap,
    /// Pages of the holder that were looked at.
    looked: u64,
    /// Of these, in use.
    used: u64,
}

impl Pass {
    fn begin(&mut self, view: &impl View) {
        self.next = view.now() + PASS_INTERVAL_NS;
        if !self.goes_on {
            (self.goes_on, self.holder) = (true, None);
            self.number = self.number.wrapping_add(1);
            self.of = view.charged_in_sum().max(1);
        }
    }

    fn step(&mut self, view: &mut impl View) {
        while self.goes_on && view.budget() > 0 {
            let Some(holder) = self.holder.filter(|&holder| view.is_holder(holder)) else {
                self.holder = self.next_holder(view);
                (self.lap, self.looked, self.used) = (Lap::default(), 0, 0);
                self.goes_on = self.holder.is_some();
                view.spend(1);
                continue;
            };
            match self.lap.next(view, holder, Extent::Part(PASS_PAGES, self.of)) {
                Next::Pause => return,
                Next::Pages(run) => self.look(view, run),
                Next::End => {
                    self.estimate(view, holder);
                    self.holder = None;
                }
            }
        }
    }

    fn next_holder(&self, view: &impl View) -> Option<Name<Contract>> {
        let mut next = view.next_holder(None);
        while let Some(holder) = next {
            if view.note(holder).is_none_or(|note| (note >> 32) as u16 != self.number) {
                return Some(holder);
            }
            next = view.next_holder(Some(holder));
        }
        None
    }

    fn look(&mut self, view: &mut impl View, run: Run) {
        self.looked += run.span.pages;
        self.used += u64::from(view.pass(run).count_ones());
    }

    fn estimate(&self, view: &mut impl View, holder: Name<Contract>) {
        let seen = (self.used << FRACTION_BITS) / self.looked.max(1);
        let decayed = view.note(holder).map_or(seen, |note| ((note & 0xffff_ffff) + seen) / 2);
        view.set_note(holder, note(self.number, seen.max(decayed)));
    }
}

/// The search for the level at which enough is above.
#[derive(Clone, Copy, Debug)]
struct Levelling {
    /// Enough is above this one,
    low: u64,
    /// and not above this one.
    high: u64,
    rounds: u32,
}

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Aging {
    wanted: u64,
    levelling: Option<Levelling>,
    pass: Pass,
    search: Search,
    /// Pages of the contract that is searched, by class of age.
    classes: [u64; AGE_CLASSES],
    /// Which of them go.
    oldest: Option<Oldest>,
}

impl Aging {
    /// A round of the search for the level, or, when it is found, what is above it is taken.
    fn level(&mut self, view: &mut impl View, mut levelling: Levelling) {
        let Levelling { low, high, rounds } = levelling;
        if rounds == 0 || high - low <= 1 {
            self.levelling = None;
            let wanted = core::mem::take(&mut self.wanted);
            return take_above(view, low, wanted);
        }
        let middle = low + (high - low) / 2;
        let (mut sum, mut next) = (0, view.next_holder(None));
        while let Some(holder) = next {
            next = view.next_holder(Some(holder));
            sum += above(view, holder, middle);
            view.spend(1);
        }
        if sum >= self.wanted {
            levelling.low = middle;
        } else {
            levelling.high = middle;
        }
        self.levelling = Some(Levelling { rounds: rounds - 1, ..levelling });
    }
}

fn take_above(view: &mut impl View, level: u64, wanted: u64) {
    let (mut left, mut next) = (wanted, view.next_holder(None));
    while let Some(holder) = next {
        next = view.next_holder(Some(holder));
        if left > 0 {
            let frames = above(view, holder, level).min(left);
            left -= view.take(holder, frames);
        }
    }
}

impl Policy for Aging {
    fn choose(&mut self, view: &mut impl View, wanted: u64) {
        self.wanted = wanted;
        if wanted == 0 {
            self.levelling = None;
        }
        if wanted == 0 || self.levelling.is_some() {
            return;
        }
        let (mut highest, mut is_known) = (0, true);
        let mut next = view.next_holder(None);
        while let Some(holder) = next {
            next = view.next_holder(Some(holder));
            highest = highest.max(burden(view, holder));
            is_known &= view.note(holder).is_some();
        }
        if !is_known {
            self.pass.begin(view);
        }
        self.levelling = Some(Levelling { low: 0, high: highest + 1, rounds: LEVEL_ROUNDS });
    }

    fn has_work(&self) -> bool {
        self.pass.goes_on || self.levelling.is_some()
    }

    fn step(&mut self, view: &mut impl View) {
        self.pass.step(view);
        while !self.pass.goes_on && view.budget() > 0 {
            let Some(levelling) = self.levelling else { return };
            self.level(view, levelling);
        }
    }

    fn next_look(&self) -> u64 {
        self.pass.next
    }

    fn begin_look(&mut self, view: &mut impl View) {
        self.pass.begin(view);
    }

    fn next_run(&mut self, view: &mut impl View, of: Name<Contract>, most: u64) -> Found {
        if self.search.resume(view, of) {
            (self.classes, self.oldest) = ([0; AGE_CLASSES], None);
        }
        let (classes, oldest, needed) = (&mut self.classes, &mut self.oldest, view.seizing(of));
        self.search.next(view, most, |view, run, lap| match lap {
            0 => {
                count_ages(view, run, classes);
                0
            }
            1 => old_ones(view, run, oldest.get_or_insert_with(|| Oldest::of(classes, needed))),
            2 => all_of(run) & !view.look(run),
            _ => all_of(run),
        })
    }
}

/// The first lap counts pages by age, without looking at anything else.
fn count_ages(view: &mut impl View, run: Run, classes: &mut [u64; AGE_CLASSES]) {
    for page in run.span.first..run.span.end() {
        classes[class_of(view.age(run.container, page))] += 1;
    }
    view.spend(run.span.pages);
}

/// The pages that have not been used for the longest time: all below a class, and some of it.
#[derive(Clone, Copy, Debug)]
struct Oldest {
    class: usize,
    some: u64,
}

impl Oldest {
    /// So many of the pages counted.
    fn of(classes: &[u64; AGE_CLASSES], needed: u64) -> Oldest {
        let mut some = needed;
        for (class, &count) in classes.iter().enumerate() {
            if some <= count {
                return Oldest { class, some };
            }
            some -= count;
        }
        Oldest { class: AGE_CLASSES, some }
    }

    fn contains(&mut self, age: u8) -> bool {
        let class = class_of(age);
        if class == self.class && self.some > 0 {
            self.some -= 1;
            return true;
        }
        class < self.class
    }
}

/// Pages among the oldest that were not referenced since.
fn old_ones(view: &mut impl View, run: Run, oldest: &mut Oldest) -> u128 {
    let used = view.look(run);
    let pages = (0..).zip(run.span.first..run.span.end());
    let unused = pages.filter(|(index, _)| used >> *index & 1 == 0);
    unused
        .filter(|&(_, page)| oldest.contains(view.age(run.container, page)))
        .fold(0, |mask, (index, _)| mask | 1 << index)
}
