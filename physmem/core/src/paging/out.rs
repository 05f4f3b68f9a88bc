//! Pages go out: those that are seized, and those that make room for others of their own contract.
//!
//! A page goes out by its frame's changing hands: the window page takes the place that the client's page had, and gives its own
//! frame up. So one frame and one charge are free at once, whatever the pager does. Where the pager has the contents already nothing
//! is written. A copy-on-write frame goes out once for each of its pages, but is written once: it remembers its number.

use super::number::HOLDERS_MAX;
use super::{Exhausted, Number, NumberState, Progress};
use crate::layout::{CONTAINERS, contract};
use crate::machine::Physmem;
use crate::pmap::{Clear, Pmap, RecordMemory};
use containers_api::container::PAGE_REFERENCED;
use containers_api::pager::{Operation as OperationNumber, PAGE_OUT_OPERATIONS, PAGE_OUT_PAGES, SOME};
use containers_core::Entry;
use containers_core::access::locks_on;
use containers_core::frames::{Frames, Span, Whose};
use containers_core::layout::container;
use containers_core::mutations::{self, Mutation};
use containers_core::pages::{self, Cursor};
use containers_core::record::{Container, Contract, Name, Records};

/// Pages that make room at a time: a fault for each would write each by itself.
const ROOM_PAGES: u64 = 16;
/// Pages that must go beside those that are asked for: a touch needs page, page tables and records together, and what goes out for one
/// of them must not be what came in for another.
const ROOM_SPARE: u64 = 3;
/// Pages looked at to make room; from half of them on, any will do.
const ROOM_LOOK_PAGES: u64 = 1024;

/// Why no more pages went out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// All did.
    Done,
    /// No operation is idle; one will be.
    Busy,
    /// The contract's limit, the pager's names or what the place's contract can pay are used up, or there is no pager.
    Refused,
}

