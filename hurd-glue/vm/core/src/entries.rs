//! One address map: entries in address order.
//!
//! A balanced tree (the standard library's B-tree) by start address: lookup, clip and coalesce are O(log n), and a walk over a
//! range goes through neighbours. An array would be as quick to look up, but each clip and each removal would move what lies behind.
//! A search for room begins where Mach's `first_free` points: below that there is no hole.
//!
//! Invariants: entries are whole pages, do not overlap, lie within the bounds; neighbours that could be one are one.

use crate::attributes::Attributes;
use crate::objects::ObjectId;
use crate::range::{common, count};
use crate::{KernError, PAGE_BYTES, Result};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

/// Successive pages of one object at successive addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Addresses.
    pub range: Range<u64>,
    /// What is there.
    pub object: ObjectId,
    /// The object's page at the first address.
    pub page: u64,
    /// What may be done with it.
    pub attributes: Attributes,
    /// How often it was wired.
    pub wired: u16,
    /// Somebody else may change it: it was shared once, or is somebody's object.
    pub is_shared: bool,
}

impl Entry {
    /// The object's pages.
    pub fn pages(&self) -> Range<u64> {
        self.page..self.page + count(&self.range)
    }

    /// The part within a range that it meets.
    pub fn within(&self, range: &Range<u64>) -> Entry {
        let range = common(&self.range, range);
        let page = self.page + (range.start - self.range.start) / PAGE_BYTES;
        Entry { range, page, ..self.clone() }
    }

    fn continues(&self, before: &Entry) -> bool {
        before.range.end == self.range.start
            && before.object == self.object
            && before.pages().end == self.page
            && before.attributes == self.attributes
            && before.wired == self.wired
            && before.is_shared == self.is_shared
    }
}

/// The entries of a map.
#[derive(Debug)]
pub struct Entries {
    tree: BTreeMap<u64, Entry>,
    bounds: Range<u64>,
    /// No address below it is free.
    first_free: u64,
}

impl Entries {
    /// An empty map of these addresses, whole pages.
    pub fn new(bounds: Range<u64>) -> Entries {
        Entries { tree: BTreeMap::new(), first_free: bounds.start, bounds }
    }

    /// Lowest address, and the one behind the highest.
    pub fn bounds(&self) -> Range<u64> {
        self.bounds.clone()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.tree.values()
    }

    /// Those that meet a range, in order.
    pub fn meeting(&self, range: &Range<u64>) -> impl Iterator<Item = &Entry> {
        let (start, end) = (range.start, range.end.max(range.start));
        let before = self.tree.range(..start).next_back().map(|(_, entry)| entry);
        let before = before.filter(|entry| entry.range.end > start && end > start);
        before.into_iter().chain(self.tree.range(start..end).map(|(_, entry)| entry))
    }

    /// The parts of entries within a range, in order.
    pub fn parts(&self, range: &Range<u64>) -> Vec<Entry> {
        self.meeting(range).map(|entry| entry.within(range)).collect()
    }

    /// The same, where entries must cover the whole range. Errors: `InvalidAddress`.
    pub fn covering(&self, range: &Range<u64>) -> Result<Vec<Entry>> {
        let mut next = range.start;
        for entry in self.meeting(range) {
            if entry.range.start > next {
                return Err(KernError::InvalidAddress);
            }
            next = entry.range.end;
        }
        if next < range.end { Err(KernError::InvalidAddress) } else { Ok(self.parts(range)) }
    }

    /// The entry that an address lies in, or the next one.
    pub fn at_or_after(&self, address: u64) -> Option<&Entry> {
        let before = self.tree.range(..=address).next_back().map(|(_, entry)| entry);
        before.filter(|entry| entry.range.end > address).or_else(|| {
            let after = self.tree.range(address..).next();
            after.map(|(_, entry)| entry)
        })
    }

    /// Adds an entry where nothing is; becomes one with its neighbours if it can.
    pub fn insert(&mut self, mut entry: Entry) {
        debug_assert!(self.meeting(&entry.range).next().is_none() && !entry.range.is_empty());
        if entry.range.start == self.first_free {
            self.first_free = entry.range.end;
        }
        let before = self.tree.range(..entry.range.start).next_back().map(|(_, before)| before);
        if let Some(before) = before.filter(|before| entry.continues(before)) {
            let start = before.range.start;
            entry = Entry { range: start..entry.range.end, page: before.page, ..entry };
        }
        let after = self.tree.get(&entry.range.end).filter(|after| after.continues(&entry));
        if let Some(after) = after.map(|after| after.range.clone()) {
            self.tree.remove(&after.start);
            entry.range.end = after.end;
        }
        self.tree.insert(entry.range.start, entry);
    }

    /// Takes everything within a range out, clipping at its ends.
    pub fn remove(&mut self, range: &Range<u64>) {
        self.clip(range.start);
        self.clip(range.end);
        while let Some((&start, _)) = self.tree.range(range.start..range.end.max(range.start)).next() {
            self.tree.remove(&start);
            self.first_free = self.first_free.min(start);
        }
    }

    /// Puts an entry in place of what is there.
    pub fn replace(&mut self, entry: Entry) {
        let first_free = self.first_free;
        self.remove(&entry.range);
        self.first_free = first_free;
        self.insert(entry);
    }

