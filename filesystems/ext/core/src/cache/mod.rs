//! Which page of which file lies where in the cache container, and which places of the container have frames.
//!
//! ```text
//!                 reserve                publish             find / release
//!   no frame ───────────────> filling ─────────────> cached <──────────────> cached, in use
//!      ^                     ^   │ │                  │  │                         │ lose
//!      │ retired             │   │ └─ cancel ─> empty │  │                         v
//!   giving back <── retire ──│───│───────────────┴────┘  │                      no frame
//!      ^                     └───│── reserve (not in use, not referenced lately) ──┘
//!      └───────── exhausted ─────┘
//! ```
//! A place that is being filled, copied from or given back is *in use* and is never given away, so that a copy that runs without
//! the server's lock reads what it was told to read. Replacement is by clock; the hand moves on, so that pages cached one
//! after the other lie one after the other, one copy serves many of them, and one message gives many of them back.
//!
//! The cache grows before it replaces, while the server says that there is memory for it ([`PageIndex::set_growth`]); whoever asks
//! for frames back gets those of the places that the clock would take next. Below its *floor* it always grows and gives nothing
//! back: so many frames are in the server's guarantee.
//!
//! The index takes its memory once: [`BYTES_PER_PLACE`] bytes for each page of the cache, in use or not. What is in a place is no
//! concern of it: a place holds a page only from [`PageIndex::publish`] on, until it is replaced, given back or lost.

mod bits;
mod place;
mod places;
mod size;
#[cfg(test)]
mod tests;

pub use place::BYTES_PER_PLACE;
pub use places::Places;
pub use size::{CACHE_PAGES_MAX, CACHE_PAGES_MIN, CacheSize, cache_size};

use alloc::vec;
use alloc::vec::Vec;
use bits::Bits;
use place::{NONE, Place};

/// A file, for as long as the number is not used for another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileKey {
    /// Inode number; never 0.
    pub inode: u32,
    /// Its generation.
    pub generation: u32,
}

/// Floor of an index that is told nothing else; also the places that are replaced after [`PageIndex::exhausted`] before it grows
/// again.
const PROBE_PLACES: u32 = 64;

/// Runs in use at a time. Who would be one too many finds nothing.
pub const RUNS_IN_USE: usize = 16;

/// Successive places that hold successive pages, in use until given back by [`PageIndex::release`].
#[must_use]
#[derive(PartialEq, Eq, Debug)]
pub struct CachedRun {
    /// First page in the cache container.
    pub place: u32,
    /// Number of pages.
    pub pages: u32,
}

/// Successive places to fill, until [`PageIndex::publish`] or [`PageIndex::cancel`].
#[must_use]
#[derive(PartialEq, Eq, Debug)]
pub struct Reservation {
    /// First page in the cache container.
    pub place: u32,
    /// Number of pages.
    pub pages: u32,
}

/// Successive places whose frames are to be given back, until [`PageIndex::retired`] or [`PageIndex::keep`].
#[must_use]
#[derive(PartialEq, Eq, Debug)]
pub struct Retirement {
    /// First page in the cache container.
    pub place: u32,
    /// Number of pages.
    pub pages: u32,
}

/// The index.
pub struct PageIndex {
    places: Vec<Place>,
    chains: Vec<u32>,
    /// Places whose page follows the one in the place before, of the same file: so a run is found without looking at each.
    follows: Bits,
    /// Places that were read since the clock passed.
    referenced: Bits,
    /// Places that have frames, or are being given some.
    backed: Bits,
    /// Places that are being filled or given back. They hold no page.
    busy: Bits,
    /// Runs that are being copied from: first place, places. At most [`RUNS_IN_USE`].
    reading: Vec<(u32, u32)>,
    /// Where the clock stands.
    hand: u32,
    /// Where a place without a frame was found last.
    grown: u32,
    /// No place from here on has a frame.
    end: u32,
    /// Places that have frames, or are being given some.
    frames: u32,
    floor: u32,
    may_grow: bool,
    /// Places to replace before growing is tried again.
    pause: u32,
    cached: u64,
    hits: u64,
    misses: u64,
}

impl PageIndex {
    /// An empty index of `capacity` places.
    pub fn new(capacity: u32) -> PageIndex {
        PageIndex::with_floor(capacity, PROBE_PLACES)
    }

    /// An empty index of `capacity` places, of which `floor` have frames for certain.
    pub fn with_floor(capacity: u32, floor: u32) -> PageIndex {
        PageIndex {
            places: vec![Place::EMPTY; capacity as usize],
            chains: vec![NONE; capacity.next_power_of_two() as usize],
            follows: Bits::new(capacity),
            referenced: Bits::new(capacity),
            backed: Bits::new(capacity),
            busy: Bits::new(capacity),
            reading: Vec::with_capacity(RUNS_IN_USE),
            hand: 0,
            grown: 0,
            end: 0,
            frames: 0,
            floor: floor.min(capacity),
            may_grow: true,
            pause: 0,
            cached: 0,
            hits: 0,
            misses: 0,
        }
    }

