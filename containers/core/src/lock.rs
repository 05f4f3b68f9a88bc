//! Locks: a range held for a term, in a mode that says what its holder may rely on and what the owner keeps.
//!
//! ```text
//!               lock                 change                 unlock, expiry, break, revoke
//!   (nothing) ───────> fill | dma ─────────────> stable ───────────────────────────────────> (nothing)
//!                        │   ^
//!                   pass │   │ release, expiry        see `passing`
//!                        v   │
//!                     dma, passed on
//! ```
//!
//! A lock for a device takes frames that were not zeroed and marks their pages *raw*; raw pages exist only under
//! such a lock. What the device says it has written (see `passing`) stops being raw; whatever is still raw when
//! the lock ends or gets milder is zeroed, whatever the holder claims.

use crate::access::{Access, Intent, changed, span_of};
use crate::container::{change_entries, make_private, require_bounded, zero_bytes};
use crate::frames::{Contents, Frames, Span, Whose};
use crate::layout::{CONTAINER_LOCKS, DEADLINES, container, lock};
use crate::limits::LOCKS_PER_CONTAINER;
use crate::mutations::{self, Mutation};
use crate::record::{Lock, Name, Records};
use crate::{grant, passing};
use containers_api::{ContainerRights, LockMode, MemoryError};
use kernel_abi::FRAME_BYTES;
use kernel_abi::trace::EventKind;

/// What is asked of a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// What it promises.
    pub mode: LockMode,
    /// How long.
    pub term_ns: u64,
    /// The moment at which it is asked.
    pub now: u64,
}

/// Locks a range. Errors: see [`containers_api::container::Lock`].
pub fn take(
    frames: &mut impl Frames,
    access: &Access,
    first: u64,
    count: u64,
    terms: Terms,
) -> Result<Name<Lock>, MemoryError> {
    let span = check(frames, access, first, count, terms)?;
    let payer = frames.get(access.container, container::CONTRACT);
    let made = frames.create::<Lock>(payer)?;
    if let Err(error) = claim(frames, access, span, terms.mode) {
        frames.delete(payer, made);
        return Err(error);
    }
    frames.set(made, lock::CONTAINER, access.container);
    frames.set(made, lock::VIA, access.via);
    frames.set(made, lock::FIRST_PAGE, span.first);
    frames.set(made, lock::PAGES, span.pages);
    frames.set(made, lock::MODE, terms.mode);
    let term = terms.term_ns.min(access.maximum_lock_ns(frames));
    start_term(frames, made, terms.now.saturating_add(term));
    CONTAINER_LOCKS.push(frames, access.container, made);
    frames.raise(access.container, container::LOCK_COUNT, 1);
    tell(frames, made);
    Ok(made)
}

/// Tells people who look at the system.
fn tell(frames: &mut impl Frames, this: Name<Lock>) {
    let number = frames.get(frames.get(this, lock::CONTAINER), container::NUMBER);
    let pages = frames.get(this, lock::PAGES) | (frames.get(this, lock::MODE) as u64) << 56;
    frames.trace(EventKind::Locked, [this.word(), number, pages, frames.get(this, lock::EXPIRES)]);
}

fn check(
    records: &impl Records,
    access: &Access,
    first: u64,
    count: u64,
    terms: Terms,
) -> Result<Span, MemoryError> {
    access.require(match terms.mode {
        LockMode::Stable => ContainerRights::LOCK,
        LockMode::Fill | LockMode::Dma => ContainerRights::LOCK | ContainerRights::FILL,
    })?;
    let span = access.span(records, first, count)?;
    require_bounded(span)?;
    if terms.term_ns.min(access.maximum_lock_ns(records)) == 0 {
        return Err(MemoryError::OutOfRange);
    }
    if terms.mode != LockMode::Stable {
        access.require_unsealed(records)?;
    }
    grant::require_not_revoking(records, access.via)?;
    access.require_unlocked(records, span, Intent::Lock(terms.mode))?;
    if records.get(access.container, container::LOCK_COUNT) >= LOCKS_PER_CONTAINER {
        return Err(MemoryError::Limit);
    }
    Ok(span)
}

