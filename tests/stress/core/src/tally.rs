//! The page that a task shares with the supervisor: what it tried and what it got, how long it waited, and the first
//! breach of a law that it saw.
//!
//! The page is the supervisor's and outlives the task; a task that is started again goes on counting. Tasks that misbehave
//! may write anything into it, so the supervisor reads it as numbers and text and believes it in one direction only: a
//! breach that is told counts, and none told proves nothing.

use crate::histogram::{BUCKETS, Histogram};
use alloc::string::String;

/// Bytes of the page.
pub const PAGE_BYTES: usize = 4096;

/// Bytes of text that a breach is told in.
pub const TEXT_BYTES: usize = 192;

/// First word of the text.
const TEXT: usize = 16;
/// Number of bytes in it.
const TEXT_LENGTH: usize = 15;
/// The largest value of the histogram.
const WORST: usize = 14;
/// First word of the histogram.
const HISTOGRAM: usize = 64;

const _: () = assert!(TEXT * 8 + TEXT_BYTES <= HISTOGRAM * 8 && (HISTOGRAM + BUCKETS) * 8 <= PAGE_BYTES);

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $text:literal;)*) => {
        /// What is counted.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(usize)]
        pub enum Counter { $($(#[$doc])* $name = $word,)* }

        impl Counter {
            /// All of them.
            pub const ALL: &'static [Counter] = &[$(Counter::$name,)*];

            /// Its name in lines.
            pub const fn name(self) -> &'static str {
                match self { $(Counter::$name => $text,)* }
            }
        }
    };
}

counters! {
    /// Things that the task has tried.
    Tried = 0, "tried";
    /// What it was given, as anybody would have been.
    Granted = 1, "granted";
    /// What was refused with a typed error.
    Refused = 2, "refused";
    /// What nobody answered in time, or whoever should have answered had ended.
    Unanswered = 3, "unanswered";
    /// Rounds that could not even begin, because the task's own contract was used up.
    Unable = 4, "unable";
    /// Checks that a law was kept.
    Checked = 5, "checked";
    /// Checks that failed.
    Broken = 6, "broken";
    /// Calls of frames that the task was sent.
    Calls = 7, "calls";
    /// Calls that it met in time.
    Met = 8, "met";
    /// Frames that it found to be taken away.
    Seized = 9, "seized";
}

/// The page, read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    counters: [u64; Counter::ALL.len()],
    /// Latencies in ticks of the time-stamp counter; what of is the task's affair.
    pub latencies: Histogram,
    /// The first breach told.
    pub breach: Option<String>,
}

impl Tally {
    /// Reads a page; what is not there counts as 0.
    pub fn read(page: &[u8]) -> Tally {
        let word = |index: usize| {
            let bytes = page.get(index * 8..index * 8 + 8).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u64::from_le_bytes)
        };
        let length = (word(TEXT_LENGTH) as usize).min(TEXT_BYTES);
        let text = page.get(TEXT * 8..TEXT * 8 + length).unwrap_or_default();
        let counts = core::array::from_fn(|index| word(HISTOGRAM + index));
        Tally {
            counters: core::array::from_fn(|index| word(Counter::ALL[index] as usize)),
            latencies: Histogram { counts, worst: word(WORST) },
            breach: (length > 0).then(|| String::from_utf8_lossy(text).replace(char::is_control, " ")),
        }
    }

    /// A counter.
    pub fn get(&self, counter: Counter) -> u64 {
        self.counters[counter as usize]
    }
}

fn word_of(page: &mut [u8], index: usize) -> Option<&mut [u8; 8]> {
    page.get_mut(index * 8..index * 8 + 8)?.try_into().ok()
}

fn change(page: &mut [u8], index: usize, change: impl FnOnce(u64) -> u64) {
    if let Some(bytes) = word_of(page, index) {
        *bytes = change(u64::from_le_bytes(*bytes)).to_le_bytes();
    }
}

/// Counts something in a page.
pub fn count(page: &mut [u8], counter: Counter, more: u64) {
    change(page, counter as usize, |count| count.wrapping_add(more));
}

/// Counts a latency in a page.
pub fn record(page: &mut [u8], ticks: u64) {
    change(page, HISTOGRAM + crate::histogram::bucket(ticks), |count| count.wrapping_add(1));
    change(page, WORST, |worst| worst.max(ticks));
}

/// Tells a breach, unless one was told before; counts it in any case.
pub fn tell_breach(page: &mut [u8], text: &str) {
    count(page, Counter::Broken, 1);
    if Tally::read(page).breach.is_some() {
        return;
    }
    let bytes = &text.as_bytes()[..text.len().min(TEXT_BYTES)];
    if let Some(room) = page.get_mut(TEXT * 8..TEXT * 8 + bytes.len()) {
        room.copy_from_slice(bytes);
        change(page, TEXT_LENGTH, |_| bytes.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_read() {
        let mut page = [0; PAGE_BYTES];
        count(&mut page, Counter::Tried, 2);
        count(&mut page, Counter::Tried, 3);
        count(&mut page, Counter::Seized, 1);
        record(&mut page, 1000);
        record(&mut page, 10);
        let tally = Tally::read(&page);
        assert_eq!((tally.get(Counter::Tried), tally.get(Counter::Granted)), (5, 0));
        assert_eq!((tally.get(Counter::Seized), tally.breach.clone()), (1, None));
        assert_eq!((tally.latencies.count(), tally.latencies.worst), (2, 1000));
    }

    #[test]
    fn the_first_breach_is_told_and_all_are_counted() {
        let mut page = [0; PAGE_BYTES];
        tell_breach(&mut page, "a secret\nwas read");
        tell_breach(&mut page, "another");
        let tally = Tally::read(&page);
        assert_eq!(tally.breach.as_deref(), Some("a secret was read"));
        assert_eq!(tally.get(Counter::Broken), 2);
        let mut page = [0; PAGE_BYTES];
        tell_breach(&mut page, &"x".repeat(TEXT_BYTES + 1));
        assert_eq!(Tally::read(&page).breach.map(|text| text.len()), Some(TEXT_BYTES));
    }

    #[test]
    fn a_scribbled_or_short_page_is_read_without_harm() {
        let tally = Tally::read(&[0xff; PAGE_BYTES]);
        assert_eq!(tally.breach.map(|text| text.chars().count()), Some(TEXT_BYTES));
        let _ = tally.latencies.quantile(500);
        assert_eq!(Tally::read(&[1; 3]), Tally::default());
        count(&mut [], Counter::Tried, 1);
        tell_breach(&mut [], "nowhere");
    }
}
