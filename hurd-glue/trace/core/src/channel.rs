//! Memory that guest and host both see, by which events leave the machine: under QEMU the shared memory of an `ivshmem`
//! device (QEMU, "Inter-VM Shared Memory device"), a file of the host.
//!
//! ```text
//! word 0  MAGIC of the host | capacity | written | read | clock: counter at boot, multiplier | MAGIC of the guest
//! word 512  record 0 | record 1 | ...          record n of all lies in place n modulo capacity
//! ```
//! The guest raises `written` once records are in place, the host `read` once it has them. Neither waits: a record that
//! finds no room is counted by its writer.

use crate::rings::Words;
use kernel_abi::trace::EVENT_WORDS;

/// Bytes of the memory.
pub const CHANNEL_BYTES: u64 = 16 << 20;
/// Words before the first record.
pub const AT_RECORDS: usize = 512;
/// Records that have room.
pub const CAPACITY: u64 = (CHANNEL_BYTES / 8 - AT_RECORDS as u64) / EVENT_WORDS as u64;

/// Word: [`HOST_MAGIC`], when the host is ready.
pub const AT_HOST_MAGIC: usize = 0;
/// Word: records ever written, by the guest.
pub const AT_WRITTEN: usize = 1;
/// Word: records ever read, by the host.
pub const AT_READ: usize = 2;
/// Word: the time-stamp counter at boot, by the guest.
pub const AT_BOOT: usize = 3;
/// Word: nanoseconds of a tick times 2^32, by the guest.
pub const AT_MULTIPLIER: usize = 4;
/// Word: [`GUEST_MAGIC`], when the guest has set the others.
pub const AT_GUEST_MAGIC: usize = 5;

/// The host speaks this version.
pub const HOST_MAGIC: u64 = 0x5445_4e55_5245_0201;
/// The guest speaks this version.
pub const GUEST_MAGIC: u64 = 0x5445_4e55_5245_0301;

/// First word of a record.
pub const fn place(record: u64) -> usize {
    AT_RECORDS + (record % CAPACITY) as usize * EVENT_WORDS
}

/// The memory, word by word.
pub trait Memory {
    /// Reads a word; another one may write it.
    fn read(&self, word: usize) -> u64;
    /// Writes a word, after those written before.
    fn write(&mut self, word: usize, value: u64);
}

/// The guest's end.
pub struct Sender<M> {
    memory: M,
    written: u64,
    read: u64,
}

/// Nobody is at the other end, or somebody who speaks otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NobodyThere;

impl<M: Memory> Sender<M> {
    /// Begins: says how the time-stamp counter is to be read.
    pub fn new(mut memory: M, boot: u64, multiplier: u64) -> Result<Sender<M>, NobodyThere> {
        if memory.read(AT_HOST_MAGIC) != HOST_MAGIC {
            return Err(NobodyThere);
        }
        // A collector before this one may have written already.
        let written = memory.read(AT_WRITTEN);
        memory.write(AT_BOOT, boot);
        memory.write(AT_MULTIPLIER, multiplier);
        memory.write(AT_GUEST_MAGIC, GUEST_MAGIC);
        let read = memory.read(AT_READ);
        Ok(Sender { memory, written, read })
    }

    /// Whether a collector before this one has sent something.
    pub fn is_continued(&self) -> bool {
        self.written != 0
    }

    /// Puts a record in place. False: there is no room for it.
    pub fn put(&mut self, words: &Words) -> bool {
        if self.written.wrapping_sub(self.read) >= CAPACITY {
            self.read = self.memory.read(AT_READ);
            if self.written.wrapping_sub(self.read) >= CAPACITY {
                return false;
            }
        }
        let place = place(self.written);
        for (index, &word) in words.iter().enumerate() {
            self.memory.write(place + index, word);
        }
        self.written += 1;
        true
    }

    /// Lets the host have what was put in place.
    pub fn publish(&mut self) {
        self.memory.write(AT_WRITTEN, self.written);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    struct Plain(Vec<u64>);

    impl Memory for &mut Plain {
        fn read(&self, word: usize) -> u64 {
            self.0[word]
        }
        fn write(&mut self, word: usize, value: u64) {
            self.0[word] = value;
        }
    }

    fn memory() -> Plain {
        let mut words = vec![0; (CHANNEL_BYTES / 8) as usize];
        words[AT_HOST_MAGIC] = HOST_MAGIC;
        Plain(words)
    }

    #[test]
    fn records_are_seen_when_they_are_published() {
        let mut memory = memory();
        let mut sender = Sender::new(&mut memory, 5, 6).unwrap();
        assert!(sender.put(&[7; EVENT_WORDS]));
        assert_eq!(sender.memory.read(AT_WRITTEN), 0);
        sender.publish();
        assert_eq!((memory.0[AT_WRITTEN], memory.0[place(0)]), (1, 7));
        assert_eq!(
            (memory.0[AT_BOOT], memory.0[AT_MULTIPLIER], memory.0[AT_GUEST_MAGIC]),
            (5, 6, GUEST_MAGIC)
        );
        let mut next = Sender::new(&mut memory, 5, 6).unwrap();
        assert!(next.is_continued());
        assert!(next.put(&[8; EVENT_WORDS]));
        assert_eq!(memory.0[place(1)], 8, "the next collector goes on where the last one was");
    }

    #[test]
    fn a_full_channel_takes_nothing_until_the_host_has_read() {
        let mut memory = memory();
        let mut sender = Sender::new(&mut memory, 0, 0).unwrap();
        for _ in 0..CAPACITY {
            assert!(sender.put(&[1; EVENT_WORDS]));
        }
        assert!(!sender.put(&[2; EVENT_WORDS]));
        sender.memory.write(AT_READ, 1);
        assert!(sender.put(&[3; EVENT_WORDS]) && !sender.put(&[4; EVENT_WORDS]));
        assert_eq!(sender.memory.read(place(0)), 3, "it begins anew");
    }

    #[test]
    fn without_a_host_there_is_no_channel() {
        let mut memory = memory();
        memory.0[AT_HOST_MAGIC] += 1;
        assert!(Sender::new(&mut memory, 0, 0).is_err());
    }
}
