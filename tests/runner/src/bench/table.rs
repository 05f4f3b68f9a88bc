//! The table of a benchmark.

use super::figure::Figure;
use super::rows::{Count, GROUPS, Unit};
use std::fmt::Write;

/// Columns of name and title.
const WIDTH: usize = 99;

/// The whole table.
pub fn table(figures: &[Figure]) -> String {
    let mut text = String::new();
    for (group, title) in GROUPS {
        let rows: Vec<&Figure> = figures.iter().filter(|figure| figure.row.group() == *group).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(
            text,
            "{:<WIDTH$} {:>11} {:>11} {:>11} {:>9} {:>8}  {:>10}",
            title.to_uppercase(),
            "MEDIAN",
            "LEAST",
            "MOST",
            "OF IT REP",
            "TIME",
            "AT MOST"
        );
        for figure in rows {
            let _ = writeln!(text, "{}", line(figure));
        }
        text.push('\n');
    }
    let missed = figures.iter().filter(|figure| is_reached(figure) == Some(false)).count();
    let targets = figures.iter().filter(|figure| figure.row.target.is_some()).count();
    if targets > 0 {
        let _ = writeln!(text, "{} of {targets} targets reached", targets - missed);
    }
    let _ = writeln!(
        text,
        "guest instructions; rep: iterations of repeated string instructions, which the emulator counts one by one (~: waits for the disk)\n\
         time: median by the clock of a second run in which nothing is counted; it is the emulator's and the host's"
    );
    text
}

fn line(figure: &Figure) -> String {
    let row = figure.row;
    let unit = if row.unit == Unit::Page { ", a page" } else { "" };
    let waits = if row.count == Count::Waits { " ~" } else { "" };
    let title = format!("{:<34} {}{unit}{waits}", row.name, row.title);
    let repeated = figure.repeated.map_or(String::from("-"), grouped);
    let time = figure.nanoseconds.map_or(String::from("-"), time);
    let target = match (row.target, is_reached(figure)) {
        (Some(target), Some(true)) => format!("{:>10}  reached", grouped(target)),
        (Some(target), _) => {
            let times = figure.median as f64 / target as f64;
            format!("{:>10}  MISSED, {times:.2} times", grouped(target))
        }
        (None, _) => String::new(),
    };
    let [median, least, most] = [figure.median, figure.least, figure.most].map(grouped);
    let line =
        format!("{title:<WIDTH$} {median:>11} {least:>11} {most:>11} {repeated:>9} {time:>8}  {target}");
    line.trim_end().to_owned()
}

/// Whether the target of a figure's row is reached; `None`: there is none.
pub fn is_reached(figure: &Figure) -> Option<bool> {
    figure.row.target.map(|target| figure.median <= target)
}

/// A number with a space between groups of three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Nanoseconds for people, in three digits.
pub fn time(nanoseconds: u64) -> String {
    let (value, unit) = match nanoseconds {
        0..1_000 => return format!("{nanoseconds} ns"),
        1_000..1_000_000 => (nanoseconds as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (nanoseconds as f64 / 1e6, "ms"),
        _ => (nanoseconds as f64 / 1e9, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::rows::find;

    fn figure(name: &str, median: u64) -> Figure {
        let row = find(name).unwrap();
        Figure {
            row,
            median,
            least: median,
            most: median,
            count: 1,
            repeated: Some(512),
            nanoseconds: Some(12_345),
        }
    }

    #[test]
    fn the_table_says_what_is_reached_and_what_is_missed() {
        let text = table(&[
            figure("kernel/null-call", 110),
            figure("ipc/round-trip-0", 360),
            figure("files/open", 1234),
        ]);
        assert!(
            text.contains("KERNEL ") && text.contains("FILES, EXT4 ") && !text.contains("BOOT"),
            "{text}"
        );
        assert!(text.contains("55  MISSED, 2.00 times\n"), "{text}");
        assert!(text.contains("360  reached\n"), "{text}");
        assert!(text.contains(" 1 234 ") && text.contains(" 512  12.3 us"), "{text}");
        assert!(text.contains("1 of 2 targets reached"), "{text}");
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!([0, 999, 1000, 1234567].map(grouped), ["0", "999", "1 000", "1 234 567"]);
        let times = [7, 1_500, 45_600, 456_000_000, 1_200_000_000].map(time);
        assert_eq!(times, ["7 ns", "1.50 us", "45.6 us", "456 ms", "1.20 s"]);
    }
}
