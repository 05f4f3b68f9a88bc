//! The default pager and physmem: where pages go that do not fit.
//!
//! # The parts
//! The *window* is a container of [`WINDOW_PAGES`] pages that the default pager maps; pages leave memory and come back
//! through it. An *operation* is a place for one request at a time, with window pages of its own ([`Operation::window`]):
//!
//! | operations | kind | pages each |
//! |---|---|---|
//! | 0 to 7 | [`Kind::PageOut`] | [`PAGE_OUT_PAGES`] |
//! | 8 to 15 | [`Kind::PageIn`] | [`PAGE_IN_PAGES`] |
//! | 16 | [`Kind::Free`] | none; [`FREE_NAMES`] names |
//!
//! ```text
//!          posted                told by PagerExchange            answered
//!   idle ─────────> to be told ────────────────────────> told ──────────────> idle
//!                       ^                                  │ deadline          ^
//!                       │ PagerAttach: all that has        v                   │ answered late, or
//!                       └──── no answer is told again   expired ───────────────┘ PagerAttach
//! ```
//!
//! # Who calls whom
//! Only the pager calls. Its notification is signalled when there is something to be told; [`PagerExchange`] hands answers
//! in and takes requests out, both in batches. physmem waits for nothing and keeps nothing for the pager beyond the
//! operations, which are there from the beginning. A request that is not answered within [`PAGER_TERM_NS`] is *expired*: pages on
//! their way out are lost, accesses that needed a page fail with `FaultReason::PagerFailed`. The operation is used again only when an answer
//! to it, however late, or a [`PagerAttach`] says that the pager works on its window pages no longer.
//!
//! # Names
//! The pager chooses a name of [`NAME_BITS`] bits for each page that it takes; physmem gives each back once, with
//! [`Kind::Free`], when nobody needs that page any more. A page that is brought in keeps its name: while it is not written it can go out again
//! without being written. All holders of a copy-on-write page have one name.
//!
//! # After a crash
//! Operation and sequence together name a request for good: the next pager is told every request that has no answer
//! again, with the same numbers. What was done already is to be answered as the first time (`default-pager/core` calls an operation a
//! *lane*, and the two numbers a *ticket*). Contents of the window are there until the answer, as it is not the pager's.
//!
//! # What is trusted
//! The default pager sees what is paged out, and what it brings in is taken for what went out: contents are its word
//! alone (it checks its disk by tags). It is trusted with nothing else: not to answer, not to answer once, not to answer what was asked. An answer
//! that is not awaited changes nothing and is counted. Window pages that it was not asked to fill it may only read: writing to one ends its thread.
//!
//! The capability for these requests is one of `control`, with the right PAGER.

use crate::MemoryError;
use kernel_protocol::{Empty, Field, MESSAGE_WORDS, Malformed, Reader, Writer, message, protocol};

/// Operations that page out.
pub const PAGE_OUT_OPERATIONS: usize = 8;
/// Pages of each.
pub const PAGE_OUT_PAGES: usize = 32;
/// Operations that page in.
pub const PAGE_IN_OPERATIONS: usize = 8;
/// Pages of each: the page that is needed, and neighbours that went out beside it.
pub const PAGE_IN_PAGES: usize = 8;
/// Names that one request gives back.
pub const FREE_NAMES: usize = 32;
/// All operations.
pub const OPERATIONS: usize = PAGE_OUT_OPERATIONS + PAGE_IN_OPERATIONS + 1;
/// Pages of the window.
pub const WINDOW_PAGES: usize = PAGE_OUT_OPERATIONS * PAGE_OUT_PAGES + PAGE_IN_OPERATIONS * PAGE_IN_PAGES;
/// Bits of a name.
pub const NAME_BITS: u32 = 48;
/// How long a request may take, in nanoseconds: several times what a disk takes, and a restart of the pager.
pub const PAGER_TERM_NS: u64 = 5_000_000_000;
/// Names that are in use at a time, at most (1 GiB of pages).
pub const NAMES_MAX: u64 = 1 << 18;

