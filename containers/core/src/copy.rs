//! Copying and moving between containers: whole pages by passing frames around, bytes only at the edges.
//!
//! ```text
//!   source       |....aaaa|bbbbbbbb|cccc....|        offsets equal within a page:
//!   destination  |....aaaa|bbbbbbbb|cccc....|        aaaa and cccc are moved, page b is shared copy-on-write
//!
//!   source       |....aaaa|bbbbbbbb|                 offsets different within a page:
//!   destination  |aaaabbbb|bbbb....|                 all bytes are moved
//! ```
//!
//! A source page without a frame leaves the destination's page without one; one that is out is out for both. Only pages that are
//! copied in part, or overwritten in part, are brought in first. A frame that has as many holders as it
//! can have is copied instead of shared. Ranges of one
//! container that have a page in common are refused.

mod share;

use crate::access::{Access, Intent, changed};
use crate::container::{require_bounded, unshare};
use crate::frames::{Contents, Count, Frames, Span, Whose};
use crate::layout::container;
use crate::mutations::{self, Mutation};
use crate::pages::{self, Entry};
use crate::record::{Container, Name, Records};
use containers_api::{ContainerRights, MemoryError};
use kernel_abi::FRAME_BYTES;
use kernel_abi::pmap::FrameSpan;
use share::Survey;

/// What a copy or move did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// Bytes that the processor moved.
    pub moved_bytes: u64,
    /// Pages that changed hands without moving a byte.
    pub shared_pages: u64,
}

/// Bytes in a container, from the container's start.
#[derive(Clone, Copy)]
struct Bytes {
    container: Name<Container>,
    offset: u64,
}

impl Bytes {
    fn page(self) -> u64 {
        self.offset / FRAME_BYTES
    }

    fn in_page(self) -> u64 {
        self.offset % FRAME_BYTES
    }

    fn plus(self, bytes: u64) -> Bytes {
        Bytes { offset: self.offset + bytes, ..self }
    }
}

/// The pages that a byte range of an access touches.
fn touched(records: &impl Records, access: &Access, offset: u64, bytes: u64) -> Result<Span, MemoryError> {
    let end = offset.checked_add(bytes).filter(|&end| end > offset).ok_or(MemoryError::OutOfRange)?;
    let first = offset / FRAME_BYTES;
    let span = access.span(records, first, end.div_ceil(FRAME_BYTES) - first)?;
    require_bounded(span)?;
    Ok(span)
}

/// Copies bytes. Errors: see [`containers_api::container::Copy`].
pub fn copy(
    frames: &mut impl Frames,
    source: &Access,
    destination: &Access,
    source_offset: u64,
    destination_offset: u64,
    bytes: u64,
) -> Result<Outcome, MemoryError> {
    if !mutations::has(Mutation::CopyAnyway) {
        source.require(ContainerRights::COPY_OUT)?;
    }
    destination.require(ContainerRights::FILL)?;
    let from_span = touched(frames, source, source_offset, bytes)?;
    let to_span = touched(frames, destination, destination_offset, bytes)?;
    destination.require_unsealed(frames)?;
    source.require_unlocked(frames, from_span, Intent::Read)?;
    destination.require_unlocked(frames, to_span, Intent::Change)?;
    let from = Bytes {
        container: source.container,
        offset: from_span.first * FRAME_BYTES + source_offset % FRAME_BYTES,
    };
    let to = Bytes {
        container: destination.container,
        offset: to_span.first * FRAME_BYTES + destination_offset % FRAME_BYTES,
    };
    if from.container == to.container && from_span.intersection(to_span).is_some() {
        return Err(MemoryError::OutOfRange);
    }
    let plan = Plan::new(from, to, bytes);
    plan.require_contents(frames, from_span)?;
    plan.bring_edges_in(frames)?;
    let survey = plan.charge(frames, to_span)?;
    Ok(plan.carry_out(frames, to_span, &survey))
}

/// Bytes, then whole pages, then bytes again.
#[derive(Clone, Copy)]
struct Plan {
    from: Bytes,
    to: Bytes,
    head: u64,
    pages: u64,
    tail: u64,
}

impl Plan {
    fn new(from: Bytes, to: Bytes, bytes: u64) -> Plan {
        if from.in_page() != to.in_page() {
            return Plan { from, to, head: bytes, pages: 0, tail: 0 };
        }
        let head = ((FRAME_BYTES - from.in_page()) % FRAME_BYTES).min(bytes);
        let pages = (bytes - head) / FRAME_BYTES;
        Plan { from, to, head, pages, tail: bytes - head - pages * FRAME_BYTES }
    }

    fn whole(self) -> (Span, Span) {
        let first = |bytes: Bytes| bytes.plus(self.head).page();
        (
            Span { first: first(self.from), pages: self.pages },
            Span { first: first(self.to), pages: self.pages },
        )
    }

