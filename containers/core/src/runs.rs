//! Successive pages taken together: what is done to many pages finds its way down the page array once for each node,
//! not once for each page.

use crate::frames::{Frames, Span};
use crate::layout::container;
use crate::pages::{Entry, FrameList, LEAF_PAGES, first_leaf};
use crate::record::{Container, Name, Records};

/// The first pages of a span that have frames and lie one after the other, so many at most.
pub fn first_present(records: &impl Records, array: Name<Container>, span: Span, most: u64) -> Option<Span> {
    let mut found: Option<Span> = None;
    let mut left = Some(span);
    while let Some(leaf) = left.and_then(|left| first_leaf(records, array, left)) {
        if found.is_some_and(|found| found.end() != leaf.span.first) {
            break;
        }
        let is_there = |entry: Entry| entry.frame().is_some();
        let absent = if found.is_some() {
            0
        } else {
            leaf.entries(records).take_while(|&entry| !is_there(entry)).count()
        };
        let before = found.unwrap_or(Span { first: leaf.span.first + absent as u64, pages: 0 });
        let entries = leaf.entries(records).skip(absent).take((most - before.pages) as usize);
        let pages = before.pages + entries.take_while(|&entry| is_there(entry)).count() as u64;
        if pages != 0 {
            found = Some(Span { pages, ..before });
        }
        if pages != 0 && (pages == most || before.first + pages != leaf.span.end()) {
            return found;
        }
        let rest = Span { first: leaf.span.end(), pages: span.end() - leaf.span.end() };
        left = (rest.pages != 0).then_some(rest);
    }
    found
}

/// Marks the pages of a span that have frames as lost and lets go of the frames; how many. No mapping of them is left.
pub fn lose(frames: &mut impl Frames, array: Name<Container>, span: Span) -> u64 {
    let (mut lost, mut shared) = (0, 0);
    let mut left = Some(span);
    while let Some(leaf) = left.and_then(|left| first_leaf(frames, array, left)) {
        let mut going = FrameList::<LEAF_PAGES>::new();
        leaf.change(frames, |entry| {
            going.add(entry);
            shared += u64::from(entry.frame().is_some() && entry.is_shared());
            if entry.frame().is_some() { Entry::LOST } else { entry }
        });
        frames.leave_each(going.as_slice());
        lost += going.as_slice().len() as u64;
        let rest = Span { first: leaf.span.end(), pages: span.end() - leaf.span.end() };
        left = (rest.pages != 0).then_some(rest);
    }
    frames.lower(array, container::PRESENT, lost);
    frames.lower(array, container::SHARED, shared);
    frames.raise(array, container::LOST, lost);
    lost
}
