//! The page array of a container (the *amap*): which page has which frame, 8 bytes a page.
//!
//! A radix tree of nodes with 64 words. Words of the lowest level are [`Entry`], those above are [`Branch`], which
//! names a node and counts its words that are not empty; the root branch is in the container's record. A
//! hole of any size costs nothing. The frames are reference-counted (the *anons*): a page that takes part in a
//! logical copy is marked shared, and whether others still hold its frame is known to the frame alone.
//!
//! ```text
//!   prepare(span)  nodes for every page of the span, or nothing      may fail
//!   set(page, …)   in prepared places, or where an entry was         cannot fail
//!   prune(span)    empty nodes go back                               cannot fail
//! ```
//!
//! [`Cursor`] is for many pages at once.

mod cursor;

pub use cursor::{Cursor, FEW_PAGES, GROUP_PAGES, to_end_of_group};

use crate::frames::Span;
use crate::layout::container;
use crate::limits::{ARRAY_HEIGHT_MAX, CONTAINER_PAGES_MAX};
use crate::record::{Container, Name, Records};
use containers_api::MemoryError;

/// log2 of the words of a node.
const NODE_SHIFT: u32 = 6;
/// Words of a node.
const NODE_WORDS: u64 = 1 << NODE_SHIFT;
/// Pages that a leaf has places for.
pub(crate) const LEAF_PAGES: usize = NODE_WORDS as usize;

/// One page. The low three bits are the state, of which there are four so far: absent, resident, lost, out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry(u64);

impl Entry {
    /// No frame; reads as zeros.
    pub const ABSENT: Entry = Entry(0);
    /// The frame was seized and the contents are gone: nobody is shown zeros instead of them.
    pub const LOST: Entry = Entry(2);
    const RESIDENT: u64 = 1;
    const OUT: u64 = 3;
    const STATE: u64 = 7;
    const SHARED_SHIFT: u32 = 3;
    const SHARED: u64 = 1 << Entry::SHARED_SHIFT;
    const RAW: u64 = 1 << 4;
    const FRAME_SHIFT: u32 = 8;
    const FRAME: u64 = 0xffff_ffff << Entry::FRAME_SHIFT;
    const AGE_SHIFT: u32 = 40;
    const AGE: u64 = 0xff << Entry::AGE_SHIFT;

    /// A page with a frame of its own.
    pub const fn resident(frame: u32) -> Entry {
        Entry(Entry::RESIDENT | (frame as u64) << Entry::FRAME_SHIFT)
    }

    /// The frame, if there is one.
    pub const fn frame(self) -> Option<u32> {
        if self.0 & Entry::STATE == Entry::RESIDENT {
            Some((self.0 >> Entry::FRAME_SHIFT) as u32)
        } else {
            None
        }
    }

    /// A page whose contents are with the default pager, under this number of physmem's.
    pub const fn paged_out(number: u32) -> Entry {
        Entry(Entry::OUT | (number as u64) << Entry::FRAME_SHIFT)
    }

    /// The number, if the page is out.
    pub const fn out(self) -> Option<u32> {
        if self.0 & Entry::STATE == Entry::OUT { Some((self.0 >> Entry::FRAME_SHIFT) as u32) } else { None }
    }

    /// Whether the frame may have other holders.
    pub const fn is_shared(self) -> bool {
        self.0 & Entry::SHARED != 0
    }

    /// Whether the contents may be somebody else's: nobody may see them.
    pub const fn is_raw(self) -> bool {
        self.0 & Entry::RAW != 0
    }

    /// Whether two pages hold the same frame, or both are absent.
    pub const fn agrees(self, other: Entry) -> bool {
        // Where both have a frame or are absent, state and frame say it.
        (self.0 ^ other.0) & (Entry::STATE | Entry::FRAME) == 0 && self.0 & Entry::STATE <= Entry::RESIDENT
    }

    /// A page that holds the same frame and takes part in the same copies, of which nothing else is known.
    pub const fn unmarked(self) -> Entry {
        Entry(self.0 & (Entry::STATE | Entry::SHARED | Entry::FRAME))
    }

    /// How a policy that looks at pages now and then has found this one, the last look in the highest bit; 0 says nothing.
    pub const fn age(self) -> u8 {
        (self.0 >> Entry::AGE_SHIFT) as u8
    }

