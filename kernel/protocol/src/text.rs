//! Bytes of bounded length inside a message: names, paths, small contents.

use crate::{Field, Malformed, Reader, Writer};

/// Up to `BYTES` bytes of UTF-8, kept inline. On the wire: one word of length, then the bytes, eight a word,
/// little-endian, the last word filled with zeros.
#[derive(Clone, Copy)]
pub struct Text<const BYTES: usize> {
    length: u16,
    bytes: [u8; BYTES],
}

impl<const BYTES: usize> Text<BYTES> {
    /// The text, unless it is longer than `BYTES`.
    pub fn new(text: &str) -> Option<Text<BYTES>> {
        let mut bytes = [0; BYTES];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Text { length: u16::try_from(text.len()).ok()?, bytes })
    }

    /// As much of the text as fits, cut between characters.
    pub fn truncated(text: &str) -> Text<BYTES> {
        let end = (0..=text.len().min(BYTES)).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        let mut bytes = [0; BYTES];
        bytes[..end].copy_from_slice(&text.as_bytes()[..end]);
        Text { length: end as u16, bytes }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or("")
    }

    /// The text's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl<const BYTES: usize> PartialEq for Text<BYTES> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<const BYTES: usize> Eq for Text<BYTES> {}

impl<const BYTES: usize> core::fmt::Debug for Text<BYTES> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.as_str().fmt(formatter)
    }
}

impl<const BYTES: usize> core::fmt::Display for Text<BYTES> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.as_str().fmt(formatter)
    }
}

impl<const BYTES: usize> Field for Text<BYTES> {
    const MAX_WORDS: usize = 1 + BYTES.div_ceil(8);

    fn put(&self, writer: &mut Writer<'_>) {
        put_bytes(self.as_bytes(), writer);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut bytes = [0; BYTES];
        let length = take_bytes(&mut bytes, reader)?;
        core::str::from_utf8(&bytes[..usize::from(length)]).map_err(|_| Malformed)?;
        Ok(Text { length, bytes })
    }
}

/// Up to `BYTES` bytes, kept inline; encoded like [`Text`], of any content.
#[derive(Clone, Copy)]
pub struct Bytes<const BYTES: usize> {
    length: u16,
    bytes: [u8; BYTES],
}

impl<const BYTES: usize> Bytes<BYTES> {
    /// The bytes, unless there are more than `BYTES`.
    pub fn new(source: &[u8]) -> Option<Bytes<BYTES>> {
        let mut bytes = [0; BYTES];
        bytes.get_mut(..source.len())?.copy_from_slice(source);
        Some(Bytes { length: u16::try_from(source.len()).ok()?, bytes })
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl<const BYTES: usize> PartialEq for Bytes<BYTES> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<const BYTES: usize> Eq for Bytes<BYTES> {}

impl<const BYTES: usize> core::fmt::Debug for Bytes<BYTES> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.as_slice().fmt(formatter)
    }
}

impl<const BYTES: usize> Field for Bytes<BYTES> {
    const MAX_WORDS: usize = 1 + BYTES.div_ceil(8);

    fn put(&self, writer: &mut Writer<'_>) {
        put_bytes(self.as_slice(), writer);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut bytes = [0; BYTES];
        let length = take_bytes(&mut bytes, reader)?;
        Ok(Bytes { length, bytes })
    }
}

fn put_bytes(bytes: &[u8], writer: &mut Writer<'_>) {
    writer.word(bytes.len() as u64);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        writer.word(u64::from_le_bytes(word));
    }
}

fn take_bytes(bytes: &mut [u8], reader: &mut Reader<'_>) -> Result<u16, Malformed> {
    let length = usize::try_from(reader.word()?).map_err(|_| Malformed)?;
    let target = bytes.get_mut(..length).ok_or(Malformed)?;
    for (chunk, &word) in target.chunks_mut(8).zip(reader.words(length.div_ceil(8))?) {
        let word = word.to_le_bytes();
        if word[chunk.len()..].iter().any(|&byte| byte != 0) {
            return Err(Malformed);
        }
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
    u16::try_from(length).map_err(|_| Malformed)
}
