//! Whole pages that are copied logically, a group at a time: pages that lie next to each other in one leaf of both page arrays.
//!
//! [`survey`] looks and changes nothing; [`share`] does what it has found to be done. Pages that hold the right frame already are not
//! touched, nor are the mappings of the pages before the first and behind the last one that change.

use crate::container::whole_frame;
use crate::frames::{Contents, Frames, Span};
use crate::layout::container;
use crate::pages::{Cursor, Entry, FrameList, GROUP_PAGES, to_end_of_group};
use crate::record::{Container, Contract, Name};

/// Pages of a container.
type Part = (Name<Container>, Span);

/// What a copy of whole pages will do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Survey {
    /// Pages of the destination that become present.
    pub needed: u64,
    /// Pages of the destination from the first to the last that change; none do: `None`.
    pub changing: Option<Span>,
    /// Every page of the source that is present and to be copied takes part in a copy already.
    pub is_shared: bool,
}

/// Pages that lie in one group of both arrays.
#[derive(Clone, Copy)]
struct Group {
    from: u64,
    to: u64,
    pages: usize,
}

fn groups(from: Span, to: Span) -> impl Iterator<Item = Group> {
    let mut done = 0;
    core::iter::from_fn(move || {
        let left = to.pages - done;
        let (from, to) = (from.first + done, to.first + done);
        let pages = left.min(to_end_of_group(from)).min(to_end_of_group(to));
        done += pages;
        (left != 0).then_some(Group { from, to, pages: pages as usize })
    })
}

/// Looks at what copying the pages of `source` to `destination`, as many, takes.
pub(super) fn survey(frames: &mut impl Frames, source: Part, destination: Part) -> Survey {
    let mut survey = Survey { needed: 0, changing: None, is_shared: true };
    let (mut from, mut to) = (Cursor::new(source.0), Cursor::new(destination.0));
    let (mut theirs, mut ours) = ([Entry::ABSENT; GROUP_PAGES], [Entry::ABSENT; GROUP_PAGES]);
    for group in groups(source.1, destination.1) {
        let (theirs, ours) = (&mut theirs[..group.pages], &mut ours[..group.pages]);
        from.load(frames, group.from, theirs);
        to.load(frames, group.to, ours);
        if theirs.iter().zip(&*ours).fold(true, |all, (new, old)| all & new.agrees(*old)) {
            continue;
        }
        for (new, old) in theirs.iter().zip(&*ours) {
            survey.needed += u64::from(new.frame().is_some() & old.frame().is_none());
            survey.is_shared &= new.frame().is_none() | new.is_shared();
        }
        let first = survey.changing.map_or(group.to, |changing| changing.first);
        survey.changing = Some(Span { first, pages: group.to + group.pages as u64 - first });
    }
    survey
}

/// Has the pages of `destination` hold the frames of those of `source`, as many. They are charged and have places, and no mapping of
/// them is left. How many got a frame of their own instead, with the same contents, since theirs has all the holders that it can have.
pub(super) fn share(frames: &mut impl Frames, source: Part, destination: Part) -> u64 {
    let payer = frames.get(destination.0, container::CONTRACT);
    let (mut from, mut to) = (Cursor::new(source.0), Cursor::new(destination.0));
    let mut room = [[Entry::ABSENT; GROUP_PAGES]; 4];
    let (mut copied, mut dropped) = (0, 0);
    for group in groups(source.1, destination.1) {
        let [theirs, marked, ours, new] = room.each_mut().map(|entries| &mut entries[..group.pages]);
        from.load(frames, group.from, theirs);
        to.load(frames, group.to, ours);
        let Exchanged { copies, absent, has_marked } =
            exchange(frames, payer, (theirs, &mut *marked), (ours, &mut *new));
        if has_marked {
            from.store(frames, group.from, theirs, marked);
        }
        to.store(frames, group.to, ours, new);
        copied += copies;
        dropped += absent;
    }
    from.finish(frames);
    to.finish(frames);
    frames.return_pages(payer, dropped);
    copied
}

/// What became of the pages of a group.
struct Exchanged {
    /// Pages whose contents were copied.
    copies: u64,
    /// Pages that became absent.
    absent: u64,
    /// Pages of the source are marked as shared that were not.
    has_marked: bool,
}

/// Has the destination hold what the source holds: entries as they were, and room for what becomes of them.
fn exchange(
    frames: &mut impl Frames,
    payer: Name<Contract>,
    (theirs, marked): (&[Entry], &mut [Entry]),
    (ours, new): (&[Entry], &mut [Entry]),
) -> Exchanged {
    let (mut leaving, mut joining) = (FrameList::new(), FrameList::new());
    let mut exchanged = Exchanged { copies: 0, absent: 0, has_marked: false };
    let pages = theirs.iter().zip(ours).zip(marked.iter_mut().zip(new.iter_mut()));
    for ((&source, &held), (marked, new)) in pages {
        (*marked, *new) = (source, held);
        if source.agrees(held) {
            continue;
        }
        leaving.add(held.frame());
        joining.add(source.frame());
        if let Some(frame) = source.frame() {
            exchanged.has_marked |= !source.is_shared();
            *marked = source.shared(true);
            *new = Entry::resident(frame).shared(true);
        } else {
            exchanged.absent += u64::from(held.frame().is_some());
            *new = if source.out().is_some() { source } else { Entry::ABSENT };
        }
        if let Some(number) = source.out() {
            frames.join_out(number, payer);
        }
        if let Some(number) = held.out() {
            frames.leave_out(number, payer);
        }
    }
    // The source holds whatever is joined: it is there also where somebody left it a moment ago.
    frames.leave_each(leaving.as_slice());
    let joined = frames.join_each(joining.as_slice(), payer);
    if joined == joining.as_slice().len() {
        return exchanged;
    }
    let exchanges = |&index: &usize| theirs[index].frame().is_some() && !theirs[index].agrees(ours[index]);
    for index in (0..theirs.len()).filter(exchanges).skip(joined) {
        let Some(frame) = theirs[index].frame() else { continue };
        if frames.join(frame, payer).is_err() {
            let copy = frames.take(payer, Contents::Overwritten);
            frames.copy(whole_frame(frame, copy));
            exchanged.copies += 1;
            (marked[index], new[index]) = (theirs[index], Entry::resident(copy));
        }
    }
    exchanged
}
