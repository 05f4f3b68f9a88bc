//! A lock passed on to a device's driver, and the frames that a device will not let go of.
//!
//! The driver gets a lock of its own, in mode dma and for a shorter term. Told the physical frames, it answers for
//! them: a *hold*, charged to its contract, sets as many frames aside as the device may keep. When the lock ends
//! before the driver has released it, the owner's pages get those other frames at once, and the old ones stay
//! in quarantine under the hold until the driver says that the device has let go. They are zeros where the device was to write, and
//! the same contents where it was only to read.
//!
//! ```text
//!   pass ──> passed ── runs ──> told ── release ──> (nothing)         the owner keeps its frames
//!              │                  │
//!              │ end              │ end (expiry, break, unlock, destruction)
//!              v                  v
//!          (nothing)           overdue ── release ──> (nothing)       the owner got other frames
//! ```

use crate::access::{Access, changed, span_of};
use crate::container::{change_entries, make_private, whole_frame};
use crate::frames::{Contents, Count, Frames, Span};
use crate::layout::{OVERDUE, container, hold, lock};
use crate::lock::{find, require_within, start_term, stop_term};
use crate::mutations::{self, Mutation};
use crate::pages::{Cursor, Entry, GROUP_PAGES, to_end_of_group};
use crate::record::{Container, Contract, Hold, Lock, Name, Records};
use containers_api::{LockMode, MemoryError};
use kernel_abi::FRAME_BYTES;

/// Passes a lock on. Errors: `LockGone`, `Locked` (passed on already), `ModeRaised`, `OutOfRange` (no term),
/// `PinLimit`, `NoRecord`, `ContractExhausted`.
pub fn pass(
    frames: &mut impl Frames,
    access: &Access,
    number: u64,
    mode: LockMode,
    term_ns: u64,
    now: u64,
) -> Result<Name<Lock>, MemoryError> {
    let parent = find(frames, access, number)?;
    let held = frames.get(parent, lock::MODE);
    if mode != LockMode::Dma || held == LockMode::Stable {
        return Err(MemoryError::ModeRaised);
    }
    if frames.get(parent, lock::CHILD).is_some() {
        return Err(MemoryError::Locked);
    }
    if term_ns == 0 {
        return Err(MemoryError::OutOfRange);
    }
    let (this, span) = (frames.get(parent, lock::CONTAINER), span_of(frames, parent));
    let payer = frames.get(this, container::CONTRACT);
    let made = frames.create::<Lock>(payer)?;
    if let Err(error) = claim(frames, this, span, held) {
        frames.delete(payer, made);
        return Err(error);
    }
    frames.set(made, lock::CONTAINER, this);
    frames.set(made, lock::VIA, frames.get(parent, lock::VIA));
    frames.set(made, lock::FIRST_PAGE, span.first);
    frames.set(made, lock::PAGES, span.pages);
    frames.set(made, lock::MODE, LockMode::Dma);
    frames.set(made, lock::PARENT, Some(parent));
    frames.set(parent, lock::CHILD, Some(made));
    let expires = now.saturating_add(term_ns).min(frames.get(parent, lock::EXPIRES));
    start_term(frames, made, expires);
    Ok(made)
}

/// Under a fill lock the holder may have given pages up or copied others' in: makes them private again, and pins.
fn claim(
    frames: &mut impl Frames,
    this: Name<Container>,
    span: Span,
    held: LockMode,
) -> Result<(), MemoryError> {
    if held == LockMode::Dma {
        return Ok(());
    }
    let payer = frames.get(this, container::CONTRACT);
    frames.pin(payer, span.pages)?;
    if let Err(error) = make_private(frames, this, span, Contents::Zero) {
        frames.unpin(payer, span.pages);
        return Err(error);
    }
    Ok(())
}

