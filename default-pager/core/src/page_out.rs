//! Page-out: each page becomes its word, an object of the compressed tier, or a write to the disk.
//!
//! Slots are reserved and the lane is opened with their names before any page is given up, and the lane is closed
//! when every page is safe: the one store that makes the request whole. What comes before it, a crash undoes.

use crate::codec::{self, repeated};
use crate::lanes::{Lane, PageOut, PageOutError, Ticket};
use crate::limits::{BATCH_PAGES, LANES, PAGE_OUTS};
use crate::name::{Page, SlotName};
use crate::operation::{NO_SLOT, Purpose, indices};
use crate::outside::{Disk, Region, Store};
use crate::pager::{Pager, Progress, Refusal};
use crate::word::{DISK_TAG_BITS, Object, State, TIER_TAG_BITS, Word, fits};

impl<R: Region, S: Store, D: Disk> Pager<R, S, D> {
    /// Takes pages, all of them whole or none: [`Pager::outcome`] tells their names once it is done.
    ///
    /// A page that several hold is put out once. `account` pays for what stays in memory. `near` is a page that lies
    /// before these in their container: they are put behind it where there is room. The same ticket again is
    /// answered as the first time; a later one of the lane says that the answer has arrived. Pages are copied within
    /// this call, and may be used for other things only when the outcome is known: after a crash they are asked for
    /// again.
    pub fn page_out(
        &mut self,
        ticket: Ticket,
        account: u16,
        near: Option<SlotName>,
        pages: &[&Page],
    ) -> Result<Progress, Refusal> {
        if pages.is_empty() || pages.len() > BATCH_PAGES {
            return Err(Refusal::Malformed);
        }
        if !self.accounts.exists(account) {
            return Err(Refusal::OutOfRange);
        }
        if self.was_answered(ticket)? {
            self.counters.replayed += 1;
            return Ok(Progress::Done);
        }
        let page_outs = self.operations.count(|purpose| matches!(purpose, Purpose::PageOut { .. }));
        let index = self.operations.idle().filter(|_| page_outs < PAGE_OUTS).ok_or(Refusal::Busy)?;
        let slots = self.begin(index, ticket, near, pages.len());
        for (page, bytes) in pages.iter().enumerate().take(slots) {
            self.put_out(index, ticket, account, page, bytes);
        }
        self.counters.pages_out += slots as u64;
        self.counters.refused_full += (pages.len() - slots) as u64;
        self.pump();
        let settled = self.operations.get(index).is_settled();
        if settled {
            self.finish_page_out(index, ticket);
        }
        self.balance();
        Ok(if settled { Progress::Done } else { Progress::UnderWay })
    }

    /// Tells what became of the pages of a page-out that is done, in their order, and how many they were.
    pub fn outcome(&self, ticket: Ticket, results: &mut [PageOut]) -> Result<usize, Refusal> {
        check(ticket)?;
        match self.ledger.lane_state(ticket.lane) {
            Lane::Done { sequence, pages } if sequence == ticket.sequence => {
                let results = results.get_mut(..pages).ok_or(Refusal::Malformed)?;
                for (index, result) in results.iter_mut().enumerate() {
                    *result = self.ledger.entry(ticket.lane, index);
                }
                Ok(pages)
            }
            Lane::Open { sequence, .. } if sequence == ticket.sequence => Err(Refusal::UnderWay),
            _ => Err(Refusal::Unknown),
        }
    }

    /// Whether a ticket was answered already.
    fn was_answered(&self, ticket: Ticket) -> Result<bool, Refusal> {
        check(ticket)?;
        let (last, is_open) = match self.ledger.lane_state(ticket.lane) {
            Lane::Unknown => return Ok(false),
            Lane::Open { sequence, .. } => (sequence, true),
            Lane::Done { sequence, .. } => (sequence, false),
        };
        match (ticket.sequence.cmp(&last), is_open) {
            (core::cmp::Ordering::Less, _) => Err(Refusal::Superseded),
            (core::cmp::Ordering::Equal, true) => Err(Refusal::UnderWay),
            (core::cmp::Ordering::Equal, false) => Ok(true),
            (core::cmp::Ordering::Greater, true) => Err(Refusal::Busy),
            (core::cmp::Ordering::Greater, false) => Ok(false),
        }
    }

    /// Reserves slots for as many pages as there are, and opens the lane.
    fn begin(&mut self, index: usize, ticket: Ticket, near: Option<SlotName>, pages: usize) -> usize {
        self.ended[usize::from(ticket.lane)] = None;
        let operation = self.operations.get(index);
        operation.begin(Purpose::PageOut { ticket }, pages);
        let slots = self.ledger.reserve(near, &mut operation.slots[..pages]);
        for page in 0..slots {
            operation.counts[page] = self.ledger.word(operation.slots[page]).count;
        }
        let entries = (0..pages).map(|page| match operation.slots[page] {
            NO_SLOT => Err(PageOutError::Full),
            slot => Ok(SlotName::new(slot, operation.counts[page] as u16)),
        });
        self.ledger.open_lane(ticket, entries);
        slots
    }

    /// Finds the cheapest place for a page.
    fn put_out(&mut self, index: usize, ticket: Ticket, account: u16, page: usize, bytes: &Page) {
        let operation = self.operations.get(index);
        let (slot, count) = (operation.slots[page], operation.counts[page]);
        let word = repeated(bytes);
        let state = match word {
            Some(word) if fits(word) => Some(State::Fill(word)),
            Some(_) => self.keep(slot, count, account, bytes, word).map(State::StoredFill),
            None => self.keep(slot, count, account, bytes, None).map(State::Compressed),
        };
        match state {
            Some(state) => {
                self.ledger.set(slot, Word { count, state });
                self.counters.filled += u64::from(word.is_some());
                self.counters.compressed += u64::from(word.is_none());
            }
            None if self.can_write() => self.send(index, page, bytes),
            None => self.give_up(index, ticket, page, PageOutError::NoDisk),
        }
    }

