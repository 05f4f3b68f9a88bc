//! Whole pages that are copied logically, a group at a time: pages that lie next to each other in one leaf of both page arrays.
//!
//! [`survey`] looks and changes nothing; [`share`] does what it has found to be done. Pages that hold the right frame already are not
//! touched, nor are the mappings of the pages before the first and behind the last one that change.

use crate::container::whole_frame;
use crate::frames::{Contents, Frames, Span};
use crate::layout::container;
use crate::pages::{Common, Cursor, Entry, FEW_PAGES, FrameList, GROUP_PAGES, to_end_of_group};
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
    if source.1.pages <= FEW_PAGES as u64 {
        survey_in::<FEW_PAGES>(frames, source, destination)
    } else {
        survey_in::<GROUP_PAGES>(frames, source, destination)
    }
}

fn survey_in<const N: usize>(frames: &mut impl Frames, source: Part, destination: Part) -> Survey {
    let mut survey = Survey { needed: 0, changing: None, is_shared: true };
    let (mut from, mut to) = (Cursor::new(source.0), Cursor::new(destination.0));
    let (mut theirs, mut ours) = ([Entry::ABSENT; N], [Entry::ABSENT; N]);
    for group in groups(source.1, destination.1) {
        let (theirs, ours) = (&mut theirs[..group.pages], &mut ours[..group.pages]);
        from.load(frames, group.from, theirs);
        to.load(frames, group.to, ours);
        if theirs.iter().zip(&*ours).all(|(new, old)| new.agrees(*old)) {
            continue;
        }
        let (source, held) = (Common::of(theirs), Common::of(ours));
        if source.are_resident() && (held.are_resident() || held.are_absent()) {
            survey.needed += if held.are_absent() { group.pages as u64 } else { 0 };
            survey.is_shared &= source.are_shared();
        } else {
            for (new, old) in theirs.iter().zip(&*ours) {
                survey.needed += u64::from(new.frame().is_some() & old.frame().is_none());
                survey.is_shared &= new.frame().is_none() | new.is_shared();
            }
        }
        let first = survey.changing.map_or(group.to, |changing| changing.first);
        survey.changing = Some(Span { first, pages: group.to + group.pages as u64 - first });
    }
    survey
}

/// Has the pages of `destination` hold the frames of those of `source`, as many. They are charged and have places, and no mapping of
/// them is left. How many got a frame of their own instead, with the same contents, since theirs has all the holders that it can have.
pub(super) fn share(frames: &mut impl Frames, source: Part, destination: Part) -> u64 {
    if source.1.pages <= FEW_PAGES as u64 {
        share_in::<FEW_PAGES>(frames, source, destination)
    } else {
        share_in::<GROUP_PAGES>(frames, source, destination)
    }
}

fn share_in<const N: usize>(frames: &mut impl Frames, source: Part, destination: Part) -> u64 {
    let payer = frames.get(destination.0, container::CONTRACT);
    let (mut from, mut to) = (Cursor::new(source.0), Cursor::new(destination.0));
    let mut room = [[Entry::ABSENT; N]; 2];
    let (mut copied, mut dropped) = (0, 0);
    for group in groups(source.1, destination.1) {
        let [theirs, ours] = room.each_mut().map(|entries| &mut entries[..group.pages]);
        from.load(frames, group.from, theirs);
        to.load(frames, group.to, ours);
        let Exchanged { copies, absent, has_marked } = match exchange_all::<N>(frames, payer, theirs, ours) {
            Some(exchanged) => exchanged,
            None => exchange::<N>(frames, payer, theirs, ours),
        };
        if has_marked {
            from.store(frames, group.from, theirs);
        }
        to.store(frames, group.to, ours);
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

/// The same as [`exchange`] where all pages of the source have frames, all of the destination have others or are absent, and all can
/// be joined. `None`: nothing was changed.
fn exchange_all<const N: usize>(
    frames: &mut impl Frames,
    payer: Name<Contract>,
    source: &mut [Entry],
    destination: &mut [Entry],
) -> Option<Exchanged> {
    let (theirs, ours) = (Common::of(source), Common::of(destination));
    let is_plain = theirs.are_resident() && (ours.are_absent() || ours.are_resident());
    if !is_plain || source.iter().zip(&*destination).any(|(theirs, ours)| theirs.agrees(*ours)) {
        return None;
    }
    let joining = FrameList::<N>::of(source);
    let joined = frames.join_each(joining.as_slice(), payer);
    if joined != source.len() {
        frames.leave_each(&joining.as_slice()[..joined]);
        return None;
    }
    if !ours.are_absent() {
        frames.leave_each(FrameList::<N>::of(destination).as_slice());
    }
    for (theirs, ours) in source.iter_mut().zip(destination) {
        *theirs = theirs.shared(true);
        *ours = theirs.unmarked();
    }
    Some(Exchanged { copies: 0, absent: 0, has_marked: !theirs.are_shared() })
}

/// Changes entries of source and destination so that they hold the same frames.
fn exchange<const N: usize>(
    frames: &mut impl Frames,
    payer: Name<Contract>,
    source: &mut [Entry],
    destination: &mut [Entry],
) -> Exchanged {
    let (mut leaving, mut joining) = (FrameList::<N>::new(), FrameList::<N>::new());
    for (theirs, ours) in source.iter().zip(&*destination) {
        if !theirs.agrees(*ours) {
            leaving.add(*ours);
            joining.add(*theirs);
        }
    }
    // The source holds whatever is joined: it is there also where somebody left it a moment ago.
    frames.leave_each(leaving.as_slice());
    let mut joined = frames.join_each(joining.as_slice(), payer);
    let mut exchanged = Exchanged { copies: 0, absent: 0, has_marked: false };
    for (theirs, ours) in source.iter_mut().zip(destination) {
        if theirs.agrees(*ours) {
            continue;
        }
        // What is out joins first: both may be out under one number.
        if let Some(number) = theirs.out() {
            frames.join_out(number, payer);
        }
        if let Some(number) = ours.out() {
            frames.leave_out(number, payer);
        }
        let Some(frame) = theirs.frame() else {
            exchanged.absent += u64::from(ours.frame().is_some());
            *ours = if theirs.out().is_some() { *theirs } else { Entry::ABSENT };
            continue;
        };
        if joined == 0 && frames.join(frame, payer).is_err() {
            let copy = frames.take(payer, Contents::Overwritten);
            frames.copy(whole_frame(frame, copy));
            exchanged.copies += 1;
            *ours = Entry::resident(copy);
            continue;
        }
        joined = joined.saturating_sub(1);
        exchanged.has_marked |= !theirs.is_shared();
        *theirs = theirs.shared(true);
        *ours = theirs.unmarked();
    }
    exchanged
}