/// The passed lock that a number from outside names, if it is in force.
pub fn find_passed(records: &impl Records, number: u64) -> Result<Name<Lock>, MemoryError> {
    let found = records.resolve::<Lock>(number).ok_or(MemoryError::LockGone)?;
    if records.get(found, lock::PARENT).is_some() { Ok(found) } else { Err(MemoryError::LockGone) }
}

/// Who is told frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Driver {
    /// The contract that answers for them.
    pub answers: Name<Contract>,
    /// Its device.
    pub device: u8,
    /// The device will read the frames.
    pub is_reader: bool,
}

/// Tells the frames of a passed lock, page by page from `first` on, until `tell` has had enough. The driver's contract
/// answers for them from now on. The pages of the lock. Errors: `LockGone`, `OutOfRange`, `PinLimit`, `NoRecord`, `NoContents`.
pub fn tell_frames(
    frames: &mut impl Frames,
    number: u64,
    first: u64,
    driver: Driver,
    mut tell: impl FnMut(u32) -> bool,
) -> Result<u64, MemoryError> {
    let this = find_passed(frames, number)?;
    let (container, span) = (frames.get(this, lock::CONTAINER), span_of(frames, this));
    if first >= span.pages {
        return Err(MemoryError::OutOfRange);
    }
    // What others left in raw frames must not leave the machine's memory by a disk.
    let mut cursor = Cursor::new(container);
    if driver.is_reader && (span.first..span.end()).any(|page| cursor.get(frames, page).is_raw()) {
        return Err(MemoryError::NoContents);
    }
    if frames.get(this, lock::HOLD).is_none() {
        let made = make_hold(frames, this, driver, span.pages)?;
        frames.set(this, lock::HOLD, Some(made));
    }
    let mut room = [Entry::ABSENT; GROUP_PAGES];
    let mut page = span.first + first;
    while page < span.end() {
        let entries = &mut room[..to_end_of_group(page).min(span.end() - page) as usize];
        cursor.load(frames, page, entries);
        let mut told = entries.iter().map(|entry| entry.frame().expect("a locked page is present"));
        if !told.all(&mut tell) {
            break;
        }
        page += entries.len() as u64;
    }
    Ok(span.pages)
}

fn make_hold(
    frames: &mut impl Frames,
    this: Name<Lock>,
    Driver { answers, device, is_reader }: Driver,
    pages: u64,
) -> Result<Name<Hold>, MemoryError> {
    let made = frames.create::<Hold>(answers)?;
    if let Err(error) = frames.set_aside(answers, pages) {
        frames.delete(answers, made);
        return Err(error);
    }
    frames.set(made, hold::CONTRACT, answers);
    frames.set(made, hold::LOCK, this.word());
    frames.set(made, hold::PAGES, pages);
    frames.set(made, hold::DEVICE, u32::from(device));
    frames.set(made, hold::READS, is_reader);
    frames.hold_made(made);
    Ok(made)
}

/// The driver lets go: the device has written so many bytes and will write no more. Also of a lock that has ended, whose
/// owner has other frames by now. How many of these bytes the owner has. Errors: `LockGone`, `OutOfRange`.
pub fn release(frames: &mut impl Frames, number: u64, written: u64) -> Result<u64, MemoryError> {
    let Ok(this) = find_passed(frames, number) else {
        let found = OVERDUE.at_or_before(frames, frames.roots().overdue, number);
        let overdue = found.filter(|&found| frames.get(found, hold::LOCK) == number);
        end_hold(frames, overdue.ok_or(MemoryError::LockGone)?);
        return Ok(0);
    };
    require_within(frames, this, written)?;
    let mut kept = 0;
    if let Some(told) = frames.get(this, lock::HOLD) {
        accept(frames, this, written);
        frames.count(Count::DmaBytes, written);
        end_hold(frames, told);
        kept = written;
    }
    retire(frames, this);
    Ok(kept)
}