/// What has come of an attempt to make room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Room {
    /// There is some.
    Made,
    /// There will be, when the pager has answered.
    Later,
    /// There is none to be made.
    None,
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Puts the pages of a span out, from its first on; all are present, not pinned, and mapped nowhere. How many went, and why not
    /// more. Their charges are the caller's to give back.
    pub(crate) fn page_out(&mut self, from: Name<Container>, span: Span) -> (u64, Stop) {
        let payer = self.get(from, container::CONTRACT);
        if self.pager_place().is_none() {
            return (0, Stop::Refused);
        }
        let near = span.first.checked_sub(1).and_then(|page| pages::entry(self, from, page).out());
        let mut near = near.map_or(0, |number| self.name_as_neighbour(number));
        let mut cursor = Cursor::new(from);
        let mut stop = Stop::Done;
        let mut gone = 0;
        for page in span.first..span.end() {
            let entry = cursor.get(self, page);
            let frame = entry.frame().expect("only present pages go out");
            if self.swap_room_of(payer) == 0 {
                stop = Stop::Refused;
                break;
            }
            let number = match self.number_for(frame, payer, near) {
                Ok(number) => number,
                Err(why) => {
                    stop = why;
                    break;
                }
            };
            near = 0;
            cursor.set(self, page, entry, Entry::paged_out(number));
            gone += 1;
        }
        cursor.finish(self);
        (gone, stop)
    }

    /// One more page of `payer` that has a frame is out: its number. The page has let the frame go.
    fn number_for(&mut self, frame: u32, payer: Name<Contract>, near: u64) -> Result<u32, Stop> {
        if let Some(number) = self.remembered(frame)? {
            self.join_out(number, payer);
            self.leave(frame);
            self.paging.counters.dropped_clean += 1;
            return Ok(number);
        }
        let (index, page) = self.place_to_fill(payer, near)?;
        self.vacate(page);
        let number = self.new_number(NumberState::Window { page: page as u32 }).ok_or(Stop::Refused)?;
        // The frame passes from one page to another: how many hold it stays the same.
        let old = self.window_frame(page);
        self.leave(old);
        self.set_window_frame(page, frame, true);
        self.set_window_page(page, number, 0);
        self.remember_number(frame, number);
        self.join_out(number, payer);
        self.paging.counters.paged_out += 1;
        let operation = &mut self.place_mut().operations[index];
        operation.count += 1;
        if usize::from(operation.count) == PAGE_OUT_PAGES {
            self.post_filled();
        }
        Ok(number)
    }

    /// The number whose contents a frame is known to have.
    fn remembered(&mut self, frame: u32) -> Result<Option<u32>, Stop> {
        let number = self.database.number(frame);
        if number == 0 {
            return Ok(None);
        }
        let is = self.number(number);
        match is.state {
            NumberState::Lost | NumberState::Free { .. } => {
                self.forget_number(frame);
                Ok(None)
            }
            _ if is.holders == HOLDERS_MAX => Err(Stop::Refused),
            _ => Ok(Some(number)),
        }
    }

    /// The operation that is being filled with pages of a contract, and its next window page.
    fn place_to_fill(&mut self, payer: Name<Contract>, near: u64) -> Result<(usize, usize), Stop> {
        let account = self.get(payer, contract::PRINCIPAL);
        if let Some(index) = self.place().filling
            && self.place().operations[index].words[0] != account
        {
            self.post_filled();
        }
        let index = match self.place().filling {
            Some(index) => index,
            None => {
                let found = self.idle_operation(0..PAGE_OUT_OPERATIONS);
                let index = found.map_err(|later| if later { Stop::Busy } else { Stop::Refused })?;
                self.unmap_operation(index);
                let place = self.place_mut();
                place.filling = Some(index);
                let operation = &mut place.operations[index];
                (operation.progress, operation.count, operation.words) =
                    (Progress::Filling, 0, [account, near]);
                index
            }
        };
        let (first, _) = OperationNumber(index as u8).window();
        Ok((index, first + usize::from(self.place().operations[index].count)))
    }

    /// The pager is to be told of the pages that have been put into an operation.
    pub(crate) fn post_filled(&mut self) {
        let Some(index) = self.paging.place.as_mut().and_then(|place| place.filling.take()) else { return };
        if self.place().operations[index].count == 0 {
            self.place_mut().operations[index].progress = Progress::Idle;
        } else {
            self.post(index);
        }
    }

    /// The name of a page that lies before others, in a request.
    fn name_as_neighbour(&self, number: u32) -> u64 {
        match self.number(number).state {
            NumberState::Kept { name } => SOME | name,
            NumberState::Window { page } => match self.window_page(page as usize) {
                (_, 0) => 0,
                (_, name) => SOME | name,
            },
            _ => 0,
        }
    }

    /// A charge was refused for want of frames: notes that some of its contract's pages might go out instead.
    pub(crate) fn note_exhausted(&mut self, payer: Name<Contract>, frames: u64) {
        self.paging.exhausted = Some(Exhausted { payer, frames });
    }

    /// Puts pages of a contract out whose charge was refused, so that the charge can be made.
    pub(crate) fn make_room(&mut self, short: Exhausted) -> Room {
        let Exhausted { payer, frames } = short;
        let view = self.view(payer);
        let most = view.get(contract::GUARANTEED).saturating_add(view.get(contract::EXTRA_LIMIT));
        let is_hopeless = self.firm(payer).saturating_add(frames) > most;
        if self.pager_place().is_none() || self.swap_room_of(payer) == 0 || is_hopeless {
            return Room::None;
        }
        let wanted = frames.clamp(ROOM_PAGES, PAGE_OUT_PAGES as u64);
        let (gone, stop) = self.put_own_out(payer, wanted);
        self.post_filled();
        // A request for many pages takes what there is at once; nothing comes in for it that could go out again.
        let fits = frames > ROOM_SPARE && self.charged(payer).saturating_add(frames) <= most;
        match stop {
            _ if gone != 0 && (fits || gone >= frames.min(ROOM_PAGES) + ROOM_SPARE) => Room::Made,
            Stop::Busy => Room::Later,
            _ => Room::None,
        }
    }

    /// The clock over a contract's own pages: those that were not used since the hand passed go first. It skips what is vital,
    /// discardable (that is the owner's to give up) or locked.
    fn put_own_out(&mut self, payer: Name<Contract>, wanted: u64) -> (u64, Stop) {
        let (mut gone, mut looked, mut ends) = (0, 0, 0);
        let mut next = self.resolve::<Container>(self.get(payer, contract::SWAP_HAND));
        next = next.filter(|&here| self.get(here, container::CONTRACT) == payer);
        while gone < wanted && looked < ROOM_LOOK_PAGES {
            let Some(here) = next else {
                ends += 1;
                if ends > 2 {
                    break;
                }
                next = CONTAINERS.first(self, payer);
                continue;
            };
            self.set(payer, contract::SWAP_HAND, here.word());
            let Some(span) = self.next_own(here, wanted - gone) else {
                self.set(here, container::HAND, 0);
                next = self.get(here, container::NEXT);
                // A contract of many containers with nothing in them is not searched for long, either.
                looked += 1;
                continue;
            };
            looked += span.pages;
            self.set(here, container::HAND, span.end());
            let takes_any = looked > ROOM_LOOK_PAGES / 2 || ends > 1;
            let (taken, stop) = self.put_unused_out(here, span, takes_any);
            gone += taken;
            if stop != Stop::Done {
                return (gone, stop);
            }
        }
        (gone, Stop::Done)
    }

    /// The next pages of a container from its hand on that may go out.
    fn next_own(&mut self, here: Name<Container>, most: u64) -> Option<Span> {
        if self.get(here, container::VITAL) || self.get(here, container::DISCARDABLE) {
            return None;
        }
        let mut from = self.get(here, container::HAND);
        loop {
            let span = self.seizable_from(here, from, most)?;
            if self.get(here, container::LOCK_COUNT) == 0 || locks_on(self, here, span).next().is_none() {
                return Some(span);
            }
            from = span.end();
        }
    }

    fn put_unused_out(&mut self, from: Name<Container>, span: Span, takes_any: bool) -> (u64, Stop) {
        let payer = self.get(from, container::CONTRACT);
        let mut states = [0; PAGE_OUT_PAGES];
        let states = &mut states[..span.pages as usize];
        self.look(from, span, states, Clear::Referenced);
        let goes = |index: u64| takes_any || states[index as usize] & PAGE_REFERENCED == 0;
        let (mut gone, mut index) = (0, 0);
        while index < span.pages {
            let run = (index..span.pages).take_while(|&index| goes(index)).count() as u64;
            if run == 0 {
                index += 1;
                continue;
            }
            let part = Span { first: span.first + index, pages: run };
            if !mutations::has(Mutation::KeepOutMapped) {
                self.unmap(from, part, Whose::Everybody);
            }
            let (taken, stop) = self.page_out(from, part);
            self.return_pages(payer, taken);
            gone += taken;
            if stop != Stop::Done {
                return (gone, stop);
            }
            index += run;
        }
        (gone, Stop::Done)
    }

    /// Holders of a number change.
    pub(crate) fn count_holders(&mut self, number: u32, more: bool) {
        let is = self.number(number);
        let holders = if more { is.holders + 1 } else { is.holders - 1 };
        self.set_number(number, Number { holders, ..is });
    }
}