    /// The same, with an age.
    pub const fn aged(self, age: u8) -> Entry {
        Entry(self.0 & !Entry::AGE | (age as u64) << Entry::AGE_SHIFT)
    }

    /// The same, marked as taking part in a logical copy or not.
    pub const fn shared(self, shared: bool) -> Entry {
        Entry(if shared { self.0 | Entry::SHARED } else { self.0 & !Entry::SHARED })
    }

    /// The same, marked as raw or not.
    pub const fn raw(self, raw: bool) -> Entry {
        Entry(if raw { self.0 | Entry::RAW } else { self.0 & !Entry::RAW })
    }
}

/// What the entries of pages have in common: where they are all alike, nothing needs to be asked of each.
#[derive(Clone, Copy)]
pub(crate) struct Common {
    all: u64,
    any: u64,
}

impl Common {
    pub(crate) fn of(entries: &[Entry]) -> Common {
        let none = Common { all: u64::MAX, any: 0 };
        entries.iter().fold(none, |seen, entry| Common { all: seen.all & entry.0, any: seen.any | entry.0 })
    }

    /// All have frames.
    pub(crate) fn are_resident(self) -> bool {
        self.any & Entry::STATE == Entry::RESIDENT && self.all & Entry::RESIDENT != 0
    }

    /// All are absent.
    pub(crate) fn are_absent(self) -> bool {
        self.any == Entry::ABSENT.0
    }

    /// All take part in a logical copy.
    pub(crate) fn are_shared(self) -> bool {
        self.all & Entry::SHARED != 0
    }
}

/// Frames of at most `N` pages of one group, gathered to be let go of or held together.
pub(crate) struct FrameList<const N: usize> {
    list: [u32; N],
    used: usize,
}

impl<const N: usize> FrameList<N> {
    pub(crate) fn new() -> FrameList<N> {
        FrameList { list: [0; N], used: 0 }
    }

    /// Adds that of a page of the group, if it has one.
    #[inline(always)]
    pub(crate) fn add(&mut self, entry: Entry) {
        // Written in any case, so that there is no branch; there are no more pages than places.
        self.list[self.used % N] = (entry.0 >> Entry::FRAME_SHIFT) as u32;
        self.used += usize::from(entry.frame().is_some());
    }

    /// Those of pages that all have frames, as many as there is room for.
    #[inline(always)]
    pub(crate) fn of(entries: &[Entry]) -> FrameList<N> {
        let mut list = FrameList { list: [0; N], used: entries.len().min(N) };
        for (frame, entry) in list.list.iter_mut().zip(entries) {
            *frame = (entry.0 >> Entry::FRAME_SHIFT) as u32;
        }
        list
    }

    pub(crate) fn as_slice(&self) -> &[u32] {
        &self.list[..self.used]
    }
}

/// Names a node and counts its words in use: bit 0 present, 1-7 count, 8-12 slot, 16-40 frame.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Branch(u64);

impl Branch {
    const fn new(frame: u32, slot: u32) -> Branch {
        Branch(1 | (slot as u64) << 8 | (frame as u64) << 16)
    }

    const fn is_present(self) -> bool {
        self.0 & 1 != 0
    }

    const fn count(self) -> u64 {
        self.0 >> 1 & 0x7f
    }

    const fn slot(self) -> u32 {
        (self.0 >> 8 & 0x1f) as u32
    }

    const fn frame(self) -> u32 {
        (self.0 >> 16) as u32
    }

    const fn more(self) -> Branch {
        Branch(self.0 + 2)
    }

    const fn fewer(self) -> Branch {
        Branch(self.0 - 2)
    }

    /// With so many more words in use.
    const fn counted(self, by: i64) -> Branch {
        Branch(self.0.wrapping_add_signed(2 * by))
    }

    /// Place of the word for `page` in the node, at a level.
    const fn place(self, page: u64, level: usize) -> Place {
        let digit = page >> (NODE_SHIFT as usize * level) & (NODE_WORDS - 1);
        Place::Word(self.frame(), self.slot() as usize * crate::record::UNIT_WORDS + digit as usize)
    }
}

/// Where a word of the array lies.
#[derive(Clone, Copy)]
enum Place {
    Root,
    Word(u32, usize),
}

