//! From physmem's requests to the pager and back ([`containers_api::pager`]): what has been told, how far it is, and what is to be
//! answered. No message is sent here.
//!
//! ```text
//!   idle ── request ──> waiting ── the pager takes it ──> working ── event ──> ready ── added to a batch ──> idle
//!                          │  ^ └── done at once ──────────────────────────────^
//!                          └──┘ the pager is busy: again after the next event
//! ```
//!
//! physmem never asks for more at a time than there are places, one for each of its operations. A page-out's answer is in the
//! pager's region before it is given, so it is the same after a crash; the pages of a page-in lie in the window, which is physmem's.

use crate::lanes::{PageOut, Ticket};
use crate::limits::{ACCOUNTS, BATCH_PAGES, LANES};
use crate::name::{Page, SlotName};
use crate::outside::{Disk, DiskError, Region, Store};
use crate::page_in::PageIn;
use crate::pager::{Event, Pager, Progress, Refusal};
use crate::{PageInError, PageOutError};
use alloc::boxed::Box;
use containers_api::pager::{
    self as protocol, Batch, FREE_NAMES, Header, Kind, NAMES_MAX, OPERATIONS, PAGE_IN_PAGES,
    PAGE_OUT_OPERATIONS, PAGE_OUT_PAGES, SOME, page_in_word, page_out_word,
};

const _: () = assert!(PAGE_OUT_OPERATIONS <= LANES && PAGE_OUT_PAGES <= BATCH_PAGES);
const _: () = assert!(FREE_NAMES <= BATCH_PAGES && PAGE_IN_PAGES <= BATCH_PAGES);

/// Words of a request at most.
const REQUEST_WORDS: usize = if FREE_NAMES > PAGE_IN_PAGES { FREE_NAMES } else { PAGE_IN_PAGES };

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Idle,
    /// The pager has no room for it yet.
    Waiting,
    /// The disk is needed; an event will tell.
    Working,
    Ready(Outcome),
}

/// How an answer is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// From the pager's region, or from the results of the page-in.
    Known,
    /// The pager does not take it at all.
    Refused,
}

/// One operation of physmem's.
#[derive(Clone, Copy)]
struct Place {
    header: Header,
    words: [u64; REQUEST_WORDS],
    results: [Option<PageIn>; PAGE_IN_PAGES],
    state: State,
}

/// The pager, and what physmem wants of it.
pub struct Service<R, S, D> {
    pager: Pager<R, S, D>,
    places: Box<[Option<Place>; OPERATIONS]>,
    ignored: u64,
}

impl<R: Region, S: Store, D: Disk> Service<R, S, D> {
    /// Nothing has been told.
    pub fn new(pager: Pager<R, S, D>) -> Service<R, S, D> {
        Service { pager, places: Box::new([None; OPERATIONS]), ignored: 0 }
    }

    /// The pager.
    pub fn pager(&mut self) -> &mut Pager<R, S, D> {
        &mut self.pager
    }

    /// Takes the pager out: what is under way is as after a crash.
    pub fn into_pager(self) -> Pager<R, S, D> {
        self.pager
    }

    /// Names that physmem may have at a time.
    pub fn slots(&self) -> u64 {
        u64::from(self.pager.statistics().slots_total).min(NAMES_MAX)
    }

    /// Requests that made no sense: of operations that had one already.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Takes a request over. `window` is the whole window: [`protocol::WINDOW_PAGES`].
    pub fn request(&mut self, header: Header, words: &[u64], window: &mut [Page]) {
        let index = usize::from(header.operation.0);
        let Some(place) = self.places.get_mut(index) else { return };
        if place.is_some_and(|place| place.state != State::Idle) {
            self.ignored += 1;
            return;
        }
        let mut kept = [0; REQUEST_WORDS];
        let count = words.len().min(REQUEST_WORDS);
        kept[..count].copy_from_slice(&words[..count]);
        let results = [None; PAGE_IN_PAGES];
        *place = Some(Place { header, words: kept, results, state: State::Waiting });
        self.attempt(index, window);
    }

    /// The disk has ended a transfer, see [`Pager::completed`].
    pub fn completed(&mut self, number: u32, result: Result<(), DiskError>) {
        self.pager.completed(number, result);
    }

    /// Looks at what has come to an end, and at what waited for that.
    pub fn advance(&mut self, window: &mut [Page]) {
        while let Some(event) = self.pager.next_event() {
            match event {
                Event::PageOut(ticket) => self.left(ticket),
                Event::PageIn(token) => self.arrived(token, window),
                Event::Flushed => {}
            }
        }
        for index in 0..OPERATIONS {
            if self.places[index].is_some_and(|place| place.state == State::Waiting) {
                self.attempt(index, window);
            }
        }
    }

    /// Whether there is something to be answered.
    pub fn has_answers(&self) -> bool {
        self.places.iter().flatten().any(|place| matches!(place.state, State::Ready(_)))
    }

    /// Adds answers to a batch, as many as have room; they are given, then.
    pub fn add_answers(&mut self, batch: &mut Batch) {
        for index in 0..OPERATIONS {
            let Some(place) = self.places[index] else { continue };
            let State::Ready(outcome) = place.state else { continue };
            let words = self.answer(&place, outcome);
            let count = place.header.answer_words();
            if batch.add(place.header, words[..count].iter().copied()) {
                self.places[index] = None;
            }
        }
    }

