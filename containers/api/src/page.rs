//! Pages that physmem writes and anybody reads without a message: the pressure page, one for the whole system, and
//! a contract page for each contract that watches its calls.
//!
//! Each is an array of words. The word `sequence` is odd while the page is being written, and changes with every write: a reader
//! that sees the same even number before and after has read one state.

/// Words of a page.
pub const PAGE_WORDS: usize = 512;

/// How short frames are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u64)]
pub enum Level {
    /// Frames are free to be lent.
    None = 0,
    /// Few are left: who holds extra frames that it does not need gives them back now.
    Advice = 1,
    /// Extra frames are being called.
    Calls = 2,
}

impl Level {
    /// The level of this number; an unknown one is the highest.
    pub const fn from_number(number: u64) -> Level {
        match number {
            0 => Level::None,
            1 => Level::Advice,
            _ => Level::Calls,
        }
    }
}

/// Places of words in the pressure page.
pub mod pressure {
    /// Odd while the page is written.
    pub const SEQUENCE: usize = 0;
    /// A [`super::Level`].
    pub const LEVEL: usize = 1;
    /// Frames that may be charged before none is left.
    pub const ROOM: usize = 2;
    /// Frames that may be taken as extra frames now.
    pub const LENDABLE: usize = 3;
    /// Callers that wait for frames within their guarantee.
    pub const WAITERS: usize = 4;
    /// Extra frames held by everybody.
    pub const EXTRA: usize = 5;
}

/// Places of words in a contract page.
pub mod contract {
    /// Odd while the page is written.
    pub const SEQUENCE: usize = 0;
    /// Number of the last call.
    pub const CALL: usize = 1;
    /// Frames that the call in progress asks for; 0: none.
    pub const CALL_FRAMES: usize = 2;
    /// When they must be back.
    pub const CALL_DEADLINE: usize = 3;
    /// Calls that may still be ignored before there are no more calls.
    pub const STANDING: usize = 4;
    /// When the contract ends; `u64::MAX`: never.
    pub const EXPIRES: usize = 5;
    /// Entries of the repossession record written since the contract began; the last ones of them are there.
    pub const SEIZURES: usize = 6;
    /// First word of the repossession record.
    pub const RECORD: usize = 8;
    /// Words of an entry: container's number, first page, pages, [`super::Fate`] in bits 0-7 and the call's number above.
    pub const RECORD_ENTRY: usize = 4;
    /// Entries; after the last one the first is written again.
    pub const RECORD_ENTRIES: usize = (super::PAGE_WORDS - RECORD) / RECORD_ENTRY;
}

/// What became of pages that were seized.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Fate {
    /// Their container was discardable.
    Discarded = 0,
    /// Their contents are lost: the contract's swap limit does not cover them, or the pager could not take them in time.
    Lost = 1,
    /// They went out to the default pager, and come back when they are touched.
    PagedOut = 2,
}
