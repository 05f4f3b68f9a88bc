//! What a policy sees of the machine, and what it can say.

use super::search::MASK_PAGES;
use crate::layout::{CONTAINERS, SPACES, contract, space};
use crate::limits::CALL_GRACE_NS;
use crate::machine::Physmem;
use crate::pmap::{Clear, Pmap, RecordMemory};
use crate::seizure::Run;
use containers_api::container::PAGE_REFERENCED;
use containers_core::eviction;
use containers_core::layout::container;
use containers_core::mutations::{self, Mutation};
use containers_core::pages;
use containers_core::record::{Container, Contract, Name, Records};
use kernel_abi::Handle;

/// Bits of a note that are the policy's; those above are the number of the swap.
const NOTE_BITS: u32 = 56;

/// What asking when an address space ran costs, in pages looked at.
const RUN_COST: u64 = 4;

/// See the module. Names that a policy has kept over steps may be stale: [`View::is_holder`] and [`View::is_of`] say so.
pub(crate) trait View {
    /// The moment, in nanoseconds since boot.
    fn now(&self) -> u64;
    /// Which step of work this is.
    fn steps(&self) -> u64;
    /// Pages that may still be looked at in this step.
    fn budget(&self) -> u64;
    /// Uses some of the budget.
    fn spend(&mut self, pages: u64);

    /// The contracts with extra frames, one after the other.
    fn next_holder(&self, after: Option<Name<Contract>>) -> Option<Name<Contract>>;
    /// Whether a contract is still there and has extra frames.
    fn is_holder(&self, claimed: Name<Contract>) -> bool;
    /// Frames of a holder that may be called and are not yet.
    fn takeable(&self, holder: Name<Contract>) -> u64;
    /// What a holder holds beyond its guarantee.
    fn extra(&self, holder: Name<Contract>) -> u64;
    /// Frames that are to be seized from a contract.
    fn seizing(&self, of: Name<Contract>) -> u64;
    /// What all contracts are charged for.
    fn charged_in_sum(&self) -> u64;
    /// How much a holder counts against others.
    fn weight(&self, holder: Name<Contract>) -> u64;
    /// When one of a contract's address spaces was active last, as a count that grows; 0: never. It costs budget.
    fn last_run(&mut self, of: Name<Contract>) -> u64;
    /// The policy's own note on a contract; none, if it was another policy's.
    fn note(&self, of: Name<Contract>) -> Option<u64>;
    /// Changes it. It has 56 bits.
    fn set_note(&mut self, of: Name<Contract>, note: u64);
    /// Has frames taken back from a holder, so many at most; how many.
    fn take(&mut self, holder: Name<Contract>, frames: u64) -> u64;

    /// The containers of a contract, one after the other.
    fn next_container(&self, of: Name<Contract>, after: Option<Name<Container>>) -> Option<Name<Container>>;
    /// Whether a container is still there and of a contract.
    fn is_of(&self, claimed: Name<Container>, of: Name<Contract>) -> bool;
    /// Whether a container is never seized.
    fn is_vital(&self, this: Name<Container>) -> bool;
    /// Whether a container has a place in its owner's eviction order.
    fn is_ordered(&self, this: Name<Container>) -> bool;
    /// Pages that a container holds.
    fn present(&self, this: Name<Container>) -> u64;
    /// Where the hand stands in a container.
    fn hand(&self, this: Name<Container>) -> u64;
    /// Moves it.
    fn set_hand(&mut self, this: Name<Container>, page: u64);
    /// Pages from one on that can be seized, so many at most.
    fn seizable(&self, this: Name<Container>, first: u64, most: u64) -> Option<Run>;

    /// The same, from where the hand stands, round and round. Seizing moves the hand.
    fn seizable_by_hand(&self, this: Name<Container>, most: u64) -> Option<Run>;

    /// Pages of a container that may be looked at in one go, at least one: each of its mappings is a look of its own.
    fn piece(&self, this: Name<Container>) -> u64;
    /// Which of at most 128 pages were referenced since they were last passed, a bit a page. It costs budget.
    fn look(&mut self, run: Run) -> u128;
    /// The same, and passes them: references are forgotten, and go into the pages' ages.
    fn pass(&mut self, run: Run) -> u128;
    /// How a page was found when it was last passed, and before: a bit each, the last in the highest; 1 is referenced.
    fn age(&self, this: Name<Container>, page: u64) -> u8;
}

