//! What a caller may do to a container, and which locks stand in the way.
//!
//! | a lock in mode | stands in the way of |
//! |---|---|
//! | fill | everything, except what its holder does |
//! | stable | every change, also its holder's |
//! | dma | everything |
//!
//! The holder of a lock is whoever uses the grant it was taken through. A fill lock that is passed on to a device
//! counts as dma until it is released.

use crate::frames::{Frames, Span};
use crate::layout::{container, grant, lock};
use crate::limits::LOCK_TERM_MAX_NS;
use crate::mutations::{self, Mutation};
use crate::record::{Container, Grant, Lock, Name, Records};
use containers_api::{ContainerRights, LockMode, MemoryError};

/// A caller's way to a container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// Which.
    pub container: Name<Container>,
    /// Through which grant; none: by the container's own capability.
    pub via: Option<Name<Grant>>,
    /// What is allowed.
    pub rights: ContainerRights,
    /// Page 0 of this access, in the container.
    pub first_page: u64,
    /// Pages of this access.
    pub pages: u64,
}

/// What somebody wants to do to pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Intent {
    /// See contents.
    Read,
    /// Change contents, or take pages away.
    Change,
    /// Lock in a mode.
    Lock(LockMode),
}

impl Access {
    /// By the container's own capability. `Stale` where it is being destroyed.
    pub fn direct(
        records: &impl Records,
        container: Name<Container>,
        rights: ContainerRights,
    ) -> Result<Access, MemoryError> {
        if records.get(container, container::DYING) {
            return Err(MemoryError::Stale);
        }
        let pages = records.get(container, container::PAGES);
        Ok(Access { container, via: None, rights, first_page: 0, pages })
    }

    /// Through a grant.
    pub fn granted(
        records: &impl Records,
        grant: Name<Grant>,
        rights: ContainerRights,
    ) -> Result<Access, MemoryError> {
        let container = records.get(grant, grant::CONTAINER);
        let direct = Access::direct(records, container, rights & records.get(grant, grant::RIGHTS))?;
        let first_page = records.get(grant, grant::FIRST_PAGE);
        let pages = records.get(grant, grant::PAGES);
        Ok(Access { via: Some(grant), first_page, pages, ..direct })
    }

    /// Checks rights.
    pub fn require(&self, rights: ContainerRights) -> Result<(), MemoryError> {
        if self.rights.contains(rights) { Ok(()) } else { Err(MemoryError::MissingRight) }
    }

    /// Checks that this is the container itself and not a grant on it.
    pub fn require_whole(&self) -> Result<(), MemoryError> {
        if self.via.is_none() { Ok(()) } else { Err(MemoryError::MissingRight) }
    }

    /// The pages of the container that a range of this access means.
    pub fn span(&self, records: &impl Records, first: u64, pages: u64) -> Result<Span, MemoryError> {
        let span = Span::new(first, pages)?;
        let beyond = u64::from(self.via.is_some() && mutations::has(Mutation::WidenGrant));
        if span.end() > self.pages + beyond {
            return Err(MemoryError::OutOfRange);
        }
        let first = self.first_page.checked_add(first).ok_or(MemoryError::OutOfRange)?;
        let span = Span::new(first, pages)?;
        if span.end() > records.get(self.container, container::PAGES) {
            return Err(MemoryError::OutOfRange);
        }
        Ok(span)
    }

    /// `Locked` if a lock on the span stands in the way.
    pub fn require_unlocked(
        &self,
        records: &impl Records,
        span: Span,
        intent: Intent,
    ) -> Result<(), MemoryError> {
        match obstacle(records, self.container, self.via, span, intent) {
            Some(_) => Err(MemoryError::Locked),
            None => Ok(()),
        }
    }

    /// `Sealed` if it is.
    pub fn require_unsealed(&self, records: &impl Records) -> Result<(), MemoryError> {
        if records.get(self.container, container::SEALED) { Err(MemoryError::Sealed) } else { Ok(()) }
    }

    /// Longest term of a lock taken through this access.
    pub fn maximum_lock_ns(&self, records: &impl Records) -> u64 {
        self.via
            .map_or(LOCK_TERM_MAX_NS, |via| records.get(via, grant::MAXIMUM_LOCK_NS))
            .min(LOCK_TERM_MAX_NS)
    }
}

/// What a lock amounts to at the moment.
pub fn mode_in_force(records: &impl Records, lock: Name<Lock>) -> LockMode {
    let passed = records.get(lock, lock::CHILD).is_some();
    if passed { LockMode::Dma } else { records.get(lock, lock::MODE) }
}

/// The pages of a lock.
pub fn span_of(records: &impl Records, lock: Name<Lock>) -> Span {
    Span { first: records.get(lock, lock::FIRST_PAGE), pages: records.get(lock, lock::PAGES) }
}

/// The first lock on a span that stands in the way of what a user of `via` intends.
pub fn obstacle(
    records: &impl Records,
    container: Name<Container>,
    via: Option<Name<Grant>>,
    span: Span,
    intent: Intent,
) -> Option<Name<Lock>> {
    locks_on(records, container, span).find(|&lock| {
        let holds = records.get(lock, lock::VIA) == via;
        match (mode_in_force(records, lock), intent) {
            (LockMode::Stable, Intent::Read | Intent::Lock(LockMode::Stable)) => false,
            (LockMode::Fill, Intent::Read | Intent::Change) => !holds,
            _ => true,
        }
    })
}

/// The locks that overlap a span.
pub fn locks_on<'a>(
    records: &'a impl Records,
    container: Name<Container>,
    span: Span,
) -> impl Iterator<Item = Name<Lock>> + 'a {
    let mut next = records.get(container, container::LOCKS);
    core::iter::from_fn(move || {
        while let Some(lock) = next {
            next = records.get(lock, lock::NEXT);
            if span_of(records, lock).intersection(span).is_some() {
                return Some(lock);
            }
        }
        None
    })
}

/// Bumps the version: something changed.
pub fn changed(frames: &mut impl Frames, container: Name<Container>) {
    if !mutations::has(Mutation::KeepVersion) {
        frames.raise(container, container::VERSION, 1);
    }
}
