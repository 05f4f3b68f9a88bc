//! Holding more than one's guarantee: what those who ignore, delay or evade the calls for it have in common.
//!
//! A hoard is one container that takes as many extra frames as physmem lends. Each page is marked when it is taken; a page
//! that was seized meanwhile is lost until it is allocated again, and then holds zeros.

use crate::page::Page;
use containers_api::container::{PAGE_LOST, PAGE_PRESENT, PageQuery, QUERY_PAGES_MAX};
use containers_api::contract::{CallStat, CallStatus, Watch};
use containers_api::space::MapProtection;
use core::ops::Range;
use kernel_abi::FRAME_BYTES;
use kernel_runtime::containers::{MemoryCallError, OwnContainer, contract_status};
use kernel_runtime::ipc::call;
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::memory::Mapping;
use kernel_runtime::notification::Notification;
use kernel_runtime::{Capability, Deadline, clock};
use tests_guest::Failed;
use tests_stress_core::tally::Counter;

/// Pages taken at a time.
const PIECE: u64 = 256;
/// What a page is marked with, in its first word.
const MARK: u64 = 0x3c3c_c3c3_3c3c_c3c3;
/// By how much a call may outlive its deadline, however busy the machine is.
const LATE_NS: u64 = 2_000_000_000;

/// More than the guarantee.
pub struct Hoard {
    // In this order: the mapping goes first.
    mapping: Mapping,
    container: OwnContainer,
    calls: Notification,
    _signaller: Capability,
    /// Pages of the container.
    pages: u64,
    /// Pages taken, from the start.
    taken: u64,
    gave_back: bool,
    seized: u64,
    sequence: u64,
    met: u64,
}

fn status() -> Result<containers_api::contract::ContractStatus, Failed> {
    contract_status(CONTRACT).map_err(|error| ("status", error).into())
}

