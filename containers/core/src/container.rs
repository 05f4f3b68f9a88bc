//! Making, resizing, filling, sealing and ending containers.

use crate::access::{Access, Intent, changed};
use crate::frames::{Contents, Frames, Span, Whose};
use crate::layout::{CONTAINER_GRANTS, CONTAINER_LOCKS, container};
use crate::limits::OPERATION_PAGES_MAX;
use crate::mutations::{self, Mutation};
use crate::pages::{self, Cursor, Entry, FEW_PAGES, FrameList, GROUP_PAGES, to_end_of_group};
use crate::record::{Container, Contract, Name, Records};
use crate::{eviction, grant, lock};
use containers_api::container::ContainerStatus;
use containers_api::{ContainerRights, LockMode, MemoryError};
use kernel_abi::FRAME_BYTES;
use kernel_abi::pmap::FrameSpan;

/// Whether there is more to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Call again.
    More,
    /// Nothing is left.
    Done,
}

/// Makes a container without frames. It is in no list yet. Errors: `NoRecord`, `OutOfRange`.
pub fn create(
    frames: &mut impl Frames,
    payer: Name<Contract>,
    number: u64,
    size: u64,
) -> Result<Name<Container>, MemoryError> {
    let height = pages::height_for(size)?;
    let made = frames.create::<Container>(payer)?;
    frames.set(made, container::CONTRACT, payer);
    frames.set(made, container::NUMBER, number);
    frames.set(made, container::PAGES, size);
    frames.set(made, container::HEIGHT, height);
    Ok(made)
}

/// How the container is, as seen through an access.
pub fn status(records: &impl Records, access: &Access, principal: u64) -> ContainerStatus {
    let this = access.container;
    let size = records.get(this, container::PAGES);
    let span =
        Span { first: access.first_page, pages: access.pages.min(size.saturating_sub(access.first_page)) };
    let present = if access.via.is_none() {
        records.get(this, container::PRESENT)
    } else {
        pages::count_present(records, this, span)
    };
    ContainerStatus {
        version: records.get(this, container::VERSION),
        pages: span.pages,
        present,
        lost: if access.via.is_none() { records.get(this, container::LOST) } else { 0 },
        locks: records.get(this, container::LOCK_COUNT),
        rights: access.rights,
        sealed: records.get(this, container::SEALED),
        principal,
        number: records.get(this, container::NUMBER),
    }
}

/// Changes the size. Pages that are cut off are deallocated. Errors: `Locked`, `Sealed`, `OutOfRange`, `NoRecord`, `Limit`.
pub fn resize(frames: &mut impl Frames, access: &Access, size: u64) -> Result<(), MemoryError> {
    access.require(ContainerRights::ALLOCATE)?;
    access.require_whole()?;
    access.require_unsealed(frames)?;
    pages::height_for(size)?;
    let old = frames.get(access.container, container::PAGES);
    if size < old {
        let cut = Span { first: size, pages: old - size };
        // Not even its own: a lock's range lies within the container for as long as it is in force.
        access.require_unlocked(frames, cut, Intent::Lock(LockMode::Fill))?;
        require_few_entries(frames, access.container, cut)?;
    }
    eviction::resize(frames, access.container, old, size)?;
    if size < old {
        let cut = Span { first: size, pages: old - size };
        frames.unmap(access.container, cut, Whose::Everybody);
        drop_pages(frames, access.container, cut, u64::MAX);
    } else {
        if let Err(error) = pages::grow(frames, access.container, size) {
            eviction::resize(frames, access.container, size, old)
                .expect("what was given a moment ago is there");
            return Err(error);
        }
    }
    frames.set(access.container, container::PAGES, size);
    changed(frames, access.container);
    Ok(())
}

/// Gives every page of the range that is not out a frame. Errors: `ContractExhausted`, `NoRecord`, `Sealed`, `Locked`, `Limit`.
pub fn allocate(
    frames: &mut impl Frames,
    access: &Access,
    first: u64,
    count: u64,
    contents: Contents,
) -> Result<(), MemoryError> {
    access.require(ContainerRights::ALLOCATE)?;
    let span = access.span(frames, first, count)?;
    require_bounded(span)?;
    access.require_unsealed(frames)?;
    access.require_unlocked(frames, span, Intent::Change)?;
    charge_absent(frames, access.container, span, WhatIsOut::Stays)?;
    fill_absent(frames, access.container, span, contents, WhatIsOut::Stays);
    changed(frames, access.container);
    Ok(())
}

