//! How short frames are, from a page that everybody can read: no message, a few loads.

use super::view::{PageView, Words, consistent};
use crate::layout::PRESSURE_PAGE;
use containers_api::page::{Level, pressure as place};
use containers_api::space::MapPressure;

/// How short frames are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pressure {
    /// In a word.
    pub level: Level,
    /// Frames that may be charged before none is left.
    pub room: u64,
    /// Frames that may be taken as extra frames now. Others may be faster.
    pub lendable: u64,
    /// Callers that wait for frames within their guarantee.
    pub waiters: u64,
    /// Extra frames held by everybody.
    pub extra: u64,
}

impl Pressure {
    /// What to believe where the page cannot be had: take nothing more.
    const UNKNOWN: Pressure = Pressure { level: Level::Calls, room: 0, lendable: 0, waiters: 0, extra: 0 };
}

static PAGE: PageView = PageView::at(PRESSURE_PAGE);

/// How short frames are now. Small changes of the counts show late; a change of the level shows at once.
pub fn read() -> Pressure {
    let request = MapPressure { address: PRESSURE_PAGE };
    PAGE.words(&request).map_or(Pressure::UNKNOWN, from_words)
}

fn from_words(words: &Words) -> Pressure {
    consistent(words, place::SEQUENCE, |word| Pressure {
        level: Level::from_number(word(place::LEVEL)),
        room: word(place::ROOM),
        lendable: word(place::LENDABLE),
        waiters: word(place::WAITERS),
        extra: word(place::EXTRA),
    })
}

#[cfg(test)]
mod tests {
    use super::super::view::blank;
    use super::*;
    use core::sync::atomic::Ordering;

    #[test]
    fn each_word_is_found_in_its_place() {
        let words = blank();
        let values = [
            (place::LEVEL, 1),
            (place::ROOM, 20),
            (place::LENDABLE, 30),
            (place::WAITERS, 40),
            (place::EXTRA, 50),
        ];
        for (word, value) in values {
            words[word].store(value, Ordering::Relaxed);
        }
        let expected = Pressure { level: Level::Advice, room: 20, lendable: 30, waiters: 40, extra: 50 };
        assert_eq!(from_words(&words), expected);
    }
}
