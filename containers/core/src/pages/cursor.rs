//! Going through many pages of an array: the way down is found once for each leaf, and the counts of the leaf and of the
//! container are changed once for each leaf.

use super::{Branch, Entry, Place, descend, read, write};
use crate::layout::container;
use crate::record::{Container, Field, Name, Records};

/// Log2 of the pages that a leaf has places for.
const LEAF_SHIFT: u32 = super::NODE_SHIFT;

/// Pages that [`Cursor::load`] and [`Cursor::store`] take at a time at most: a part of a leaf, so that room for a single page is not too
/// much to be cleared.
pub const GROUP_PAGES: usize = 32;

/// So many pages are worth room of their own size.
pub const FEW_PAGES: usize = 4;

const _: () = assert!((1_usize << LEAF_SHIFT).is_multiple_of(GROUP_PAGES), "a group lies in one leaf");

/// Pages from this one on that lie in the same group.
pub const fn to_end_of_group(page: u64) -> u64 {
    GROUP_PAGES as u64 - page % GROUP_PAGES as u64
}

/// A leaf that is being gone through.
#[derive(Clone, Copy)]
struct Here {
    place: Place,
    branch: Branch,
}

/// What was changed in the leaf, that is not counted yet.
#[derive(Clone, Copy, Default)]
struct Tally {
    used: i64,
    present: i64,
    lost: i64,
    out: i64,
    shared: i64,
}

impl Tally {
    fn note(&mut self, old: Entry, new: Entry) {
        let change = |is: fn(Entry) -> bool| i64::from(is(new)) - i64::from(is(old));
        self.used += change(|entry| entry != Entry::ABSENT);
        self.present += change(|entry| entry.frame().is_some());
        self.lost += change(|entry| entry == Entry::LOST);
        self.out += change(|entry| entry.out().is_some());
        self.shared += change(Entry::is_shared);
    }

    /// Notes that words of the array become other entries.
    fn note_all(&mut self, words: &[u64], new: &[Entry]) {
        // Where all are absent or have frames, one bit says which it is.
        let (mut seen, mut present, mut shared) = (0, 0_u64, 0_u64);
        for (&word, new) in words.iter().zip(new) {
            seen |= word | new.0;
            present = present.wrapping_add(new.0 & Entry::RESIDENT).wrapping_sub(word & Entry::RESIDENT);
            shared = shared.wrapping_add(new.0 & Entry::SHARED).wrapping_sub(word & Entry::SHARED);
        }
        if seen & Entry::STATE & !Entry::RESIDENT == 0 {
            self.used += present as i64;
            self.present += present as i64;
            self.shared += shared as i64 >> Entry::SHARED_SHIFT;
            return;
        }
        for (&word, &new) in words.iter().zip(new) {
            self.note(Entry(word), new);
        }
    }
}

/// A place in an array that is gone through in any order, cheapest upwards. [`Cursor::finish`] must follow the last change.
pub struct Cursor {
    array: Name<Container>,
    /// Number of the group of pages that one leaf has places for, and the leaf if there is one.
    group: u64,
    here: Option<Here>,
    tally: Tally,
    is_changed: bool,
}

impl Cursor {
    /// Over this array. Nobody else may change its entries, make or prune its nodes until it is finished.
    pub fn new(array: Name<Container>) -> Cursor {
        Cursor { array, group: u64::MAX, here: None, tally: Tally::default(), is_changed: false }
    }

    /// Another one at the same leaf, to look around with. This one has changed nothing yet.
    pub fn fork(&self) -> Cursor {
        debug_assert!(!self.is_changed);
        Cursor {
            array: self.array,
            group: self.group,
            here: self.here,
            tally: Tally::default(),
            is_changed: false,
        }
    }

    /// The entry of a page; absent in a hole.
    #[inline]
    pub fn get(&mut self, records: &mut impl Records, page: u64) -> Entry {
        match self.at(records, page) {
            Some(Here { branch, .. }) => Entry(read(records, self.array, branch.place(page, 0))),
            None => Entry::ABSENT,
        }
    }

    /// Changes the entry of a page, which was `old`.
    ///
    /// # Panics
    /// If the page has no place and the new entry is not absent.
    #[inline]
    pub fn set(&mut self, records: &mut impl Records, page: u64, old: Entry, new: Entry) {
        let Some(Here { branch, .. }) = self.at(records, page) else {
            assert!(new == Entry::ABSENT, "page {page} has no place in the array");
            return;
        };
        write(records, self.array, branch.place(page, 0), new.0);
        self.tally.note(old, new);
        self.is_changed = true;
    }

    /// Copies out the entries of successive pages that lie in one leaf; absent ones in a hole.
    pub fn load(&mut self, records: &mut impl Records, page: u64, entries: &mut [Entry]) {
        let place = self.at(records, page).map(|here| here.branch.place(page, 0));
        let Some(Place::Word(frame, index)) = place else { return entries.fill(Entry::ABSENT) };
        let words = &records.words(frame)[index..index + entries.len()];
        for (entry, word) in entries.iter_mut().zip(words) {
            *entry = Entry(*word);
        }
    }

    /// Changes the entries of successive pages that lie in one leaf.
    ///
    /// # Panics
    /// If the pages have no places and not all new entries are absent.
    pub fn store(&mut self, records: &mut impl Records, page: u64, new: &[Entry]) {
        let place = self.at(records, page).map(|here| here.branch.place(page, 0));
        let Some(Place::Word(frame, index)) = place else {
            assert!(new.iter().all(|&new| new == Entry::ABSENT), "pages from {page} on have no place");
            return;
        };
        let words = &mut records.words_mut(frame)[index..index + new.len()];
        self.tally.note_all(words, new);
        for (word, entry) in words.iter_mut().zip(new) {
            *word = entry.0;
        }
        self.is_changed = true;
    }

    /// Whether the page that was looked at last has a place.
    pub fn has_place(&self, page: u64) -> bool {
        page >> LEAF_SHIFT == self.group && self.here.is_some()
    }

    /// Counts what was changed.
    pub fn finish(mut self, records: &mut impl Records) {
        self.settle(records);
    }

    #[inline(always)]
    fn at(&mut self, records: &mut impl Records, page: u64) -> Option<Here> {
        if page >> LEAF_SHIFT != self.group {
            self.go(records, page);
        }
        self.here
    }

    #[inline(never)]
    fn go(&mut self, records: &mut impl Records, page: u64) {
        self.settle(records);
        self.group = page >> LEAF_SHIFT;
        self.here = descend(records, self.array, page).ok().map(|(place, branch)| Here { place, branch });
    }

    fn settle(&mut self, records: &mut impl Records) {
        let Some(Here { place, .. }) = self.here.filter(|_| core::mem::take(&mut self.is_changed)) else {
            return;
        };
        let Tally { used, present, lost, out, shared } = core::mem::take(&mut self.tally);
        if used != 0 {
            let branch = Branch(read(records, self.array, place));
            write(records, self.array, place, branch.counted(used).0);
        }
        self.count(records, container::PRESENT, present);
        self.count(records, container::LOST, lost);
        self.count(records, container::OUT, out);
        self.count(records, container::SHARED, shared);
    }

    fn count(&self, records: &mut impl Records, field: Field<Container, u64>, by: i64) {
        match by {
            0 => {}
            1.. => records.raise(self.array, field, by.unsigned_abs()),
            _ => records.lower(self.array, field, by.unsigned_abs()),
        }
    }
}