    /// Places in all.
    pub fn capacity(&self) -> u32 {
        self.places.len() as u32
    }

    /// Places that have frames, as far as the index knows.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Pages cached, pages served from the cache, pages that had to come from the disk.
    pub fn counts(&self) -> (u64, u64, u64) {
        (self.cached, self.hits, self.misses)
    }

    /// Counts pages that came from the disk.
    pub fn count_misses(&mut self, pages: u64) {
        self.misses += pages;
    }

    /// Says whether more frames than the floor may be taken. What is there already stays.
    pub fn set_growth(&mut self, may_grow: bool) {
        self.may_grow = may_grow;
    }

    /// Whether a page is cached.
    pub fn contains(&self, file: FileKey, page: u64) -> bool {
        self.position(file, page).is_some()
    }

    /// How many pages from `page` on are not cached, at most `most`; the first one is taken for uncached without a look.
    pub fn uncached(&self, file: FileKey, page: u64, most: u64) -> u64 {
        (1..most).take_while(|pages| !self.contains(file, page + pages)).count() as u64 + 1
    }

    /// The pages from `page` on, as many as lie one after the other, at most `most`.
    pub fn find(&mut self, file: FileKey, page: u64, most: u32) -> Option<CachedRun> {
        if self.reading.len() == RUNS_IN_USE || most == 0 {
            return None;
        }
        let place = self.position(file, page)?;
        let pages = 1 + self.follows.count_set(place + 1, most - 1);
        self.referenced.set_all(place, pages, true);
        self.reading.push((place, pages));
        Some(CachedRun { place, pages })
    }

    /// The copy from a run is done.
    pub fn release(&mut self, run: CachedRun) {
        self.hits += u64::from(run.pages);
        self.decline(run);
    }

    /// Nothing is copied from a run after all.
    pub fn decline(&mut self, run: CachedRun) {
        if let Some(index) = self.reading.iter().position(|&reading| reading == (run.place, run.pages)) {
            self.reading.swap_remove(index);
        }
    }

    /// Page number `offset` of a run that is in use turned out to be gone with its frame. The place is used again when nobody
    /// copies from it any more.
    pub fn lose(&mut self, run: &CachedRun, offset: u32) {
        let place = run.place + offset.min(run.pages);
        self.forget(place);
        self.without_frame(place);
    }

    /// Up to `most` successive places for new pages; what was in them is forgotten. `None`: all are in use.
    pub fn reserve(&mut self, most: u32) -> Option<Reservation> {
        let grows = self.frames < self.floor || (self.may_grow && self.pause == 0);
        let fresh = if grows { self.fresh(most) } else { None };
        // As a last resort physmem is asked, whatever is known of how short frames are.
        let (place, pages) = fresh.or_else(|| self.replaced(most)).or_else(|| self.fresh(most))?;
        Some(Reservation { place, pages })
    }

    /// The places now hold the pages of `file` from `page` on. Pages that somebody cached meanwhile stay where they are.
    pub fn publish(&mut self, reservation: Reservation, file: FileKey, page: u64) {
        self.let_go(reservation.place, reservation.pages);
        for offset in 0..reservation.pages {
            let (place, page) = (reservation.place + offset, page + u64::from(offset));
            let chain = self.chain(file, page);
            let is_known = self.position_in(chain, file, page).is_some();
            if is_known || !self.places[place as usize].put(file, page) {
                continue;
            }
            self.places[place as usize].next = core::mem::replace(&mut self.chains[chain], place);
            self.cached += 1;
            // The place before is settled; the one behind is looked at when it is, or below.
            self.link(place, file, page);
        }
        let (end, behind) = (reservation.place + reservation.pages, page + u64::from(reservation.pages));
        if end < self.capacity() && self.places[end as usize].holds(file, behind) {
            self.link(end, file, behind);
        }
    }

    /// Notes whether a place's page follows the one in the place before.
    fn link(&mut self, place: u32, file: FileKey, page: u64) {
        let follows = place > 0 && page > 0 && self.places[place as usize - 1].holds(file, page - 1);
        self.follows.set(place, follows);
    }

    /// The places could not be filled. They may have frames.
    pub fn cancel(&mut self, reservation: Reservation) {
        self.let_go(reservation.place, reservation.pages);
    }

    /// There is no memory for the places, and they have no frames. The cache does not grow for a while.
    pub fn exhausted(&mut self, reservation: Reservation) {
        self.pause = PROBE_PLACES;
        self.retired(Retirement { place: reservation.place, pages: reservation.pages });
    }