fn read(records: &impl Records, array: Name<Container>, place: Place) -> u64 {
    match place {
        Place::Root => records.get(array, container::ROOT),
        Place::Word(frame, index) => records.words(frame)[index],
    }
}

fn write(records: &mut impl Records, array: Name<Container>, place: Place, word: u64) {
    match place {
        Place::Root => records.set(array, container::ROOT, word),
        Place::Word(frame, index) => records.words_mut(frame)[index] = word,
    }
}

/// The leaf that has a place for a page: where its branch lies, and its branch. Otherwise the first page that does not lie in
/// the same hole.
fn descend(records: &impl Records, array: Name<Container>, page: u64) -> Result<(Place, Branch), u64> {
    let mut levels = records.get(array, container::HEIGHT) as usize;
    if page >> (NODE_SHIFT as usize * levels) != 0 {
        return Err(u64::MAX);
    }
    let mut place = Place::Root;
    let mut branch = Branch(records.get(array, container::ROOT));
    if !branch.is_present() {
        return Err(u64::MAX);
    }
    loop {
        levels -= 1;
        if levels == 0 {
            return Ok((place, branch));
        }
        place = branch.place(page, levels);
        branch = Branch(read(records, array, place));
        if !branch.is_present() {
            let shift = NODE_SHIFT as usize * levels;
            return Err(((page >> shift) + 1) << shift);
        }
    }
}

/// The way down to a page: where the branches lie, from the lowest that exists up. There is none to a page beyond
/// what the array's height holds.
struct Path {
    places: [Place; ARRAY_HEIGHT_MAX],
    /// Level of the lowest node that exists; `height` if there is none.
    lowest: usize,
    height: usize,
}

impl Path {
    fn to(records: &impl Records, array: Name<Container>, page: u64) -> Path {
        let height = records.get(array, container::HEIGHT) as usize;
        let mut path = Path { places: [Place::Root; ARRAY_HEIGHT_MAX], lowest: height, height };
        let mut place = Place::Root;
        if page >> (NODE_SHIFT as usize * height) != 0 {
            return path;
        }
        for level in (0..height).rev() {
            path.places[level] = place;
            let branch = Branch(read(records, array, place));
            if !branch.is_present() {
                break;
            }
            path.lowest = level;
            place = branch.place(page, level);
        }
        path
    }

    /// The first page that is not below the lowest node that exists, or not in the same hole below it.
    fn next(&self, page: u64) -> u64 {
        if self.lowest == self.height {
            return u64::MAX;
        }
        let shift = NODE_SHIFT as usize * self.lowest.max(1);
        ((page >> shift) + 1) << shift
    }

    fn branch(&self, records: &impl Records, array: Name<Container>, level: usize) -> Branch {
        Branch(read(records, array, self.places[level]))
    }
}

/// Levels that an array of so many pages needs.
pub fn height_for(pages: u64) -> Result<u64, MemoryError> {
    if pages == 0 || pages > CONTAINER_PAGES_MAX {
        return Err(MemoryError::OutOfRange);
    }
    let bits = u64::BITS - (pages - 1).leading_zeros();
    Ok(u64::from(bits.div_ceil(NODE_SHIFT).max(1)))
}

/// The entry of a page; absent in a hole.
pub fn entry(records: &impl Records, array: Name<Container>, page: u64) -> Entry {
    match descend(records, array, page) {
        Ok((_, branch)) => Entry(read(records, array, branch.place(page, 0))),
        Err(_) => Entry::ABSENT,
    }
}

/// Changes the entry of a page, and the container's counts of pages present, lost and shared.
pub fn set(records: &mut impl Records, array: Name<Container>, page: u64, new: Entry) {
    let mut cursor = Cursor::new(array);
    let old = cursor.get(records, page);
    cursor.set(records, page, old, new);
    cursor.finish(records);
}

/// Makes a place for every page of a span, or changes nothing. Errors: `NoRecord`.
pub fn prepare(records: &mut impl Records, array: Name<Container>, span: Span) -> Result<(), MemoryError> {
    let mut page = span.first;
    while page < span.end() {
        if let Err(error) = prepare_leaf(records, array, page) {
            prune(records, array, span);
            return Err(error);
        }
        page = (page | (NODE_WORDS - 1)) + 1;
    }
    Ok(())
}

