//! The compressed tier: pages that got smaller, in memory, in front of the disk.
//!
//! Size classes: a block of 16 KiB is cut into places of one size, a multiple of 64 bytes; a place that is given
//! back is good for the next page of that size at once, and a page never moves, so that its slot's word stays right
//! without a second step. (Segments written like a log pack tighter, but need a cleaner that copies, and the log's
//! one advantage, that what is oldest lies together, the slot table has anyway.) Rounding up wastes a tenth on
//! average, and each class has at most one block that is mostly empty.
//!
//! Blocks and their bits are not in the persistent memory: which places are taken is told by the slot words.

use crate::codec::{HEADER_BYTES, header};
use crate::limits::{BLOCK_BYTES, GRANULE_BYTES, OBJECT_BYTES_MAX, TIER_BYTES_MAX};
use crate::outside::Store;
use alloc::boxed::Box;
use alloc::vec;

/// The size classes, in granules.
const CLASSES: [usize; 15] = [1, 2, 4, 6, 8, 10, 12, 14, 16, 18, 21, 25, 32, 42, 51];

const BLOCK_GRANULES: usize = BLOCK_BYTES / GRANULE_BYTES;
const BITMAP_WORDS: usize = BLOCK_GRANULES / 64;
const NONE: u32 = u32::MAX;
/// The list of blocks that belong to no class.
const EMPTY: usize = CLASSES.len();

const _: () = assert!(CLASSES[CLASSES.len() - 1] * GRANULE_BYTES >= OBJECT_BYTES_MAX);

/// A block: its class, which places are taken, and its neighbours among the blocks with room of that class.
#[derive(Clone, Copy)]
struct Block {
    class: u8,
    taken: u16,
    bits: [u64; BITMAP_WORDS],
    previous: u32,
    next: u32,
}

/// The tier.
pub(crate) struct Tier<S> {
    store: S,
    blocks: Box<[Block]>,
    /// First block with room of each class, then first block of no class.
    heads: [u32; CLASSES.len() + 1],
    used_bytes: u64,
}

/// The smallest class that holds so many bytes.
fn class_of(bytes: usize) -> Option<usize> {
    CLASSES.iter().position(|granules| granules * GRANULE_BYTES >= bytes)
}

/// Places of a block of a class.
fn places(class: usize) -> usize {
    BLOCK_GRANULES / CLASSES[class]
}

impl<S: Store> Tier<S> {
    /// A tier with nothing in it.
    pub fn new(store: S) -> Tier<S> {
        let blocks = store.bytes().min(TIER_BYTES_MAX) / BLOCK_BYTES;
        let empty =
            Block { class: EMPTY as u8, taken: 0, bits: [0; BITMAP_WORDS], previous: NONE, next: NONE };
        let mut tier = Tier {
            store,
            blocks: vec![empty; blocks].into_boxed_slice(),
            heads: [NONE; CLASSES.len() + 1],
            used_bytes: 0,
        };
        for block in (0..blocks).rev() {
            tier.link(block);
        }
        tier
    }

    /// The store alone.
    pub fn into_store(self) -> S {
        self.store
    }

    /// Bytes of the store that blocks were made of.
    pub fn capacity(&self) -> u64 {
        (self.blocks.len() * BLOCK_BYTES) as u64
    }

    /// Bytes of the places that are taken.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// Keeps an object; none if there is no room for its size.
    pub fn put(&mut self, object: &[u8]) -> Option<u32> {
        let class = class_of(object.len())?;
        let block = match self.heads[class] {
            NONE => self.adopt_block(class)?,
            block => block as usize,
        };
        let index = self.first_free(block).filter(|index| *index < places(class))?;
        self.take(block, index);
        let place = block * BLOCK_GRANULES + index * CLASSES[class];
        self.store.write(place * GRANULE_BYTES, object);
        Some(place as u32)
    }

    /// The object at a place, and the account of its owner; none if what is there is none.
    pub fn get(&self, place: u32) -> Option<(&[u8], u16)> {
        let (block, index) = self.find(place)?;
        if !self.bit(block, index) {
            return None;
        }
        let (bytes, account) = self.header(place)?;
        let room = CLASSES[usize::from(self.blocks[block].class)] * GRANULE_BYTES;
        (bytes <= room).then(|| (self.store.slice(place as usize * GRANULE_BYTES, bytes), account))
    }

    /// Bytes that the place takes; 0 if it is none.
    pub fn charge(&self, place: u32) -> u64 {
        let class = self.find(place).map(|(block, _)| usize::from(self.blocks[block].class));
        class.map_or(0, |class| (CLASSES[class] * GRANULE_BYTES) as u64)
    }

    /// The account that a place is charged to, spoilt or not.
    pub fn account(&self, place: u32) -> Option<u16> {
        self.header(place).map(|(_, account)| account)
    }

    /// Gives a place back.
    pub fn remove(&mut self, place: u32) {
        let Some((block, index)) = self.find(place) else { return };
        if self.bit(block, index) {
            self.give(block, index);
        }
    }

    /// After a crash: a slot says that its object is here. False if it cannot be.
    pub fn recall(&mut self, place: u32) -> bool {
        let block = place as usize / BLOCK_GRANULES;
        let Some((bytes, _)) = self.header(place) else { return false };
        let Some(class) = class_of(bytes).filter(|_| block < self.blocks.len()) else { return false };
        let offset = place as usize % BLOCK_GRANULES;
        let index = offset / CLASSES[class];
        let free = usize::from(self.blocks[block].class) == EMPTY;
        let right = free || usize::from(self.blocks[block].class) == class;
        if !right
            || !offset.is_multiple_of(CLASSES[class])
            || index >= places(class)
            || self.bit(block, index)
        {
            return false;
        }
        if free {
            self.unlink(block);
            self.blocks[block].class = class as u8;
            self.link(block);
        }
        self.take(block, index);
        true
    }

