//! Relief: what is done while frames are short.
//!
//! Frames are short while callers within their guarantee wait for some, or when fewer are left than the margin that lending leaves.
//! Then extra frames whose term is over are called, from whom the policy says; those whose terms run are waited for.
//! All of it goes in steps between messages, so that nobody waits long for physmem: [`Physmem::has_work`] says that there is more to
//! do now, [`Physmem::work`] does a step of it, [`Physmem::next_deadline`] says when time alone brings more.

use crate::contract_page::write_shared;
use crate::extra::HOLDERS;
use crate::layout::contract;
use crate::limits::RELIEF_INTERVAL_NS;
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_api::page::{Level, PAGE_WORDS, pressure};
use containers_core::mutations::{self, Mutation};
use containers_core::record::{Contract, Name, Records};

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Frames that may be charged and that nobody has a claim on.
    pub fn room(&self) -> u64 {
        self.capacity - self.charged - self.claimed
    }

    /// Frames that are missing: those waited for, those owed, and what the margin lacks where it is half used up.
    fn deficit(&self) -> u64 {
        let room = self.room();
        let is_short = self.waits.count() != 0 || room < self.margin / 2;
        let wanted = self.waits.frames() + self.owed() + if is_short { self.margin } else { 0 };
        wanted.saturating_sub(room)
    }

    /// Whether nobody holds extra frames, waits for any, has a claim or is owed some: most often so.
    pub(crate) fn is_quiet(&self) -> bool {
        let nobody_waits = self.waits.count() == 0 && self.claims.first.is_none();
        let nothing_is_due = self.over_limit == 0 && self.owed.frames == 0;
        let nothing_goes_on = self.called == 0 && self.seizing == 0 && nothing_is_due;
        self.extra == 0 && nobody_waits && nothing_goes_on && !self.policy_has_work()
    }

    /// Goes on where frames are short, after something has changed or time has passed.
    pub(crate) fn relieve(&mut self) {
        if self.is_quiet() {
            self.next_relief = None;
            self.publish_pressure(Level::None);
            return;
        }
        self.lapse_claims();
        self.look_if_due();
        if self.waits.count() != 0 {
            self.serve_waits();
        }
        self.pay();
        let deficit = if self.extra == 0 { 0 } else { self.deficit() };
        if deficit == 0 && self.called == 0 && self.seizing == 0 && self.over_limit == 0 {
            self.next_relief = None;
            self.choose_by_policy(0);
            self.publish_pressure(Level::None);
            return;
        }
        if self.next_relief.is_none_or(|moment| moment <= self.now) || self.is_new_shortage {
            self.is_new_shortage = false;
            self.choose_victims(deficit);
        }
        self.publish_pressure(if deficit == 0 { Level::Advice } else { Level::Calls });
    }

    fn choose_victims(&mut self, deficit: u64) {
        let mut outstanding = 0;
        self.each_holder(|this, holder| {
            this.judge(holder);
            let over = this.over_limit_of(holder);
            if over > 0 {
                this.end_terms(holder);
                this.call_or_seize(holder, over.saturating_sub(this.get(holder, contract::SEIZING)));
            } else if deficit == 0 {
                this.call_is_over(holder);
            }
            outstanding += this.due(holder);
        });
        self.choose_by_policy(deficit.saturating_sub(outstanding));
        let goes_on = self.deficit() != 0 || self.called != 0 || self.over_limit != 0;
        self.next_relief = goes_on.then(|| self.next_moment());
    }

    /// Extra frames beyond what a contract may have.
    fn over_limit_of(&self, holder: Name<Contract>) -> u64 {
        self.extra_of(holder).saturating_sub(self.get(holder, contract::EXTRA_LIMIT))
    }

    /// When a call's deadline passes or a term ends, at the earliest, but not at once again.
    fn next_moment(&mut self) -> u64 {
        let mut moment = u64::MAX;
        self.each_holder(|this, holder| {
            let deadline = this.get(holder, contract::CALL_DEADLINE);
            if deadline != 0 {
                moment = moment.min(deadline);
            }
            moment = moment.min(this.next_term_end(holder).unwrap_or(u64::MAX));
        });
        if moment == u64::MAX { self.now + RELIEF_INTERVAL_NS } else { moment.max(self.now + 1) }
    }

    /// Does something to every contract that holds extra frames.
    pub(crate) fn each_holder(&mut self, mut action: impl FnMut(&mut Self, Name<Contract>)) {
        let mut next = self.holders.first;
        while let Some(holder) = next {
            next = self.get(holder, HOLDERS.next);
            action(self, holder);
        }
    }

    /// Whether there is work that should go on as soon as no message waits.
    pub fn has_work(&self) -> bool {
        self.has_other_work() || self.policy_has_work()
    }

    fn has_other_work(&self) -> bool {
        self.can_seize() || self.has_going() || self.is_ending_due() || self.can_pay()
    }

    /// A step of work of bounded length. [`Physmem::worked`] is to follow.
    pub fn work(&mut self, now: u64) {
        self.advance(now);
        self.begin_step();
        // Looking and the rest take turns, so that neither waits for the end of the other.
        if self.policy_has_work() && (!self.has_other_work() || self.policy.is_its_turn()) {
            if self.policy_step() {
                self.next_relief = Some(self.next_moment());
            }
        } else if self.can_seize() {
            let mut next = self.holders.first;
            while let Some(holder) = next {
                next = self.get(holder, HOLDERS.next);
                if self.get(holder, contract::SEIZING) != 0 {
                    self.seize_step(holder);
                    break;
                }
            }
        } else if self.has_going() {
            self.going_step();
        } else if self.is_ending_due() {
            self.end_step();
        }
        self.flush();
        self.relieve();
    }

    /// A step of work was done at this moment.
    pub fn worked(&mut self, now: u64) {
        self.now = self.now.max(now);
        if self.seizing == 0
            && let Some(since) = self.seizing_since.take()
        {
            self.latencies.seizure.add(self.now - since);
        }
    }

    /// Writes the pressure page, if what it says has changed.
    fn publish_pressure(&mut self, level: Level) {
        let Some(page) = self.pressure_frame else { return };
        let room = self.room();
        let lendable = if self.lends_nothing() { 0 } else { room.saturating_sub(self.margin) };
        let advice = lendable < self.margin && self.extra != 0;
        let level = if level == Level::None && advice { Level::Advice } else { level };
        // Small changes of the room are not worth a write at each charge.
        let state = (level as u64) << 48 | self.waits.count() << 32 | lendable >> 4;
        let is_stale = self.published != u64::MAX && mutations::has(Mutation::StalePressure);
        if core::mem::replace(&mut self.published, state) == state || is_stale {
            return;
        }
        let (waiters, extra) = (self.waits.count(), self.extra);
        let words: &mut [u64; PAGE_WORDS] = self.memory.words_mut(page);
        write_shared(words, pressure::SEQUENCE, |words| {
            words[pressure::LEVEL] = level as u64;
            words[pressure::ROOM] = room;
            words[pressure::LENDABLE] = lendable;
            words[pressure::WAITERS] = waiters;
            words[pressure::EXTRA] = extra;
        });
    }
}
