//! Chains: doubly linked lists through records whose two ends are physmem's own, not a record's.

use containers_core::record::{Field, Name, Record, Records};

/// The ends of a chain.
pub struct Ends<R> {
    /// First member.
    pub first: Option<Name<R>>,
    /// Last member.
    pub last: Option<Name<R>>,
}

impl<R> Clone for Ends<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Ends<R> {}

impl<R> Default for Ends<R> {
    fn default() -> Self {
        Ends { first: None, last: None }
    }
}

/// A chain, described by the fields that hold it. A member is in it at most once.
pub struct Chain<R> {
    /// Next member.
    pub next: Field<R, Option<Name<R>>>,
    /// Member before.
    pub previous: Field<R, Option<Name<R>>>,
}

impl<R: Record> Chain<R> {
    /// Puts a member at the end; the new ends.
    #[must_use]
    pub fn push(&self, records: &mut impl Records, ends: Ends<R>, member: Name<R>) -> Ends<R> {
        records.set(member, self.next, None);
        records.set(member, self.previous, ends.last);
        match ends.last {
            Some(last) => records.set(last, self.next, Some(member)),
            None => return Ends { first: Some(member), last: Some(member) },
        }
        Ends { last: Some(member), ..ends }
    }

    /// Takes a member out; the new ends.
    #[must_use]
    pub fn remove(&self, records: &mut impl Records, ends: Ends<R>, member: Name<R>) -> Ends<R> {
        let (next, previous) = (records.get(member, self.next), records.get(member, self.previous));
        let mut ends = ends;
        match previous {
            Some(previous) => records.set(previous, self.next, next),
            None => ends.first = next,
        }
        match next {
            Some(next) => records.set(next, self.previous, previous),
            None => ends.last = previous,
        }
        records.set(member, self.next, None);
        records.set(member, self.previous, None);
        ends
    }
}