    /// Up to `most` successive places to take the frames from, the next ones of the clock; what was in them is forgotten. `None`:
    /// the others are in use, or within the floor.
    pub fn retire(&mut self, most: u32) -> Option<Retirement> {
        let most = most.min(self.frames.saturating_sub(self.floor));
        let (place, pages) = if most > 0 { self.replaced(most)? } else { return None };
        Some(Retirement { place, pages })
    }

    /// The places have no frames any more.
    pub fn retired(&mut self, places: Retirement) {
        self.let_go(places.place, places.pages);
        (places.place..places.place + places.pages).for_each(|place| self.without_frame(place));
        while self.end > 0 && self.is_free(self.end - 1) {
            self.end -= 1;
        }
    }

    /// The frames of the places could not be given back.
    pub fn keep(&mut self, places: Retirement) {
        self.let_go(places.place, places.pages);
    }

    /// Successive places without frames, in use from now on.
    fn fresh(&mut self, most: u32) -> Option<(u32, u32)> {
        let capacity = self.capacity();
        let hole = if self.frames < self.end {
            let from = self.grown.min(self.end);
            (from..self.end).chain(0..from).find(|&place| self.is_free(place))
        } else {
            None
        };
        let (first, pages) = match hole {
            Some(first) => {
                let places = first..capacity.min(first.saturating_add(most));
                (first, places.take_while(|&place| self.is_free(place)).count() as u32)
            }
            // From here on all are free.
            None => (self.end, most.min(capacity - self.end)),
        };
        self.busy.set_all(first, pages, true);
        self.backed.set_all(first, pages, true);
        self.frames += pages;
        self.grown = first + pages;
        self.end = self.end.max(self.grown);
        (pages > 0).then_some((first, pages))
    }

    /// Successive places with frames that are not in use and were not referenced lately, in use from now on and empty.
    fn replaced(&mut self, most: u32) -> Option<(u32, u32)> {
        let (mut first, mut pages) = (0, 0);
        // Twice round takes every reference away; what is left then is in use.
        for _ in 0..2 * self.end {
            let place = if self.hand < self.end { self.hand } else { 0 };
            self.hand = place + 1;
            let is_idle = self.backed.get(place) && !self.is_in_use(place);
            if is_idle && !self.referenced.set(place, false) {
                if pages == 0 {
                    first = place;
                }
                pages += 1;
                self.busy.set(place, true);
                self.forget(place);
            } else if pages > 0 {
                break;
            }
            if pages == most || (pages > 0 && self.hand == self.end) {
                break;
            }
        }
        self.pause = self.pause.saturating_sub(pages);
        (pages > 0).then_some((first, pages))
    }

    /// Whether a place is being copied from, filled or given back.
    fn is_in_use(&self, place: u32) -> bool {
        self.busy.get(place)
            || self.reading.iter().any(|(first, pages)| (*first..first + pages).contains(&place))
    }

    /// Whether a place could be given a frame.
    fn is_free(&self, place: u32) -> bool {
        !self.backed.get(place) && !self.is_in_use(place)
    }

    /// Places are not filled or given back any more.
    fn let_go(&mut self, place: u32, pages: u32) {
        self.busy.set_all(place, pages, false);
    }

    fn without_frame(&mut self, place: u32) {
        if self.backed.set(place, false) {
            self.frames -= 1;
        }
    }

    fn chain(&self, file: FileKey, page: u64) -> usize {
        let mixed = (u64::from(file.inode) << 32 ^ u64::from(file.generation) ^ page.rotate_left(20))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize & (self.chains.len() - 1)
    }

    fn position(&self, file: FileKey, page: u64) -> Option<u32> {
        self.position_in(self.chain(file, page), file, page)
    }

    fn position_in(&self, chain: usize, file: FileKey, page: u64) -> Option<u32> {
        let mut place = *self.chains.get(chain)?;
        while place != NONE {
            let entry = &self.places[place as usize];
            if entry.holds(file, page) {
                return Some(place);
            }
            place = entry.next;
        }
        None
    }

    fn forget(&mut self, place: u32) {
        let entry = &mut self.places[place as usize];
        let next = core::mem::replace(&mut entry.next, NONE);
        let Some((file, page)) = entry.take() else { return };
        self.cached -= 1;
        self.follows.set(place, false);
        if place + 1 < self.capacity() {
            self.follows.set(place + 1, false);
        }
        let chain = self.chain(file, page);
        if self.chains[chain] == place {
            self.chains[chain] = next;
            return;
        }
        let mut before = self.chains[chain];
        while self.places[before as usize].next != place {
            before = self.places[before as usize].next;
        }
        self.places[before as usize].next = next;
    }
}
