//! How large the cache may become: all of idle memory, as far as the server's guarantee pays for the bookkeeping.
//!
//! A page of the cache costs [`BYTES_PER_PLACE`](super::BYTES_PER_PLACE) bytes of index from the start, and physmem's entry in the
//! container's page array when it is there. Neither can be taken back, so both come out of the guarantee: 1 % of the memory that is
//! cached. The index of the largest cache, of [`CACHE_PAGES_MAX`] pages, is 25 MiB.

use super::BYTES_PER_PLACE;
use crate::PAGE_BYTES;

/// Pages that the cache has at most (4 GiB).
pub const CACHE_PAGES_MAX: u64 = 1 << 20;
/// Pages that it has for certain, whatever the contract says: a step of a read needs so many.
pub const CACHE_PAGES_MIN: u64 = 64;
/// Pages that are kept for it in the guarantee at most: as many as are under way at a time.
const FLOOR_PAGES_MAX: u64 = 256;
/// Bytes of physmem's records for a page, at worst.
const RECORD_BYTES: u64 = 16;

/// Size of a cache, in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CacheSize {
    /// At most.
    pub capacity: u32,
    /// Always.
    pub floor: u32,
}

/// The size for a server with `room` frames left in its guarantee that may have `extra_limit` more.
pub fn cache_size(room: u64, extra_limit: u64) -> CacheSize {
    let floor = (room / 2).clamp(CACHE_PAGES_MIN, FLOOR_PAGES_MAX);
    let bookkept = room.saturating_sub(floor).saturating_mul(PAGE_BYTES) / (BYTES_PER_PLACE + RECORD_BYTES);
    let capacity = floor.saturating_add(extra_limit).min(bookkept).clamp(floor, CACHE_PAGES_MAX);
    CacheSize { capacity: capacity as u32, floor: floor as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bookkeeping_fits_into_the_room_beside_the_floor() {
        for room in [0, 1, 100, 300, 500, 5000, 1 << 20, u64::MAX] {
            for extra_limit in [0, 1000, 15_000, 260_000, u64::MAX] {
                let CacheSize { capacity, floor } = cache_size(room, extra_limit);
                let (capacity, floor) = (u64::from(capacity), u64::from(floor));
                assert!((CACHE_PAGES_MIN..=FLOOR_PAGES_MAX).contains(&floor));
                assert!(capacity >= floor && capacity <= CACHE_PAGES_MAX);
                assert!(capacity - floor <= extra_limit);
                let bookkeeping = capacity * (BYTES_PER_PLACE + RECORD_BYTES) / PAGE_BYTES;
                assert!(capacity == floor || bookkeeping + floor <= room, "{room} {extra_limit}");
            }
        }
    }

    #[test]
    fn the_largest_cache_is_reached_and_its_index_is_as_large_as_said() {
        let size = cache_size(20_000, 1 << 21);
        assert_eq!(u64::from(size.capacity), CACHE_PAGES_MAX);
        assert_eq!(CACHE_PAGES_MAX * BYTES_PER_PLACE, 25 << 20);
    }

    #[test]
    fn all_memory_of_a_machine_can_be_cached() {
        // What init gives the server: 640 frames and one for 64; the server has 376 of them in use or set aside at its start.
        for frames in [8_000, 15_000, 64_000, 260_000, 1_000_000] {
            let size = cache_size(640 + frames / 64 - 376, frames);
            assert!(u64::from(size.capacity) >= frames, "{frames}: {size:?}");
        }
    }
}
