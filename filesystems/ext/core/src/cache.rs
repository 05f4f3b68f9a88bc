//! Which page of which file lies where in the cache container.
//!
//! ```text
//!   empty --reserve--> filling --publish--> cached <--find / release--> cached, in use
//!     ^                   |                   |
//!     +------ cancel -----+                   +--reserve (not in use, not referenced lately)--> filling
//! ```
//! A place that is being filled or copied from is *in use* and is never given away, so that a copy that runs without the
//! server's lock reads what it was told to read. Replacement is by clock; the hand moves on, so that pages cached one
//! after the other lie one after the other and one copy serves many of them.
//!
//! The index takes its memory once. What is in a place is no concern of it: a place holds a page only from
//! [`PageIndex::publish`] on.

use alloc::vec;
use alloc::vec::Vec;

/// A file, for as long as the number is not used for another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileKey {
    /// Inode number; never 0.
    pub inode: u32,
    /// Its generation.
    pub generation: u32,
}

const NONE: u32 = u32::MAX;

/// Places that the index goes on with at least, and by which it grows again after [`PageIndex::exhausted`].
const PROBE_PLACES: u32 = 64;

#[derive(Clone, Copy)]
struct Place {
    key: Option<(FileKey, u64)>,
    /// Next place with the same hash.
    next: u32,
    /// Copies that read from here, or 1 while it is being filled.
    users: u16,
    referenced: bool,
}

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

/// The index.
pub struct PageIndex {
    places: Vec<Place>,
    chains: Vec<u32>,
    hand: u32,
    /// Places before this one are given out.
    limit: u32,
    cached: u64,
    hits: u64,
    misses: u64,
}

impl PageIndex {
    /// An empty index of `capacity` places.
    pub fn new(capacity: u32) -> PageIndex {
        let empty = Place { key: None, next: NONE, users: 0, referenced: false };
        PageIndex {
            places: vec![empty; capacity as usize],
            chains: vec![NONE; capacity.next_power_of_two() as usize],
            hand: 0,
            limit: capacity,
            cached: 0,
            hits: 0,
            misses: 0,
        }
    }

    /// Places in all.
    pub fn capacity(&self) -> u32 {
        self.places.len() as u32
    }

    /// Pages cached, pages served from the cache, pages that had to come from the disk.
    pub fn counts(&self) -> (u64, u64, u64) {
        (self.cached, self.hits, self.misses)
    }

    /// Counts pages that came from the disk.
    pub fn count_misses(&mut self, pages: u64) {
        self.misses += pages;
    }

    /// Whether a page is cached.
    pub fn contains(&self, file: FileKey, page: u64) -> bool {
        self.position(file, page).is_some()
    }

    /// The pages from `page` on, as many as lie one after the other, at most `most`.
    pub fn find(&mut self, file: FileKey, page: u64, most: u32) -> Option<CachedRun> {
        let place = self.position(file, page)?;
        let mut pages = 0;
        while pages < most {
            let Some(next) = self.places.get_mut((place + pages) as usize) else { break };
            if next.key != Some((file, page + u64::from(pages))) || next.users == u16::MAX {
                break;
            }
            next.users += 1;
            next.referenced = true;
            pages += 1;
        }
        self.hits += u64::from(pages);
        (pages > 0).then_some(CachedRun { place, pages })
    }

    /// The copy from a run is done.
    pub fn release(&mut self, run: CachedRun) {
        for place in self.range(run.place, run.pages) {
            place.users -= 1;
        }
    }

    /// Up to `most` successive places for new pages; what was in them is forgotten. `None`: all are in use.
    pub fn reserve(&mut self, most: u32) -> Option<Reservation> {
        let (mut first, mut pages) = (0, 0);
        // Twice round takes every reference away; what is left then is in use.
        for _ in 0..2 * self.limit {
            let place = self.hand;
            self.hand = place + 1;
            if self.hand >= self.limit {
                self.hand = 0;
                // Perhaps there is memory for more by now.
                self.limit = (self.limit + PROBE_PLACES).min(self.capacity());
            }
            let entry = &mut self.places[place as usize];
            if entry.users == 0 && !core::mem::take(&mut entry.referenced) {
                if pages == 0 {
                    first = place;
                }
                pages += 1;
                self.forget(place);
                self.places[place as usize].users = 1;
            } else if pages > 0 {
                break;
            }
            if pages == most || (pages > 0 && self.hand == 0) {
                break;
            }
        }
        (pages > 0).then_some(Reservation { place: first, pages })
    }

    /// The places now hold the pages of `file` from `page` on. Pages that somebody cached meanwhile stay where they are.
    pub fn publish(&mut self, reservation: Reservation, file: FileKey, page: u64) {
        for offset in 0..reservation.pages {
            let (place, page) = (reservation.place + offset, page + u64::from(offset));
            let known = self.position(file, page).is_some();
            self.places[place as usize].users = 0;
            if known {
                continue;
            }
            let chain = self.chain(file, page);
            let entry = &mut self.places[place as usize];
            entry.key = Some((file, page));
            entry.next = self.chains[chain];
            self.chains[chain] = place;
            self.cached += 1;
        }
    }

