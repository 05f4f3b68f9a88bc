//! The lines that the measuring program writes on its console, and how they are read.
//!
//! | line | means |
//! |---|---|
//! | `row NAME MEDIAN LEAST MOST COUNT` | so many samples of the row, by the time-stamp counter |
//! | `region NAME NUMBER UNITS` | each passage of that region of the counter is so many units of the row |
//! | `failed NAME REASON` | the row could not be measured |
//! | `clock STAMPS NANOSECONDS` | the time-stamp counter advanced by so much in so many nanoseconds |
//! | `done` | nothing follows |
//!
//! Rows that wait have a `row` line, too: where instructions are not counted its figure is time.
//!
//! Anything else on the console is the kernel's.

use crate::row::Row;
use std::fmt;

/// Region that begins with the program itself: what was executed before is the boot.
pub const BOOT_REGION: u16 = 1;

/// Argument of the program: only what waits for nothing is measured.
pub const STAMPS: &str = "stamps";
/// Argument of the program: only what waits for the disk is measured.
pub const WAITS: &str = "waits";

/// What the exit device is given when every row was tried. Not 0, which QEMU's own failures look like.
pub const DONE: u8 = 1;
/// What it is given when the program could not go on.
pub const FAILED: u8 = 2;

/// A figure: instructions of one unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Figure {
    /// Of all samples the one in the middle.
    pub median: u64,
    /// The least.
    pub least: u64,
    /// The most.
    pub most: u64,
    /// Number of samples.
    pub count: u64,
}

/// A line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// A row has this figure.
    Row(Row, Figure),
    /// Each passage of the region is so many units of the row.
    Region {
        /// The row.
        row: Row,
        /// Number of the region.
        region: u16,
        /// Units of one passage, not 0.
        units: u64,
    },
    /// A row could not be measured.
    Failed(Row, String),
    /// How fast the time-stamp counter is.
    Clock {
        /// It advanced by so much.
        stamps: u64,
        /// Meanwhile, not 0.
        nanoseconds: u64,
    },
    /// Nothing follows.
    Done,
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Row(row, figure) => {
                let Figure { median, least, most, count } = figure;
                write!(out, "row {} {median} {least} {most} {count}", row.about().name)
            }
            Line::Region { row, region, units } => {
                write!(out, "region {} {region} {units}", row.about().name)
            }
            Line::Failed(row, reason) => {
                let one_line = reason.replace(['\n', '\r'], " ");
                write!(out, "failed {} {one_line}", row.about().name)
            }
            Line::Clock { stamps, nanoseconds } => write!(out, "clock {stamps} {nanoseconds}"),
            Line::Done => write!(out, "done"),
        }
    }
}

impl Line {
    /// Reads a line; `None` if it is not one of these.
    pub fn read(text: &str) -> Option<Line> {
        let text = text.trim();
        if text == "done" {
            return Some(Line::Done);
        }
        if let Some(rest) = text.strip_prefix("clock ") {
            let [stamps, nanoseconds] = numbers(rest)?;
            return (stamps > 0 && nanoseconds > 0).then_some(Line::Clock { stamps, nanoseconds });
        }
        let mut words = text.splitn(3, ' ');
        let kind = words.next()?;
        let row = Row::named(words.next()?)?;
        let rest = words.next()?;
        match kind {
            "row" => {
                let [median, least, most, count] = numbers(rest)?;
                let is_one = count > 0 && least <= median && median <= most;
                is_one.then_some(Line::Row(row, Figure { median, least, most, count }))
            }
            "region" => {
                let [region, units] = numbers(rest)?;
                let region = u16::try_from(region).ok()?;
                (units > 0).then_some(Line::Region { row, region, units })
            }
            "failed" => Some(Line::Failed(row, rest.to_owned())),
            _ => None,
        }
    }
}

/// Exactly so many decimal numbers.
fn numbers<const COUNT: usize>(text: &str) -> Option<[u64; COUNT]> {
    let numbers: Option<Vec<u64>> = text.split(' ').map(|word| word.parse().ok()).collect();
    numbers?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIGURE: Figure = Figure { median: 5, least: 1, most: 9, count: 3 };

    #[test]
    fn a_line_that_was_written_is_read_as_it_was() {
        for line in [
            Line::Row(Row::PipeByte, FIGURE),
            Line::Region { row: Row::Getppid, region: 7, units: 256 },
            Line::Failed(Row::Swap, "mount: no such device".into()),
            Line::Clock { stamps: 7, nanoseconds: 9 },
            Line::Done,
        ] {
            assert_eq!(Line::read(&line.to_string()), Some(line));
        }
        let two_lines = Line::Failed(Row::Swap, "a\nb".into()).to_string();
        assert_eq!(two_lines, "failed swap a b");
    }

    #[test]
    fn what_is_not_a_line_is_not_read() {
        for text in [
            "",
            "row",
            "row getppid",
            "row nothing 5 1 9 3",
            "row getppid 5 1 9",
            "row getppid 5 1 9 3 4",
            "row getppid 5 1 9 0",
            "row getppid 10 1 9 3",
            "row getppid 5 1 9 -3",
            "row getppid 5 1 99999999999999999999999 3",
            "region getppid 70000 1",
            "region getppid 7 0",
            "rows getppid 5 1 9 3",
            "done already",
            "clock",
            "clock 7",
            "clock 7 0",
            "clock 0 7",
            "[    1.234] systemd: done",
        ] {
            assert_eq!(Line::read(text), None, "{text}");
        }
        assert_eq!(Line::read("row getppid 5 1 9 3\r"), Some(Line::Row(Row::Getppid, FIGURE)));
    }
}