/// Takes mappings away and makes pages present and private, as the mode asks, or changes nothing.
fn claim(frames: &mut impl Frames, access: &Access, span: Span, mode: LockMode) -> Result<(), MemoryError> {
    let this = access.container;
    match mode {
        LockMode::Stable => frames.write_protect(this, span),
        LockMode::Fill => {
            make_private(frames, this, span, Contents::Zero)?;
            changed(frames, this);
        }
        LockMode::Dma => {
            let payer = frames.get(this, container::CONTRACT);
            frames.pin(payer, span.pages)?;
            if let Err(error) = make_private(frames, this, span, Contents::Raw) {
                frames.unpin(payer, span.pages);
                return Err(error);
            }
            changed(frames, this);
        }
    }
    Ok(())
}

/// The lock that a number from outside names, if it was taken through this access and is in force.
pub fn find(records: &impl Records, access: &Access, number: u64) -> Result<Name<Lock>, MemoryError> {
    let found = records.resolve::<Lock>(number).ok_or(MemoryError::LockGone)?;
    let through = records.get(found, lock::CONTAINER) == access.container
        && records.get(found, lock::VIA) == access.via;
    let matches = through && records.get(found, lock::PARENT).is_none();
    if matches || mutations::has(Mutation::ForeignLock) { Ok(found) } else { Err(MemoryError::LockGone) }
}

/// Ends a lock, with so many bytes filled from its start. A device that has not let go yet keeps its frames, and
/// nothing is filled. Errors: `LockGone`, `OutOfRange`.
pub fn unlock(
    frames: &mut impl Frames,
    access: &Access,
    number: u64,
    filled: u64,
) -> Result<(), MemoryError> {
    let found = find(frames, access, number)?;
    require_within(frames, found, filled)?;
    if let Some(child) = frames.get(found, lock::CHILD) {
        passing::end(frames, child);
    }
    if frames.get(found, lock::MODE) != LockMode::Stable {
        cut_tail(frames, found, filled, false);
    }
    end(frames, found);
    Ok(())
}

/// Makes a lock stable. Errors: `LockGone`, `ModeRaised`, `Locked` (passed on), `OutOfRange`.
pub fn change(
    frames: &mut impl Frames,
    access: &Access,
    number: u64,
    mode: LockMode,
    filled: u64,
) -> Result<(), MemoryError> {
    let found = find(frames, access, number)?;
    let old = frames.get(found, lock::MODE);
    if frames.get(found, lock::CHILD).is_some() {
        return Err(MemoryError::Locked);
    }
    if mode != old && mode != LockMode::Stable {
        return Err(MemoryError::ModeRaised);
    }
    require_within(frames, found, filled)?;
    if mode == old {
        return Ok(());
    }
    cut_tail(frames, found, filled, true);
    cleanse(frames, found);
    let this = frames.get(found, lock::CONTAINER);
    if old == LockMode::Dma {
        let payer = frames.get(this, container::CONTRACT);
        frames.unpin(payer, frames.get(found, lock::PAGES));
    }
    frames.set(found, lock::MODE, mode);
    changed(frames, this);
    frames.wake(this);
    Ok(())
}

/// The owner takes a range back: how many locks were broken, how many pages went to quarantine.
pub fn break_all(
    frames: &mut impl Frames,
    access: &Access,
    first: u64,
    count: u64,
) -> Result<(u64, u64), MemoryError> {
    access.require(ContainerRights::GRANT)?;
    let span = access.span(frames, first, count)?;
    let (mut locks, mut quarantined) = (0, 0);
    loop {
        let next = crate::access::locks_on(frames, access.container, span).next();
        let Some(found) = next else { break };
        quarantined += end(frames, found);
        locks += 1;
    }
    if locks != 0 {
        changed(frames, access.container);
    }
    Ok((locks, quarantined))
}

/// Ends what has expired by `now`, passed locks first where moments are equal.
pub fn expire(frames: &mut impl Frames, now: u64) {
    while let Some(first) = DEADLINES.first(frames, frames.roots().deadlines) {
        let late = u64::from(mutations::has(Mutation::ExpireLate));
        if frames.get(first, lock::EXPIRES) + late > now {
            return;
        }
        if frames.get(first, lock::PARENT).is_some() {
            passing::end(frames, first);
        } else {
            end(frames, first);
        }
    }
}

