//! Pages of each kind, from a seed.

use default_pager_core::Page;
use default_pager_core::limits::PAGE_BYTES;

/// Random numbers that a seed repeats (splitmix64, Steele and others, 2014).
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Below a bound.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Zeros.
    Zeros,
    /// One word that the table can hold.
    ShortWord,
    /// One word that it cannot.
    LongWord,
    /// Compressible.
    Text,
    /// Not compressible.
    Noise,
}

pub const KINDS: [Kind; 5] = [Kind::Zeros, Kind::ShortWord, Kind::LongWord, Kind::Text, Kind::Noise];

/// A page of a kind; another seed is another page, zeros excepted.
pub fn page(kind: Kind, seed: u64) -> Box<Page> {
    let mut random = Random(seed);
    let mut page = Box::new([0; PAGE_BYTES]);
    match kind {
        Kind::Zeros => {}
        Kind::ShortWord => default_pager_core::codec::fill(&mut page, seed % 1_000_000 + 1),
        Kind::LongWord => default_pager_core::codec::fill(&mut page, random.next() | 1 << 63 | 1 << 40),
        Kind::Text => {
            let words: Vec<u64> = (0..20 + random.below(60)).map(|_| random.next()).collect();
            for place in page.chunks_mut(6) {
                let word = words[random.below(words.len())].to_le_bytes();
                place.copy_from_slice(&word[..place.len()]);
            }
        }
        Kind::Noise => page.iter_mut().for_each(|byte| *byte = random.next() as u8),
    }
    page
}
