//! The pager: its parts, how it begins, what it answers to the disk.
//!
//! Requests come in by [`Pager::page_out`], [`Pager::page_in`], [`Pager::free`] and [`Pager::flush`], ends of
//! transfers by [`Pager::completed`]; what has come to an end later is told by [`Pager::next_event`]. Nothing waits,
//! nothing recurses, and after the beginning nothing is allocated.

use crate::accounts::Accounts;
use crate::codec::Codec;
use crate::lanes::Ticket;
use crate::ledger::Ledger;
use crate::limits::{BATCH_PAGES, LANES, OPERATIONS, PAGE_BYTES, SECTORS_PER_PAGE};
use crate::name::SlotName;
use crate::operation::{Flying, Operations, Purpose, bits};
use crate::outside::{Direction, Disk, DiskError, OpenError, Region, Store, Transfer};
use crate::seal::{Seal, Secret};
use crate::statistics::Counters;
use crate::tier::Tier;
use crate::word::{State, Word};

/// Why a request is not taken. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No page, or more than [`BATCH_PAGES`]; or lists of different lengths.
    Malformed,
    /// There is no such lane or account, or the sequence is 0.
    OutOfRange,
    /// As much is under way as there may be: come again after the next event.
    Busy,
    /// The same page-out is under way.
    UnderWay,
    /// A later page-out of the lane has been seen.
    Superseded,
    /// Nothing is known of that page-out or page-in.
    Unknown,
}

/// How far a request has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// It is done; there will be no event.
    Done,
    /// It waits for the disk; an event will tell.
    UnderWay,
}

/// Something that was under way has come to an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A page-out: ask for its [`Pager::outcome`].
    PageOut(Ticket),
    /// A page-in: [`Pager::collect`] its pages.
    PageIn(u64),
    /// Nothing is left in the compressed tier that could be written out.
    Flushed,
}

/// The pager.
pub struct Pager<R, S, D> {
    pub(crate) ledger: Ledger<R>,
    pub(crate) tier: Tier<S>,
    pub(crate) disk: D,
    pub(crate) seal: Seal,
    pub(crate) codec: Codec,
    pub(crate) operations: Operations,
    pub(crate) accounts: Accounts,
    pub(crate) counters: Counters,
    /// Bytes of the compressed tier beyond which it is written out.
    pub(crate) tier_limit: u64,
    pub(crate) flushing: bool,
    pub(crate) flushed: bool,
    /// Page-outs whose end is to be told.
    pub(crate) ended: [Option<Ticket>; LANES],
}

impl<R: Region, S: Store, D: Disk> Pager<R, S, D> {
    /// Begins with nothing, under new keys. Once a boot.
    ///
    /// The store may hold anything. Fails if region or disk hold no slot.
    pub fn format(region: R, store: S, disk: D, secret: &Secret) -> Result<Self, OpenError> {
        let ledger = Ledger::format(region, &disk, secret)?;
        Ok(Pager::with(ledger, store, disk))
    }

    /// Goes on where a pager that is no more left off.
    ///
    /// The disk must have nothing of its transfers any more: who starts the pager again has them ended, or the
    /// device stopped. Page-outs that were under way are undone; who asked has the pages, and asks again. Page-ins
    /// are forgotten.
    pub fn recover(region: R, store: S, disk: D) -> Result<Self, OpenError> {
        let mut pager = Pager::with(Ledger::open(region, &disk)?, store, disk);
        pager.counters.undone = pager.ledger.undo_open_lanes();
        for slot in 0..pager.ledger.slots() {
            pager.recall(slot);
        }
        Ok(pager)
    }

    fn with(ledger: Ledger<R>, store: S, disk: D) -> Self {
        let seal = Seal::new(&ledger.secret());
        let tier = Tier::new(store);
        Pager {
            tier_limit: tier.capacity() / 4 * 3,
            ledger,
            tier,
            disk,
            seal,
            codec: Codec::new(),
            operations: Operations::new(),
            accounts: Accounts::new(),
            counters: Counters::default(),
            flushing: false,
            flushed: false,
            ended: [None; LANES],
        }
    }

    /// The disk, to look after it.
    pub fn disk(&mut self) -> &mut D {
        &mut self.disk
    }

    /// Takes the pager apart: what is under way is as after a crash.
    pub fn into_parts(self) -> (R, S, D) {
        (self.ledger.into_region(), self.tier.into_store(), self.disk)
    }

    /// A slot after a crash: its place in the tier is taken, what was reserved is free.
    fn recall(&mut self, slot: u32) {
        let word = self.ledger.word(slot);
        let state = match word.state {
            State::Free { reserved: true } => State::Free { reserved: false },
            State::Compressed(object) | State::Stuck(object) | State::StoredFill(object) => {
                if self.tier.recall(object.place) {
                    let account = self.tier.account(object.place).unwrap_or_default();
                    self.accounts.charge(account, self.tier.charge(object.place));
                } else {
                    self.ledger.set(slot, Word { state: State::Lost, ..word });
                    self.counters.spoilt += 1;
                    return;
                }
                match word.state {
                    State::Stuck(object) => State::Compressed(object),
                    state => state,
                }
            }
            _ => return,
        };
        if state != word.state {
            self.ledger.set(slot, Word { state, ..word });
        }
    }

    /// Sets how many bytes the compressed tier may have; beyond, its oldest pages are written out. More than the
    /// store has is all of it: then what does not fit goes to the disk as it is.
    pub fn set_tier_limit(&mut self, bytes: u64) {
        self.tier_limit = bytes.min(self.tier.capacity());
        self.balance();
    }

