//! Page-outs that survive a crash: done once, however often they are asked for.
//!
//! A client sends its page-outs in *lanes*, one after the other in each, numbered. The region remembers of each lane
//! the last number and the names that it was answered with, until the next number says that the answer has arrived.
//! So who has no answer after a crash asks again with the same number, and is told the same names, or it is done now.
//! (The session slots of NFS 4.1 work like this: RFC 8881, section 2.10.6.)
//!
//! ```text
//!            names written      header         pages committed      header
//!   unknown ───────────────> (unknown) ──> open ───────────────> (open) ──> done
//!      ^                                    │ crash: every name in it is freed
//!      └────────────────────────────────────┘
//! ```

use crate::ledger::Ledger;
use crate::limits::{BATCH_PAGES, LANES};
use crate::name::SlotName;
use crate::outside::Region;
use crate::word::{State, Word};

/// Which page-out this is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ticket {
    /// One of [`LANES`].
    pub lane: u8,
    /// Larger than that of every earlier page-out of the lane; never 0.
    pub sequence: u32,
}

/// Why a page was not put out. Its contents are where they were.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageOutError {
    /// There is no slot left.
    Full,
    /// It needs the disk, and there is none, or none that takes writes.
    NoDisk,
    /// The disk refused it in every place that was tried.
    Unwritable,
}

/// What became of a page.
pub type PageOut = Result<SlotName, PageOutError>;

const OPEN: u64 = 1;
const DONE: u64 = 2;
const NAMED: u64 = 1 << 63;

/// What the region says of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lane {
    /// Nothing: any number is new.
    Unknown,
    /// A page-out is under way.
    Open { sequence: u32, pages: usize },
    /// A page-out was answered.
    Done { sequence: u32, pages: usize },
}

fn encode(state: u64, sequence: u32, pages: usize) -> u64 {
    u64::from(sequence) << 32 | (pages as u64) << 8 | state
}

fn encode_entry(entry: PageOut) -> u64 {
    match entry {
        Ok(name) => NAMED | name.bits(),
        Err(PageOutError::Full) => 1,
        Err(PageOutError::NoDisk) => 2,
        Err(PageOutError::Unwritable) => 3,
    }
}

fn decode_entry(bits: u64) -> PageOut {
    match bits {
        1 => Err(PageOutError::Full),
        2 => Err(PageOutError::NoDisk),
        bits if bits & NAMED != 0 => SlotName::from_bits(bits & !NAMED).ok_or(PageOutError::Unwritable),
        _ => Err(PageOutError::Unwritable),
    }
}

impl<R: Region> Ledger<R> {
    /// What the region says of a lane.
    pub fn lane_state(&self, lane: u8) -> Lane {
        let header = self.lane(usize::from(lane));
        let (sequence, pages) = ((header >> 32) as u32, (header >> 8 & 0xff) as usize);
        match header & 0xff {
            OPEN if pages <= BATCH_PAGES => Lane::Open { sequence, pages },
            DONE if pages <= BATCH_PAGES => Lane::Done { sequence, pages },
            _ => Lane::Unknown,
        }
    }

    /// A page-out begins: from here until it is closed, a crash undoes what has the names in it.
    pub fn open_lane(&mut self, ticket: Ticket, entries: impl ExactSizeIterator<Item = PageOut>) {
        let (lane, pages) = (usize::from(ticket.lane), entries.len());
        self.set_lane(lane, 0);
        for (index, entry) in entries.enumerate() {
            self.set_lane_entry(lane, index, encode_entry(entry));
        }
        self.set_lane(lane, encode(OPEN, ticket.sequence, pages));
    }

    /// A page of a page-out got another name, or none.
    pub fn rename(&mut self, lane: u8, index: usize, entry: PageOut) {
        self.set_lane_entry(usize::from(lane), index, encode_entry(entry));
    }

    /// A page-out is done, with all that its entries say.
    pub fn close_lane(&mut self, ticket: Ticket, pages: usize) {
        self.set_lane(usize::from(ticket.lane), encode(DONE, ticket.sequence, pages));
    }

    /// What an entry says.
    pub fn entry(&self, lane: u8, index: usize) -> PageOut {
        decode_entry(self.lane_entry(usize::from(lane), index))
    }

    /// Undoes the page-outs that a crash cut off. Their pages are still with who asked. Cut off itself, it can be
    /// done again.
    pub fn undo_open_lanes(&mut self) -> u32 {
        let mut undone = 0;
        for lane in 0..LANES as u8 {
            let Lane::Open { pages, .. } = self.lane_state(lane) else { continue };
            for index in 0..pages {
                let Ok(name) = self.entry(lane, index) else { continue };
                if name.slot() >= self.slots() {
                    continue;
                }
                let word = self.word(name.slot());
                let spared = matches!(word.state, State::Free { .. } | State::Bad);
                if word.version() == name.version() && !spared {
                    self.set(name.slot(), Word { state: State::Free { reserved: false }, ..word });
                }
            }
            self.set_lane(usize::from(lane), 0);
            undone += 1;
        }
        undone
    }
}