    fn header(&self, place: u32) -> Option<(usize, u16)> {
        let offset = place as usize * GRANULE_BYTES;
        if offset + HEADER_BYTES > self.blocks.len() * BLOCK_BYTES {
            return None;
        }
        let bytes = self.store.slice(offset, HEADER_BYTES);
        Some(header([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// Block and index of a place.
    fn find(&self, place: u32) -> Option<(usize, usize)> {
        let (block, offset) = (place as usize / BLOCK_GRANULES, place as usize % BLOCK_GRANULES);
        let granules = CLASSES.get(usize::from(self.blocks.get(block)?.class))?;
        let index = offset / granules;
        (offset % granules == 0 && index < BLOCK_GRANULES / granules).then_some((block, index))
    }

    fn first_free(&self, block: usize) -> Option<usize> {
        let mut words = self.blocks[block].bits.iter().enumerate();
        words
            .find_map(|(index, word)| (*word != u64::MAX).then(|| index * 64 + word.trailing_ones() as usize))
    }

    fn bit(&self, block: usize, index: usize) -> bool {
        self.blocks[block].bits[index / 64] >> (index % 64) & 1 == 1
    }

    fn take(&mut self, block: usize, index: usize) {
        let one = &mut self.blocks[block];
        one.bits[index / 64] |= 1 << (index % 64);
        one.taken += 1;
        let class = usize::from(one.class);
        self.used_bytes += (CLASSES[class] * GRANULE_BYTES) as u64;
        if usize::from(one.taken) == places(class) {
            self.unlink(block);
        }
    }

    fn give(&mut self, block: usize, index: usize) {
        let one = &mut self.blocks[block];
        let class = usize::from(one.class);
        let was_full = usize::from(one.taken) == places(class);
        one.bits[index / 64] &= !(1 << (index % 64));
        one.taken -= 1;
        let is_empty = one.taken == 0;
        self.used_bytes -= (CLASSES[class] * GRANULE_BYTES) as u64;
        if was_full {
            self.link(block);
        }
        if is_empty {
            self.unlink(block);
            self.blocks[block].class = EMPTY as u8;
            self.link(block);
        }
    }

    fn adopt_block(&mut self, class: usize) -> Option<usize> {
        let block = self.heads[EMPTY];
        if block == NONE {
            return None;
        }
        self.unlink(block as usize);
        self.blocks[block as usize].class = class as u8;
        self.link(block as usize);
        Some(block as usize)
    }

    fn link(&mut self, block: usize) {
        let list = usize::from(self.blocks[block].class);
        let next = self.heads[list];
        self.blocks[block].previous = NONE;
        self.blocks[block].next = next;
        if next != NONE {
            self.blocks[next as usize].previous = block as u32;
        }
        self.heads[list] = block as u32;
    }

    fn unlink(&mut self, block: usize) {
        let Block { class, previous, next, .. } = self.blocks[block];
        match previous {
            NONE => self.heads[usize::from(class)] = next,
            previous => self.blocks[previous as usize].next = next,
        }
        if next != NONE {
            self.blocks[next as usize].previous = previous;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn object(bytes: usize, mark: u8) -> Vec<u8> {
        let mut object = vec![mark; bytes];
        object[..2].copy_from_slice(&((bytes - HEADER_BYTES) as u16).to_le_bytes());
        object
    }

    #[test]
    fn objects_come_back_and_their_places_are_used_again() {
        let mut memory = vec![0; 4 * BLOCK_BYTES];
        let mut tier = Tier::new(&mut memory[..]);
        let sizes = [12, 64, 65, 700, 1500, 3072];
        let fits: Vec<_> =
            sizes.iter().map(|bytes| (tier.put(&object(*bytes, *bytes as u8)), *bytes)).collect();
        for (place, bytes) in fits.iter().filter_map(|(place, bytes)| place.map(|place| (place, *bytes))) {
            assert_eq!(tier.get(place).unwrap().0, object(bytes, bytes as u8));
        }
        assert_eq!(fits.iter().filter(|(place, _)| place.is_some()).count(), 5, "four blocks, four classes");
        for place in fits.iter().filter_map(|(place, _)| *place) {
            tier.remove(place);
            assert_eq!(tier.get(place), None);
        }
        assert_eq!(tier.used_bytes(), 0);
        let all = (0..).take_while(|_| tier.put(&object(3072, 1)).is_some()).count();
        assert_eq!(all, 20, "five to a block");
    }

    #[test]
    fn what_was_taken_is_recalled_and_nothing_else_can_be() {
        let mut memory = vec![0; 4 * BLOCK_BYTES];
        let mut tier = Tier::new(&mut memory[..]);
        let first = tier.put(&object(100, 1)).unwrap();
        let second = tier.put(&object(100, 2)).unwrap();
        let used = tier.used_bytes();
        let mut tier = Tier::new(&mut memory[..]);
        assert!(tier.recall(first) && tier.recall(second));
        assert!(!tier.recall(first), "twice");
        assert!(!tier.recall(second + 1), "between places");
        assert!(!tier.recall(u32::MAX >> 10), "beyond the end");
        assert_eq!(tier.used_bytes(), used);
        assert_eq!(tier.get(second).unwrap().0, object(100, 2));
    }
}