    /// The pages of either side that are copied or overwritten in part, or out of step: those of the head, and those of the tail.
    fn edges(self) -> [(Bytes, u64); 4] {
        let whole = self.head + self.pages * FRAME_BYTES;
        [
            (self.from, self.head),
            (self.to, self.head),
            (self.from.plus(whole), self.tail),
            (self.to.plus(whole), self.tail),
        ]
    }

    /// Bytes are moved between frames: brings in what is out there, one page after the other. Nothing that can be seen changes.
    /// Errors: those of [`Frames::bring_in`].
    fn bring_edges_in(self, frames: &mut impl Frames) -> Result<(), MemoryError> {
        for (bytes, count) in self.edges() {
            let pages = Span { first: bytes.page(), pages: (bytes.in_page() + count).div_ceil(FRAME_BYTES) };
            while count > 0
                && let Some((page, _)) = pages::first_out(frames, bytes.container, pages)
            {
                frames.bring_in(bytes.container, page)?;
            }
        }
        Ok(())
    }

    /// `Lost` where a source page, or a destination page that is overwritten in part, was seized; `Limit` where one that is out has as
    /// many copies as it can have.
    fn require_contents(self, records: &impl Frames, from_span: Span) -> Result<(), MemoryError> {
        let in_part = |bytes: Bytes, count: u64| {
            let pages = Span { first: bytes.page(), pages: (bytes.in_page() + count).div_ceil(FRAME_BYTES) };
            count > 0 && pages::has_lost(records, self.to.container, pages)
        };
        let whole = self.head + self.pages * FRAME_BYTES;
        if pages::has_lost(records, self.from.container, from_span)
            || in_part(self.to, self.head)
            || in_part(self.to.plus(whole), self.tail)
        {
            return Err(MemoryError::Lost);
        }
        check_out(records, self.from.container, from_span)
    }

    /// Charges the destination's pages that become present, and makes places for them. What is to be done.
    fn charge(self, frames: &mut impl Frames, to_span: Span) -> Result<Survey, MemoryError> {
        let (from, to) = self.whole();
        let mut survey = share::survey(frames, (self.from.container, from), (self.to.container, to));
        let edges = (to_span.first..to.first).chain(to.end()..to_span.end());
        let is_absent = |&page: &u64| pages::entry(frames, self.to.container, page).frame().is_none();
        survey.needed += edges.filter(is_absent).count() as u64;
        let payer = frames.get(self.to.container, container::CONTRACT);
        if self.pages != 0 && pages::count_out(frames, self.from.container, from) > frames.swap_room(payer) {
            return Err(MemoryError::Limit);
        }
        frames.charge_pages(payer, survey.needed)?;
        if let Some(changing) = self.changing(&survey, to_span)
            && let Err(error) = pages::prepare(frames, self.to.container, changing)
        {
            frames.return_pages(payer, survey.needed);
            return Err(error);
        }
        Ok(survey)
    }

    /// Pages of the destination that change. `None`: they hold everything already.
    fn changing(self, survey: &Survey, to_span: Span) -> Option<Span> {
        if self.head + self.tail != 0 { Some(to_span) } else { survey.changing }
    }

    fn carry_out(self, frames: &mut impl Frames, to_span: Span, survey: &Survey) -> Outcome {
        let mut outcome = Outcome::default();
        let changing = self.changing(survey, to_span);
        if let Some(changing) = changing {
            frames.unmap(self.to.container, changing, Whose::Everybody);
        }
        move_bytes(frames, self.from, self.to, self.head);
        outcome.moved_bytes += self.head + self.tail;
        self.share_pages(frames, survey, &mut outcome);
        let whole = self.head + self.pages * FRAME_BYTES;
        move_bytes(frames, self.from.plus(whole), self.to.plus(whole), self.tail);
        if let Some(changing) = changing {
            pages::prune(frames, self.to.container, changing);
        }
        changed(frames, self.to.container);
        frames.count(Count::MovedBytes, outcome.moved_bytes);
        frames.count(Count::SharedPages, outcome.shared_pages);
        outcome
    }

    fn share_pages(self, frames: &mut impl Frames, survey: &Survey, outcome: &mut Outcome) {
        let (from, to) = self.whole();
        outcome.shared_pages = self.pages;
        let Some(changing) = survey.changing else { return };
        let source = Span { first: from.first + (changing.first - to.first), pages: changing.pages };
        // Who shares already is not written to.
        if !survey.is_shared {
            frames.write_protect(self.from.container, source);
        }
        let copied = share::share(frames, (self.from.container, source), (self.to.container, changing));
        outcome.shared_pages -= copied;
        outcome.moved_bytes += copied * FRAME_BYTES;
    }
}

