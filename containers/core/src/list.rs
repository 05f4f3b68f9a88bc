//! Doubly linked lists through records: the head in a record of kind `H`, the links in the members.

use crate::record::{Field, Name, Record, Records};

/// A list, described by the fields that hold it. A member is in it at most once.
pub struct List<H, R> {
    /// First member.
    pub head: Field<H, Option<Name<R>>>,
    /// Next member.
    pub next: Field<R, Option<Name<R>>>,
    /// Member before.
    pub previous: Field<R, Option<Name<R>>>,
}

impl<H: Record, R: Record> List<H, R> {
    /// Puts a member at the front.
    pub fn push(&self, records: &mut impl Records, owner: Name<H>, member: Name<R>) {
        let first = records.get(owner, self.head);
        records.set(member, self.next, first);
        records.set(member, self.previous, None);
        if let Some(first) = first {
            records.set(first, self.previous, Some(member));
        }
        records.set(owner, self.head, Some(member));
    }

    /// Takes a member out.
    pub fn remove(&self, records: &mut impl Records, owner: Name<H>, member: Name<R>) {
        let next = records.get(member, self.next);
        let previous = records.get(member, self.previous);
        match previous {
            Some(previous) => records.set(previous, self.next, next),
            None => records.set(owner, self.head, next),
        }
        if let Some(next) = next {
            records.set(next, self.previous, previous);
        }
        records.set(member, self.next, None);
        records.set(member, self.previous, None);
    }

    /// First member.
    pub fn first(&self, records: &impl Records, owner: Name<H>) -> Option<Name<R>> {
        records.get(owner, self.head)
    }
}
