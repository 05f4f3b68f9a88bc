//! Output: bytes on their way to the line, in the order in which writers came.
//!
//! A write is taken in whole or waits whole; the writer is answered when its bytes are in. A writer that must
//! wait keeps all later ones waiting, so that nobody's lines are torn apart.

use crate::{OUTPUT_BYTES, Ring, WRITERS_MAX};

/// A write that waits for room: whom to answer, and its bytes.
#[derive(Debug)]
pub struct Waiting<C, B> {
    /// Whom to answer.
    pub caller: C,
    /// What it writes; at most [`OUTPUT_BYTES`].
    pub bytes: B,
}

/// All of the output. `B` holds a waiting writer's bytes.
#[derive(Debug)]
pub struct Output<C, B> {
    bytes: Ring<OUTPUT_BYTES>,
    waiting: [Option<Waiting<C, B>>; WRITERS_MAX],
    first: usize,
    count: usize,
}

impl<C, B: AsRef<[u8]>> Output<C, B> {
    /// Nothing written, nobody waits.
    pub const fn new() -> Output<C, B> {
        Output { bytes: Ring::new(), waiting: [const { None }; WRITERS_MAX], first: 0, count: 0 }
    }

    /// Takes bytes in; false if they must wait.
    pub fn take_in(&mut self, bytes: &[u8]) -> bool {
        if self.count > 0 || bytes.len() > self.bytes.room() {
            return false;
        }
        self.append(bytes);
        true
    }

    fn append(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let fits = self.bytes.push(byte);
            debug_assert!(fits);
        }
    }

    /// Whether another writer can wait.
    pub fn has_place(&self) -> bool {
        self.count < WRITERS_MAX
    }

    /// A writer waits from now on, where there is a place for it.
    pub fn wait(&mut self, waiting: Waiting<C, B>) -> Result<(), Waiting<C, B>> {
        if !self.has_place() {
            return Err(waiting);
        }
        self.waiting[(self.first + self.count) % WRITERS_MAX] = Some(waiting);
        self.count += 1;
        Ok(())
    }

    /// Takes in the bytes of the first waiting writer if they fit now; whom to answer.
    pub fn admit(&mut self) -> Option<C> {
        let waiting =
            self.waiting[self.first].take_if(|one| one.bytes.as_ref().len() <= self.bytes.room())?;
        self.first = (self.first + 1) % WRITERS_MAX;
        self.count -= 1;
        self.append(waiting.bytes.as_ref());
        Some(waiting.caller)
    }

    /// The next byte for the line.
    pub fn next_byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(0);
        self.bytes.discard(1);
        byte
    }

    /// Whether nothing is on its way; writers may wait all the same.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether nothing is on its way and nobody waits.
    pub fn is_idle(&self) -> bool {
        self.bytes.is_empty() && self.count == 0
    }
}

impl<C, B: AsRef<[u8]>> Default for Output<C, B> {
    fn default() -> Self {
        Output::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn drain(output: &mut Output<u32, Vec<u8>>, count: usize) -> Vec<u8> {
        (0..count).map_while(|_| output.next_byte()).collect()
    }

    #[test]
    fn bytes_come_out_in_order_and_waiting_writers_keep_theirs() {
        let mut output = Output::new();
        assert!(output.take_in(&[b'a'; OUTPUT_BYTES - 1]));
        assert!(!output.take_in(b"bb"), "it does not fit whole");
        output.wait(Waiting { caller: 1, bytes: b"bb".to_vec() }).unwrap();
        assert!(!output.is_idle());
        assert!(!output.take_in(b"c"), "it would overtake");
        output.wait(Waiting { caller: 2, bytes: b"c".to_vec() }).unwrap();
        assert_eq!(output.admit(), None);
        drain(&mut output, 2);
        assert_eq!((output.admit(), output.admit()), (Some(1), Some(2)));
        drain(&mut output, OUTPUT_BYTES - 3);
        assert_eq!(drain(&mut output, 9), b"bbc");
        assert!(output.is_empty() && output.is_idle() && output.next_byte().is_none());
    }

    #[test]
    fn waiting_places_are_bounded_and_reused() {
        let mut output = Output::new();
        assert!(output.take_in(&[0; OUTPUT_BYTES]));
        for round in 0..3 {
            for caller in 0..WRITERS_MAX as u32 {
                output.wait(Waiting { caller, bytes: vec![1] }).unwrap();
            }
            assert!(!output.has_place());
            assert_eq!(output.wait(Waiting { caller: 99, bytes: vec![] }).unwrap_err().caller, 99);
            drain(&mut output, OUTPUT_BYTES);
            let admitted: Vec<u32> = core::iter::from_fn(|| output.admit()).collect();
            assert!(admitted.into_iter().eq(0..WRITERS_MAX as u32), "round {round}");
            assert!(output.take_in(&[0; OUTPUT_BYTES - WRITERS_MAX]));
        }
    }
}
