//! Which slots a batch gets: a run of neighbours, so that it is written and read back by one sweep of the disk.
//!
//! First the slots behind the page that the client named as its neighbour, then the first run from the cursor on,
//! within [`SEARCH_SLOTS`] slots; then whatever is free. The cursor goes round, so slots wear evenly, and slots next
//! to each other are about as old as each other: the order in which the compressed tier is written out.

use crate::ledger::Ledger;
use crate::limits::{CLUSTER_SLOTS, SEARCH_SLOTS, WRITES_PER_SLOT};
use crate::name::SlotName;
use crate::outside::Region;
use crate::word::{State, Word};

impl<R: Region> Ledger<R> {
    /// Reserves slots for a batch, as many as there are, and says how many. A reserved slot has its new count: it
    /// is used up, should the page never come.
    pub fn reserve(&mut self, near: Option<SlotName>, slots: &mut [u32]) -> usize {
        let pages = slots.len() as u32;
        let near = near.map(|name| name.slot().saturating_add(1)).filter(|first| *first < self.slots());
        let beside = near.and_then(|first| self.find_run(first, CLUSTER_SLOTS, pages));
        if let Some(first) = beside {
            return self.take_run(first, slots);
        }
        if let Some(first) = self.find_run(self.cursor, SEARCH_SLOTS, pages) {
            self.cursor = (first + pages) % self.slots();
            return self.take_run(first, slots);
        }
        self.take_any(slots)
    }

    /// A slot that was reserved is not needed.
    pub fn release(&mut self, slot: u32) {
        let word = self.word(slot);
        self.set(slot, Word { state: State::Free { reserved: false }, ..word });
    }

    fn is_free(&self, slot: u32) -> bool {
        let word = self.word(slot);
        word.state == State::Free { reserved: false } && word.count < WRITES_PER_SLOT
    }

    /// The first of `pages` free neighbours, among the next `reach` slots.
    fn find_run(&self, from: u32, reach: u32, pages: u32) -> Option<u32> {
        let (mut slot, mut run) = (from, 0);
        let mut left = reach.min(self.slots());
        let mut zones_left = crate::limits::ZONES + 1;
        while left > 0 && zones_left > 0 && self.counts().free >= pages {
            let (zone, end) = self.zone(slot);
            if zone.free == 0 {
                (slot, run) = (end, 0);
                zones_left -= 1;
            } else {
                run = if self.is_free(slot) { run + 1 } else { 0 };
                if run == pages {
                    return Some(slot + 1 - pages);
                }
                slot += 1;
                left -= 1;
            }
            if slot == self.slots() {
                (slot, run) = (0, 0);
            }
        }
        None
    }

    fn take_run(&mut self, first: u32, slots: &mut [u32]) -> usize {
        for (slot, place) in (first..).zip(slots.iter_mut()) {
            self.take(slot);
            *place = slot;
        }
        slots.len()
    }

    fn take_any(&mut self, slots: &mut [u32]) -> usize {
        let (mut slot, mut found) = (self.cursor, 0);
        while found < slots.len() && self.counts().free > 0 {
            let (zone, end) = self.zone(slot);
            if zone.free == 0 {
                slot = end;
            } else {
                if self.is_free(slot) {
                    self.take(slot);
                    slots[found] = slot;
                    found += 1;
                }
                slot += 1;
            }
            slot %= self.slots();
        }
        self.cursor = slot;
        found
    }

    fn take(&mut self, slot: u32) {
        let count = self.word(slot).count + 1;
        self.set(slot, Word { count, state: State::Free { reserved: true } });
    }
}
