//! What a witness does about the ladder: it borrows frames beyond its guarantee, answers calls or not, and finds what was
//! seized. It keeps its own account of when it got what, so that it notices a page that went too early.

use super::{Holding, State, Witness};
use crate::contents::ZEROS;
use crate::env::{Counter, Env};
use crate::law;
use crate::random::Random;
use crate::world::Touch;
use containers_api::page::{Fate, contract as place};
use containers_api::{FaultReason, MemoryError, container, contract};
use containers_core::record::{Container, Contract, Name, Records};
use physmem_core::badge::Badge;
use physmem_core::layout;
use physmem_core::limits::EXTRA_TERM_NS;
use std::collections::VecDeque;

/// How a witness takes calls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Conduct {
    /// Gives back what it is asked for.
    Prompt,
    /// Gives back some of it.
    Half,
    /// Gives back nothing.
    Deaf,
}

/// Its part in the ladder.
pub(super) struct Ladder {
    conduct: Conduct,
    /// It may hold more than its guarantee, or its guarantee was taken back.
    pub may_lose: bool,
    /// Its guarantee was taken back: what is extra by that has no term.
    pub reduced: bool,
    /// Extra frames by the moment it was first seen to have them, the oldest first.
    terms: VecDeque<(u64, u64)>,
    /// When it looked last.
    looked: u64,
    /// Frames seized so far, as it knows.
    seized: u64,
    /// Its calls are signalled, and there is a contract page.
    pub watches: bool,
    /// Entries of the repossession record that it knows.
    recorded: u64,
}

impl Ladder {
    pub fn new(random: &mut Random, extra_limit: u64) -> Ladder {
        let conduct = random.pick(&[Conduct::Prompt, Conduct::Prompt, Conduct::Half, Conduct::Deaf]);
        Ladder {
            conduct,
            may_lose: extra_limit != 0,
            reduced: false,
            terms: VecDeque::new(),
            looked: 0,
            seized: 0,
            watches: false,
            recorded: 0,
        }
    }

    /// Frames that it knows to have been seized.
    pub fn seized(&self) -> u64 {
        self.seized
    }

    /// Notes how many extra frames there are: the oldest go first.
    fn note(&mut self, now: u64, extra: u64) {
        let known: u64 = self.terms.iter().map(|&(_, count)| count).sum();
        if extra > known {
            // It came at some moment since the last look.
            self.terms.push_back((self.looked, extra - known));
        }
        self.looked = now;
        let mut gone = known.saturating_sub(extra);
        while let Some((_, count)) = self.terms.front_mut()
            && gone > 0
        {
            let part = gone.min(*count);
            *count -= part;
            gone -= part;
            if *count == 0 {
                self.terms.pop_front();
            }
        }
    }

    /// Frames whose term may be over.
    fn over(&self, now: u64) -> u64 {
        if self.looked + EXTRA_TERM_NS <= now {
            // Whatever it got since is over, too.
            return u64::MAX;
        }
        let over = |&&(since, _): &&(u64, u64)| since + EXTRA_TERM_NS <= now;
        self.terms.iter().filter(over).map(|&(_, count)| count).sum()
    }
}

/// The number by which the repossession record names a container.
fn number_of(env: &Env<'_>, holding: &Holding) -> Option<u64> {
    let machine = &env.world.machine;
    let found = machine.resolve::<Container>(Badge(holding.badge).name())?;
    Some(machine.get(found, containers_core::layout::container::NUMBER))
}

/// Pages of a container that were seized and not made good again.
fn lost_pages(env: &Env<'_>, holding: &Holding) -> u64 {
    let machine = &env.world.machine;
    let found = machine.resolve::<Container>(Badge(holding.badge).name());
    found.map_or(0, |found| machine.get(found, containers_core::layout::container::LOST))
}

