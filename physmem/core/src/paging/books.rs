//! The books on numbers and on the window: frames of words, charged to the place's contract.
//!
//! Numbers are handed out from 1 on; a frame for 512 more is added when all are in use, and stays. Two frames say of each
//! window page which number's contents go through it, and its name once that is known. The second has the names that are to be given
//! back, too.
//!
//! A number that nobody needs any more is freed when its name is on its way back. Names that find no room there wait in
//! their numbers, and are swept up later.

use super::{Number, NumberState, Place};
use crate::contract::Charge;
use crate::database::{NOBODY, State};
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_api::MemoryError;
use containers_api::pager::{FREE_NAMES, NAMES_MAX, WINDOW_PAGES};
use containers_core::record::{Contract, FRAME_WORDS, Name, Records};

/// Numbers in a frame.
const PER_FRAME: u32 = FRAME_WORDS as u32;
/// Numbers looked at in one sweep.
const SWEEP: u32 = 2048;

const _: () = assert!(NAMES_MAX == (FRAME_WORDS * FRAME_WORDS) as u64);
const _: () = assert!(WINDOW_PAGES + FREE_NAMES <= FRAME_WORDS);

/// Where the books are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Books {
    /// Of each window page: its number; 0: none.
    numbers: u32,
    /// Of each window page: its name; then the names that are given back.
    names: u32,
    /// The frames with numbers.
    directory: u32,
    /// How many there are.
    frames: u32,
    /// First number that was never used.
    fresh: u32,
    /// First free number; 0: none.
    free: u32,
    /// Numbers in use.
    pub used: u64,
    /// Numbers that only wait for their names to be given back.
    pub idle: u64,
    /// Where the next sweep begins.
    hand: u32,
}

/// The frames of the books, for those who check.
pub struct SwapFrames {
    /// Who pays.
    pub contract: Name<Contract>,
    /// What goes through the window, names, and the directory.
    pub first: [u32; 3],
    /// The frames with numbers, in the first words of the directory.
    pub frames: u32,
    /// Numbers from 1 on that were ever used, and one more.
    pub end: u32,
    /// Of these, in use.
    pub used: u64,
}

impl Books {
    /// Number of a window page.
    fn place(self, number: u32) -> (usize, usize) {
        ((number / PER_FRAME) as usize, (number % PER_FRAME) as usize)
    }
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Makes empty books. Errors: `NoRecord`, `ContractExhausted`.
    pub(crate) fn make_books(&mut self, payer: Name<Contract>) -> Result<Books, MemoryError> {
        let mut made = [0; 3];
        for index in 0..made.len() {
            match self.make_page_of_words(payer) {
                Ok(frame) => made[index] = frame,
                Err(error) => {
                    made[..index].iter().for_each(|&frame| self.return_page_of_words(payer, frame));
                    return Err(error);
                }
            }
        }
        let [numbers, names, directory] = made;
        Ok(Books { numbers, names, directory, frames: 0, fresh: 1, free: 0, used: 0, idle: 0, hand: 1 })
    }

    /// Gives all frames of the books back.
    pub(crate) fn drop_books(&mut self, payer: Name<Contract>, books: Books) {
        for index in 0..books.frames {
            let frame = self.words(books.directory)[index as usize] as u32;
            self.return_page_of_words(payer, frame);
        }
        for frame in [books.numbers, books.names, books.directory] {
            self.return_page_of_words(payer, frame);
        }
    }

    /// A frame of words, all zero. Errors: `ContractExhausted`, `NoRecord`.
    pub(crate) fn make_page_of_words(&mut self, payer: Name<Contract>) -> Result<u32, MemoryError> {
        self.charge(payer, Charge::Record, 1)?;
        let Some(frame) = self.open_record_frame() else {
            self.discharge(payer, Charge::Record, 1);
            return Err(MemoryError::NoRecord);
        };
        self.database.set_page_of_words(frame);
        Ok(frame)
    }

    /// Gives one back.
    pub(crate) fn return_page_of_words(&mut self, payer: Name<Contract>, frame: u32) {
        self.memory.close(frame);
        self.database.free(frame, State::Record, false, NOBODY);
        self.discharge(payer, Charge::Record, 1);
    }

    /// The frames of the books, for those who check the laws.
    pub fn swap_frames(&self) -> Option<SwapFrames> {
        let place = self.paging.place.as_ref()?;
        let books = place.books;
        Some(SwapFrames {
            contract: place.contract,
            first: [books.numbers, books.names, books.directory],
            frames: books.frames,
            end: books.fresh,
            used: books.used,
        })
    }

    /// Holders and frames of a number, for those who check the laws; none: it is free.
    pub fn users_of_number(&self, number: u32) -> Option<(u64, u64)> {
        let is = self.number(number);
        (!matches!(is.state, NumberState::Free { .. })).then_some((is.holders, is.frames))
    }

