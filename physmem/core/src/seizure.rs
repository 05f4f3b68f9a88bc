//! Seizure: taking extra frames without their holder, in steps of bounded work.
//!
//! Order: what the owner has put into its eviction order, discardable containers first; then what the policy chooses
//! among its other containers. Vital containers and pages that are pinned for a device stay; as both are firm, and firm
//! is within the guarantee, whatever is extra is found. Fill and stable locks do not protect a page: they are broken.
//!
//! A page that is seized goes out to the default pager, where its contract's swap limit covers it and its container is not discardable.
//! Where the pager's operations are all in use the seizure waits for one, but not longer than [`PAGE_OUT_WAIT_NS`] in all.
//!
//! Every other page that is seized is *lost*: a touch of it ends the thread, a copy of it is refused, until its owner allocates or
//! deallocates it. Nobody takes zeros for contents.

use crate::layout::contract;
use crate::limits::{PAGE_OUT_WAIT_NS, SEIZE_STEP_PAGES};
use crate::machine::Physmem;
use crate::paging::Stop;
use crate::pmap::{Pmap, RecordMemory};
use crate::policy::Found;
use containers_api::LockMode;
use containers_api::page::Fate;
use containers_core::access::{changed, locks_on, mode_in_force, span_of};
use containers_core::frames::{Frames, Span, Whose};
use containers_core::layout::{EVICTION_ORDER, container};
use containers_core::mutations::{self, Mutation};
use containers_core::record::{Container, Contract, Name, Records};
use containers_core::{lock, runs};
use kernel_abi::trace::EventKind;