fn prepare_leaf(records: &mut impl Records, array: Name<Container>, page: u64) -> Result<(), MemoryError> {
    if descend(records, array, page).is_ok() {
        return Ok(());
    }
    let payer = records.get(array, container::CONTRACT);
    loop {
        let path = Path::to(records, array, page);
        if path.lowest == 0 {
            return Ok(());
        }
        let (frame, slot) = records.create_node(payer)?;
        write(records, array, path.places[path.lowest - 1], Branch::new(frame, slot).0);
        if path.lowest < path.height {
            let above = path.branch(records, array, path.lowest);
            write(records, array, path.places[path.lowest], above.more().0);
        }
        if path.lowest == 1 {
            return Ok(());
        }
    }
}

/// Gives back the nodes on the way to a span that hold nothing.
pub fn prune(records: &mut impl Records, array: Name<Container>, span: Span) {
    let payer = records.get(array, container::CONTRACT);
    let mut page = span.first;
    while page < span.end() {
        let path = Path::to(records, array, page);
        let mut level = path.lowest;
        while level < path.height {
            let branch = path.branch(records, array, level);
            if branch.count() != 0 {
                break;
            }
            records.delete_node(payer, branch.frame(), branch.slot());
            write(records, array, path.places[level], 0);
            level += 1;
            if level < path.height {
                let above = path.branch(records, array, level);
                write(records, array, path.places[level], above.fewer().0);
            }
        }
        page = path.next(page);
    }
}

/// The first page that has a frame, from `page` on and before `end`.
pub fn next_present(
    records: &impl Records,
    array: Name<Container>,
    page: u64,
    end: u64,
) -> Option<(u64, Entry)> {
    find(records, array, page, end, |entry| entry.frame().is_some())
}

/// Does something with each page that has a frame, from `page` on and before `end`.
pub fn each_present(
    records: &impl Records,
    array: Name<Container>,
    page: u64,
    end: u64,
    mut act: impl FnMut(u64, Entry, u32),
) {
    let mut left = (page < end).then(|| Span { first: page, pages: end - page });
    while let Some(leaf) = left.and_then(|left| first_leaf(records, array, left)) {
        for page in leaf.span.first..leaf.span.end() {
            let entry = leaf.get(records, page);
            if let Some(frame) = entry.frame() {
                act(page, entry, frame);
            }
        }
        left = (leaf.span.end() < end).then(|| Span { first: leaf.span.end(), pages: end - leaf.span.end() });
    }
}

/// The first page that is not absent, from `page` on and before `end`: it has a frame, or has lost it.
pub fn next_entry(
    records: &impl Records,
    array: Name<Container>,
    page: u64,
    end: u64,
) -> Option<(u64, Entry)> {
    find(records, array, page, end, |entry| entry != Entry::ABSENT)
}

/// Whether a page of a span is lost.
pub fn has_lost(records: &impl Records, array: Name<Container>, span: Span) -> bool {
    records.get(array, container::LOST) != 0
        && find(records, array, span.first, span.end(), |entry| entry == Entry::LOST).is_some()
}

/// The first page of a span that is out, and its number.
pub fn first_out(records: &impl Records, array: Name<Container>, span: Span) -> Option<(u64, u32)> {
    if records.get(array, container::OUT) == 0 {
        return None;
    }
    let (page, entry) = find(records, array, span.first, span.end(), |entry| entry.out().is_some())?;
    entry.out().map(|number| (page, number))
}

/// Pages of a span that are out.
pub fn count_out(records: &impl Records, array: Name<Container>, span: Span) -> u64 {
    if records.get(array, container::OUT) == 0 {
        return 0;
    }
    count_entries(records, array, span, |entry| entry.out().is_some())
}

fn find(
    records: &impl Records,
    array: Name<Container>,
    mut page: u64,
    end: u64,
    is_wanted: impl Fn(Entry) -> bool,
) -> Option<(u64, Entry)> {
    while page < end {
        let leaf = match descend(records, array, page) {
            Ok((_, leaf)) => leaf,
            Err(next) => {
                page = next;
                continue;
            }
        };
        let stop = end.min((page | (NODE_WORDS - 1)) + 1);
        while page < stop {
            let entry = Entry(read(records, array, leaf.place(page, 0)));
            if is_wanted(entry) {
                return Some((page, entry));
            }
            page += 1;
        }
    }
    None
}

