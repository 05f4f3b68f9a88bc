//! A queue of bytes in an array.

/// Up to `BYTES` bytes, first in, first out.
#[derive(Clone, Debug)]
pub struct Ring<const BYTES: usize> {
    bytes: [u8; BYTES],
    first: usize,
    used: usize,
}

impl<const BYTES: usize> Ring<BYTES> {
    /// Empty.
    pub const fn new() -> Ring<BYTES> {
        Ring { bytes: [0; BYTES], first: 0, used: 0 }
    }

    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Bytes that still fit.
    pub fn room(&self) -> usize {
        BYTES - self.used
    }

    /// Adds a byte; false if it is full.
    pub fn push(&mut self, byte: u8) -> bool {
        if self.used == BYTES {
            return false;
        }
        self.bytes[(self.first + self.used) % BYTES] = byte;
        self.used += 1;
        true
    }

    /// The byte `index` places from the front.
    pub fn get(&self, index: usize) -> Option<u8> {
        (index < self.used).then(|| self.bytes[(self.first + index) % BYTES])
    }

    /// Takes up to `count` bytes away from the front.
    pub fn discard(&mut self, count: usize) {
        let count = count.min(self.used);
        self.first = (self.first + count) % BYTES;
        self.used -= count;
    }

    /// Copies bytes from the front, without taking them away; how many.
    pub fn peek(&self, out: &mut [u8]) -> usize {
        let count = out.len().min(self.used);
        for (index, byte) in out[..count].iter_mut().enumerate() {
            *byte = self.bytes[(self.first + index) % BYTES];
        }
        count
    }
}

impl<const BYTES: usize> Default for Ring<BYTES> {
    fn default() -> Self {
        Ring::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    #[test]
    fn it_behaves_like_a_bounded_queue() {
        let mut ring = Ring::<7>::new();
        let mut model = VecDeque::new();
        let mut random = 1_u32;
        for _ in 0..10_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let byte = (random >> 24) as u8;
            if random & 0x1_0000 == 0 {
                let fits = model.len() < 7;
                assert_eq!(ring.push(byte), fits);
                if fits {
                    model.push_back(byte);
                }
            } else {
                let count = usize::from(byte % 4);
                let mut out = [0; 3];
                let seen = ring.peek(&mut out[..count.min(3)]);
                assert!(out[..seen].iter().eq(model.iter().take(seen)));
                assert_eq!(ring.get(1), model.get(1).copied());
                ring.discard(count);
                model.drain(..count.min(model.len()));
            }
            assert_eq!(
                (ring.len(), ring.room(), ring.is_empty()),
                (model.len(), 7 - model.len(), model.is_empty())
            );
        }
    }
}