/// What is asked of the pager.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Take the operation's first window pages and give each a name. Words: account (number of the principal whose pages
    /// they are), neighbour (name of a page that lies before them in their container, with [`SOME`]; 0: none).
    PageOut = 1,
    /// Bring the pages of these names into the operation's first window pages. Words: the names.
    PageIn = 2,
    /// These names are needed no longer. Words: the names.
    Free = 3,
}

/// Marks a word that may hold a name as holding one.
pub const SOME: u64 = 1 << 63;

/// Number of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Operation(pub u8);

impl Operation {
    /// What it is for; none: there is no such operation.
    pub const fn kind(self) -> Option<Kind> {
        const IN: usize = PAGE_OUT_OPERATIONS;
        const FREE: usize = IN + PAGE_IN_OPERATIONS;
        match self.0 as usize {
            0..IN => Some(Kind::PageOut),
            IN..FREE => Some(Kind::PageIn),
            FREE => Some(Kind::Free),
            _ => None,
        }
    }

    /// Its pages of the window: the first, and how many.
    pub const fn window(self) -> (usize, usize) {
        let number = self.0 as usize;
        match self.kind() {
            Some(Kind::PageOut) => (number * PAGE_OUT_PAGES, PAGE_OUT_PAGES),
            Some(Kind::PageIn) => {
                let before = PAGE_OUT_OPERATIONS * PAGE_OUT_PAGES;
                (before + (number - PAGE_OUT_OPERATIONS) * PAGE_IN_PAGES, PAGE_IN_PAGES)
            }
            _ => (WINDOW_PAGES, 0),
        }
    }

    /// Pages or names of one request at most.
    pub const fn most(self) -> usize {
        match self.kind() {
            Some(Kind::Free) => FREE_NAMES,
            _ => self.window().1,
        }
    }
}

/// First word of a request, and of its answer: operation in bits 0-7, pages or names in 8-15, sequence in 32-63.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Which operation.
    pub operation: Operation,
    /// Pages or names; at least 1.
    pub count: u8,
    /// Grows with each request of an operation; never 0.
    pub sequence: u32,
}

impl Header {
    /// As a word.
    pub const fn word(self) -> u64 {
        self.operation.0 as u64 | (self.count as u64) << 8 | (self.sequence as u64) << 32
    }

    /// From a word; none: it is no header.
    pub const fn from_word(word: u64) -> Option<Header> {
        let header = Header {
            operation: Operation(word as u8),
            count: (word >> 8) as u8,
            sequence: (word >> 32) as u32,
        };
        let is_whole = word >> 16 & 0xffff == 0 && header.sequence != 0 && header.count != 0;
        if is_whole && header.operation.kind().is_some() && header.count as usize <= header.operation.most() {
            Some(header)
        } else {
            None
        }
    }

    /// Words that follow in a request.
    pub const fn request_words(self) -> usize {
        match self.operation.kind() {
            Some(Kind::PageOut) => 2,
            _ => self.count as usize,
        }
    }

    /// Words that follow in an answer: a [`PageOutResult`] or [`PageInResult`] for each page, in order.
    pub const fn answer_words(self) -> usize {
        match self.operation.kind() {
            Some(Kind::Free) => 0,
            _ => self.count as usize,
        }
    }
}

/// What became of a page that was to go out: its name, or why it has none and is lost.
pub type PageOutResult = Result<u64, PageOutError>;

/// Why a page was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum PageOutError {
    /// There is no place left.
    Full = 1,
    /// It needs the disk, and there is none.
    NoDisk = 2,
    /// The disk refused it in every place that was tried. Also what an unknown number means.
    Unwritable = 3,
}

/// What became of a page that was to come in.
pub type PageInResult = Result<(), PageInError>;

/// Why a page is not there. Its contents are lost for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum PageInError {
    /// The name means nothing to the pager.
    Stale = 1,
    /// The disk cannot read it.
    Unreadable = 2,
    /// What the disk gave is not what was put there. Also what an unknown number means.
    Corrupt = 3,
}

/// A result as a word.
pub const fn page_out_word(result: PageOutResult) -> u64 {
    match result {
        Ok(name) => SOME | name,
        Err(error) => error as u64,
    }
}

