//! Requests that have work with the disk: which pages wait, which are with it, which are done.
//!
//! An operation owns one buffer. Its pages are bits: each is in `todo`, then `flight`, then `done` or `failed`. Pages
//! that are neighbours in the buffer and on the disk go in one transfer; those of a transfer that failed go again,
//! one by one (`alone`), so that a bad sector costs the page on it and no other.

use crate::lanes::Ticket;
use crate::limits::{BATCH_PAGES, OPERATIONS, TRANSFERS, WRITE_TRIES};
use alloc::boxed::Box;

/// No slot.
pub(crate) const NO_SLOT: u32 = u32::MAX;

/// What an operation is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// Nothing: it can be had.
    Idle,
    /// Pages of a client, to the disk.
    PageOut { ticket: Ticket },
    /// Pages of a client, from the disk.
    PageIn { token: u64, abandoned: bool },
    /// Pages of the compressed tier, to the disk.
    WriteOut,
}

/// An operation.
pub(crate) struct Operation {
    pub purpose: Purpose,
    pub pages: usize,
    /// Slot of each page.
    pub slots: [u32; BATCH_PAGES],
    /// Write count of the slot at the time.
    pub counts: [u32; BATCH_PAGES],
    /// Tag of what is in the buffer, before encryption.
    pub tags: [u64; BATCH_PAGES],
    /// Slots in which a page was tried before.
    pub tried: [[u32; WRITE_TRIES - 1]; BATCH_PAGES],
    pub todo: u64,
    pub flight: u64,
    pub done: u64,
    pub failed: u64,
    pub alone: u64,
    /// Its end was told.
    pub told: bool,
}

impl Operation {
    fn new() -> Operation {
        Operation {
            purpose: Purpose::Idle,
            pages: 0,
            slots: [NO_SLOT; BATCH_PAGES],
            counts: [0; BATCH_PAGES],
            tags: [0; BATCH_PAGES],
            tried: [[NO_SLOT; WRITE_TRIES - 1]; BATCH_PAGES],
            todo: 0,
            flight: 0,
            done: 0,
            failed: 0,
            alone: 0,
            told: false,
        }
    }

    /// Begins anew.
    pub fn begin(&mut self, purpose: Purpose, pages: usize) {
        *self = Operation { purpose, pages, ..Operation::new() };
    }

    /// Whether the disk has nothing more to do with it.
    pub fn is_settled(&self) -> bool {
        self.todo | self.flight == 0
    }

    /// The next run of pages for one transfer: first page and pages.
    pub fn next_run(&self) -> Option<(usize, usize)> {
        if self.todo == 0 {
            return None;
        }
        let first = self.todo.trailing_zeros() as usize;
        let mut pages = 1;
        while self.alone >> first & 1 == 0
            && first + pages < self.pages
            && self.todo >> (first + pages) & 1 == 1
            && self.alone >> (first + pages) & 1 == 0
            && self.slots[first + pages] == self.slots[first] + pages as u32
        {
            pages += 1;
        }
        Some((first, pages))
    }
}

/// The bits of a run.
pub(crate) fn bits(first: usize, pages: usize) -> u64 {
    (u64::MAX >> (BATCH_PAGES - pages)) << first
}

/// The bits that are set, from the lowest.
pub(crate) fn indices(mut bits: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let index = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(index)
    })
}

/// A transfer that the disk has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flying {
    pub operation: usize,
    pub first: usize,
    pub pages: usize,
}

/// The operations and transfers there can be.
pub(crate) struct Operations {
    all: Box<[Operation]>,
    flying: [Option<Flying>; TRANSFERS],
    /// Upper part of the number of the next transfer at each place.
    rounds: [u32; TRANSFERS],
}

impl Operations {
    pub fn new() -> Operations {
        let all = (0..OPERATIONS).map(|_| Operation::new()).collect();
        Operations { all, flying: [None; TRANSFERS], rounds: [0; TRANSFERS] }
    }

    pub fn get(&mut self, index: usize) -> &mut Operation {
        &mut self.all[index]
    }

    pub fn iter(&self) -> impl Iterator<Item = (usize, &Operation)> {
        self.all.iter().enumerate()
    }

    /// An operation that can be had.
    pub fn idle(&self) -> Option<usize> {
        self.all.iter().position(|one| one.purpose == Purpose::Idle)
    }

    /// How many there are of a kind.
    pub fn count(&self, is_meant: impl Fn(&Purpose) -> bool) -> usize {
        self.all.iter().filter(|one| is_meant(&one.purpose)).count()
    }

    /// Transfers that the disk has.
    pub fn in_flight(&self) -> usize {
        self.flying.iter().flatten().count()
    }

    /// A number for a transfer; none if the disk has as many as it may.
    pub fn launch(&mut self, flying: Flying) -> Option<u32> {
        let place = self.flying.iter().position(Option::is_none)?;
        self.flying[place] = Some(flying);
        self.rounds[place] = (self.rounds[place] + 1) % (u32::MAX / TRANSFERS as u32);
        Some(self.number(place))
    }

    fn number(&self, place: usize) -> u32 {
        self.rounds[place] * TRANSFERS as u32 + place as u32
    }

    /// The transfer of a number has ended; none if there is no such transfer.
    pub fn land(&mut self, number: u32) -> Option<Flying> {
        let place = number as usize % TRANSFERS;
        if number == self.number(place) { self.flying[place].take() } else { None }
    }
}

const _: () = assert!(BATCH_PAGES == 64 && OPERATIONS <= 8 && TRANSFERS.is_power_of_two());