impl<P: Pmap, M: RecordMemory> View for Physmem<'_, P, M> {
    fn now(&self) -> u64 {
        self.now
    }

    fn steps(&self) -> u64 {
        self.policy.steps
    }

    fn budget(&self) -> u64 {
        self.policy.budget
    }

    fn spend(&mut self, pages: u64) {
        self.policy.budget = self.policy.budget.saturating_sub(pages);
    }

    fn next_holder(&self, after: Option<Name<Contract>>) -> Option<Name<Contract>> {
        match after {
            None => self.holders.first,
            Some(after) => self.get(after, contract::HOLDER_NEXT),
        }
    }

    fn is_holder(&self, claimed: Name<Contract>) -> bool {
        self.resolve::<Contract>(claimed.word()).is_some_and(|this| self.extra_of(this) != 0)
    }

    fn takeable(&self, holder: Name<Contract>) -> u64 {
        if self.is_called(holder) {
            return 0;
        }
        let over = self.callable(holder);
        // One call at a time: it takes along what comes to its end before the deadline, so that nobody waits for a second one.
        // Who is not asked any more keeps those until then.
        let frames = match over != 0 && self.standing(holder) != 0 {
            true => self.callable_by(holder, self.now.saturating_add(CALL_GRACE_NS)),
            false => over,
        };
        frames.saturating_sub(self.seizing(holder))
    }

    fn extra(&self, holder: Name<Contract>) -> u64 {
        self.extra_of(holder)
    }

    fn seizing(&self, of: Name<Contract>) -> u64 {
        self.get(of, contract::SEIZING)
    }

    fn charged_in_sum(&self) -> u64 {
        self.charged
    }

    fn weight(&self, holder: Name<Contract>) -> u64 {
        self.get(holder, contract::WEIGHT)
    }

    fn last_run(&mut self, of: Name<Contract>) -> u64 {
        let (mut last, mut next) = (0, SPACES.first(self, of));
        while let Some(here) = next {
            next = self.get(here, space::NEXT);
            self.spend(RUN_COST);
            if !self.get(here, space::ENDED) {
                last = last.max(self.pmap.last_run(Handle(self.get(here, space::TASK))));
            }
        }
        last
    }

    fn note(&self, of: Name<Contract>) -> Option<u64> {
        let note: u64 = self.get(of, contract::POLICY_NOTE);
        (note >> NOTE_BITS == u64::from(self.policy.epoch)).then_some(note & ((1 << NOTE_BITS) - 1))
    }

    fn set_note(&mut self, of: Name<Contract>, note: u64) {
        debug_assert!(note >> NOTE_BITS == 0);
        self.set(of, contract::POLICY_NOTE, u64::from(self.policy.epoch) << NOTE_BITS | note);
    }

    fn take(&mut self, holder: Name<Contract>, frames: u64) -> u64 {
        let frames = frames.min(self.takeable(holder));
        self.call_or_seize(holder, frames);
        frames
    }

    fn next_container(&self, of: Name<Contract>, after: Option<Name<Container>>) -> Option<Name<Container>> {
        match after {
            None => CONTAINERS.first(self, of),
            Some(after) => self.get(after, container::NEXT),
        }
    }

    fn is_of(&self, claimed: Name<Container>, of: Name<Contract>) -> bool {
        let found = self.resolve::<Container>(claimed.word());
        found.is_some_and(|this| self.get(this, container::CONTRACT) == of)
    }

    fn is_vital(&self, this: Name<Container>) -> bool {
        self.get(this, container::VITAL) && !mutations::has(Mutation::SeizeVital)
    }

    fn is_ordered(&self, this: Name<Container>) -> bool {
        eviction::is_ordered(self, this)
    }

    fn present(&self, this: Name<Container>) -> u64 {
        self.get(this, container::PRESENT)
    }

    fn hand(&self, this: Name<Container>) -> u64 {
        self.get(this, container::HAND)
    }

    fn set_hand(&mut self, this: Name<Container>, page: u64) {
        self.set(this, container::HAND, page);
    }

    fn seizable(&self, container: Name<Container>, first: u64, most: u64) -> Option<Run> {
        self.seizable_from(container, first, most).map(|span| Run { container, span })
    }

    fn seizable_by_hand(&self, container: Name<Container>, most: u64) -> Option<Run> {
        Physmem::seizable_by_hand(self, container, most).map(|span| Run { container, span })
    }

    fn piece(&self, this: Name<Container>) -> u64 {
        let mappings = self.get(this, container::MAPPING_COUNT).max(1);
        (self.policy.budget / mappings).clamp(1, MASK_PAGES)
    }

    fn look(&mut self, run: Run) -> u128 {
        self.referenced(run, Clear::Nothing)
    }

    fn pass(&mut self, run: Run) -> u128 {
        let referenced = self.referenced(run, Clear::Referenced);
        for (index, page) in (run.span.first..run.span.end()).enumerate() {
            let entry = pages::entry(self, run.container, page);
            let age = entry.age() >> 1 | ((referenced >> index & 1) as u8) << 7;
            if entry.age() != age {
                pages::set(self, run.container, page, entry.aged(age));
            }
        }
        referenced
    }

    fn age(&self, this: Name<Container>, page: u64) -> u8 {
        pages::entry(self, this, page).age()
    }
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    fn referenced(&mut self, run: Run, clear: Clear) -> u128 {
        let Run { container, span } = run;
        let mut states = [0; MASK_PAGES as usize];
        let states = &mut states[..span.pages as usize];
        Physmem::look(self, container, span, states, clear);
        self.spend(span.pages * self.get(container, container::MAPPING_COUNT).max(1));
        self.counters.scanned += span.pages;
        let referenced = states.iter().zip(0..).filter(|(state, _)| **state & PAGE_REFERENCED != 0);
        referenced.fold(0, |mask, (_, index)| mask | 1 << index)
    }
}