/// Successive pages of a container, all of which can be seized.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// Whose pages.
    pub container: Name<Container>,
    /// Which.
    pub span: Span,
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Seizes some of what is to be seized from a contract.
    pub(crate) fn seize_step(&mut self, this: Name<Contract>) {
        let begun = self.get(this, contract::SEIZING);
        let wanted = begun.min(self.over(this));
        let mut left = wanted.min(SEIZE_STEP_PAGES);
        let mut searches_on = false;
        while left > 0 {
            match self.next_run(this, left) {
                Found::Run(run) => {
                    let gone = self.seize(this, run);
                    left -= gone;
                    if gone < run.span.pages {
                        searches_on = true;
                        break;
                    }
                }
                found => {
                    searches_on = found == Found::Later;
                    break;
                }
            }
        }
        self.post_filled();
        let taken = wanted.min(SEIZE_STEP_PAGES) - left;
        // The count has perhaps been cut already to what is extra still: what is left follows from what it was.
        let before = self.get(this, contract::SEIZING);
        // What could not be found will not be found in the next step either.
        let after =
            if left > 0 && !searches_on { 0 } else { begun.saturating_sub(taken).min(self.over(this)) };
        self.set(this, contract::SEIZING, after);
        self.seizing = self.seizing + after - before;
        if self.seizing == 0 {
            (self.paging.seizure_waits, self.paging.seizure_ends) = (false, None);
        }
    }

    /// Whether there is something to seize now. Not while the pager is waited for.
    pub(crate) fn can_seize(&self) -> bool {
        self.seizing != 0 && self.end_of_seizure_wait().is_none_or(|end| end <= self.now)
    }

    /// Until when a seizure waits for the pager at the latest; none: it does not.
    pub(crate) fn end_of_seizure_wait(&self) -> Option<u64> {
        self.paging.seizure_ends.filter(|_| self.paging.seizure_waits && self.seizing != 0)
    }

    /// Has a seizure wait for the pager, if it may wait any longer.
    fn wait_with_seizure(&mut self) -> bool {
        let end = self.paging.seizure_ends.unwrap_or(self.now.saturating_add(PAGE_OUT_WAIT_NS));
        self.paging.seizure_ends = Some(end);
        self.paging.seizure_waits = end > self.now;
        self.paging.seizure_waits
    }

    /// Extra frames whose term is over. What was given back since a deadline came out of the oldest terms; what runs is its
    /// holder's still.
    fn over(&self, this: Name<Contract>) -> u64 {
        if mutations::has(Mutation::SeizeEarly) { self.extra_of(this) } else { self.callable(this) }
    }

    fn next_run(&mut self, this: Name<Contract>, most: u64) -> Found {
        match self.run_in_order(this, most) {
            Some(run) => Found::Run(run),
            None => self.run_by_policy(this, most),
        }
    }

    fn run_in_order(&self, this: Name<Contract>, most: u64) -> Option<Run> {
        let root = self.get(this, contract::ORDER);
        let mut next = EVICTION_ORDER.first(self, root);
        while let Some(here) = next {
            if let Some(span) = self.seizable_by_hand(here, most) {
                return Some(Run { container: here, span });
            }
            next = EVICTION_ORDER.at_or_after(self, root, self.get(here, container::EVICTION_KEY) + 1);
        }
        None
    }

    /// The next pages of a container that can be seized, from where its hand stands, round and round.
    pub(crate) fn seizable_by_hand(&self, this: Name<Container>, most: u64) -> Option<Span> {
        let hand = self.get(this, container::HAND);
        self.seizable_from(this, hand, most).or_else(|| self.seizable_from(this, 0, most))
    }

    /// The first pages from one on that are present and not pinned, so many at most.
    pub(crate) fn seizable_from(&self, this: Name<Container>, first: u64, most: u64) -> Option<Span> {
        if self.get(this, container::PRESENT) == 0 || self.get(this, container::DYING) {
            return None;
        }
        let end = self.get(this, container::PAGES);
        let mut from = first;
        while from < end {
            let span = runs::first_present(self, this, Span { first: from, pages: end - from }, most)?;
            match self.first_pinned(this, span) {
                None => return Some(span),
                Some(pinned) if pinned.first > span.first => {
                    return Some(Span { pages: pinned.first - span.first, ..span });
                }
                Some(pinned) => from = pinned.end(),
            }
        }
        None
    }

    /// The first pages of a span that are under a dma lock.
    fn first_pinned(&self, this: Name<Container>, span: Span) -> Option<Span> {
        if self.get(this, container::LOCK_COUNT) == 0 {
            return None;
        }
        locks_on(self, this, span)
            .filter(|&found| mode_in_force(self, found) == LockMode::Dma)
            .map(|found| span_of(self, found))
            .min_by_key(|pinned| pinned.first)
    }

    /// Takes the frames of pages that are present and not pinned: of how many. Of fewer than all only where the pager is waited for.
    fn seize(&mut self, this: Name<Contract>, run: Run) -> u64 {
        let Run { container: from, span } = run;
        loop {
            let next = locks_on(self, from, span).next();
            let Some(found) = next else { break };
            lock::end(self, found);
            self.counters.locks_broken += 1;
        }
        self.unmap(from, span, Whose::Everybody);
        self.set(from, container::HAND, span.end());
        let discardable = self.get(from, container::DISCARDABLE);
        let (out, stop) = if discardable { (0, Stop::Refused) } else { self.page_out(from, span) };
        self.return_pages(this, out);
        if out != 0 {
            self.tell_seizure(
                this,
                Run { container: from, span: Span { pages: out, ..span } },
                Fate::PagedOut,
            );
        }
        if stop == Stop::Busy && self.wait_with_seizure() {
            return out;
        }
        let rest = Span { first: span.first + out, pages: span.pages - out };
        if rest.pages != 0 {
            let lost = runs::lose(self, from, rest);
            self.return_pages(this, lost);
            changed(self, from);
            let fate = if discardable { Fate::Discarded } else { Fate::Lost };
            self.tell_seizure(this, Run { container: from, span: rest }, fate);
        }
        span.pages
    }

    /// Counts pages that were seized, and tells their owner.
    fn tell_seizure(&mut self, this: Name<Contract>, run: Run, fate: Fate) {
        let pages = run.span.pages;
        self.raise(this, contract::SEIZED, pages);
        self.counters.seized += pages;
        if fate == Fate::Discarded {
            self.counters.discarded += pages;
        }
        if self.is_tracing {
            let number = self.get(run.container, container::NUMBER);
            let principal = self.get(this, contract::PRINCIPAL);
            self.trace(EventKind::Seized, [principal, number, pages, u64::from(fate == Fate::Discarded)]);
        }
        self.record_seizure(this, run, fate);
    }
}
