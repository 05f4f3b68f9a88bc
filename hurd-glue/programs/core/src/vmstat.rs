//! What `vmstat` shows: frames as they are, and what has happened since the line before, for each second.

use alloc::format;
use alloc::string::String;

/// The counters at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sample {
    /// Moment, in nanoseconds.
    pub moment_ns: u64,
    /// Frames free.
    pub free: u64,
    /// Frames lent beyond guarantees.
    pub extra: u64,
    /// Callers that wait for frames.
    pub waiting: u64,
    /// Pages with the default pager.
    pub swapped: u64,
    /// Counters since boot, as in [`RATES`].
    pub counters: [u64; RATES.len()],
}

/// What is counted.
pub const RATES: [&str; 6] = ["out/s", "in/s", "faults/s", "zeroed/s", "seized/s", "lost/s"];

const NOW: [&str; 4] = ["free", "extra", "waiting", "swapped"];
const WIDTH: usize = 9;

/// The line above all others.
pub fn heading() -> String {
    line(NOW.iter().chain(&RATES).map(|name| format!("{name:>WIDTH$}")))
}

/// The line of a moment. Without one before, rates are since boot.
pub fn row(before: &Sample, now: &Sample) -> String {
    let passed = now.moment_ns.saturating_sub(before.moment_ns).max(1);
    let rate = |(now, before): (u64, u64)| {
        let counted = u128::from(now.saturating_sub(before));
        // Half a unit more, so that it is rounded.
        (counted * 1_000_000_000 + u128::from(passed) / 2) / u128::from(passed)
    };
    let rates = now.counters.into_iter().zip(before.counters).map(rate);
    let amounts = [now.free, now.extra, now.waiting, now.swapped].into_iter().map(u128::from);
    line(amounts.chain(rates).map(|number| format!("{number:>WIDTH$}")))
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let mut text: String = cells.collect();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn rates_are_of_the_time_since_the_line_before() {
        let before = Sample { moment_ns: 1_000_000_000, counters: [10, 0, 5, 0, 0, 9], ..Sample::default() };
        let now = Sample {
            moment_ns: 3_000_000_000,
            free: 7,
            swapped: 123_456,
            counters: [30, 3, 5, 0, 1, 8],
            ..Sample::default()
        };
        let text = row(&before, &now);
        let cells: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(cells, ["7", "0", "0", "123456", "10", "2", "0", "0", "1", "0"]);
        assert_eq!(text.len(), heading().len());
        assert_eq!(heading().split_whitespace().count(), cells.len());
        // Without a moment before nothing is divided by zero.
        assert!(row(&now, &now).ends_with("0\n"));
    }
}