    fn books(&self) -> &Books {
        &self.place().books
    }

    /// The place. Only where there is one.
    pub(crate) fn place(&self) -> &Place {
        self.paging.place.as_ref().expect("numbers are used only while there is a place")
    }

    /// The same, to be changed.
    pub(crate) fn place_mut(&mut self) -> &mut Place {
        self.paging.place.as_mut().expect("numbers are used only while there is a place")
    }

    /// What a number stands for.
    pub(crate) fn number(&self, number: u32) -> Number {
        let books = self.books();
        let (frame, index) = books.place(number);
        Number::from_word(self.words(self.words(books.directory)[frame] as u32)[index])
    }

    /// Changes that.
    pub(crate) fn set_number(&mut self, number: u32, to: Number) {
        let books = *self.books();
        let (frame, index) = books.place(number);
        let frame = self.words(books.directory)[frame] as u32;
        self.words_mut(frame)[index] = to.word();
    }

    /// A number, in a state. None: as many names are in use as the pager can give, or the books cannot grow.
    pub(crate) fn new_number(&mut self, state: NumberState) -> Option<u32> {
        let (payer, slots) = (self.place().contract, self.place().slots);
        let books = *self.books();
        // Number 0 is nobody's.
        if books.used >= slots.min(NAMES_MAX - 1) {
            return None;
        }
        let found = if books.free != 0 {
            let NumberState::Free { next } = self.number(books.free).state else {
                unreachable!("a number on the list of free ones is free")
            };
            self.place_mut().books.free = next;
            books.free
        } else {
            if books.fresh == books.frames * PER_FRAME || books.frames == 0 {
                let frame = self.make_page_of_words(payer).ok()?;
                self.words_mut(books.directory)[books.frames as usize] = u64::from(frame);
                self.place_mut().books.frames += 1;
            }
            self.place_mut().books.fresh += 1;
            books.fresh
        };
        self.place_mut().books.used += 1;
        self.set_number(found, Number::new(state));
        Some(found)
    }

    /// A number is nobody's any more.
    fn free_number(&mut self, number: u32) {
        let next = self.books().free;
        self.set_number(number, Number::new(NumberState::Free { next }));
        let books = &mut self.place_mut().books;
        books.free = number;
        books.used -= 1;
    }

    /// A holder or a frame of a number has gone: where it was the last, the number goes, and its name back to the pager.
    pub(crate) fn settle_number(&mut self, number: u32) {
        let is = self.number(number);
        if !is.is_idle() {
            return;
        }
        match is.state {
            NumberState::Kept { name } if self.give_back(name) => self.free_number(number),
            NumberState::Kept { .. } => self.place_mut().books.idle += 1,
            NumberState::Lost => self.free_number(number),
            NumberState::Window { .. } | NumberState::Free { .. } => {}
        }
    }

    /// Puts a name among those that are given back; false: there is no room.
    pub(crate) fn give_back(&mut self, name: u64) -> bool {
        let (used, names) = (self.place().free_names, self.books().names);
        if used == FREE_NAMES || self.is_giving_back() {
            return false;
        }
        self.words_mut(names)[WINDOW_PAGES + used] = name;
        self.place_mut().free_names += 1;
        // A few may wait until the pager comes for something else.
        if used + 1 == FREE_NAMES {
            self.signal_pager();
        }
        true
    }

    /// One of the names that are given back.
    pub(crate) fn name_given_back(&self, index: usize) -> u64 {
        self.words(self.books().names)[WINDOW_PAGES + index]
    }

    /// Looks for names that found no room when nobody needed them any more.
    pub(crate) fn sweep(&mut self) {
        let mut left = SWEEP.min(self.books().fresh - 1);
        while left > 0 && self.books().idle > 0 && self.place().free_names < FREE_NAMES {
            let number = self.books().hand;
            let is = self.number(number);
            if let NumberState::Kept { name } = is.state
                && is.is_idle()
                && self.give_back(name)
            {
                self.place_mut().books.idle -= 1;
                self.free_number(number);
            }
            let fresh = self.books().fresh;
            self.place_mut().books.hand = if number + 1 == fresh { 1 } else { number + 1 };
            left -= 1;
        }
    }

    /// Number and name of a window page; 0: none.
    pub(crate) fn window_page(&self, page: usize) -> (u32, u64) {
        let books = self.books();
        (self.words(books.numbers)[page] as u32, self.words(books.names)[page])
    }

    /// Changes that.
    pub(crate) fn set_window_page(&mut self, page: usize, number: u32, name: u64) {
        let books = *self.books();
        self.words_mut(books.numbers)[page] = u64::from(number);
        self.words_mut(books.names)[page] = name;
    }
}
