//! The page in which physmem says what it asks of this task's contract, and what it took.

use super::view::{PageView, Words, consistent};
use crate::containers::Result;
use crate::layout::CONTRACT_PAGE;
use containers_api::page::contract as place;
use containers_api::space::MapContractPage;

/// A call for extra frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    /// Its number; grows by one with each.
    pub sequence: u64,
    /// Frames to give back.
    pub frames: u64,
    /// When they must be back, in nanoseconds since boot.
    pub deadline: u64,
}

/// What the contract page says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ContractState {
    /// The call in progress. What was given back since it was made is not counted yet: ask
    /// [`call_status`](crate::containers::call_status) what is left.
    pub call: Option<Call>,
    /// Calls that may still be ignored before frames are seized without one.
    pub standing: u64,
    /// When the contract ends, in nanoseconds since boot; `u64::MAX`: never.
    pub expires: u64,
    /// Entries of the repossession record that were ever written.
    pub seizures: u64,
}

static PAGE: PageView = PageView::at(CONTRACT_PAGE);

/// The page of this task's own contract. Errors: `WrongObject` (nobody watches its calls).
pub(super) fn words() -> Result<&'static Words> {
    PAGE.words(&MapContractPage { address: CONTRACT_PAGE })
}

impl ContractState {
    /// What the page of this task's own contract says. Errors: `WrongObject` (nobody watches its calls).
    pub fn read() -> Result<ContractState> {
        words().map(from_words)
    }
}

fn from_words(words: &Words) -> ContractState {
    consistent(words, place::SEQUENCE, |word| {
        let call = Call {
            sequence: word(place::CALL),
            frames: word(place::CALL_FRAMES),
            deadline: word(place::CALL_DEADLINE),
        };
        ContractState {
            call: (call.frames != 0).then_some(call),
            standing: word(place::STANDING),
            expires: word(place::EXPIRES),
            seizures: word(place::SEIZURES),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::view::blank;
    use super::*;
    use core::sync::atomic::Ordering;

    #[test]
    fn there_is_a_call_where_frames_are_asked_for() {
        let words = blank();
        let put = |word: usize, value| words[word].store(value, Ordering::Relaxed);
        put(place::CALL, 7);
        put(place::CALL_DEADLINE, 900);
        put(place::STANDING, 2);
        put(place::EXPIRES, u64::MAX);
        put(place::SEIZURES, 5);
        let state = ContractState { call: None, standing: 2, expires: u64::MAX, seizures: 5 };
        assert_eq!(from_words(&words), state);
        put(place::CALL_FRAMES, 12);
        let call = Some(Call { sequence: 7, frames: 12, deadline: 900 });
        assert_eq!(from_words(&words), ContractState { call, ..state });
    }
}
