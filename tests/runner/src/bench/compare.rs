//! The table with both columns.
//!
//! Beside each row of Tenure stands what does the same work on Linux in the fewest instructions. Rows of Linux that are not
//! there are listed below: those that were beaten by another way to do the same, and those that Tenure has nothing beside.

use super::linux::{Column, Measured};
use super::rows::{GROUPS, ROWS, Unit};
use std::cmp::Ordering;
use std::fmt::Write;
use tests_linux_core::Row;

/// Width of what is done, in Tenure's words.
const TITLE: usize = 64;

/// A figure of Tenure's, for this table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Figure {
    /// Instructions, the median.
    pub median: u64,
    /// Iterations of `rep` instructions among them, if they were counted.
    pub repeated: Option<u64>,
}

/// The table. `tenure` tells Tenure's figure of a row, if it was measured.
pub fn table(name: &str, tenure: &dyn Fn(&str) -> Option<Figure>, linux: &Column) -> String {
    let mut text = format!(
        "{:<TITLE$} {:>12} {:>9} {:>13} {:>10} {:>8}\n",
        "GUEST INSTRUCTIONS", "TENURE", "REP", "LINUX", "REP", "RATIO"
    );
    let mut shown = Vec::new();
    let (mut behind, mut compared) = (Vec::new(), 0);
    for (group, title) in GROUPS {
        let _ = writeln!(text, "{title}");
        for row in ROWS.iter().filter(|row| row.group() == *group) {
            let (ours, best) = (tenure(row.name), best(row.name, linux));
            shown.extend(best.map(|(theirs, _)| theirs));
            let ratio =
                ours.zip(best).map(|(ours, (_, theirs))| Ratio::new(ours.median, theirs.figure.median));
            compared += usize::from(ratio.is_some());
            if ratio.is_some_and(|ratio| ratio.is_behind()) {
                behind.push(row.title);
            }
            let a_page = if row.unit == Unit::Page { ", a page" } else { "" };
            let title = format!("  {}{a_page}", row.title);
            let _ = writeln!(text, "{}", line(&title, ours, best, ratio));
        }
    }
    let _ = writeln!(text, "\nratio: Linux's instructions to Tenure's; below 1 Tenure is behind");
    let _ = writeln!(text, "rep: iterations of rep instructions, among the instructions before them");
    match &behind[..] {
        [] => {
            let _ = writeln!(text, "behind: in none of {compared} rows");
        }
        behind => {
            let _ = writeln!(text, "behind: in {} of {compared} rows: {}", behind.len(), behind.join("; "));
        }
    }
    let _ = writeln!(text, "\nother rows of Linux ({name})");
    others(&mut text, linux, &shown);
    text
}

/// What of Linux stands beside a row: of all ways to do it the one of the fewest instructions.
fn best(name: &str, linux: &Column) -> Option<(Row, Measured)> {
    let candidates = Row::ALL.iter().filter(|row| row.about().beside.contains(&name));
    candidates.filter_map(|row| Some((*row, *linux.rows.get(row)?))).min_by_key(|(_, one)| one.figure.median)
}

fn line(title: &str, ours: Option<Figure>, theirs: Option<(Row, Measured)>, ratio: Option<Ratio>) -> String {
    let number = |number: Option<u64>| number.map_or_else(|| String::from("-"), grouped);
    let mut line = format!(
        "{title:<TITLE$} {:>12} {:>9} {:>13} {:>10} {:>8}",
        number(ours.map(|ours| ours.median)),
        number(ours.and_then(|ours| ours.repeated)),
        number(theirs.map(|(_, theirs)| theirs.figure.median)),
        number(theirs.and_then(|(_, theirs)| theirs.repeated)),
        ratio.map_or_else(String::new, |ratio| ratio.text()),
    );
    if let Some((row, _)) = theirs {
        let behind = if ratio.is_some_and(|ratio| ratio.is_behind()) { "BEHIND  " } else { "" };
        let _ = write!(line, "  {behind}{}", row.about().title);
    }
    line.trim_end().to_owned()
}

