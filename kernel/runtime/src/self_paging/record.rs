//! The repossession record: what physmem has seized from this task's contract, run by run.

use super::contract_page::words;
use super::view::{Words, consistent};
use crate::containers::Result;
use containers_api::page::{Fate, contract as place};

/// Successive pages that were seized.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Repossession {
    /// Number of their container, as its status has it.
    pub container: u64,
    /// The first of them.
    pub first_page: u64,
    /// How many.
    pub pages: u64,
    /// What became of them.
    pub fate: Fate,
    /// Low 56 bits of the number of the last call before.
    pub call: u64,
}

/// The entries of the record from a number on, oldest first. The page holds the last ones only: what was written over before it
/// was read is counted in [`Repossessions::missed`].
#[derive(Debug)]
pub struct Repossessions {
    words: &'static Words,
    next: u64,
    missed: u64,
}

impl Repossessions {
    /// The entries of this task's own contract from number `from` on. Errors: `WrongObject` (nobody watches its calls).
    pub fn since(from: u64) -> Result<Repossessions> {
        Ok(Repossessions { words: words()?, next: from, missed: 0 })
    }

    /// Number of the next entry: where to go on another time.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Entries that were gone before they were read.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

impl Iterator for Repossessions {
    type Item = Repossession;

    fn next(&mut self) -> Option<Repossession> {
        let (number, entry) = entry(self.words, self.next)?;
        self.missed += number - self.next;
        self.next = number + 1;
        Some(entry)
    }
}

/// The entry of this number, or the oldest one after it that is still there.
fn entry(words: &Words, wanted: u64) -> Option<(u64, Repossession)> {
    consistent(words, place::SEQUENCE, |word| {
        let written = word(place::SEIZURES);
        let number = wanted.max(written.saturating_sub(place::RECORD_ENTRIES as u64));
        if number >= written {
            return None;
        }
        let first = place::RECORD + number as usize % place::RECORD_ENTRIES * place::RECORD_ENTRY;
        let end = word(first + 3);
        let fate = if end & 0xff == Fate::Discarded as u64 { Fate::Discarded } else { Fate::Lost };
        let entry = Repossession {
            container: word(first),
            first_page: word(first + 1),
            pages: word(first + 2),
            fate,
            call: end >> 8,
        };
        Some((number, entry))
    })
}

#[cfg(test)]
mod tests {
    use super::super::view::blank;
    use super::*;
    use core::sync::atomic::Ordering;

    fn write(words: &Words, number: u64) {
        let first = place::RECORD + number as usize % place::RECORD_ENTRIES * place::RECORD_ENTRY;
        let fate = if number.is_multiple_of(2) { Fate::Discarded } else { Fate::Lost };
        for (word, value) in [number + 100, number * 10, 3, fate as u64 | number << 8].into_iter().enumerate()
        {
            words[first + word].store(value, Ordering::Relaxed);
        }
        words[place::SEIZURES].store(number + 1, Ordering::Relaxed);
    }

    fn record(words: &'static Words, from: u64) -> Repossessions {
        Repossessions { words, next: from, missed: 0 }
    }

    #[test]
    fn entries_are_read_once_and_those_written_over_are_counted() {
        let words = &*Box::leak(Box::new(blank()));
        assert_eq!(record(words, 0).next(), None);
        (0..3).for_each(|number| write(words, number));
        let mut reader = record(words, 1);
        let expected = Repossession { container: 101, first_page: 10, pages: 3, fate: Fate::Lost, call: 1 };
        assert_eq!(reader.next(), Some(expected));
        assert_eq!(reader.next().map(|entry| (entry.container, entry.fate)), Some((102, Fate::Discarded)));
        assert_eq!((reader.next(), reader.position(), reader.missed()), (None, 3, 0));
        let all = place::RECORD_ENTRIES as u64;
        (3..all + 10).for_each(|number| write(words, number));
        let numbers: Vec<u64> = reader.by_ref().map(|entry| entry.container - 100).collect();
        assert_eq!(numbers, (10..all + 10).collect::<Vec<_>>());
        assert_eq!(reader.missed(), 7);
    }
}
