//! What entries point at: containers, and which of their pages are named how often.
//!
//! An *arena* is a large sparse container of a map's contract; all fresh memory of the map is pages of it, so that no allocation makes a
//! container. Its page numbers are given out upwards and only once (but for the newest that come back at once), so finding pages needs
//! no search, and memory allocated side by side has pages side by side. A *wired* object is a container that is vital as a whole. A *foreign* one
//! was given to `vm_map`: its pages are their owner's affair.
//!
//! Most pages are named by one entry. [`Shares`] holds the ranges that more than one names, with the number of the others.
//!
//! Invariants: `named` is the number of pages that entries name, counted as often as they do; an object without any is gone,
//! unless it is a map's arena.

use crate::memory::{Memory, Outcome};
use crate::range::common;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use containers_api::MemoryError;
use core::ops::Range;

/// Names an object of a [`crate::Vm`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ObjectId(pub u32);

/// What kind of container it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Fresh memory.
    Arena,
    /// Memory that is never seized.
    Wired,
    /// Somebody's.
    Foreign,
}

/// A container that entries name.
#[derive(Debug)]
pub struct Object<C> {
    /// The container.
    pub container: C,
    /// What it is.
    pub kind: Kind,
    /// Its size in pages.
    pub pages: u64,
    /// First page that was not given out.
    next_page: u64,
    /// Pages that entries name, as often as they do.
    named: u64,
    shares: Shares,
}

/// The objects of all maps.
#[derive(Debug)]
pub struct Objects<C> {
    slots: Vec<Option<Object<C>>>,
}

impl<C: Copy + PartialEq> Objects<C> {
    /// None.
    pub const fn new() -> Objects<C> {
        Objects { slots: Vec::new() }
    }

    /// An object that an entry or map names.
    ///
    /// # Panics
    /// If there is none: entries name only objects that are there.
    pub fn get(&self, object: ObjectId) -> &Object<C> {
        self.slots[object.0 as usize].as_ref().expect("what is named is there")
    }

    fn get_mut(&mut self, object: ObjectId) -> &mut Object<C> {
        self.slots[object.0 as usize].as_mut().expect("what is named is there")
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds one.
    pub fn add(&mut self, container: C, kind: Kind, pages: u64) -> ObjectId {
        let shares = Shares::default();
        let object = Some(Object { container, kind, pages, next_page: 0, named: 0, shares });
        let free = self.slots.iter().position(Option::is_none);
        let index = free.unwrap_or(self.slots.len());
        match self.slots.get_mut(index) {
            Some(slot) => *slot = object,
            None => self.slots.push(object),
        }
        ObjectId(index as u32)
    }

    /// Pages of an arena that nobody has; `None`: it has no more.
    pub fn take(&mut self, arena: ObjectId, pages: u64) -> Option<u64> {
        let object = self.get_mut(arena);
        let first = object.next_page;
        object.next_page = first.checked_add(pages).filter(|&end| end <= object.pages)?;
        Some(first)
    }

    /// An entry names pages that nobody else does.
    pub fn name(&mut self, object: ObjectId, pages: &Range<u64>) {
        self.get_mut(object).named += pages.end - pages.start;
    }

    /// One more entry names pages that some entry names.
    pub fn share(&mut self, object: ObjectId, pages: &Range<u64>) {
        let object = self.get_mut(object);
        object.named += pages.end - pages.start;
        object.shares.add(pages);
    }

    /// Whether more than one entry names some of these pages.
    pub fn is_shared(&self, object: ObjectId, pages: &Range<u64>) -> bool {
        self.get(object).shares.meets(pages)
    }

    /// An entry names the pages no longer: what nobody names gives its frames up, an object that nobody names ends. Errors:
    /// physmem's; the books are right then too, and what could not be given up goes with the container.
    pub fn forget<M: Memory<Container = C>>(
        &mut self,
        memory: &mut M,
        object: ObjectId,
        pages: &Range<u64>,
        is_arena: bool,
    ) -> Outcome {
        let this = self.get_mut(object);
        this.named -= pages.end - pages.start;
        let unused = this.shares.remove(pages);
        if this.named == 0 && !is_arena {
            self.end(memory, object);
            return Ok(());
        }
        if this.kind == Kind::Foreign {
            return Ok(());
        }
        let container = this.container;
        let newest = if this.named == 0 { Some(0) } else { unused.last().map(|last| last.start) };
        let is_newest = this.named == 0 || unused.last().is_some_and(|last| last.end == this.next_page);
        let mut result = Ok(());
        for part in unused {
            result = result.and(memory.deallocate(container, part));
        }
        // Pages that still have their contents are not given out again.
        if let Some(first) = newest.filter(|_| is_newest && result.is_ok()) {
            self.get_mut(object).next_page = first;
        } else if result.is_err() {
            let this = self.get_mut(object);
            this.next_page = this.pages;
        }
        result
    }

    /// A map has a new arena, or none any more: the old one ends if nobody names its pages.
    pub fn retire<M: Memory<Container = C>>(&mut self, memory: &mut M, arena: ObjectId) {
        if self.get(arena).named == 0 {
            self.end(memory, arena);
        }
    }

    fn end<M: Memory<Container = C>>(&mut self, memory: &mut M, object: ObjectId) {
        if let Some(object) = self.slots[object.0 as usize].take() {
            match object.kind {
                Kind::Foreign => memory.release(object.container),
                Kind::Arena | Kind::Wired => memory.destroy(object.container),
            }
        }
    }

    /// The foreign object of a container that the caller holds. Errors: physmem's, for what is no container.
    pub fn foreign<M: Memory<Container = C>>(
        &mut self,
        memory: &mut M,
        container: C,
    ) -> Result<ObjectId, MemoryError> {
        let pages = memory.size(container)?;
        let kept = memory.keep(container)?;
        Ok(self.add(kept, Kind::Foreign, pages))
    }
}

impl<C: Copy + PartialEq> Default for Objects<C> {
    fn default() -> Self {
        Objects::new()
    }
}

/// Page ranges with the number of entries beyond the first that name them. Ranges do not meet.
#[derive(Debug, Default)]
struct Shares(BTreeMap<u64, (u64, u32)>);

impl Shares {
    fn meets(&self, pages: &Range<u64>) -> bool {
        let before = self.0.range(..pages.end).next_back();
        before.is_some_and(|(_, &(end, _))| end > pages.start)
    }

