//! Events of kernel and servers, and the rings in which they lie.
//!
//! There are rings only if the kernel's command line asks for them ([`COMMAND_LINE_WORD`]): one for each processor, of
//! frames that the kernel sets aside at boot and that physmem then has the root contract pay for. The kernel alone writes
//! them; whoever holds the container with these frames may map and read them. The newest event takes the place of the
//! oldest: nobody ever waits for a reader, and a reader finds out by the counts how many it has missed.
//!
//! ```text
//! ring:  page 0                                       pages 1 ..
//!        MAGIC | written | capacity | processor ...   event 0 | event 1 | ...        (64 bytes each)
//! ```

/// Words of an event, 8 bytes each.
pub const EVENT_WORDS: usize = 8;
/// Words of an event that mean what its kind says.
pub const ARGUMENTS: usize = 6;
/// Of these, as many as a server gives.
pub const SERVER_ARGUMENTS: usize = 4;
/// Events in a page.
pub const EVENTS_PER_PAGE: usize = 4096 / 8 / EVENT_WORDS;

/// The word of the kernel's command line that asks for rings, each of `trace=N` pages.
pub const COMMAND_LINE_WORD: &str = "trace=";
/// Fewest pages of a ring: its first page, and one of events.
pub const RING_PAGES_MIN: u64 = 2;
/// Most pages of a ring.
pub const RING_PAGES_MAX: u64 = 16_384;

/// First word of a ring.
pub const RING_MAGIC: u64 = 0x5445_4e55_5245_0101;
/// Word of a ring's first page: [`RING_MAGIC`].
pub const RING_AT_MAGIC: usize = 0;
/// Events ever written to it. The last one of number n lies in place n modulo capacity.
pub const RING_AT_WRITTEN: usize = 1;
/// Places.
pub const RING_AT_CAPACITY: usize = 2;
/// Number of its processor.
pub const RING_AT_PROCESSOR: usize = 3;
/// First word of the events.
pub const RING_AT_EVENTS: usize = 512;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// What an event is of. The arguments are named in their order.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum EventKind { $($(#[$doc])* $name = $number,)* }

        impl EventKind {
            /// The kind with this number.
            pub const fn from_number(number: u64) -> Option<EventKind> {
                match number { $($number => Some(EventKind::$name),)* _ => None }
            }

            /// All kinds, for tests.
            pub const ALL: &'static [EventKind] = &[$(EventKind::$name,)*];
        }
    };
}

kinds! {
    /// Kernel: a processor goes on with the subject, or idles. Task; its name, two words; priority.
    Switch = 1,
    /// Kernel: the subject calls. Endpoint; badge; label; deadline in nanoseconds, 0 for none.
    Call = 2,
    /// Kernel: the subject answers. The caller; label.
    Reply = 3,
    /// Kernel: a call of the subject fails. The error's number.
    CallFailed = 4,
    /// Kernel: the subject meets a page fault. Address; access; instruction pointer; badge.
    Fault = 5,
    /// Kernel: the subject's fault is answered. Label: 0 to go on, else the reason.
    FaultAnswered = 6,
    /// Kernel: an interrupt of a device. Line.
    Interrupt = 7,
    /// Kernel: the subject ends.
    ThreadEnded = 8,

    /// physmem: a contract is called. Principal; number of the call; frames; deadline in nanoseconds.
    ContractCalled = 16,
    /// physmem: it has given back what was asked. Principal; number of the call.
    CallMet = 17,
    /// physmem: it has not, and the deadline has passed. Principal; number of the call; frames missing.
    CallMissed = 18,
    /// physmem: frames are seized. Principal; number of the container; frames; 1 where they were discardable.
    Seized = 19,
    /// physmem: a range is locked. A number for the lock; number of the container; pages, and mode in bits 56 on; its end in
    /// nanoseconds.
    Locked = 20,
    /// physmem: a lock is over. The number.
    LockEnded = 21,
    /// physmem: pages are copied or moved. Number of the container from which; of the one to which; pages that are shared now;
    /// bytes that the processor moved.
    Copied = 22,

    /// Block driver: a request is given to a disk. Its place; bytes; 1 for a write.
    DiskRead = 32,
    /// Block driver: it is over. Its place; bytes that arrived; 1 for an error.
    DiskDone = 33,
    /// File server: a read begins. The worker; inode; offset; bytes.
    FileRead = 34,
    /// File server: it is over. The worker; bytes valid; of these, by device; moved by the processor.
    FileReadDone = 35,

    /// Collector: how a contract stands. Principal, and that of its parent in bits 32 on; frames guaranteed, and its standing in
    /// bits 56 on; frames held; frames extra; its name, two words.
    Contract = 48,
    /// Collector: all frames. Frames of RAM; the kernel's and physmem's; free; quarantined; page faults so far; bytes written by
    /// devices so far.
    Memory = 49,
    /// Collector: so many events of the processor were overwritten before they were read, or found no room on their way. Number.
    Lost = 50,
    /// Collector: a contract is gone. Principal.
    ContractEnded = 51,
}