    /// Puts a page into the compressed tier, if it gets smaller, its owner may and there is room.
    fn keep(
        &mut self,
        slot: u32,
        count: u32,
        account: u16,
        bytes: &Page,
        word: Option<u64>,
    ) -> Option<Object> {
        if self.tier.capacity() == 0 || !self.accounts.has_room(account) {
            return None;
        }
        let object = match word {
            Some(word) => self.codec.repeat(account, word),
            None => {
                let object = self.codec.compress(account, bytes);
                self.counters.incompressible += u64::from(object.is_none());
                object?
            }
        };
        let place = self.tier.put(object)?;
        self.accounts.charge(account, self.tier.charge(place));
        Some(Object { place, tag: self.seal.tag(slot, count, object, TIER_TAG_BITS) })
    }

    /// Puts a page into the buffer, for the disk.
    fn send(&mut self, index: usize, page: usize, bytes: &Page) {
        let operation = self.operations.get(index);
        let (slot, count) = (operation.slots[page], operation.counts[page]);
        operation.tags[page] = self.seal.tag(slot, count, bytes, DISK_TAG_BITS);
        operation.todo |= 1 << page;
        let buffer = Self::buffer_page(&mut self.disk, index, page);
        buffer.copy_from_slice(bytes);
        self.seal.crypt(slot, count, buffer);
        self.counters.direct += 1;
    }

    /// A page cannot be put out.
    fn give_up(&mut self, index: usize, ticket: Ticket, page: usize, why: PageOutError) {
        let operation = self.operations.get(index);
        let slot = core::mem::replace(&mut operation.slots[page], NO_SLOT);
        self.ledger.rename(ticket.lane, page, Err(why));
        self.ledger.release(slot);
        self.counters.refused_unwritable += 1;
    }

    /// A place did not take a page: moves the page to another one, sealed for that. False if it was moved often
    /// enough, or nothing is free.
    pub(crate) fn try_elsewhere(&mut self, index: usize, ticket: Ticket, page: usize) -> bool {
        let operation = self.operations.get(index);
        let Some(try_number) = operation.tried[page].iter().position(|slot| *slot == NO_SLOT) else {
            return false;
        };
        let mut slots = [NO_SLOT];
        if self.ledger.reserve(None, &mut slots) == 0 {
            return false;
        }
        let (old_slot, old_count) = (operation.slots[page], operation.counts[page]);
        let (slot, count) = (slots[0], self.ledger.word(slots[0]).count);
        let buffer = Self::buffer_page(&mut self.disk, index, page);
        self.seal.crypt(old_slot, old_count, buffer);
        operation.tags[page] = self.seal.tag(slot, count, buffer, DISK_TAG_BITS);
        self.seal.crypt(slot, count, buffer);
        operation.tried[page][try_number] = old_slot;
        operation.slots[page] = slot;
        operation.counts[page] = count;
        operation.alone |= 1 << page;
        operation.todo |= 1 << page;
        self.ledger.rename(ticket.lane, page, Ok(SlotName::new(slot, count as u16)));
        true
    }

    /// The disk is done with a page-out: its pages get their words, then the lane is closed.
    pub(crate) fn finish_page_out(&mut self, index: usize, ticket: Ticket) {
        let operation = self.operations.get(index);
        let (done, failed, pages) = (operation.done, operation.failed, operation.pages);
        for page in indices(done) {
            let operation = self.operations.get(index);
            let (count, state) = (operation.counts[page], State::Disk { tag: operation.tags[page] });
            self.ledger.set(operation.slots[page], Word { count, state });
            self.leave_tried(index, page, true);
        }
        for page in indices(failed) {
            self.give_up(index, ticket, page, PageOutError::Unwritable);
            self.leave_tried(index, page, false);
        }
        self.ledger.close_lane(ticket, pages);
        self.operations.get(index).purpose = Purpose::Idle;
    }

    /// The slots in which a page was tried are bad if another one took it. If none did, it is the disk that fails,
    /// and they may be good.
    fn leave_tried(&mut self, index: usize, page: usize, another_took_it: bool) {
        let tried = self.operations.get(index).tried[page];
        for slot in tried.into_iter().filter(|slot| *slot != NO_SLOT) {
            if another_took_it {
                let word = self.ledger.word(slot);
                self.ledger.set(slot, Word { state: State::Bad, ..word });
            } else {
                self.ledger.release(slot);
            }
        }
    }

    /// Makes the page of an object; spoilt, it is all zeros.
    pub(crate) fn restore(
        &self,
        slot: u32,
        word: Word,
        object: Object,
        is_fill: bool,
        page: &mut Page,
    ) -> bool {
        let whole = self.tier.get(object.place).is_some_and(|(bytes, _)| {
            self.seal.tag(slot, word.count, bytes, TIER_TAG_BITS) == object.tag
                && if is_fill { codec::restore_fill(bytes, page) } else { codec::restore(bytes, page) }
        });
        if !whole {
            page.fill(0);
        }
        whole
    }
}

fn check(ticket: Ticket) -> Result<(), Refusal> {
    let exists = usize::from(ticket.lane) < LANES && ticket.sequence > 0;
    exists.then_some(()).ok_or(Refusal::OutOfRange)
}