    /// Makes two of a range that a page lies within.
    fn split(&mut self, page: u64) {
        let Some((_, range)) = self.0.range_mut(..page).next_back() else { return };
        let (end, others) = *range;
        if end > page {
            range.0 = page;
            self.0.insert(page, (end, others));
        }
    }

    /// What lies within some pages.
    fn within(&mut self, pages: &Range<u64>) -> Vec<(Range<u64>, u32)> {
        if self.0.is_empty() {
            return Vec::new();
        }
        self.split(pages.start);
        self.split(pages.end);
        self.0.range(pages.clone()).map(|(&start, &(end, others))| (start..end, others)).collect()
    }

    fn add(&mut self, pages: &Range<u64>) {
        let there = self.within(pages);
        for gap in gaps(pages, &there) {
            self.0.insert(gap.start, (gap.end, 1));
        }
        for (range, others) in there {
            self.0.insert(range.start, (range.end, others + 1));
        }
    }

    /// One entry less; the parts that nobody names any more, in order.
    fn remove(&mut self, pages: &Range<u64>) -> Vec<Range<u64>> {
        let there = self.within(pages);
        for (range, others) in &there {
            match others {
                1 => self.0.remove(&range.start),
                _ => self.0.insert(range.start, (range.end, others - 1)),
            };
        }
        gaps(pages, &there)
    }
}

/// What of a range none of the parts covers.
fn gaps(pages: &Range<u64>, parts: &[(Range<u64>, u32)]) -> Vec<Range<u64>> {
    let mut gaps = Vec::new();
    let mut next = pages.start;
    for (part, _) in parts {
        let part = common(part, pages);
        if part.start > next {
            gaps.push(next..part.start);
        }
        next = part.end;
    }
    if next < pages.end {
        gaps.push(next..pages.end);
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_unused_when_the_last_entry_has_gone() {
        let mut shares = Shares::default();
        shares.add(&(10..20));
        shares.add(&(15..25));
        assert!(shares.meets(&(24..30)) && !shares.meets(&(25..30)) && !shares.meets(&(0..10)));
        assert_eq!(shares.remove(&(0..30)), [0..10, 25..30]);
        assert_eq!(shares.remove(&(10..25)), [10..15, 20..25]);
        assert_eq!(shares.remove(&(10..25)), core::slice::from_ref(&(10..25)));
        assert!(shares.0.is_empty());
    }
}
