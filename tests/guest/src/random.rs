//! Random numbers that a seed repeats (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).

/// A generator.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub const fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below a bound, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// A number that is likely to be at some edge: small, a power of two and its neighbours, all ones, or anything.
    pub fn edgy(&mut self) -> u64 {
        match self.below(8) {
            0 => self.below(4),
            1 => self.below(64),
            2 | 3 => (1u64 << self.below(64)).wrapping_add(self.below(3)).wrapping_sub(1),
            4 => u64::MAX - self.below(4),
            5 => self.below(1 << 20) << 12,
            _ => self.number(),
        }
    }
}
