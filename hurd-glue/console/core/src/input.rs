//! Input: bytes that arrive, and the one caller that may wait for them.
//!
//! A caller that waits may be gone when input comes; the bytes stay until an answer has really been delivered.
//! A caller with the foreground right never finds somebody else in its place: it takes the place, and whoever
//! waited is told so.

use crate::{CONTROL_C, INPUT_BYTES, Ring};

/// What to do with a byte that arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrived {
    /// It is input now.
    Input,
    /// Signal Ctrl-C, and end the read of whoever waits.
    Interrupt,
    /// Nobody read for so long that it is lost.
    Lost,
}

/// A caller that waits for input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reader<C> {
    /// Whom to answer.
    pub caller: C,
    /// It may say what Ctrl-C does.
    pub is_foreground: bool,
}

/// Somebody else reads already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused<C>(pub C);

/// All of the input.
#[derive(Debug)]
pub struct Input<C> {
    bytes: Ring<INPUT_BYTES>,
    is_armed: bool,
    reader: Option<Reader<C>>,
}

impl<C> Input<C> {
    /// Nothing arrived, nobody waits, Ctrl-C is input.
    pub const fn new() -> Input<C> {
        Input { bytes: Ring::new(), is_armed: false, reader: None }
    }

    /// Whether Ctrl-C signals from now on.
    pub fn arm(&mut self, armed: bool) {
        self.is_armed = armed;
    }

    /// A byte came from the line. After [`Arrived::Interrupt`] what was typed before is forgotten, as terminals
    /// do.
    pub fn arrive(&mut self, byte: u8) -> Arrived {
        if self.is_armed && byte == CONTROL_C {
            self.bytes.discard(usize::MAX);
            return Arrived::Interrupt;
        }
        if self.bytes.push(byte) { Arrived::Input } else { Arrived::Lost }
    }

    /// Whether there is input.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The first bytes of the input; they stay.
    pub fn peek(&self, out: &mut [u8]) -> usize {
        self.bytes.peek(out)
    }

    /// So many bytes were delivered.
    pub fn delivered(&mut self, count: usize) {
        self.bytes.discard(count);
    }

    /// A caller waits from now on. The one that waited before it and must give way, if any.
    pub fn wait(&mut self, reader: Reader<C>) -> Result<Option<C>, Refused<C>> {
        if self.reader.is_some() && !reader.is_foreground {
            return Err(Refused(reader.caller));
        }
        Ok(self.reader.replace(reader).map(|gone| gone.caller))
    }

    /// Whoever waits, waiting no more.
    pub fn take_reader(&mut self) -> Option<C> {
        self.reader.take().map(|reader| reader.caller)
    }
}

impl<C> Default for Input<C> {
    fn default() -> Self {
        Input::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(caller: u32) -> Reader<u32> {
        Reader { caller, is_foreground: false }
    }

    #[test]
    fn control_c_is_input_until_it_is_armed() {
        let mut input = Input::<u32>::new();
        assert_eq!(input.arrive(CONTROL_C), Arrived::Input);
        assert_eq!(input.arrive(b'x'), Arrived::Input);
        input.arm(true);
        assert_eq!(input.arrive(CONTROL_C), Arrived::Interrupt);
        assert!(input.is_empty(), "what was typed ahead is forgotten");
        assert_eq!(input.arrive(b'y'), Arrived::Input);
        input.arm(false);
        assert_eq!(input.arrive(CONTROL_C), Arrived::Input);
    }

    #[test]
    fn bytes_stay_until_they_are_delivered() {
        let mut input = Input::<u32>::new();
        for &byte in b"hello" {
            input.arrive(byte);
        }
        let mut out = [0; 3];
        assert_eq!((input.peek(&mut out), &out), (3, b"hel"));
        assert_eq!((input.peek(&mut out), &out), (3, b"hel"), "the reader was gone");
        input.delivered(3);
        assert_eq!((input.peek(&mut out), &out[..2]), (2, &b"lo"[..]));
    }

    #[test]
    fn input_is_bounded() {
        let mut input = Input::<u32>::new();
        assert!((0..INPUT_BYTES).all(|_| input.arrive(b'x') == Arrived::Input));
        assert_eq!(input.arrive(b'x'), Arrived::Lost);
    }

    #[test]
    fn one_waits_and_the_foreground_goes_before() {
        let mut input = Input::new();
        assert_eq!(input.wait(program(1)), Ok(None));
        assert_eq!(input.wait(program(2)), Err(Refused(2)));
        assert_eq!(input.wait(Reader { caller: 3, is_foreground: true }), Ok(Some(1)));
        assert_eq!((input.take_reader(), input.take_reader()), (Some(3), None));
    }
}