/// The moment at which something expires next.
pub fn next_deadline(frames: &impl Frames) -> Option<u64> {
    DEADLINES.first(frames, frames.roots().deadlines).map(|first| frames.get(first, lock::EXPIRES))
}

/// Ends a lock, however it comes to that; a revoke that waited for it goes on. Pages that went to quarantine.
pub fn end(frames: &mut impl Frames, this: Name<Lock>) -> u64 {
    let (container, via) = (frames.get(this, lock::CONTAINER), frames.get(this, lock::VIA));
    let quarantined = remove(frames, this);
    grant::settle(frames, container, via);
    quarantined
}

/// Ends a lock, and nothing else.
pub fn remove(frames: &mut impl Frames, this: Name<Lock>) -> u64 {
    let quarantined = match frames.get(this, lock::CHILD) {
        Some(child) => passing::end(frames, child),
        None => 0,
    };
    let (container, mode) = (frames.get(this, lock::CONTAINER), frames.get(this, lock::MODE));
    frames.trace(EventKind::LockEnded, [this.word(), 0, 0, 0]);
    let payer = frames.get(container, container::CONTRACT);
    if !mutations::has(Mutation::KeepHoldersMappings) {
        frames.unmap(container, span_of(frames, this), Whose::Through(frames.get(this, lock::VIA)));
    }
    cleanse(frames, this);
    if mode == LockMode::Dma {
        frames.unpin(payer, frames.get(this, lock::PAGES));
    }
    stop_term(frames, this);
    CONTAINER_LOCKS.remove(frames, container, this);
    frames.lower(container, container::LOCK_COUNT, 1);
    frames.delete(payer, this);
    if mode != LockMode::Stable {
        changed(frames, container);
    }
    frames.wake(container);
    quarantined
}

/// Puts a lock among the deadlines.
pub fn start_term(frames: &mut impl Frames, this: Name<Lock>, expires: u64) {
    frames.set(this, lock::EXPIRES, expires);
    let mut roots = frames.roots();
    roots.deadlines = Some(DEADLINES.insert(frames, roots.deadlines, this));
    frames.set_roots(roots);
}

/// Takes a lock from the deadlines.
pub fn stop_term(frames: &mut impl Frames, this: Name<Lock>) {
    let mut roots = frames.roots();
    roots.deadlines = DEADLINES.remove(frames, roots.deadlines, this);
    frames.set_roots(roots);
}

/// `OutOfRange` if so many bytes are more than a lock has.
pub fn require_within(records: &impl Records, this: Name<Lock>, bytes: u64) -> Result<(), MemoryError> {
    if bytes > records.get(this, lock::PAGES) * FRAME_BYTES { Err(MemoryError::OutOfRange) } else { Ok(()) }
}

/// Takes the holder's mappings away and clears everything beyond `filled` bytes.
fn cut_tail(frames: &mut impl Frames, this: Name<Lock>, filled: u64, give_up: bool) {
    let (container, span) = (frames.get(this, lock::CONTAINER), span_of(frames, this));
    frames.unmap(container, span, Whose::Everybody);
    let (start, end) = (span.first * FRAME_BYTES, span.end() * FRAME_BYTES);
    if !mutations::has(Mutation::KeepFillTail) {
        zero_bytes(frames, container, start + filled, end, give_up);
    }
}

/// Clears the pages that are still raw.
fn cleanse(frames: &mut impl Frames, this: Name<Lock>) {
    if frames.get(this, lock::MODE) != LockMode::Dma || mutations::has(Mutation::KeepRaw) {
        return;
    }
    let (container, span) = (frames.get(this, lock::CONTAINER), span_of(frames, this));
    change_entries(frames, container, span, |frames, entry| {
        if let (true, Some(frame)) = (entry.is_raw(), entry.frame()) {
            frames.zero(frame, 0, FRAME_BYTES);
        }
        entry.raw(false)
    });
}
