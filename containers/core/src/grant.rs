//! Grants: attenuated, revocable ways to a range of a container, made from the container or from another grant.
//!
//! Grants form a tree below their container; what ends one ends everything below it. Revoking either breaks the
//! locks taken through the subtree, or marks the grant and waits: no new lock is granted through it, and it
//! ends with its last lock.

use crate::access::{Access, changed};
use crate::frames::{Frames, Whose};
use crate::layout::{CONTAINER_GRANTS, GRANT_CHILDREN, container, grant, lock as lock_fields};
use crate::limits::{GRANT_DEPTH_MAX, GRANTS_PER_CONTAINER};
use crate::lock;
use crate::mutations::{self, Mutation};
use crate::record::{Container, Grant, Lock, Name, Records};
use containers_api::{ContainerRights, MemoryError};

/// What a revoke has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Revocation {
    /// The grant has ended.
    Done,
    /// Locks are in force; the grant ends with the last one.
    Waits,
}

/// Makes a grant. Errors: `NoRecord`, `Limit`, `RevokePending`.
pub fn make(
    frames: &mut impl Frames,
    access: &Access,
    first: u64,
    count: u64,
    rights: ContainerRights,
    maximum_lock_ns: u64,
) -> Result<Name<Grant>, MemoryError> {
    access.require(ContainerRights::GRANT | rights)?;
    let span = access.span(frames, first, count)?;
    require_not_revoking(frames, access.via)?;
    let depth = access.via.map_or(0, |via| frames.get(via, grant::DEPTH) + 1);
    if frames.get(access.container, container::GRANT_COUNT) >= GRANTS_PER_CONTAINER
        || depth >= GRANT_DEPTH_MAX
    {
        return Err(MemoryError::Limit);
    }
    let payer = frames.get(access.container, container::CONTRACT);
    let made = frames.create::<Grant>(payer)?;
    frames.set(made, grant::CONTAINER, access.container);
    frames.set(made, grant::PARENT, access.via);
    frames.set(made, grant::DEPTH, depth);
    frames.set(made, grant::FIRST_PAGE, span.first);
    frames.set(made, grant::PAGES, span.pages);
    frames.set(made, grant::RIGHTS, rights);
    frames.set(made, grant::MAXIMUM_LOCK_NS, maximum_lock_ns.min(access.maximum_lock_ns(frames)));
    match access.via {
        Some(via) => GRANT_CHILDREN.push(frames, via, made),
        None => CONTAINER_GRANTS.push(frames, access.container, made),
    }
    frames.raise(access.container, container::GRANT_COUNT, 1);
    Ok(made)
}

/// Ends a grant that was made from this access, now or with its last lock. Errors: `WrongObject` (made from something
/// else), `RevokePending` (somebody waits for it already, and locks are not to be broken).
pub fn revoke(
    frames: &mut impl Frames,
    access: &Access,
    target: Name<Grant>,
    break_locks: bool,
) -> Result<Revocation, MemoryError> {
    access.require(ContainerRights::GRANT)?;
    let below = access.via.is_none_or(|via| via != target && is_below(frames, target, via));
    if frames.get(target, grant::CONTAINER) != access.container || !below {
        return Err(MemoryError::WrongObject);
    }
    if !break_locks && first_lock(frames, target).is_some() {
        if frames.get(target, grant::WAITER).is_some() {
            return Err(MemoryError::RevokePending);
        }
        frames.set(target, grant::REVOKING, true);
        return Ok(Revocation::Waits);
    }
    end(frames, target);
    changed(frames, access.container);
    Ok(Revocation::Done)
}

/// `RevokePending` if the grant or one above it is being revoked.
pub fn require_not_revoking(records: &impl Records, via: Option<Name<Grant>>) -> Result<(), MemoryError> {
    let mut next = via;
    while let Some(here) = next {
        if records.get(here, grant::REVOKING) && !mutations::has(Mutation::LockWhileRevoking) {
            return Err(MemoryError::RevokePending);
        }
        next = records.get(here, grant::PARENT);
    }
    Ok(())
}

/// Ends a grant and everything below it, breaking locks.
pub fn end(frames: &mut impl Frames, top: Name<Grant>) {
    while let Some(lock) = first_lock(frames, top) {
        lock::remove(frames, lock);
    }
    loop {
        let mut leaf = top;
        while let Some(child) = GRANT_CHILDREN.first(frames, leaf) {
            leaf = child;
        }
        end_leaf(frames, leaf);
        if leaf == top {
            return;
        }
    }
}

fn end_leaf(frames: &mut impl Frames, leaf: Name<Grant>) {
    let this = frames.get(leaf, grant::CONTAINER);
    frames.end_mappings(this, Whose::Through(Some(leaf)));
    frames.revoked(leaf);
    match frames.get(leaf, grant::PARENT) {
        Some(parent) => GRANT_CHILDREN.remove(frames, parent, leaf),
        None => CONTAINER_GRANTS.remove(frames, this, leaf),
    }
    frames.lower(this, container::GRANT_COUNT, 1);
    let payer = frames.get(this, container::CONTRACT);
    frames.delete(payer, leaf);
}

/// A lock taken through `via` has ended: ends the grants above it that were waiting for that.
pub fn settle(frames: &mut impl Frames, this: Name<Container>, via: Option<Name<Grant>>) {
    let mut next = via;
    while let Some(here) = next {
        next = frames.get(here, grant::PARENT);
        if frames.get(here, grant::REVOKING) && first_lock(frames, here).is_none() {
            changed(frames, this);
            end(frames, here);
        }
    }
}

/// Whether a grant is `top` or was made, directly or not, from it.
fn is_below(records: &impl Records, here: Name<Grant>, top: Name<Grant>) -> bool {
    let mut next = Some(here);
    while let Some(here) = next {
        if here == top {
            return true;
        }
        next = records.get(here, grant::PARENT);
    }
    false
}

/// A lock taken through a grant or one below it.
fn first_lock(records: &impl Records, top: Name<Grant>) -> Option<Name<Lock>> {
    let this = records.get(top, grant::CONTAINER);
    let mut next = records.get(this, container::LOCKS);
    while let Some(lock) = next {
        if records.get(lock, lock_fields::VIA).is_some_and(|via| is_below(records, via, top)) {
            return Some(lock);
        }
        next = records.get(lock, lock_fields::NEXT);
    }
    None
}