/// Linux's instructions to Tenure's.
#[derive(Clone, Copy)]
struct Ratio {
    ours: u64,
    theirs: u64,
}

impl Ratio {
    fn new(ours: u64, theirs: u64) -> Ratio {
        Ratio { ours, theirs }
    }

    fn is_behind(self) -> bool {
        self.ours.cmp(&self.theirs) == Ordering::Greater
    }

    /// Rounded down, so that what is behind never reads 1.00.
    fn text(self) -> String {
        let hundredths = (u128::from(self.theirs) * 100) / u128::from(self.ours.max(1));
        let (whole, part) = (hundredths / 100, hundredths % 100);
        if whole >= 10 { format!("{whole}.{}", part / 10) } else { format!("{whole}.{part:02}") }
    }
}

fn others(text: &mut String, linux: &Column, shown: &[Row]) {
    for row in Row::ALL.iter().filter(|row| !shown.contains(row)) {
        let Some(measured) = linux.rows.get(row) else { continue };
        let title = format!("  {}", row.about().title);
        let _ = writeln!(
            text,
            "{}",
            line(&title, None, Some((*row, *measured)), None).trim_end_matches(row.about().title).trim_end()
        );
    }
    for (row, reason) in &linux.failed {
        let _ = writeln!(text, "  {}: not measured: {reason}", row.about().title);
    }
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::rows::find;
    use crate::counter::Record;

    fn column() -> Column {
        let console = "row getppid 324 323 400 1000\nrow futex 9000 8998 9100 10\nrow pipe-1 10538 10538 10538 10\n\
            row signal 3702 3702 3702 10\nregion pipe-1 9 10\nfailed swap no space\ndone\n";
        Column::new(console, &Record::parse("end 9 105380 400\n"))
    }

    fn table_with(null_call: u64) -> String {
        let figure = |median| Some(Figure { median, repeated: None });
        let tenure = |name: &str| match name {
            "kernel/null-call" => figure(null_call),
            "ipc/round-trip-0" => Some(Figure { median: 360, repeated: Some(2) }),
            _ => None,
        };
        table("linux-image-9", &tenure, &column())
    }

    fn row(table: &str, begin: &str) -> Vec<String> {
        let line = table.lines().find(|line| line.trim_start().starts_with(begin)).unwrap();
        line.trim_start()[begin.len()..].split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_row_has_both_figures_and_the_best_of_linux() {
        let table = table_with(54);
        assert_eq!(row(&table, "call and reply, no words")[..6], ["360", "2", "9", "000", "-", "25.0"]);
        assert!(table.contains("futex, 2 processes"));
        assert_eq!(row(&table, "pipe, 1 byte"), ["-", "-", "10", "538", "40"], "beaten by another way");
        assert_eq!(
            row(&table, "signal to oneself, handler, return"),
            ["-", "-", "3", "702", "-"],
            "nothing beside it"
        );
        assert!(table.contains("swap") || table.contains("not measured: no space"));
        assert!(table.contains("behind: in none of 2 rows"), "{table}");
    }

    #[test]
    fn where_tenure_is_behind_the_table_says_so() {
        assert!(!table_with(324).contains("BEHIND"));
        let table = table_with(325);
        let cells = row(&table, "call that does nothing");
        assert_eq!(cells, ["325", "-", "324", "-", "0.99", "BEHIND", "getppid"]);
        assert!(table.contains("behind: in 1 of 2 rows: call that does nothing"), "{table}");
    }

    #[test]
    fn a_row_that_one_side_lacks_has_no_ratio() {
        let table = table("x", &|_| None, &column());
        assert_eq!(row(&table, "call that does nothing"), ["-", "-", "324", "-", "getppid"]);
    }

    #[test]
    fn every_row_of_linux_stands_beside_rows_that_there_are() {
        for linux in Row::ALL {
            for name in linux.about().beside {
                assert!(find(name).is_some(), "{}: {name}", linux.about().name);
            }
        }
    }

    #[test]
    fn digits_are_grouped() {
        assert_eq!([0, 999, 1000, 12_345_678].map(grouped), ["0", "999", "1 000", "12 345 678"]);
    }
}