/// What the device has written is raw no more. The rest of the last page is cleared.
fn accept(frames: &mut impl Frames, this: Name<Lock>, written: u64) {
    let (container, span) = (frames.get(this, lock::CONTAINER), span_of(frames, this));
    let mut left = written;
    let filled = Span { pages: written.div_ceil(FRAME_BYTES), ..span };
    change_entries(frames, container, filled, |frames, entry| {
        let valid = left.min(FRAME_BYTES);
        left -= valid;
        if let (true, Some(frame)) = (entry.is_raw() && valid < FRAME_BYTES, entry.frame())
            && !mutations::has(Mutation::KeepTail)
        {
            frames.zero(frame, valid, FRAME_BYTES - valid);
        }
        entry.raw(false)
    });
}

/// The overdue hold of a device, one of those that `is_wanted` accepts.
pub fn find_overdue(
    records: &impl Frames,
    device: u8,
    is_wanted: impl Fn(Name<Hold>) -> bool,
) -> Option<Name<Hold>> {
    let root = records.roots().overdue;
    let mut next = OVERDUE.first(records, root);
    while let Some(this) = next {
        if records.get(this, hold::DEVICE) == u32::from(device) && is_wanted(this) {
            return Some(this);
        }
        let key = records.get(this, hold::LOCK);
        next = OVERDUE.at_or_after(records, root, key + 1);
    }
    None
}

/// The device has let go of the frames of a hold.
pub fn end_hold(frames: &mut impl Frames, this: Name<Hold>) {
    if frames.get(this, hold::OVERDUE) {
        frames.release(this);
        let mut roots = frames.roots();
        roots.overdue = OVERDUE.remove(frames, roots.overdue, this);
        frames.set_roots(roots);
    }
    let contract = frames.get(this, hold::CONTRACT);
    frames.give_back(contract, frames.get(this, hold::PAGES));
    frames.hold_ended(this);
    frames.delete(contract, this);
}

/// Ends a passed lock before its release: where a device may be writing, the owner gets other frames. Pages that went
/// to quarantine.
pub fn end(frames: &mut impl Frames, this: Name<Lock>) -> u64 {
    let quarantined = match frames.get(this, lock::HOLD) {
        Some(told) => replace_frames(frames, this, told),
        None => 0,
    };
    retire(frames, this);
    quarantined
}

fn replace_frames(frames: &mut impl Frames, this: Name<Lock>, told: Name<Hold>) -> u64 {
    let (container, span) = (frames.get(this, lock::CONTAINER), span_of(frames, this));
    let payer = frames.get(container, container::CONTRACT);
    // What a device only reads is the owner's still, in another frame.
    let reads = frames.get(told, hold::READS);
    let contents = if reads { Contents::Overwritten } else { Contents::Zero };
    let mut cursor = Cursor::new(container);
    for page in span.first..span.end() {
        let entry = cursor.get(frames, page);
        let old = entry.frame().expect("a locked page is present");
        frames.quarantine(told, old);
        let frame = frames.take(payer, contents);
        if reads {
            frames.copy(whole_frame(old, frame));
        }
        cursor.set(frames, page, entry, Entry::resident(frame));
    }
    cursor.finish(frames);
    frames.set(told, hold::OVERDUE, true);
    let mut roots = frames.roots();
    roots.overdue = Some(OVERDUE.insert(frames, roots.overdue, told));
    frames.set_roots(roots);
    span.pages
}

/// The passed lock is over; the one it was passed from goes on.
fn retire(frames: &mut impl Frames, this: Name<Lock>) {
    let container = frames.get(this, lock::CONTAINER);
    let payer = frames.get(container, container::CONTRACT);
    let parent = frames.get(this, lock::PARENT).expect("a passed lock has a parent");
    if frames.get(parent, lock::MODE) == LockMode::Fill {
        frames.unpin(payer, frames.get(this, lock::PAGES));
    }
    frames.set(parent, lock::CHILD, None);
    stop_term(frames, this);
    frames.delete(payer, this);
    changed(frames, container);
    frames.wake(container);
}
