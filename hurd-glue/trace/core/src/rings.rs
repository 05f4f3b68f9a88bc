//! Reading the rings of [`kernel_abi::trace`] while the kernel writes them.
//!
//! Invariants: every event is told once or counted as lost; what is told was read whole. The kernel is trusted to keep to
//! the layout, but what it wrote is checked before anything is indexed by it.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering, fence};
use kernel_abi::trace::{
    EVENT_WORDS, RING_AT_CAPACITY, RING_AT_EVENTS, RING_AT_MAGIC, RING_AT_WRITTEN, RING_MAGIC,
};

/// An event as it lies in a ring.
pub type Words = [u64; EVENT_WORDS];

/// What a reader has missed is a part of the ring at least, so that it does not miss the next event at once.
const SKIPPED_PART: u64 = 8;

/// One ring, and how far it was read.
struct Ring<'a> {
    words: &'a [AtomicU64],
    capacity: u64,
    /// Number of the next event to read.
    next: u64,
    lost: u64,
    head: Option<Words>,
}

impl Ring<'_> {
    fn word(&self, index: usize) -> u64 {
        self.words[index].load(Ordering::Relaxed)
    }

    /// Events written, read before or after their words.
    fn written(&self) -> u64 {
        fence(Ordering::Acquire);
        let written = self.word(RING_AT_WRITTEN);
        fence(Ordering::Acquire);
        written
    }

    /// The next event, which stays the next until it is taken.
    fn peek(&mut self) -> Option<Words> {
        while self.head.is_none() {
            let written = self.written();
            if self.next >= written {
                return None;
            }
            // The kernel may be writing the event of number `written` where the one a whole ring before it lies.
            if written - self.next >= self.capacity {
                let next = written - self.capacity + 1 + self.capacity / SKIPPED_PART;
                let next = next.min(written);
                self.lost += next - self.next;
                self.next = next;
                continue;
            }
            let place = RING_AT_EVENTS + (self.next % self.capacity) as usize * EVENT_WORDS;
            let words = core::array::from_fn(|index| self.word(place + index));
            if self.written() - self.next < self.capacity {
                self.head = Some(words);
                self.next += 1;
            }
        }
        self.head
    }
}

/// All rings.
pub struct Rings<'a>(Vec<Ring<'a>>);

/// What lies in the memory is no rings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoRings;

impl<'a> Rings<'a> {
    /// The rings in a piece of memory, one after the other, all of one size.
    pub fn new(words: &'a [AtomicU64]) -> Result<Rings<'a>, NoRings> {
        let first = |index: usize| words.get(index).map(|word| word.load(Ordering::Relaxed));
        let capacity = first(RING_AT_CAPACITY).filter(|&capacity| capacity != 0).ok_or(NoRings)?;
        let bytes = usize::try_from(capacity).ok().and_then(|capacity| capacity.checked_mul(EVENT_WORDS));
        let ring_words = bytes.and_then(|words| words.checked_add(RING_AT_EVENTS)).ok_or(NoRings)?;
        let chunks = words.chunks_exact(ring_words);
        let is_whole = chunks.remainder().is_empty();
        let rings: Vec<Ring<'a>> =
            chunks.map(|words| Ring { words, capacity, next: 0, lost: 0, head: None }).collect();
        let is_ring = |ring: &Ring<'_>| {
            ring.word(RING_AT_MAGIC) == RING_MAGIC && ring.word(RING_AT_CAPACITY) == capacity
        };
        if rings.is_empty() || !is_whole || !rings.iter().all(is_ring) {
            return Err(NoRings);
        }
        Ok(Rings(rings))
    }

    /// Number of rings.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The oldest event of all rings that is not later than a reading of the time-stamp counter.
    pub fn next_until(&mut self, time: u64) -> Option<Words> {
        let heads = self.0.iter_mut().filter_map(|ring| ring.peek().map(|words| (words[0], ring)));
        let (first, ring) = heads.min_by_key(|&(time, _)| time)?;
        if first > time { None } else { ring.head.take() }
    }

    /// Leaves out what is there already: somebody else has told it.
    pub fn skip(&mut self) {
        for ring in &mut self.0 {
            (ring.next, ring.head) = (ring.written(), None);
        }
    }