impl Hoard {
    /// An empty one, that hears of calls.
    pub fn new() -> Result<Hoard, Failed> {
        let own = status()?;
        // As much as the contract can have at all.
        let pages = own.guaranteed + own.extra_limit;
        let container = OwnContainer::new(pages).map_err(|error| ("container", error))?;
        let mapping =
            Mapping::new(&container, 0, pages, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
        let calls = Notification::new().map_err(|error| ("notification", error))?;
        let signaller = calls.signaller(1).map_err(|error| ("signaller", error))?;
        call(CONTRACT, &Watch {}, &[signaller.handle()], Deadline::NEVER)
            .map_err(|error| ("watch", error))?;
        Ok(Hoard {
            mapping,
            container,
            calls,
            _signaller: signaller,
            pages,
            taken: 0,
            gave_back: false,
            seized: own.seized,
            sequence: 0,
            met: 0,
        })
    }

    /// Takes what can be had, and marks it.
    pub fn fill(&mut self, page: &mut Page) {
        while self.taken < self.pages {
            let range = self.taken..(self.taken + PIECE).min(self.pages);
            let granted = page.outcome(self.container.allocate(range.clone(), true));
            // The last ones come one by one.
            if granted.is_none()
                && page.outcome(self.container.allocate(range.start..range.start + 1, true)).is_none()
            {
                return;
            }
            let range = if granted.is_some() { range } else { range.start..range.start + 1 };
            self.mark(page, range.clone());
            self.taken = range.end;
        }
    }

    /// Marks those pages of a range that are there, and looks at what they held.
    fn mark(&mut self, page: &mut Page, range: Range<u64>) {
        let there = self.states(range.clone());
        for index in range.filter(|&index| there(index) & (PAGE_PRESENT | PAGE_LOST) == PAGE_PRESENT) {
            let first = (index * FRAME_BYTES) as usize;
            let bytes = &mut self.mapping.as_mut_slice()[first..first + FRAME_BYTES as usize];
            let words = bytes.as_chunks_mut::<8>().0;
            let strange =
                words.iter().map(|word| u64::from_le_bytes(*word)).find(|&word| word != 0 && word != MARK);
            page.check(strange.is_none(), format_args!("an extra page holds {:#x}", strange.unwrap_or(0)));
            words[0] = MARK.to_le_bytes();
        }
    }

    /// How the pages of a range are, at most as many as one answer tells; 0 where that is not known.
    fn states(&self, range: Range<u64>) -> impl Fn(u64) -> u8 + use<> {
        let query = PageQuery { first_page: range.start, pages: range.end - range.start, clear: false };
        let answer = call(self.container.handle(), &query, &[], Deadline::NEVER);
        move |index| {
            let states = answer.as_ref().map_or(&[][..], |answer| answer.states.as_slice());
            states.get((index - range.start) as usize).copied().unwrap_or(0)
        }
    }

    /// Ranges that cover all that was taken, each as long as one answer tells.
    fn parts(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        let taken = self.taken;
        (0..taken)
            .step_by(QUERY_PAGES_MAX as usize)
            .map(move |first| first..(first + QUERY_PAGES_MAX).min(taken))
    }

    /// Waits for a call; whether one came.
    pub fn wait_for_call(&mut self, deadline: Deadline) -> bool {
        self.calls.wait(deadline).is_ok()
    }

    /// The call in progress. Counts it if it is a new one.
    pub fn call(&mut self, page: &mut Page) -> Result<CallStatus, Failed> {
        let found = call(CONTRACT, &CallStat {}, &[], Deadline::NEVER).map_err(|error| ("call", error))?;
        if found.sequence > self.sequence {
            page.add(Counter::Calls, found.sequence - self.sequence);
            self.sequence = found.sequence;
        }
        if found.met > self.met {
            page.add(Counter::Met, found.met - self.met);
            self.met = found.met;
        }
        Ok(found)
    }

    /// Gives pages back, from the end.
    pub fn give_back(&mut self, pages: u64) -> Result<(), MemoryCallError> {
        self.gave_back = true;
        let first = self.taken.saturating_sub(pages);
        if first < self.taken {
            self.container.deallocate(first..self.taken)?;
            self.taken = first;
        }
        Ok(())
    }

    /// Law 6: a call's end is its deadline, whatever its addressee does. Law 4: only what is extra is ever taken.
    pub fn check_revocation(&mut self, page: &mut Page) -> Result<(), Failed> {
        let found = self.call(page)?;
        let overdue = found.frames > 0 && clock::now() > found.deadline.saturating_add(LATE_NS);
        page.check(!overdue, format_args!("{} frames are overdue since {}", found.frames, found.deadline));
        let now = status()?;
        if now.seized > self.seized {
            page.add(Counter::Seized, now.seized - self.seized);
            self.seized = now.seized;
            let held = now.pages + now.records + now.kernel;
            // Who has given back himself may hold less.
            let kept = self.gave_back || held >= now.guaranteed.min(self.taken);
            page.check(kept, format_args!("{held} frames are left of {}", now.guaranteed));
            self.regain(page);
        }
        Ok(())
    }

    /// Makes lost pages good again where that is granted: they must be zeros, the others marked.
    fn regain(&mut self, page: &mut Page) {
        for part in self.parts() {
            let there = self.states(part.clone());
            for index in part.filter(|&index| there(index) & PAGE_LOST != 0) {
                if page.outcome(self.container.allocate(index..index + 1, false)).is_none() {
                    return;
                }
                self.mark(page, index..index + 1);
            }
        }
    }

    /// Touches a page that was seized, if there is one; does not return then.
    pub fn touch_lost(&self) {
        for part in self.parts() {
            let there = self.states(part.clone());
            for index in part.filter(|&index| there(index) & PAGE_LOST != 0) {
                let first = (index * FRAME_BYTES) as usize;
                core::hint::black_box(core::hint::black_box(self.mapping.as_slice())[first]);
            }
        }
    }
}