/// Takes the range's frames away. Errors: `Locked`, `Sealed`, `Limit` (more than one request may take).
pub fn deallocate(
    frames: &mut impl Frames,
    access: &Access,
    first: u64,
    count: u64,
) -> Result<(), MemoryError> {
    access.require(ContainerRights::ALLOCATE)?;
    let span = access.span(frames, first, count)?;
    access.require_unsealed(frames)?;
    access.require_unlocked(frames, span, Intent::Change)?;
    require_few_entries(frames, access.container, span)?;
    frames.unmap(access.container, span, Whose::Everybody);
    drop_pages(frames, access.container, span, u64::MAX);
    changed(frames, access.container);
    Ok(())
}

/// Freezes contents and size. Errors: `Locked` (not by a stable lock).
pub fn seal(frames: &mut impl Frames, access: &Access) -> Result<(), MemoryError> {
    access.require(ContainerRights::ALLOCATE)?;
    access.require_whole()?;
    let all = whole(frames, access.container);
    access.require_unlocked(frames, all, Intent::Read)?;
    frames.write_protect(access.container, all);
    frames.set(access.container, container::SEALED, true);
    changed(frames, access.container);
    Ok(())
}

/// Marks a container as dying and cuts everything loose but its pages. Locks are broken, mappings and grants end.
pub fn begin_destroy(frames: &mut impl Frames, this: Name<Container>) {
    frames.set(this, container::DYING, true);
    eviction::forget(frames, this);
    while let Some(lock) = CONTAINER_LOCKS.first(frames, this) {
        lock::end(frames, lock);
    }
    frames.end_mappings(this, Whose::Everybody);
    while let Some(first) = CONTAINER_GRANTS.first(frames, this) {
        grant::end(frames, first);
    }
    frames.wake(this);
}

/// Gives back up to `budget` pages of a dying container. Done: nothing is left but its record.
pub fn empty_step(frames: &mut impl Frames, this: Name<Container>, budget: u64) -> Step {
    let all = whole(frames, this);
    drop_pages(frames, this, all, budget)
}

/// What a touch found, and did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Touched {
    /// The page was there, and can be mapped as it is. So can those around it that are there.
    WasThere,
    /// It got a frame of its own, this one.
    Copied {
        /// The frame.
        frame: u32,
    },
    /// It was absent; so many pages from it on got frames.
    Filled {
        /// Pages.
        pages: u64,
        /// The frame of the first.
        frame: u32,
    },
}

/// A page comes ahead of its use only where the guarantee leaves so many more: who uses up a guarantee to the last frame must not miss
/// those that came in vain.
pub const AHEAD_SPARE: u64 = 32;

/// Prepares a page that is about to be mapped: makes it present, and for a write its own. A container that is filled page by page
/// gets as many pages ahead of it as were filled just before it, up to `ahead`, where the guarantee leaves many times more: so faults get
/// rarer, and no more frames are taken in advance than are used. Errors: `ContractExhausted`, `NoRecord`, `Lost` (its frame was
/// seized), `Again`, `PagerFailed` (it is out). The caller has checked locks and rights.
pub fn touch(
    frames: &mut impl Frames,
    this: Name<Container>,
    page: u64,
    write: bool,
    ahead: u64,
) -> Result<Touched, MemoryError> {
    let mut cursor = Cursor::new(this);
    let entry = cursor.get(frames, page);
    let silently = mutations::has(Mutation::LoseSilently);
    if entry == Entry::LOST && !silently {
        return Err(MemoryError::Lost);
    }
    if entry.out().is_some() {
        frames.bring_in(this, page)?;
        let entry = pages::entry(frames, this, page);
        return Ok(match write {
            true => Touched::Copied { frame: unshare(frames, this, page, entry) },
            false => Touched::WasThere,
        });
    }
    if entry.frame().is_none() {
        let payer = frames.get(this, container::CONTRACT);
        let mut ahead = absent_ahead(frames, cursor.fork(), page, ahead);
        while ahead != 0 && !frames.is_covered(payer, 1 + ahead * AHEAD_SPARE) {
            ahead /= 2;
        }
        let span = Span { first: page, pages: 1 + ahead };
        frames.charge_pages(payer, span.pages)?;
        if (!cursor.has_place(page) || span.pages > 1)
            && let Err(error) = pages::prepare(frames, this, span)
        {
            frames.return_pages(payer, span.pages);
            return Err(error);
        }
        // There may be places by now where there were none.
        let mut cursor = if cursor.has_place(page) { cursor } else { Cursor::new(this) };
        let mut first = 0;
        for at in (span.first..span.end()).rev() {
            first = frames.take(payer, Contents::Zero);
            cursor.set(frames, at, Entry::ABSENT, Entry::resident(first));
        }
        cursor.finish(frames);
        return Ok(Touched::Filled { pages: span.pages, frame: first });
    }
    if write && entry.is_shared() {
        return Ok(Touched::Copied { frame: unshare(frames, this, page, entry) });
    }
    Ok(Touched::WasThere)
}