impl Witness {
    /// Looks for pages that were seized, and gets over it. True: that was the step.
    pub(super) fn find_losses(&mut self, env: &mut Env<'_>) -> bool {
        let machine = &env.world.machine;
        let Some(this) = machine.resolve::<Contract>(Badge(self.contract).name()) else { return false };
        let (seized, extra) = (machine.get(this, layout::contract::SEIZED), machine.extra_of(this));
        let now = env.now();
        if seized != self.ladder.seized {
            let (gone, over) = (seized - self.ladder.seized, self.ladder.over(now));
            let kept = self.ladder.reduced || gone <= over;
            law!("terms-are-kept", kept, "{gone} extra frames were seized, the terms of {over} were over");
            law!("guarantee", self.ladder.may_lose, "frames were seized, and nothing was extra");
            env.record.add(Counter::Seized, seized - self.ladder.seized);
            self.ladder.seized = seized;
            self.require_order(env);
            if self.ladder.watches {
                self.require_recorded(env, this, gone);
            }
            for holding in &mut self.holdings {
                if let Some(loan) = &mut holding.loan {
                    loan.broken = true;
                }
            }
        }
        self.ladder.note(now, extra);
        let repaired = self.repair(env);
        for holding in &mut self.holdings {
            holding.lost = lost_pages(env, holding);
        }
        repaired
    }

    /// Of what went since the last look, what was discardable went first, and what is vital stayed.
    fn require_order(&self, env: &mut Env<'_>) {
        let went = |holding: &Holding| {
            lost_pages(env, holding) > holding.lost && holding.loan.is_none() && holding.own.is_none()
        };
        for holding in &self.holdings {
            law!(
                "eviction-order",
                !holding.vital || !went(holding),
                "a page of a vital container was seized"
            );
        }
        let others = self.holdings.iter().any(|holding| !holding.discardable && went(holding));
        for holding in self
            .holdings
            .iter()
            .filter(|it| it.discardable && !it.vital && it.loan.is_none() && it.own.is_none())
        {
            let present = |page: u64| crate::laws::frame_of(&env.world, holding.badge, page).is_some();
            let left = (0..holding.pages.len() as u64).any(present);
            law!("eviction-order", !others || !left, "a discardable page is left, another was seized");
        }
    }

    /// What went since the last look is in the repossession record, all of it, and its fate is what its owner had said.
    fn require_recorded(&mut self, env: &mut Env<'_>, this: Name<Contract>, gone: u64) {
        let Some(words) = env.world.machine.contract_page(this) else {
            return law!("repossession-record", false, "there is no contract page");
        };
        let (known, written) = (self.ladder.recorded, words[place::SEIZURES]);
        self.ladder.recorded = written;
        env.record.add(Counter::Recorded, written - known);
        if written - known > place::RECORD_ENTRIES as u64 {
            // Some of them were written over.
            return;
        }
        let mut told = 0;
        for index in known..written {
            let first = place::RECORD + index as usize % place::RECORD_ENTRIES * place::RECORD_ENTRY;
            let [number, page, pages, how] = [0, 1, 2, 3].map(|offset| words[first + offset]);
            told += pages;
            let call = how >> 8;
            law!("repossession-record", call <= words[place::CALL], "call {call} was never made");
            // A container that was replaced meanwhile is not known any more.
            let mut holdings = self.holdings.iter();
            let Some(holding) = holdings.find(|it| number_of(env, it) == Some(number)) else { continue };
            let size = holding.pages.len() as u64;
            law!("repossession-record", page + pages <= size, "pages {page} to {} of {size}", page + pages);
            let discarded = how & 0xff == Fate::Discarded as u64;
            law!("repossession-record", discarded == holding.discardable, "discarded: {discarded}");
        }
        law!("repossession-record", told == gone, "{gone} pages were seized, {told} are in the record");
    }

    /// Makes pages that are gone good again, as zeros; before, sometimes, sees what they do.
    fn repair(&mut self, env: &mut Env<'_>) -> bool {
        for place in 0..self.holdings.len() {
            let holding = &self.holdings[place];
            let mut pages = 0..holding.pages.len() as u64;
            let lost = |&page: &u64| {
                !holding.is_lent(page)
                    && holding.own.is_none()
                    && crate::laws::is_lost(&env.world, holding.badge, page)
            };
            let Some(page) = pages.find(lost) else { continue };
            if env.random.once_in(2) && !self.ended && self.space.badge != 0 {
                let touched = env.world.touch(self.space, super::address(place, page), false);
                let gone = matches!(touched, Touch::Ended(FaultReason::Repossessed | FaultReason::NotMapped));
                law!(
                    "lost-pages-unseen",
                    gone,
                    "page {page} was seized, and a touch of it finds {touched:?}"
                );
            }
            env.record.note(page, || format!("makes page {page} of container {place} good again"));
            let request = container::Deallocate { first_page: page, pages: 1 };
            let result = env.world.ask(self.holdings[place].badge, &request, &[]);
            let sealed = self.holdings[place].sealed.then_some(MemoryError::Sealed);
            if let Some(reply) = self.asked(env, result, sealed, 0) {
                self.changed(place, reply.version);
                self.holdings[place].pages[page as usize] = ZEROS;
            } else if sealed.is_some() {
                // It can never be made good: another container takes its place.
                self.replace(env, place);
            }
            return true;
        }
        false
    }