    /// The places could not be filled.
    pub fn cancel(&mut self, reservation: Reservation) {
        for place in self.range(reservation.place, reservation.pages) {
            place.users = 0;
        }
    }

    /// There is no memory for the places: they and those behind them are left alone for a while.
    pub fn exhausted(&mut self, reservation: Reservation) {
        self.limit = reservation.place.max(PROBE_PLACES).min(self.capacity());
        if self.hand >= self.limit {
            self.hand = 0;
        }
        self.cancel(reservation);
    }

    fn range(&mut self, place: u32, pages: u32) -> &mut [Place] {
        &mut self.places[place as usize..(place + pages) as usize]
    }

    fn chain(&self, file: FileKey, page: u64) -> usize {
        let mixed = (u64::from(file.inode) << 32 ^ u64::from(file.generation) ^ page.rotate_left(20))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize & (self.chains.len() - 1)
    }

    fn position(&self, file: FileKey, page: u64) -> Option<u32> {
        let mut place = *self.chains.get(self.chain(file, page))?;
        while place != NONE {
            let entry = &self.places[place as usize];
            if entry.key == Some((file, page)) {
                return Some(place);
            }
            place = entry.next;
        }
        None
    }

    fn forget(&mut self, place: u32) {
        let entry = &mut self.places[place as usize];
        let next = core::mem::replace(&mut entry.next, NONE);
        let Some((file, page)) = entry.key.take() else { return };
        self.cached -= 1;
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

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileKey = FileKey { inode: 12, generation: 1 };
    const OTHER: FileKey = FileKey { inode: 12, generation: 2 };

    fn fill(index: &mut PageIndex, file: FileKey, page: u64, pages: u32) -> u32 {
        let reservation = index.reserve(pages).expect("room");
        let got = reservation.pages;
        index.publish(reservation, file, page);
        got
    }

    #[test]
    fn pages_cached_together_are_found_together() {
        let mut index = PageIndex::new(8);
        assert_eq!(fill(&mut index, FILE, 10, 5), 5);
        let run = index.find(FILE, 11, 100).unwrap();
        assert_eq!((run.place, run.pages), (1, 4));
        index.release(run);
        assert_eq!(index.find(FILE, 15, 1), None);
        assert_eq!(index.find(OTHER, 11, 1), None, "another generation is another file");
        assert_eq!(index.counts(), (5, 4, 0));
    }

    #[test]
    fn what_is_in_use_is_never_given_away() {
        let mut index = PageIndex::new(4);
        fill(&mut index, FILE, 0, 4);
        let run = index.find(FILE, 1, 2).unwrap();
        let first = index.reserve(4).unwrap();
        assert_eq!((first.place, first.pages), (0, 1), "a reservation ends before a place in use");
        let second = index.reserve(4).unwrap();
        assert_eq!((second.place, second.pages), (3, 1), "and at the end of the container");
        assert_eq!(index.reserve(1), None);
        assert!(index.contains(FILE, 1) && index.contains(FILE, 2) && !index.contains(FILE, 0));
        index.release(run);
        index.publish(first, FILE, 0);
        index.cancel(second);
        assert!(index.contains(FILE, 0) && !index.contains(FILE, 3));
        assert_eq!(index.reserve(1).map(|reservation| reservation.place), Some(0));
    }

    #[test]
    fn a_page_cached_twice_is_kept_once() {
        let mut index = PageIndex::new(4);
        let (one, two) = (index.reserve(1).unwrap(), index.reserve(1).unwrap());
        index.publish(one, FILE, 7);
        index.publish(two, FILE, 7);
        assert_eq!(index.counts().0, 1);
        assert_eq!(index.find(FILE, 7, 1).map(|run| run.place), Some(0));
    }

    #[test]
    fn an_index_without_memory_goes_on_with_what_it_has() {
        let mut index = PageIndex::new(1000);
        assert_eq!(fill(&mut index, FILE, 0, 200), 200);
        let reservation = index.reserve(100).unwrap();
        index.exhausted(reservation);
        for round in 1..4 {
            for page in (0..400).step_by(50) {
                assert_eq!(fill(&mut index, FILE, round * 1000 + page, 50), 50);
            }
            let more = index.reserve(10).unwrap();
            assert!(more.place >= 200, "it tries again after a round: {}", more.place);
            index.exhausted(more);
        }
    }

    #[test]
    fn random_use_agrees_with_a_map() {
        for seed in 1..200_u64 {
            let mut random = seed;
            let mut next = |bound: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % bound
            };
            let mut index = PageIndex::new(16);
            let mut container = [None; 16];
            for _ in 0..300 {
                let (page, pages) = (next(40), next(6) as u32 + 1);
                if let Some(run) = index.find(FILE, page, pages) {
                    for offset in 0..run.pages {
                        let held = container[(run.place + offset) as usize];
                        assert_eq!(held, Some(page + u64::from(offset)), "seed {seed}");
                    }
                    index.release(run);
                } else if let Some(reservation) = index.reserve(pages) {
                    for offset in 0..reservation.pages {
                        container[(reservation.place + offset) as usize] = Some(page + u64::from(offset));
                    }
                    if next(4) == 0 {
                        index.cancel(reservation)
                    } else {
                        index.publish(reservation, FILE, page)
                    }
                }
            }
        }
    }
}