    /// Events of a ring that were lost since this was asked last.
    pub fn take_lost(&mut self, ring: usize) -> u64 {
        self.0.get_mut(ring).map_or(0, |ring| core::mem::take(&mut ring.lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    const CAPACITY: u64 = 64;

    fn memory(rings: usize) -> Vec<AtomicU64> {
        let ring_words = RING_AT_EVENTS + CAPACITY as usize * EVENT_WORDS;
        let words: Vec<AtomicU64> = (0..rings * ring_words).map(|_| AtomicU64::new(0)).collect();
        for ring in words.chunks_exact(ring_words) {
            ring[RING_AT_MAGIC].store(RING_MAGIC, Ordering::Relaxed);
            ring[RING_AT_CAPACITY].store(CAPACITY, Ordering::Relaxed);
        }
        words
    }

    fn write(words: &[AtomicU64], ring: usize, time: u64) {
        let ring_words = RING_AT_EVENTS + CAPACITY as usize * EVENT_WORDS;
        let ring = &words[ring * ring_words..][..ring_words];
        let written = ring[RING_AT_WRITTEN].load(Ordering::Relaxed);
        let place = RING_AT_EVENTS + (written % CAPACITY) as usize * EVENT_WORDS;
        ring[place].store(time, Ordering::Relaxed);
        ring[RING_AT_WRITTEN].store(written + 1, Ordering::Release);
    }

    fn times(rings: &mut Rings<'_>, until: u64) -> Vec<u64> {
        core::iter::from_fn(|| rings.next_until(until)).map(|words| words[0]).collect()
    }

    #[test]
    fn events_of_all_rings_come_by_their_time_and_once() {
        let words = memory(2);
        let mut rings = Rings::new(&words).unwrap();
        for (ring, time) in [(0, 1), (0, 4), (1, 2), (1, 3), (0, 9)] {
            write(&words, ring, time);
        }
        assert_eq!(times(&mut rings, 5), [1, 2, 3, 4]);
        write(&words, 1, 7);
        assert_eq!(times(&mut rings, u64::MAX), [7, 9]);
        assert_eq!(times(&mut rings, u64::MAX), []);
        write(&words, 0, 11);
        rings.skip();
        write(&words, 0, 12);
        assert_eq!(times(&mut rings, u64::MAX), [12]);
        assert_eq!((rings.take_lost(0), rings.take_lost(1)), (0, 0));
    }

    #[test]
    fn what_was_overwritten_is_counted() {
        let words = memory(1);
        let mut rings = Rings::new(&words).unwrap();
        (0..CAPACITY - 1).for_each(|time| write(&words, 0, time));
        assert_eq!(times(&mut rings, u64::MAX).len() as u64, CAPACITY - 1, "all but one place can be full");
        // A full ring: the next event may be half in the place of the oldest.
        (0..CAPACITY).for_each(|time| write(&words, 0, time));
        let told = times(&mut rings, u64::MAX).len() as u64;
        let lost = rings.take_lost(0);
        assert!(lost >= 1 && told + lost == CAPACITY, "{told} told, {lost} lost");
        let more = 3 * CAPACITY;
        (0..more).for_each(|time| write(&words, 0, time));
        let told = times(&mut rings, u64::MAX);
        assert_eq!(told.len() as u64 + rings.take_lost(0), more, "told once or lost");
        assert_eq!(told.last(), Some(&(more - 1)), "the newest are there");
        assert_eq!(rings.take_lost(0), 0);
    }

    #[test]
    fn what_is_no_rings_is_refused() {
        assert!(Rings::new(&[]).is_err());
        let zero: Vec<AtomicU64> = vec![0; 4096].into_iter().map(AtomicU64::new).collect();
        assert!(Rings::new(&zero).is_err());
        let words = memory(2);
        assert!(Rings::new(&words[..words.len() - 1]).is_err(), "cut short");
        words[RING_AT_CAPACITY].store(u64::MAX, Ordering::Relaxed);
        assert!(Rings::new(&words).is_err(), "absurd capacity");
    }
}