/// An event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// The time-stamp counter.
    pub time: u64,
    /// What it is of.
    pub kind: EventKind,
    /// The processor.
    pub processor: u8,
    /// The thread that it is about: the kernel's name for it, `u32::MAX` for none.
    pub subject: u32,
    /// See the kind.
    pub arguments: [u64; ARGUMENTS],
}

impl Event {
    /// As it lies in a ring.
    pub const fn words(&self) -> [u64; EVENT_WORDS] {
        let head = self.kind as u64 | (self.processor as u64) << 8 | (self.subject as u64) << 32;
        let [a, b, c, d, e, f] = self.arguments;
        [self.time, head, a, b, c, d, e, f]
    }

    /// From a ring. `None`: it is of an unknown kind.
    pub fn from_words(words: [u64; EVENT_WORDS]) -> Option<Event> {
        let [time, head, a, b, c, d, e, f] = words;
        let kind = EventKind::from_number(head & 0xff)?;
        let (processor, subject) = ((head >> 8) as u8, (head >> 32) as u32);
        Some(Event { time, kind, processor, subject, arguments: [a, b, c, d, e, f] })
    }
}

/// Pages of each ring that a command line asks for; 0: none. `None`: what it asks for makes no sense.
pub fn ring_pages(command_line: &[u8]) -> Option<u64> {
    let words = command_line.split(|&byte| byte == b' ');
    let mut asked = words.filter_map(|word| word.strip_prefix(COMMAND_LINE_WORD.as_bytes()));
    let Some(number) = asked.next() else { return Some(0) };
    let pages: u64 = core::str::from_utf8(number).ok()?.parse().ok()?;
    (RING_PAGES_MIN..=RING_PAGES_MAX).contains(&pages).then_some(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_what_they_were() {
        for &kind in EventKind::ALL {
            let event =
                Event { time: 7, kind, processor: 15, subject: u32::MAX, arguments: [1, 2, 3, 4, 5, 6] };
            assert_eq!(Event::from_words(event.words()), Some(event));
        }
        assert_eq!(Event::from_words([0; EVENT_WORDS]), None);
        assert_eq!(Event::from_words([u64::MAX; EVENT_WORDS]), None);
    }

    #[test]
    fn rings_are_asked_for_on_the_command_line() {
        assert_eq!(ring_pages(b""), Some(0));
        assert_eq!(ring_pages(b"quiet trace=512"), Some(512));
        assert_eq!(ring_pages(b"trace=16384"), Some(RING_PAGES_MAX));
        for bad in [&b"trace="[..], b"trace=1", b"trace=16385", b"trace=many", b"trace=-1", b"trace=\xff"] {
            assert_eq!(ring_pages(bad), None, "{bad:?}");
        }
    }
}
