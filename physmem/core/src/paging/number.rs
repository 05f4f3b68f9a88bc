//! What a number of a page that is out stands for: one word.
//!
//! | state | value |
//! |---|---|
//! | free | the next free number |
//! | kept | the pager's name of the page |
//! | window | the window page that has, or will have, the contents |
//! | lost | - |
//!
//! *Holders* are the pages of containers that are out under the number. *Frames* are those whose contents are just these: while they
//! are not written, their pages can go out without being written again.

use containers_api::pager::NAME_BITS;

/// Pages that can be out under one number.
pub(crate) const HOLDERS_MAX: u64 = (1 << 12) - 1;
/// Frames that can be known to have a number's contents; others are written again.
pub(crate) const FRAMES_MAX: u64 = 3;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Free { next: u32 },
    Kept { name: u64 },
    Window { page: u32 },
    Lost,
}

/// A number's word: state 2 bits, holders 12, frames 2, value 48.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Number {
    pub state: State,
    pub holders: u64,
    pub frames: u64,
}

impl Number {
    /// In a state, and nobody's yet.
    pub const fn new(state: State) -> Number {
        Number { state, holders: 0, frames: 0 }
    }

    /// Whether nobody needs its contents.
    pub const fn is_idle(self) -> bool {
        self.holders == 0 && self.frames == 0
    }

    /// As a word.
    pub const fn word(self) -> u64 {
        let (state, value) = match self.state {
            State::Free { next } => (0, next as u64),
            State::Kept { name } => (1, name),
            State::Window { page } => (2, page as u64),
            State::Lost => (3, 0),
        };
        debug_assert!(self.holders <= HOLDERS_MAX && self.frames <= FRAMES_MAX && value >> NAME_BITS == 0);
        state | self.holders << 2 | self.frames << 14 | value << 16
    }

    /// From a word.
    pub const fn from_word(word: u64) -> Number {
        let value = word >> 16;
        let state = match word & 3 {
            0 => State::Free { next: value as u32 },
            1 => State::Kept { name: value },
            2 => State::Window { page: value as u32 },
            _ => State::Lost,
        };
        Number { state, holders: word >> 2 & HOLDERS_MAX, frames: word >> 14 & FRAMES_MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_one_word() {
        let largest = State::Kept { name: (1 << NAME_BITS) - 1 };
        for state in [State::Free { next: 7 }, largest, State::Window { page: 319 }, State::Lost] {
            let number = Number { state, holders: HOLDERS_MAX, frames: FRAMES_MAX };
            assert_eq!(Number::from_word(number.word()), number);
            assert_eq!(Number::from_word(Number::new(state).word()), Number::new(state));
        }
        assert_eq!(Number::from_word(0), Number::new(State::Free { next: 0 }));
    }
}
