//! The host's end of the memory through which events leave the guest: a file that QEMU maps. It is read and written as a
//! file, which is the same memory (the page cache is one).
//!
//! What the guest wrote is not trusted: counts are bounded, unknown records are counted.

use crate::{Failure, Result};
use hurd_glue_trace_core::channel::{
    AT_BOOT, AT_GUEST_MAGIC, AT_HOST_MAGIC, AT_MULTIPLIER, AT_READ, AT_WRITTEN, CAPACITY, CHANNEL_BYTES,
    GUEST_MAGIC, HOST_MAGIC, place,
};
use kernel_abi::boot::ClockPage;
use kernel_abi::trace::{EVENT_WORDS, Event};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes of a record.
const RECORD_BYTES: usize = EVENT_WORDS * 8;
/// Records that are read at a time.
const RECORDS_AT_ONCE: u64 = 4096;

/// The host's end.
pub struct Channel {
    file: File,
    read: u64,
}

/// What has come.
pub struct Received {
    /// How the guest's time is to be read.
    pub clock: ClockPage,
    /// Events.
    pub events: Vec<Event>,
    /// Records of no known kind.
    pub unknown: u64,
}

impl Channel {
    /// Makes the memory, ready for a guest.
    pub fn create(path: &Path) -> Result<Channel> {
        let open = || -> io::Result<File> {
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            file.set_len(CHANNEL_BYTES)?;
            file.write_all_at(&HOST_MAGIC.to_le_bytes(), AT_HOST_MAGIC as u64 * 8)?;
            Ok(file)
        };
        let file = open().map_err(|error| Failure::file("write", path, &error))?;
        Ok(Channel { file, read: 0 })
    }

    fn word(&self, index: usize) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, index as u64 * 8)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Takes what has come since the last time.
    pub fn receive(&mut self) -> io::Result<Received> {
        let clock = ClockPage { tsc_at_boot: self.word(AT_BOOT)?, multiplier: self.word(AT_MULTIPLIER)? };
        let mut received = Received { clock, events: Vec::new(), unknown: 0 };
        if self.word(AT_GUEST_MAGIC)? != GUEST_MAGIC {
            return Ok(received);
        }
        // A guest cannot have written more than there was room for.
        let waiting = self.word(AT_WRITTEN)?.wrapping_sub(self.read).min(CAPACITY);
        let end = self.read + waiting.min(RECORDS_AT_ONCE);
        while self.read < end {
            // As many as lie in a row.
            let count = (end - self.read).min(CAPACITY - self.read % CAPACITY);
            let mut bytes = vec![0; count as usize * RECORD_BYTES];
            self.file.read_exact_at(&mut bytes, place(self.read) as u64 * 8)?;
            for record in bytes.chunks_exact(RECORD_BYTES) {
                let mut words = record
                    .chunks_exact(8)
                    .map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
                match Event::from_words(std::array::from_fn(|_| words.next().unwrap_or_default())) {
                    Some(event) => received.events.push(event),
                    None => received.unknown += 1,
                }
            }
            self.read += count;
        }
        self.file.write_all_at(&self.read.to_le_bytes(), AT_READ as u64 * 8)?;
        Ok(received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hurd_glue_trace_core::channel::{Memory, Sender};
    use kernel_abi::trace::EventKind;

    /// The guest's end of the same file.
    struct Guest(File);

    impl Memory for Guest {
        fn read(&self, word: usize) -> u64 {
            let mut bytes = [0; 8];
            self.0.read_exact_at(&mut bytes, word as u64 * 8).unwrap();
            u64::from_le_bytes(bytes)
        }
        fn write(&mut self, word: usize, value: u64) {
            self.0.write_all_at(&value.to_le_bytes(), word as u64 * 8).unwrap();
        }
    }

    fn event(number: u64) -> Event {
        let arguments = [number, 0, 0, 0, 0, 0];
        Event { time: number, kind: EventKind::Copied, processor: 0, subject: 1, arguments }
    }

    fn all(channel: &mut Channel) -> Vec<Event> {
        let mut all = Vec::new();
        loop {
            let events = channel.receive().unwrap().events;
            if events.is_empty() {
                return all;
            }
            all.extend(events);
        }
    }

    #[test]
    fn what_the_guest_sends_arrives_once_and_in_order() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut channel = Channel::create(file.path()).unwrap();
        assert!(channel.receive().unwrap().events.is_empty(), "no guest is there");
        let guest = Guest(file.reopen_for_writing());
        let mut sender = Sender::new(guest, 3, 4).unwrap();
        // More than fits: the guest is told that there is no room, and goes on when there is.
        let sent = (0..CAPACITY + 5).filter(|&number| sender.put(&event(number).words())).count() as u64;
        assert_eq!(sent, CAPACITY);
        sender.publish();
        assert_eq!(all(&mut channel), (0..CAPACITY).map(event).collect::<Vec<_>>());
        assert!((0..5).all(|number| sender.put(&event(number).words())));
        sender.publish();
        assert_eq!(all(&mut channel), (0..5).map(event).collect::<Vec<_>>());
        assert_eq!(channel.receive().unwrap().clock.multiplier, 4);
    }

    #[test]
    fn a_guest_that_lies_does_no_harm() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut channel = Channel::create(file.path()).unwrap();
        let mut guest = Guest(file.reopen_for_writing());
        guest.write(AT_GUEST_MAGIC, GUEST_MAGIC);
        guest.write(AT_WRITTEN, u64::MAX);
        let received = channel.receive().unwrap();
        assert_eq!((received.events.len(), received.unknown), (0, RECORDS_AT_ONCE));
    }

    trait Reopen {
        fn reopen_for_writing(&self) -> File;
    }

    impl Reopen for tempfile::NamedTempFile {
        fn reopen_for_writing(&self) -> File {
            OpenOptions::new().read(true).write(true).open(self.path()).unwrap()
        }
    }
}
