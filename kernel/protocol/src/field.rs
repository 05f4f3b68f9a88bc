//! Parts of a message and the cursors that write and read them.

use crate::Malformed;

/// Writes words in order. The buffer is as large as the message's `MAX_WORDS`, so writing cannot fail.
pub struct Writer<'a> {
    words: &'a mut [u64],
    used: usize,
}

impl<'a> Writer<'a> {
    /// Starts at the front of `words`.
    pub fn new(words: &'a mut [u64]) -> Writer<'a> {
        Writer { words, used: 0 }
    }

    /// Appends a word.
    pub fn word(&mut self, word: u64) {
        self.words[self.used] = word;
        self.used += 1;
    }

    /// Words written so far.
    pub fn used(&self) -> usize {
        self.used
    }
}

/// Reads words in order.
pub struct Reader<'a> {
    words: &'a [u64],
}

impl<'a> Reader<'a> {
    /// Starts at the front of `words`.
    pub fn new(words: &'a [u64]) -> Reader<'a> {
        Reader { words }
    }

    /// The next word.
    pub fn word(&mut self) -> Result<u64, Malformed> {
        let (&word, rest) = self.words.split_first().ok_or(Malformed)?;
        self.words = rest;
        Ok(word)
    }

    /// The next `count` words.
    pub fn words(&mut self, count: usize) -> Result<&'a [u64], Malformed> {
        let (words, rest) = self.words.split_at_checked(count).ok_or(Malformed)?;
        self.words = rest;
        Ok(words)
    }

    /// Checks that nothing is left over.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.words.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// A part of a message.
pub trait Field: Sized {
    /// Words it needs at most.
    const MAX_WORDS: usize;
    /// Appends it.
    fn put(&self, writer: &mut Writer<'_>);
    /// Reads it.
    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed>;
}

macro_rules! number_fields {
    ($($type:ty),*) => { $(
        impl Field for $type {
            const MAX_WORDS: usize = 1;

            fn put(&self, writer: &mut Writer<'_>) {
                writer.word(u64::from(*self));
            }

            fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                <$type>::try_from(reader.word()?).map_err(|_| Malformed)
            }
        }
    )* };
}

number_fields!(u8, u16, u32, u64);

impl Field for bool {
    const MAX_WORDS: usize = 1;

    fn put(&self, writer: &mut Writer<'_>) {
        writer.word(u64::from(*self));
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match reader.word()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }
}