    /// The words of an answer; the first ones count.
    fn answer(&self, place: &Place, outcome: Outcome) -> [u64; PAGE_OUT_PAGES] {
        let mut words = [0; PAGE_OUT_PAGES];
        match place.header.operation.kind() {
            Some(Kind::PageOut) => {
                let mut results = [PageOut::Err(PageOutError::Unwritable); PAGE_OUT_PAGES];
                if outcome == Outcome::Known {
                    // What the pager does not know was refused, which the results say already.
                    let _ = self.pager.outcome(ticket(place.header), &mut results);
                }
                words = results.map(out_word);
            }
            Some(Kind::PageIn) => {
                for (word, result) in words.iter_mut().zip(place.results) {
                    *word = in_word(result.unwrap_or(Err(PageInError::Stale)));
                }
            }
            Some(Kind::Free) | None => {}
        }
        words
    }

    /// Has the pager take a request, if it can.
    fn attempt(&mut self, index: usize, window: &mut [Page]) {
        let Some(mut place) = self.places[index] else { return };
        let count = usize::from(place.header.count);
        let (first, _) = place.header.operation.window();
        let result = match place.header.operation.kind() {
            Some(Kind::PageOut) => self.page_out(&place, &window[first..first + count]),
            Some(Kind::PageIn) => self.page_in(&mut place, window),
            Some(Kind::Free) => {
                let mut names = [NOBODY; FREE_NAMES];
                names.iter_mut().zip(place.words).for_each(|(name, word)| *name = slot_name(word));
                self.pager.free(&names[..count]).map(|_| Progress::Done)
            }
            None => Err(Refusal::Malformed),
        };
        place.state = match result {
            Ok(Progress::Done) => State::Ready(Outcome::Known),
            Ok(Progress::UnderWay) => State::Working,
            Err(Refusal::Busy) => State::Waiting,
            Err(_) => State::Ready(Outcome::Refused),
        };
        self.places[index] = Some(place);
    }

    fn page_out(&mut self, place: &Place, window: &[Page]) -> Result<Progress, Refusal> {
        let [principal, near, ..] = place.words;
        // Principals are many more than accounts; those that meet in one share what it may have.
        let account = (principal % ACCOUNTS as u64) as u16;
        let near = (near & SOME != 0).then(|| slot_name(near & !SOME));
        let mut pages = [&window[0]; PAGE_OUT_PAGES];
        pages.iter_mut().zip(window).for_each(|(page, bytes)| *page = bytes);
        self.pager.page_out(ticket(place.header), account, near, &pages[..window.len()])
    }

    fn page_in(&mut self, place: &mut Place, window: &mut [Page]) -> Result<Progress, Refusal> {
        let count = usize::from(place.header.count);
        let mut names = [NOBODY; PAGE_IN_PAGES];
        names.iter_mut().zip(place.words).for_each(|(name, word)| *name = slot_name(word));
        let mut pages = pages_of(place.header, window).ok_or(Refusal::Malformed)?;
        let (pages, results) = (&mut pages[..count], &mut place.results[..count]);
        self.pager.page_in(token(place.header), &names[..count], pages, results)
    }

    /// A page-out has come to an end.
    fn left(&mut self, ended: Ticket) {
        if let Some(Some(place)) = self.places.get_mut(usize::from(ended.lane))
            && ticket(place.header) == ended
        {
            place.state = State::Ready(Outcome::Known);
        }
    }

    /// The disk has brought what a page-in needs of it.
    fn arrived(&mut self, arrived: u64, window: &mut [Page]) {
        let matches = |place: &&mut Place| place.state == State::Working && token(place.header) == arrived;
        let Some(place) = self.places.iter_mut().flatten().find(matches) else {
            // Nobody waits for it. Its buffer is free again.
            let _ = self.pager.abandon(arrived);
            return;
        };
        let Some(mut pages) = pages_of(place.header, window) else { return };
        let count = usize::from(place.header.count);
        let collected = self.pager.collect(arrived, &mut pages[..count], &mut place.results[..count]);
        if collected != Err(Refusal::UnderWay) {
            place.state = State::Ready(Outcome::Known);
        }
    }
}

/// A name that no slot has.
const NOBODY: SlotName = SlotName::new(u32::MAX, 0);

fn slot_name(word: u64) -> SlotName {
    SlotName::from_bits(word).unwrap_or(NOBODY)
}

/// Operation and sequence name a page-out for good.
fn ticket(header: Header) -> Ticket {
    Ticket { lane: header.operation.0, sequence: header.sequence }
}

fn token(header: Header) -> u64 {
    u64::from(header.operation.0) << 32 | u64::from(header.sequence)
}

/// The window pages of a page-in, each by a reference of its own.
fn pages_of(header: Header, window: &mut [Page]) -> Option<[&mut Page; PAGE_IN_PAGES]> {
    let (first, pages) = header.operation.window();
    let pages: &mut [Page; PAGE_IN_PAGES] = window.get_mut(first..first + pages)?.try_into().ok()?;
    Some(pages.each_mut())
}

fn out_word(result: PageOut) -> u64 {
    page_out_word(match result {
        Ok(name) => Ok(name.bits()),
        Err(PageOutError::Full) => Err(protocol::PageOutError::Full),
        Err(PageOutError::NoDisk) => Err(protocol::PageOutError::NoDisk),
        Err(PageOutError::Unwritable) => Err(protocol::PageOutError::Unwritable),
    })
}

fn in_word(result: PageIn) -> u64 {
    page_in_word(match result {
        Ok(()) => Ok(()),
        Err(PageInError::Stale) => Err(protocol::PageInError::Stale),
        Err(PageInError::Unreadable) => Err(protocol::PageInError::Unreadable),
        Err(PageInError::Corrupt) => Err(protocol::PageInError::Corrupt),
    })
}