/// A result from a word.
pub const fn page_out_result(word: u64) -> PageOutResult {
    match word {
        1 => Err(PageOutError::Full),
        2 => Err(PageOutError::NoDisk),
        word if word & SOME != 0 && (word & !SOME) >> NAME_BITS == 0 => Ok(word & !SOME),
        _ => Err(PageOutError::Unwritable),
    }
}

/// A result as a word.
pub const fn page_in_word(result: PageInResult) -> u64 {
    match result {
        Ok(()) => 0,
        Err(error) => error as u64,
    }
}

/// A result from a word.
pub const fn page_in_result(word: u64) -> PageInResult {
    match word {
        0 => Ok(()),
        1 => Err(PageInError::Stale),
        2 => Err(PageInError::Unreadable),
        _ => Err(PageInError::Corrupt),
    }
}

/// Words of a batch at most.
pub const BATCH_WORDS: usize = MESSAGE_WORDS - 4;

/// Requests or answers, one after the other: each a [`Header`] and its words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Batch {
    words: [u64; BATCH_WORDS],
    used: usize,
}

impl Default for Batch {
    fn default() -> Batch {
        Batch { words: [0; BATCH_WORDS], used: 0 }
    }
}

impl Batch {
    /// The words.
    pub fn words(&self) -> &[u64] {
        &self.words[..self.used]
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Whether so many words after a header fit in still.
    pub fn has_room(&self, words: usize) -> bool {
        self.used + 1 + words <= BATCH_WORDS
    }

    /// Adds a request or an answer; false: there is no room for it.
    #[must_use]
    pub fn add(&mut self, header: Header, words: impl ExactSizeIterator<Item = u64>) -> bool {
        if !self.has_room(words.len()) {
            return false;
        }
        for word in core::iter::once(header.word()).chain(words) {
            self.words[self.used] = word;
            self.used += 1;
        }
        true
    }

    /// The requests in it, up to the first that makes no sense.
    pub fn requests(&self) -> impl Iterator<Item = (Header, &[u64])> {
        Items { left: self.words(), following: Header::request_words }
    }

    /// The answers in it, up to the first that makes no sense.
    pub fn answers(&self) -> impl Iterator<Item = (Header, &[u64])> {
        Items { left: self.words(), following: Header::answer_words }
    }
}

struct Items<'a> {
    left: &'a [u64],
    following: fn(Header) -> usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = (Header, &'a [u64]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&word, rest) = self.left.split_first()?;
        let header = Header::from_word(word)?;
        let (words, left) = rest.split_at_checked((self.following)(header))?;
        self.left = left;
        Some((header, words))
    }
}

impl Field for Batch {
    const MAX_WORDS: usize = 1 + BATCH_WORDS;

    fn put(&self, writer: &mut Writer<'_>) {
        writer.word(self.used as u64);
        self.words().iter().for_each(|&word| writer.word(word));
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let used =
            usize::try_from(reader.word()?).ok().filter(|&used| used <= BATCH_WORDS).ok_or(Malformed)?;
        let mut batch = Batch { used, ..Batch::default() };
        batch.words[..used].copy_from_slice(reader.words(used)?);
        Ok(batch)
    }
}

message! {
    /// What physmem wants of the pager.
    pub struct Requests {
        /// There are more than fit in: ask again.
        more: bool,
        /// Answers so far, of all calls, that were not awaited.
        ignored: u64,
        /// The requests.
        requests: Batch,
    }
}

message! {
    /// How paging stands, in pages.
    pub struct SwapStatus {
        /// Names that the pager can give; 0: none is attached.
        slots: u64,
        /// Names in use.
        used: u64,
        /// Page entries of containers that are out: what swap limits count.
        swapped: u64,
        /// Pages on their way out.
        leaving: u64,
        /// Pages on their way in.
        coming: u64,
        /// Pages that were handed to the pager since boot.
        paged_out: u64,
        /// Pages that were dropped without writing, as the pager had them already.
        dropped_clean: u64,
        /// Pages that came back from the pager.
        paged_in: u64,
        /// Accesses to pages that were out and found them in the window.
        found_in_window: u64,
        /// Pages lost on their way: requests that expired, and errors of the pager.
        lost: u64,
        /// Requests that expired.
        expired: u64,
        /// Answers that were not awaited.
        ignored: u64,
    }
}