/// Pages behind one that are absent, as many at most as there are present ones before it.
fn absent_ahead(frames: &mut impl Frames, mut cursor: Cursor, page: u64, most: u64) -> u64 {
    let mut count = 0;
    while count < most
        && count < page
        && cursor.get(frames, page - 1 - count).frame().is_some()
        && cursor.get(frames, page + 1 + count) == Entry::ABSENT
    {
        count += 1;
    }
    count
}

/// Gives a page that takes part in a logical copy a frame of its own with the same contents: the copy-on-write
/// break. The page's charge pays. Where others hold the frame, mappings of the page are removed. The frame.
pub fn unshare(frames: &mut impl Frames, this: Name<Container>, page: u64, entry: Entry) -> u32 {
    let old = entry.frame().expect("a page that is unshared is present");
    if frames.holders(old) == 1 || mutations::has(Mutation::ShareWrites) {
        frames.detach(old);
        pages::set(frames, this, page, entry.shared(false));
        return old;
    }
    frames.unmap(this, Span::page(page), Whose::Everybody);
    let payer = frames.get(this, container::CONTRACT);
    let new = frames.take(payer, Contents::Overwritten);
    frames.copy(whole_frame(old, new));
    frames.leave(old);
    pages::set(frames, this, page, Entry::resident(new));
    new
}

/// The same without the contents: where others hold the frame they are given up. No mapping of the page is left.
pub fn substitute(
    frames: &mut impl Frames,
    this: Name<Container>,
    page: u64,
    entry: Entry,
    contents: Contents,
) -> u32 {
    let payer = frames.get(this, container::CONTRACT);
    let (new, frame) = substituted(frames, payer, entry, contents);
    pages::set(frames, this, page, new);
    frame
}

/// What becomes of the entry of a page that is substituted, and its frame.
fn substituted(
    frames: &mut impl Frames,
    payer: Name<Contract>,
    entry: Entry,
    contents: Contents,
) -> (Entry, u32) {
    let old = entry.frame().expect("a page that is substituted is present");
    if frames.holders(old) == 1 {
        frames.detach(old);
        return (entry.shared(false), old);
    }
    frames.leave(old);
    let new = frames.take(payer, contents);
    (Entry::resident(new).raw(contents == Contents::Raw), new)
}

/// Makes every page of a span present and its own, or changes nothing. What others share, or is out, is given up; no mapping
/// of the span is left. Errors: `ContractExhausted`, `NoRecord`.
pub fn make_private(
    frames: &mut impl Frames,
    this: Name<Container>,
    span: Span,
    contents: Contents,
) -> Result<(), MemoryError> {
    charge_absent(frames, this, span, WhatIsOut::GoesAway)?;
    if !mutations::has(Mutation::KeepOwnersMappings) {
        frames.unmap(this, span, Whose::Everybody);
    }
    let payer = frames.get(this, container::CONTRACT);
    change_entries(frames, this, span, |frames, entry| match entry.frame() {
        None => filled(frames, payer, entry, contents),
        Some(_) if entry.is_shared() => substituted(frames, payer, entry, contents).0,
        Some(_) => entry,
    });
    Ok(())
}