    /// Asks whether it is called, and does about it what its conduct is.
    pub(super) fn answer_call(&mut self, env: &mut Env<'_>) {
        let Ok(call) = env.world.ask(self.contract, &contract::CallStat {}, &[]) else { return };
        if call.frames == 0 {
            return;
        }
        env.record.note(call.frames, || format!("is called for {} frames by {}", call.frames, call.deadline));
        let wanted = match self.ladder.conduct {
            Conduct::Prompt => call.frames,
            Conduct::Half => call.frames / 2,
            Conduct::Deaf => 0,
        };
        if wanted == 0 {
            return env.record.count(Counter::CallsIgnored);
        }
        env.record.count(Counter::CallsAnswered);
        let mut left = wanted;
        for place in 0..self.holdings.len() {
            let holding = &self.holdings[place];
            if holding.sealed
                || holding.loan.is_some()
                || holding.own.is_some()
                || matches!(self.state, State::Revoking(..))
            {
                continue;
            }
            for page in 0..holding.pages.len() as u64 {
                if left > 0 && crate::laws::frame_of(&env.world, self.holdings[place].badge, page).is_some() {
                    let request = container::Deallocate { first_page: page, pages: 1 };
                    let result = env.world.ask(self.holdings[place].badge, &request, &[]);
                    if let Some(reply) = self.asked(env, result, None, 0) {
                        self.changed(place, reply.version);
                        self.holdings[place].pages[page as usize] = ZEROS;
                        left -= 1;
                    }
                }
            }
        }
        if left == 0 && wanted == call.frames {
            crate::actors::require_met(env, self.contract, &call);
        }
    }

    /// Asks for the terms of its extra frames to begin anew.
    pub(super) fn renew(&mut self, env: &mut Env<'_>) {
        match env.world.ask(self.contract, &contract::Renew {}, &[]) {
            Ok(renewed) => {
                env.record.count(Counter::Renewals);
                env.record.note(renewed.frames, || format!("renews {} frames", renewed.frames));
                self.ladder.terms.clear();
                if renewed.frames != 0 {
                    self.ladder.terms.push_back((env.now(), renewed.frames));
                }
            }
            Err(refused) => {
                law!("typed-answers", refused.error == MemoryError::UnderPressure, "{:?}", refused.error);
            }
        }
    }

    /// Says what is to go first, and what never.
    pub(super) fn set_eviction(&mut self, env: &mut Env<'_>, place: usize) {
        let lost = |holding: &Holding| {
            let mut pages = 0..holding.pages.len() as u64;
            pages.any(|page| crate::laws::is_lost(&env.world, holding.badge, page))
        };
        // The order is judged by what is gone: nothing may be gone when it changes.
        if self.holdings.iter().any(lost) {
            return;
        }
        let (rank, discardable) = (env.random.below(4) as u16, env.random.once_in(3));
        let vital = env.random.once_in(5);
        env.record.note(u64::from(rank), || {
            format!("container {place}: rank {rank}, discardable {discardable}, vital {vital}")
        });
        let request = container::SetEviction { rank, discardable, vital };
        let result = env.world.ask(self.holdings[place].badge, &request, &[]);
        let expected = result.as_ref().err().map(|refused| refused.error);
        let expected = expected.filter(|&error| error == MemoryError::NotAdmitted && vital);
        if let Some(reply) = self.asked(env, result, expected, 0) {
            self.changed(place, reply.version);
            (self.holdings[place].discardable, self.holdings[place].vital) = (discardable, vital);
        }
    }

    /// Its guarantee is another one now.
    pub fn guaranteed_changes(&mut self, more: u64, less: u64) {
        self.guaranteed = self.guaranteed + more - less;
        self.ladder.reduced |= less != 0;
        self.ladder.may_lose |= less != 0;
    }
}
