//! A bit for each place, sixty-four in a word: what many places have in common is found and changed for all of them together.

use alloc::vec;
use alloc::vec::Vec;

const WORD: u32 = u64::BITS;

/// Bits, all clear at first.
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub fn new(bits: u32) -> Bits {
        Bits(vec![0; bits.div_ceil(WORD) as usize])
    }

    pub fn get(&self, bit: u32) -> bool {
        self.0[(bit / WORD) as usize] >> (bit % WORD) & 1 != 0
    }

    /// Changes a bit; what it was.
    pub fn set(&mut self, bit: u32, to: bool) -> bool {
        let word = &mut self.0[(bit / WORD) as usize];
        let was = *word >> (bit % WORD) & 1 != 0;
        *word = *word & !(1 << (bit % WORD)) | u64::from(to) << (bit % WORD);
        was
    }

    /// Changes successive bits.
    pub fn set_all(&mut self, first: u32, count: u32, to: bool) {
        let mut done = 0;
        while done < count {
            let (word, bit) = ((first + done) / WORD, (first + done) % WORD);
            let bits = (count - done).min(WORD - bit);
            let mask = u64::MAX >> (WORD - bits) << bit;
            let word = &mut self.0[word as usize];
            *word = if to { *word | mask } else { *word & !mask };
            done += bits;
        }
    }

    /// How many bits from one on are set, up to the first that is not, at most `most`. There are none behind the last.
    pub fn count_set(&self, first: u32, most: u32) -> u32 {
        let mut count = 0;
        while count < most {
            let (word, bit) = ((first + count) / WORD, (first + count) % WORD);
            let Some(word) = self.0.get(word as usize) else { break };
            let ones = (!(word >> bit)).trailing_zeros().min(WORD - bit);
            count += ones;
            if ones < WORD - bit {
                break;
            }
        }
        count.min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::Bits;

    #[test]
    fn bits_agree_with_a_list() {
        let mut bits = Bits::new(300);
        let mut list = [false; 320];
        let mut random = 7_u64;
        let mut next = |bound: u32| {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (random >> 33) as u32 % bound
        };
        for _ in 0..4000 {
            let (first, to) = (next(300), next(2) == 0);
            if next(2) == 0 {
                assert_eq!(bits.set(first, to), list[first as usize]);
                list[first as usize] = to;
            } else {
                let count = next(301 - first);
                bits.set_all(first, count, to);
                list[first as usize..(first + count) as usize].fill(to);
            }
            let (from, most) = (next(300), next(320));
            assert_eq!(bits.get(from), list[from as usize]);
            let set = list[from as usize..].iter().take_while(|&&bit| bit).count() as u32;
            assert_eq!(bits.count_set(from, most), set.min(most));
        }
    }
}