/// Whether the pages of a span that are out can be copied. Errors: `Lost`, `Limit`.
fn check_out(frames: &impl Frames, this: Name<Container>, span: Span) -> Result<(), MemoryError> {
    let mut left = Some(span);
    while let Some((page, number)) = left.and_then(|left| pages::first_out(frames, this, left)) {
        frames.check_out(number)?;
        left = Span::new(page + 1, span.end() - page - 1).ok();
    }
    Ok(())
}

/// Moves bytes by copying. The destination's pages are charged and unmapped.
fn move_bytes(frames: &mut impl Frames, mut from: Bytes, mut to: Bytes, mut bytes: u64) {
    while bytes > 0 {
        let piece = bytes.min(FRAME_BYTES - from.in_page()).min(FRAME_BYTES - to.in_page());
        let destination = writable_frame(frames, to.container, to.page());
        match pages::entry(frames, from.container, from.page()).frame() {
            None => frames.zero(destination, to.in_page(), piece),
            Some(source) => frames.copy(FrameSpan {
                source,
                destination,
                source_offset: from.in_page() as u16,
                destination_offset: to.in_page() as u16,
                bytes: piece as u16,
                reserved: 0,
            }),
        }
        (from, to, bytes) = (from.plus(piece), to.plus(piece), bytes - piece);
    }
}

fn writable_frame(frames: &mut impl Frames, this: Name<Container>, page: u64) -> u32 {
    let entry = pages::entry(frames, this, page);
    match entry.frame() {
        Some(_) if entry.is_shared() => unshare(frames, this, page, entry),
        Some(frame) => frame,
        None => {
            let payer = frames.get(this, container::CONTRACT);
            let frame = frames.take(payer, Contents::Zero);
            pages::set(frames, this, page, Entry::resident(frame));
            frame
        }
    }
}

/// Moves pages, whose charge passes to the destination's contract. Errors: see [`containers_api::container::Move`].
pub fn move_pages(
    frames: &mut impl Frames,
    source: &Access,
    destination: &Access,
    first: u64,
    destination_page: u64,
    count: u64,
) -> Result<Outcome, MemoryError> {
    source.require(ContainerRights::ALLOCATE)?;
    destination.require(ContainerRights::FILL)?;
    let from = source.span(frames, first, count)?;
    let to = destination.span(frames, destination_page, count)?;
    require_bounded(from)?;
    source.require_unsealed(frames)?;
    destination.require_unsealed(frames)?;
    source.require_unlocked(frames, from, Intent::Change)?;
    destination.require_unlocked(frames, to, Intent::Change)?;
    if source.container == destination.container && from.intersection(to).is_some() {
        return Err(MemoryError::OutOfRange);
    }
    let giver = frames.get(source.container, container::CONTRACT);
    let taker = frames.get(destination.container, container::CONTRACT);
    let coming = pages::count_present(frames, source.container, from);
    let going = pages::count_present(frames, destination.container, to);
    let more = if giver == taker { 0 } else { coming.saturating_sub(going) };
    if giver != taker && pages::count_out(frames, source.container, from) > frames.swap_room(taker) {
        return Err(MemoryError::Limit);
    }
    frames.charge_pages(taker, more)?;
    if let Err(error) = pages::prepare(frames, destination.container, to) {
        frames.return_pages(taker, more);
        return Err(error);
    }
    frames.unmap(source.container, from, Whose::Everybody);
    frames.unmap(destination.container, to, Whose::Everybody);
    for index in 0..count {
        move_page(frames, (source.container, from.first + index), (destination.container, to.first + index));
    }
    if giver == taker {
        frames.return_pages(taker, going);
    } else {
        frames.return_pages(giver, coming);
        frames.return_pages(taker, (more + going) - coming);
    }
    pages::prune(frames, source.container, from);
    pages::prune(frames, destination.container, to);
    changed(frames, source.container);
    if source.container != destination.container {
        changed(frames, destination.container);
    }
    frames.count(Count::SharedPages, count);
    Ok(Outcome { moved_bytes: 0, shared_pages: count })
}

fn move_page(frames: &mut impl Frames, from: (Name<Container>, u64), to: (Name<Container>, u64)) {
    let (giver, taker) = (frames.get(from.0, container::CONTRACT), frames.get(to.0, container::CONTRACT));
    let old = pages::entry(frames, to.0, to.1);
    if let Some(frame) = old.frame() {
        frames.leave(frame);
    }
    if let Some(number) = old.out() {
        frames.leave_out(number, taker);
    }
    let entry = pages::entry(frames, from.0, from.1);
    if let Some(number) = entry.out() {
        frames.pass_out_on(number, giver, taker);
    }
    pages::set(frames, to.0, to.1, entry);
    pages::set(frames, from.0, from.1, Entry::ABSENT);
    if let Some(frame) = entry.frame() {
        frames.hand_over(frame, taker);
    }
}