protocol! {
    error MemoryError;

    /// Makes the default pager's place: the window and the books on names, which outlive every pager. With the contract that
    /// pays for them: the window's pages are vital, the books grow by a frame for 512 names. From then on contracts may have
    /// a swap limit. PAGER. Out: the window, {map, write}. Errors: `MissingRight`, `WrongObject`, `Limit` (there is one),
    /// `ContractExhausted`, `NotAdmitted`, `NoRecord`.
    96 PagerCreate {} => Empty;

    /// The caller is the default pager from now on: the notification sent along is signalled when there are requests. All that
    /// has no answer will be told again, and what had expired is idle. PAGER. Errors: `MissingRight`, `WrongObject`,
    /// `NoPager` (no place was made), `OutOfRange` (no slots).
    97 PagerAttach { /** Names that it can give at a time. */ slots: u64 } => Empty;

    /// Hands answers in and takes requests out. PAGER. Errors: `MissingRight`, `NoPager` (nobody is attached), `Malformed`.
    98 PagerExchange { /** To earlier requests. */ answers: Batch } => Requests;

    /// How paging stands. Any control capability.
    99 SwapStat {} => SwapStatus;
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel_protocol::Message;

    #[test]
    fn operations_divide_the_window() {
        let mut next = 0;
        for number in 0..OPERATIONS as u8 {
            let (first, pages) = Operation(number).window();
            assert_eq!(first, next);
            next += pages;
        }
        assert_eq!(next, WINDOW_PAGES);
        assert_eq!(Operation(OPERATIONS as u8).kind(), None);
    }

    #[test]
    fn headers_that_make_no_sense_are_none() {
        let header = Header { operation: Operation(3), count: 32, sequence: 7 };
        assert_eq!(Header::from_word(header.word()), Some(header));
        for wrong in [
            Header { count: 33, ..header },
            Header { count: 0, ..header },
            Header { sequence: 0, ..header },
            Header { operation: Operation(17), ..header },
            Header { operation: Operation(8), count: 9, ..header },
        ] {
            assert_eq!(Header::from_word(wrong.word()), None);
        }
        assert_eq!(Header::from_word(header.word() | 1 << 16), None);
    }

    #[test]
    fn results_survive_as_words() {
        for result in [Ok(0), Ok((1 << NAME_BITS) - 1), Err(PageOutError::Full), Err(PageOutError::NoDisk)] {
            assert_eq!(page_out_result(page_out_word(result)), result);
        }
        assert_eq!(page_out_result(SOME | 1 << NAME_BITS), Err(PageOutError::Unwritable));
        assert_eq!(page_out_result(0), Err(PageOutError::Unwritable));
        for result in
            [Ok(()), Err(PageInError::Stale), Err(PageInError::Unreadable), Err(PageInError::Corrupt)]
        {
            assert_eq!(page_in_result(page_in_word(result)), result);
        }
        assert_eq!(page_in_result(u64::MAX), Err(PageInError::Corrupt));
    }

    #[test]
    fn a_batch_is_read_as_it_was_written_and_nonsense_ends_it() {
        let out = Header { operation: Operation(0), count: 32, sequence: 1 };
        let free = Header { operation: Operation(16), count: 3, sequence: 9 };
        let mut batch = Batch::default();
        assert!(batch.add(out, [5, 0].into_iter()) && batch.add(free, [1, 2, 3].into_iter()));
        let mut words = [0; MESSAGE_WORDS];
        let used = PagerExchange { answers: batch }.encode(&mut words);
        let read = PagerExchange::decode(&words[..used]).unwrap().answers;
        assert!(read.requests().eq([(out, &[5, 0][..]), (free, &[1, 2, 3][..])]));
        // As answers the same words make no sense: 32 words should follow the first header.
        assert_eq!(read.answers().count(), 0);
        let mut full = Batch::default();
        assert!(full.add(out, [0; 32].into_iter()) && !full.add(out, [0; 32].into_iter()));
        assert!(PagerExchange::decode(&[u64::MAX, 0]).is_err());
    }
}