/// Pages of a span that have a frame.
pub fn count_present(records: &impl Records, array: Name<Container>, span: Span) -> u64 {
    count_entries(records, array, span, |entry| entry.frame().is_some())
}

/// Pages of a span that are not absent.
pub fn count_used(records: &impl Records, array: Name<Container>, span: Span) -> u64 {
    count_entries(records, array, span, |entry| entry != Entry::ABSENT)
}

fn count_entries(
    records: &impl Records,
    array: Name<Container>,
    span: Span,
    is_counted: impl Fn(Entry) -> bool,
) -> u64 {
    let (mut count, mut left) = (0, Some(span));
    while let Some(leaf) = left.and_then(|left| first_leaf(records, array, left)) {
        let pages = leaf.span.first..leaf.span.end();
        count += pages.filter(|&page| is_counted(leaf.get(records, page))).count() as u64;
        let rest = Span { first: leaf.span.end(), pages: span.end() - leaf.span.end() };
        left = (rest.pages != 0).then_some(rest);
    }
    count
}

/// Adds levels so that the array has places for `pages`. Errors: `NoRecord`, `OutOfRange`.
pub fn grow(records: &mut impl Records, array: Name<Container>, pages: u64) -> Result<(), MemoryError> {
    let height = height_for(pages)?;
    let payer = records.get(array, container::CONTRACT);
    let old = records.get(array, container::HEIGHT);
    let mut made = [(0, 0); ARRAY_HEIGHT_MAX];
    if Branch(records.get(array, container::ROOT)).is_present() {
        for level in old..height {
            match records.create_node(payer) {
                Ok(node) => made[level as usize] = node,
                Err(error) => {
                    let undone = &made[old as usize..level as usize];
                    undone.iter().for_each(|&(frame, slot)| records.delete_node(payer, frame, slot));
                    return Err(error);
                }
            }
        }
        for level in old..height {
            let (frame, slot) = made[level as usize];
            let below = records.get(array, container::ROOT);
            let branch = Branch::new(frame, slot).more();
            write(records, array, branch.place(0, level as usize), below);
            records.set(array, container::ROOT, branch.0);
        }
    }
    records.set(array, container::HEIGHT, old.max(height));
    Ok(())
}

/// Sixty-four places at most that lie one after the other: the part of a span below one node.
#[derive(Clone, Copy)]
pub(crate) struct Leaf {
    branch: Branch,
    /// The pages.
    pub(crate) span: Span,
}

impl Leaf {
    #[inline(always)]
    pub(crate) fn get(&self, records: &impl Records, page: u64) -> Entry {
        let Place::Word(frame, index) = self.branch.place(page, 0) else { return Entry::ABSENT };
        Entry(records.words(frame)[index])
    }

    /// The entries of its pages.
    #[inline(always)]
    pub(crate) fn entries<'a>(&self, records: &'a impl Records) -> impl Iterator<Item = Entry> + Clone + 'a {
        let words: &[u64] = match self.branch.place(self.span.first, 0) {
            Place::Word(frame, index) => &records.words(frame)[index..index + self.span.pages as usize],
            Place::Root => &[],
        };
        words.iter().map(|&word| Entry(word))
    }

    /// Changes entries that are not absent to others that are not; the container's counts are the caller's to change.
    #[inline(always)]
    pub(crate) fn change(&self, records: &mut impl Records, mut change: impl FnMut(Entry) -> Entry) {
        if let Place::Word(frame, index) = self.branch.place(self.span.first, 0) {
            let words = &mut records.words_mut(frame)[index..index + self.span.pages as usize];
            words.iter_mut().for_each(|word| *word = change(Entry(*word)).0);
        }
    }
}

/// The first leaf that a span has places in.
pub(crate) fn first_leaf(records: &impl Records, array: Name<Container>, span: Span) -> Option<Leaf> {
    let mut page = span.first;
    while page < span.end() {
        match descend(records, array, page) {
            Ok((_, branch)) => {
                let end = span.end().min((page | (NODE_WORDS - 1)) + 1);
                return Some(Leaf { branch, span: Span { first: page, pages: end - page } });
            }
            Err(next) => page = next,
        }
    }
    None
}