    /// Sets how many bytes of the compressed tier are an owner's at most; beyond, its pages go to the disk as they
    /// are. Not in the persistent region: to be set again after a crash.
    pub fn set_account_limit(&mut self, account: u16, bytes: u64) -> Result<(), Refusal> {
        self.accounts.set_limit(account, bytes).ok_or(Refusal::OutOfRange)
    }

    /// Bytes of the compressed tier that an owner is to be charged for.
    pub fn charged(&self, account: u16) -> u64 {
        self.accounts.charged(account)
    }

    /// Gives names back, those of a batch: their pages are forgotten. Says how many of them were stale; these are
    /// left alone, so a request that a crash cut off can be made again.
    pub fn free(&mut self, names: &[SlotName]) -> Result<usize, Refusal> {
        if names.len() > BATCH_PAGES {
            return Err(Refusal::Malformed);
        }
        let mut stale = 0;
        for name in names {
            match self.tenant(*name) {
                Some(word) => self.forget(name.slot(), word),
                None => stale += 1,
            }
        }
        self.counters.freed += (names.len() - stale) as u64;
        self.counters.stale += stale as u64;
        Ok(stale)
    }

    fn forget(&mut self, slot: u32, word: Word) {
        // The place may be written by a transfer that the disk has; the slot is free when that has ended.
        let reserved = self.is_being_written_out(slot);
        self.ledger.set(slot, Word { state: State::Free { reserved }, ..word });
        if let State::Compressed(object) | State::Stuck(object) | State::StoredFill(object) = word.state {
            self.drop_object(object.place);
        }
    }

    /// Takes an object out of the tier, and off its owner's account.
    pub(crate) fn drop_object(&mut self, place: u32) {
        let account = self.tier.account(place).unwrap_or_default();
        self.accounts.discharge(account, self.tier.charge(place));
        self.tier.remove(place);
    }

    /// The word of a name's slot, if the name is its present tenant's.
    pub(crate) fn tenant(&self, name: SlotName) -> Option<Word> {
        let word = (name.slot() < self.ledger.slots()).then(|| self.ledger.word(name.slot()))?;
        let vacant = matches!(word.state, State::Free { .. } | State::Bad);
        (!vacant && word.version() == name.version()).then_some(word)
    }

    /// The disk has ended a transfer. A number that it was not given is ignored, and counted.
    pub fn completed(&mut self, number: u32, result: Result<(), DiskError>) {
        let Some(Flying { operation: index, first, pages }) = self.operations.land(number) else {
            self.counters.unknown_transfers += 1;
            return;
        };
        let operation = self.operations.get(index);
        let run = bits(first, pages);
        operation.flight &= !run;
        match result {
            Ok(()) => operation.done |= run,
            Err(DiskError) if pages > 1 => {
                operation.todo |= run;
                operation.alone |= run;
            }
            Err(DiskError) => self.failed_alone(index, first),
        }
        self.counters.transfer_errors += u64::from(result.is_err());
        self.pump();
        self.settle(index);
        self.balance();
    }

    /// A page could not be transferred, by itself.
    fn failed_alone(&mut self, index: usize, page: usize) {
        if let Purpose::PageOut { ticket } = self.operations.get(index).purpose
            && self.try_elsewhere(index, ticket, page)
        {
            return;
        }
        self.operations.get(index).failed |= 1 << page;
    }

    /// Ends an operation that the disk is done with.
    pub(crate) fn settle(&mut self, index: usize) {
        let operation = self.operations.get(index);
        if !operation.is_settled() {
            return;
        }
        match operation.purpose {
            Purpose::Idle | Purpose::PageIn { abandoned: false, .. } => {}
            Purpose::PageIn { abandoned: true, .. } => operation.purpose = Purpose::Idle,
            Purpose::PageOut { ticket } => {
                self.finish_page_out(index, ticket);
                self.ended[usize::from(ticket.lane)] = Some(ticket);
            }
            Purpose::WriteOut => self.finish_write_out(index),
        }
    }

    /// Gives the disk as much as it may have.
    pub(crate) fn pump(&mut self) {
        for index in 0..OPERATIONS {
            while let Some((first, pages)) = self.operations.get(index).next_run() {
                let Some(number) = self.operations.launch(Flying { operation: index, first, pages }) else {
                    return;
                };
                let operation = self.operations.get(index);
                operation.todo &= !bits(first, pages);
                operation.flight |= bits(first, pages);
                let direction = match operation.purpose {
                    Purpose::PageIn { .. } => Direction::Read,
                    _ => Direction::Write,
                };
                let sector = u64::from(operation.slots[first]) * SECTORS_PER_PAGE;
                let transfer =
                    Transfer { number, direction, sector, buffer: index, first_page: first, pages };
                self.counters.transferred(direction, pages);
                self.disk.submit(transfer);
            }
        }
    }

    /// What has come to an end, one at a time.
    pub fn next_event(&mut self) -> Option<Event> {
        if let Some(ticket) = self.ended.iter_mut().find_map(Option::take) {
            return Some(Event::PageOut(ticket));
        }
        if let Some(token) = self.next_arrival() {
            return Some(Event::PageIn(token));
        }
        core::mem::take(&mut self.flushed).then_some(Event::Flushed)
    }

    /// Whether the disk takes pages.
    pub(crate) fn can_write(&self) -> bool {
        self.disk.sectors() > 0 && self.disk.is_writable()
    }

    /// One page of an operation's buffer.
    pub(crate) fn buffer_page(disk: &mut D, index: usize, page: usize) -> &mut [u8] {
        &mut disk.buffer(index)[page * PAGE_BYTES..(page + 1) * PAGE_BYTES]
    }
}
