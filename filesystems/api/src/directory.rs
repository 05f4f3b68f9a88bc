//! Directory entries packed into one message.

use crate::file::{NAME_BYTES, NodeKind};
use kernel_protocol::{Bytes, Field, Malformed, Message, Reader, Writer};

/// Bytes of packed entries in one answer. Large enough for one entry with the longest name.
pub const ENTRIES_BYTES: usize = 480;

/// Bytes of an entry before its name: inode (8), cookie after it (8), kind (1), length of the name (1).
const HEAD_BYTES: usize = 18;

/// One name in a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Number of the node.
    pub inode: u64,
    /// What it is.
    pub kind: NodeKind,
    /// Ask with this for what follows.
    pub next: u64,
    /// Its name: any bytes but `/` and 0.
    pub name: &'a [u8],
}

/// Answer to [`crate::file::DirReaddir`]: as many entries as fit. None: the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entries {
    bytes: Bytes<ENTRIES_BYTES>,
}

/// Packs entries.
pub struct EntriesBuilder {
    bytes: [u8; ENTRIES_BYTES],
    used: usize,
}

impl EntriesBuilder {
    /// Nothing packed yet.
    pub const fn new() -> EntriesBuilder {
        EntriesBuilder { bytes: [0; ENTRIES_BYTES], used: 0 }
    }

    /// Adds an entry; false if it does not fit any more. A name longer than [`NAME_BYTES`] is cut.
    pub fn push(&mut self, entry: Entry<'_>) -> bool {
        let name = &entry.name[..entry.name.len().min(NAME_BYTES)];
        let Some(room) = self.bytes.get_mut(self.used..self.used + HEAD_BYTES + name.len()) else {
            return false;
        };
        room[..8].copy_from_slice(&entry.inode.to_le_bytes());
        room[8..16].copy_from_slice(&entry.next.to_le_bytes());
        room[16] = entry.kind as u8;
        room[17] = name.len() as u8;
        room[HEAD_BYTES..].copy_from_slice(name);
        self.used += HEAD_BYTES + name.len();
        true
    }

    /// The answer.
    pub fn finish(self) -> Entries {
        Entries { bytes: Bytes::new(&self.bytes[..self.used]).expect("the builder's room is the answer's") }
    }
}

impl Default for EntriesBuilder {
    fn default() -> Self {
        EntriesBuilder::new()
    }
}

impl Entries {
    /// The entries in order.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut rest = self.bytes.as_slice();
        core::iter::from_fn(move || {
            let (entry, after) = parse(rest)?;
            rest = after;
            Some(entry)
        })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.as_slice().is_empty()
    }
}

fn parse(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    let (name, rest) = rest.split_at_checked(usize::from(head[17]))?;
    let number = |range: core::ops::Range<usize>| {
        let mut word = [0; 8];
        word.copy_from_slice(&head[range]);
        u64::from_le_bytes(word)
    };
    let kind = NodeKind::from_number(u64::from(head[16]))?;
    Some((Entry { inode: number(0..8), kind, next: number(8..16), name }, rest))
}

impl Message for Entries {
    const MAX_WORDS: usize = <Bytes<ENTRIES_BYTES> as Field>::MAX_WORDS;

    fn encode(&self, out: &mut [u64]) -> usize {
        let mut writer = Writer::new(out);
        self.bytes.put(&mut writer);
        writer.used()
    }

    fn decode(words: &[u64]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(words);
        let bytes = Bytes::<ENTRIES_BYTES>::take(&mut reader)?;
        reader.finish()?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            rest = parse(rest).ok_or(Malformed)?.1;
        }
        Ok(Entries { bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_the_words_and_the_longest_name_fits() {
        let mut builder = EntriesBuilder::new();
        let long = [b'x'; NAME_BYTES];
        let entry = Entry { inode: 7, kind: NodeKind::File, next: 3, name: &long };
        assert!(builder.push(entry));
        assert!(!builder.push(entry), "two of the longest do not fit");
        let short = Entry { inode: u64::MAX, kind: NodeKind::Link, next: 9, name: b"\xff\xfe" };
        assert!(builder.push(short));
        let entries = builder.finish();
        let mut words = [0; Entries::MAX_WORDS];
        let used = entries.encode(&mut words);
        let entries = Entries::decode(&words[..used]).unwrap();
        assert!(entries.iter().eq([entry, short]));
        words[3] = 0;
        assert_eq!(Entries::decode(&words[..used]), Err(Malformed), "no such kind");
    }
}