    /// Makes two entries of one that an address lies within.
    fn clip(&mut self, address: u64) {
        let before = self.tree.range_mut(..address).next_back();
        let Some((_, before)) = before.filter(|(_, entry)| entry.range.end > address) else { return };
        let after = before.within(&(address..before.range.end));
        before.range.end = address;
        self.tree.insert(address, after);
    }

    /// Whether a range lies within the bounds. Errors: `InvalidAddress`.
    pub fn require_inside(&self, range: &Range<u64>) -> Result<()> {
        let inside = range.start >= self.bounds.start && range.end <= self.bounds.end && !range.is_empty();
        if inside { Ok(()) } else { Err(KernError::InvalidAddress) }
    }

    /// The lowest free range of `bytes` (not 0) from an address on, whose start has no bit of `mask`. Errors: `NoSpace`.
    pub fn find(&mut self, from: u64, bytes: u64, mask: u64) -> Result<Range<u64>> {
        self.skip_taken();
        let mut start = self.aligned(from.max(self.first_free), mask)?;
        loop {
            let end = start.checked_add(bytes).filter(|&end| end <= self.bounds.end);
            let range = start..end.ok_or(KernError::NoSpace)?;
            match self.meeting(&range).last() {
                Some(taken) => start = self.aligned(taken.range.end, mask)?,
                None => return Ok(range),
            }
        }
    }

    /// Moves `first_free` over entries that lie there.
    fn skip_taken(&mut self) {
        let mut next = self.first_free;
        while let Some(entry) = self.at_or_after(next).filter(|entry| entry.range.start <= next) {
            next = entry.range.end;
        }
        self.first_free = next;
    }

    fn aligned(&self, address: u64, mask: u64) -> Result<u64> {
        let start = address.checked_add(mask).ok_or(KernError::NoSpace)? & !mask;
        if start < self.bounds.end { Ok(start) } else { Err(KernError::NoSpace) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::Protection;

    fn entry(range: Range<u64>, page: u64) -> Entry {
        let range = range.start * PAGE_BYTES..range.end * PAGE_BYTES;
        let attributes = Attributes::FRESH;
        Entry { range, object: ObjectId(0), page, attributes, wired: 0, is_shared: false }
    }

    fn pages(entries: &Entries) -> Vec<(u64, u64, u64)> {
        let in_pages =
            |entry: &Entry| (entry.range.start / PAGE_BYTES, entry.range.end / PAGE_BYTES, entry.page);
        entries.iter().map(in_pages).collect()
    }

    #[test]
    fn neighbours_become_one_where_pages_and_attributes_go_on() {
        let mut entries = Entries::new(0..100 * PAGE_BYTES);
        entries.insert(entry(1..2, 10));
        entries.insert(entry(3..4, 12));
        entries.insert(entry(2..3, 11));
        assert_eq!(pages(&entries), [(1, 4, 10)]);
        entries.insert(entry(4..5, 20));
        let read_only = Attributes { protection: Protection::READ, ..Attributes::FRESH };
        entries.insert(Entry { attributes: read_only, ..entry(5..6, 21) });
        assert_eq!(pages(&entries), [(1, 4, 10), (4, 5, 20), (5, 6, 21)]);
        entries.replace(entry(5..6, 21));
        assert_eq!(pages(&entries), [(1, 4, 10), (4, 6, 20)]);
    }

    #[test]
    fn what_is_removed_from_the_middle_leaves_both_ends() {
        let mut entries = Entries::new(0..100 * PAGE_BYTES);
        entries.insert(entry(0..10, 50));
        entries.remove(&(3 * PAGE_BYTES..5 * PAGE_BYTES));
        assert_eq!(pages(&entries), [(0, 3, 50), (5, 10, 55)]);
        assert_eq!(entries.find(0, 2 * PAGE_BYTES, 0), Ok(3 * PAGE_BYTES..5 * PAGE_BYTES));
        assert_eq!(entries.find(0, 3 * PAGE_BYTES, 0), Ok(10 * PAGE_BYTES..13 * PAGE_BYTES));
        let covering = entries.covering(&(PAGE_BYTES..6 * PAGE_BYTES));
        assert_eq!(covering, Err(KernError::InvalidAddress));
        assert!(entries.covering(&(6 * PAGE_BYTES..10 * PAGE_BYTES)).is_ok());
    }

    #[test]
    fn room_is_found_by_alignment_and_up_to_the_last_page() {
        let mut entries = Entries::new(PAGE_BYTES..16 * PAGE_BYTES);
        entries.insert(entry(1..3, 0));
        assert_eq!(entries.find(0, PAGE_BYTES, 8 * PAGE_BYTES - 1), Ok(8 * PAGE_BYTES..9 * PAGE_BYTES));
        assert_eq!(entries.find(0, 13 * PAGE_BYTES, 0), Ok(3 * PAGE_BYTES..16 * PAGE_BYTES));
        assert_eq!(entries.find(0, 14 * PAGE_BYTES, 0), Err(KernError::NoSpace));
        assert_eq!(entries.find(0, u64::MAX, 0), Err(KernError::NoSpace));
        assert_eq!(entries.find(0, PAGE_BYTES, u64::MAX), Err(KernError::NoSpace));
        entries.insert(entry(3..16, 100));
        assert_eq!(entries.find(0, PAGE_BYTES, 0), Err(KernError::NoSpace));
        entries.remove(&(5 * PAGE_BYTES..6 * PAGE_BYTES));
        assert_eq!(entries.find(0, PAGE_BYTES, 0), Ok(5 * PAGE_BYTES..6 * PAGE_BYTES));
    }
}