/// What becomes of the entry of a page without a frame, which is charged, when it gets one.
fn filled(frames: &mut impl Frames, payer: Name<Contract>, entry: Entry, contents: Contents) -> Entry {
    if let Some(number) = entry.out() {
        frames.leave_out(number, payer);
    }
    Entry::resident(frames.take(payer, contents)).raw(contents == Contents::Raw)
}

/// Changes the entries of a span, which have places, one after the other.
#[inline]
pub(crate) fn change_entries<F: Frames>(
    frames: &mut F,
    this: Name<Container>,
    span: Span,
    change: impl FnMut(&mut F, Entry) -> Entry,
) {
    if span.pages <= FEW_PAGES as u64 {
        change_in::<FEW_PAGES, F>(frames, this, span, change)
    } else {
        change_in::<GROUP_PAGES, F>(frames, this, span, change)
    }
}

fn change_in<const N: usize, F: Frames>(
    frames: &mut F,
    this: Name<Container>,
    span: Span,
    mut change: impl FnMut(&mut F, Entry) -> Entry,
) {
    let mut cursor = Cursor::new(this);
    let mut room = [Entry::ABSENT; N];
    let mut page = span.first;
    while page < span.end() {
        let entries = &mut room[..to_end_of_group(page).min(span.end() - page) as usize];
        cursor.load(frames, page, entries);
        entries.iter_mut().for_each(|entry| *entry = change(frames, *entry));
        cursor.store(frames, page, entries);
        page += entries.len() as u64;
    }
    cursor.finish(frames);
}

/// All of one frame to another.
pub fn whole_frame(source: u32, destination: u32) -> FrameSpan {
    FrameSpan { source, destination, bytes: FRAME_BYTES as u16, ..FrameSpan::default() }
}

/// All pages of a container.
pub fn whole(records: &impl Records, this: Name<Container>) -> Span {
    Span { first: 0, pages: records.get(this, container::PAGES) }
}

/// `Limit` where one request asks for more pages than it may.
pub fn require_bounded(span: Span) -> Result<(), MemoryError> {
    if span.pages > OPERATION_PAGES_MAX { Err(MemoryError::Limit) } else { Ok(()) }
}

/// `Limit` where a span has more pages that are present or lost than one request may take away.
fn require_few_entries(records: &impl Records, this: Name<Container>, span: Span) -> Result<(), MemoryError> {
    if pages::count_used(records, this, span) > OPERATION_PAGES_MAX {
        return Err(MemoryError::Limit);
    }
    Ok(())
}

/// What becomes of pages that are out where a span is filled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhatIsOut {
    /// They count as filled.
    Stays,
    /// Their contents are given up.
    GoesAway,
}

/// Charges the pages of a span that have no frame and makes places for them, or changes nothing; how many. Errors:
/// `ContractExhausted`, `NoRecord`.
pub fn charge_absent(
    frames: &mut impl Frames,
    this: Name<Container>,
    span: Span,
    out: WhatIsOut,
) -> Result<u64, MemoryError> {
    let payer = frames.get(this, container::CONTRACT);
    let stays = if out == WhatIsOut::Stays { pages::count_out(frames, this, span) } else { 0 };
    let absent = span.pages - pages::count_present(frames, this, span) - stays;
    frames.charge_pages(payer, absent)?;
    if let Err(error) = pages::prepare(frames, this, span) {
        frames.return_pages(payer, absent);
        return Err(error);
    }
    Ok(absent)
}

/// Gives the pages of a span that have no frame, charged and prepared, one. What was lost stays lost and reads as zeros.
pub fn fill_absent(
    frames: &mut impl Frames,
    this: Name<Container>,
    span: Span,
    contents: Contents,
    out: WhatIsOut,
) {
    let payer = frames.get(this, container::CONTRACT);
    change_entries(frames, this, span, |frames, entry| {
        let stays = entry.out().is_some() && out == WhatIsOut::Stays;
        if entry.frame().is_some() || stays { entry } else { filled(frames, payer, entry, contents) }
    });
}

/// Takes up to `budget` pages of a span out of a container and returns their charges; lost ones become absent. No
/// mapping of them is left.
pub fn drop_pages(frames: &mut impl Frames, this: Name<Container>, span: Span, budget: u64) -> Step {
    if span.pages <= FEW_PAGES as u64 {
        drop_in::<FEW_PAGES>(frames, this, span, budget)
    } else {
        drop_in::<GROUP_PAGES>(frames, this, span, budget)
    }
}

fn drop_in<const N: usize>(frames: &mut impl Frames, this: Name<Container>, span: Span, budget: u64) -> Step {
    let payer = frames.get(this, container::CONTRACT);
    let (mut dropped, mut left, mut page) = (0, budget, span.first);
    let mut result = Step::Done;
    let mut cursor = Cursor::new(this);
    let mut room = [Entry::ABSENT; N];
    while let Some(leaf) = pages::first_leaf(frames, this, Span { first: page, pages: span.end() - page }) {
        let first = leaf.span.first;
        let entries = &mut room[..leaf.span.pages.min(to_end_of_group(first)) as usize];
        cursor.load(frames, first, entries);
        let passed = first_of(entries, left);
        let mut going = FrameList::<N>::new();
        entries[..passed].iter().for_each(|entry| going.add(*entry));
        frames.leave_each(going.as_slice());
        for number in entries[..passed].iter().filter_map(|entry| entry.out()) {
            frames.leave_out(number, payer);
        }
        dropped += going.as_slice().len() as u64;
        left -= entries[..passed].iter().filter(|&&entry| entry != Entry::ABSENT).count() as u64;
        entries[..passed].fill(Entry::ABSENT);
        cursor.store(frames, first, &entries[..passed]);
        page = first + passed as u64;
        if passed < entries.len() {
            result = Step::More;
            break;
        }
        if page >= span.end() {
            break;
        }
    }
    cursor.finish(frames);
    frames.return_pages(payer, dropped);
    pages::prune(frames, this, Span { first: span.first, pages: page.max(span.first + 1) - span.first });
    result
}

/// How many entries there are before the one that would be the next after `most` that are not absent.
fn first_of(entries: &[Entry], most: u64) -> usize {
    if entries.len() as u64 <= most {
        return entries.len();
    }
    let mut used = entries.iter().enumerate().filter(|&(_, &entry)| entry != Entry::ABSENT);
    used.nth(most as usize).map_or(entries.len(), |(index, _)| index)
}

/// Clears a byte range of pages; absent ones are zero already. Pages wholly in it are given up where `give_up` is
/// set. No mapping of the range is left.
pub fn zero_bytes(frames: &mut impl Frames, this: Name<Container>, first: u64, end: u64, give_up: bool) {
    let mut offset = first;
    while offset < end {
        let page = offset / FRAME_BYTES;
        let stop = end.min((page + 1) * FRAME_BYTES);
        let is_whole = stop - offset == FRAME_BYTES;
        let entry = pages::entry(frames, this, page);
        if is_whole && (give_up || entry == Entry::LOST || entry.out().is_some()) {
            drop_pages(frames, this, Span::page(page), 1);
        } else if entry.frame().is_some() {
            let frame = match (is_whole, entry.is_shared()) {
                (true, true) => substitute(frames, this, page, entry, Contents::Overwritten),
                (false, true) => unshare(frames, this, page, entry),
                (_, false) => entry.frame().expect("an entry that is present has a frame"),
            };
            frames.zero(frame, offset % FRAME_BYTES, stop - offset);
            if is_whole {
                pages::set(frames, this, page, Entry::resident(frame));
            }
        }
        offset = stop;
    }
}

/// Makes a container of frames that are there already, in order: the boot archive. Each becomes a page of it.
/// Errors: as `create` and `allocate`.
pub fn adopt<F: Frames>(
    frames: &mut F,
    this: Name<Container>,
    first_frame: u32,
    mut adopt_frame: impl FnMut(&mut F, u32),
) -> Result<(), MemoryError> {
    let span = whole(frames, this);
    charge_absent(frames, this, span, WhatIsOut::Stays)?;
    for page in 0..span.pages {
        let frame = first_frame + page as u32;
        adopt_frame(frames, frame);
        pages::set(frames, this, page, Entry::resident(frame));
    }
    frames.set(this, container::SEALED, true);
    Ok(())
}
