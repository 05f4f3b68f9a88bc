//! The table with both columns.
//!
//! Beside each row of Tenure stands what does the same work on Linux in the fewest instructions. Rows of Linux that are not
//! there are listed below: those that were beaten by another way to do the same, and those that Tenure has nothing beside.

use super::figure::Figure;
use super::linux::{Column, Measured};
use super::options::BenchOptions;
use super::rows::{GROUPS, Row, Unit};
use super::table::{grouped, time};
use std::fmt::Write;
use tests_linux_core::Row as LinuxRow;

/// Width of a row's name.
const NAME: usize = 36;

/// The table of the rows that are wanted. `name` is that of the kernel.
pub fn table(name: &str, figures: &[Figure], options: &BenchOptions, linux: &Column) -> String {
    let mut text = String::new();
    let rows: Vec<Pair<'_>> = options.rows().map(|row| Pair::new(row, figures, linux)).collect();
    for (group, title) in GROUPS {
        let mut rows = rows.iter().filter(|pair| pair.row.group() == *group).peekable();
        if rows.peek().is_none() {
            continue;
        }
        let _ = writeln!(text, "{}", head(&title.to_uppercase()));
        for pair in rows {
            let _ = writeln!(text, "{}", pair.line());
        }
        text.push('\n');
    }
    let _ = writeln!(text, "LINUX: {name}");
    text += "guest instructions, the median, and of it iterations of rep; ratio: Linux's to Tenure's; behind |: how Linux does it\n";
    text += "time: of the median, in runs in which nothing is counted; it is the emulator's and the host's\n";
    let compared = rows.iter().filter(|pair| pair.ratio().is_some()).count();
    let behind: Vec<&str> = rows.iter().filter(|pair| pair.is_behind()).map(|pair| pair.row.name).collect();
    let _ = match &behind[..] {
        [] => writeln!(text, "Tenure is behind in none of {compared} rows"),
        names => {
            writeln!(text, "Tenure is BEHIND in {} of {compared} rows: {}", names.len(), names.join(", "))
        }
    };
    if options.only.is_empty() {
        let _ = writeln!(text, "\n{}", head("OTHER ROWS OF LINUX"));
        others(&mut text, linux, &rows);
    }
    text
}

fn head(title: &str) -> String {
    format!(
        "{title:<NAME$} {:>11} {:>9} {:>8} {:>13} {:>9} {:>8} {:>7}",
        "TENURE", "REP", "TIME", "LINUX", "REP", "TIME", "RATIO"
    )
}

/// A row with what there is of both systems.
struct Pair<'a> {
    row: &'static Row,
    ours: Option<&'a Figure>,
    theirs: Option<(LinuxRow, Measured)>,
}

impl<'a> Pair<'a> {
    fn new(row: &'static Row, figures: &'a [Figure], linux: &Column) -> Pair<'a> {
        let ours = figures.iter().find(|figure| figure.row.name == row.name);
        Pair { row, ours, theirs: best(row.name, linux) }
    }

    /// Linux's instructions and Tenure's.
    fn ratio(&self) -> Option<(u64, u64)> {
        Some((self.theirs?.1.figure.median, self.ours?.median))
    }

    fn is_behind(&self) -> bool {
        self.ratio().is_some_and(|(theirs, ours)| ours > theirs)
    }

    fn line(&self) -> String {
        let unit = if self.row.unit == Unit::Page { ", a page" } else { "" };
        let columns = columns(self.row.name, self.ours, self.theirs.map(|(_, theirs)| theirs));
        let ratio = self.ratio().map_or(String::new(), |(theirs, ours)| ratio(theirs, ours));
        let behind = if self.is_behind() { "BEHIND  " } else { "" };
        let way = self.theirs.map_or(String::new(), |(row, _)| format!(" | {}", row.about().title));
        format!("{columns} {ratio:>7}  {behind}{}{unit}{way}", self.row.title)
    }
}

/// A row's name, and for both systems instructions and iterations of `rep`.
fn columns(name: &str, ours: Option<&Figure>, theirs: Option<Measured>) -> String {
    let number = |number: Option<u64>| number.map_or_else(|| String::from("-"), grouped);
    let time = |nanoseconds: Option<u64>| nanoseconds.map_or_else(|| String::from("-"), time);
    format!(
        "  {name:<width$} {:>11} {:>9} {:>8} {:>13} {:>9} {:>8}",
        number(ours.map(|ours| ours.median)),
        number(ours.and_then(|ours| ours.repeated)),
        time(ours.and_then(|ours| ours.nanoseconds)),
        number(theirs.map(|theirs| theirs.figure.median)),
        number(theirs.and_then(|theirs| theirs.repeated)),
        time(theirs.and_then(|theirs| theirs.nanoseconds)),
        width = NAME - 2,
    )
}

/// What of Linux stands beside a row: of all ways to do it the one of the fewest instructions.
fn best(name: &str, linux: &Column) -> Option<(LinuxRow, Measured)> {
    let ways = LinuxRow::ALL.iter().filter(|row| row.about().beside.contains(&name));
    ways.filter_map(|row| Some((*row, *linux.rows.get(row)?))).min_by_key(|(_, one)| one.figure.median)
}

/// How often the second number goes into the first one. Rounded down: what is behind never reads 1.00.
fn ratio(theirs: u64, ours: u64) -> String {
    let hundredths = u128::from(theirs) * 100 / u128::from(ours.max(1));
    let (whole, part) = (hundredths / 100, hundredths % 100);
    if whole < 10 { format!("{whole}.{part:02}") } else { format!("{whole}.{}", part / 10) }
}

/// Rows of Linux that stand beside nothing, and those that could not be measured.
fn others(text: &mut String, linux: &Column, rows: &[Pair<'_>]) {
    let stands = |row: &LinuxRow| rows.iter().any(|pair| pair.theirs.is_some_and(|(one, _)| one == *row));
    for row in LinuxRow::ALL.iter().filter(|row| !stands(row)) {
        if let Some(measured) = linux.rows.get(row) {
            let _ = writeln!(
                text,
                "{} {:>7}  {}",
                columns(row.about().name, None, Some(*measured)),
                "",
                row.about().title
            );
        }
    }
    for (row, reason) in &linux.failed {
        let _ = writeln!(text, "  {}: not measured: {reason}", row.about().name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::rows::find;
    use crate::counter::Record;

    fn column() -> Column {
        let console = "region getppid 2 1\nregion futex 3 1\nregion signal 4 1\nrow getppid 324 323 400 1000\nrow futex 9000 8998 9100 10\nrow pipe-1 10538 10538 10538 10\n\
            row signal 3702 3702 3702 10\nregion pipe-1 9 10\nfailed swap no space\ndone\n";
        let mut column = Column::default();
        column.add(console, &Record::parse("end 9 105380 400\n"));
        column
    }

    fn figure(name: &str, median: u64, repeated: Option<u64>) -> Figure {
        let row = find(name).unwrap();
        Figure { row, median, least: median, most: median, count: 1, repeated, nanoseconds: None }
    }

    fn table_with(null_call: u64) -> String {
        let figures = [figure("kernel/null-call", null_call, None), figure("ipc/round-trip-0", 360, Some(2))];
        table("linux-image-9", &figures, &BenchOptions::default(), &column())
    }

    /// The words behind what was done.
    fn cells<'a>(table: &'a str, begin: &str) -> Vec<&'a str> {
        let line = table.lines().find(|line| line.starts_with(&format!("  {begin}"))).unwrap();
        line[NAME..].split_whitespace().collect()
    }

    #[test]
    fn a_row_has_both_figures_and_the_best_of_linux() {
        let table = table_with(54);
        let expected = ["360", "2", "-", "9", "000", "-", "-", "25.0"];
        assert_eq!(cells(&table, "ipc/round-trip-0 ")[..8], expected);
        assert!(table.contains("  call and reply, no words | futex, 2 processes\n"), "{table}");
        assert_eq!(
            cells(&table, "pipe-1 ")[..6],
            ["-", "-", "-", "10", "538", "40"],
            "beaten by another way"
        );
        assert_eq!(cells(&table, "signal ")[..6], ["-", "-", "-", "3", "702", "-"], "nothing beside it");
        assert!(table.contains("  swap: not measured: no space"), "{table}");
        assert!(table.contains("behind in none of 2 rows"), "{table}");
    }

    #[test]
    fn where_tenure_is_behind_the_table_says_so() {
        assert!(!table_with(324).contains("BEHIND"));
        let table = table_with(325);
        assert_eq!(
            cells(&table, "kernel/null-call ")[..8],
            ["325", "-", "-", "324", "-", "-", "0.99", "BEHIND"]
        );
        assert!(table.contains("BEHIND in 1 of 2 rows: kernel/null-call\n"), "{table}");
    }

    #[test]
    fn a_row_that_one_side_lacks_has_no_ratio() {
        let table = table("x", &[figure("kernel/identify", 70, None)], &BenchOptions::default(), &column());
        assert_eq!(cells(&table, "kernel/null-call ")[..5], ["-", "-", "-", "324", "-"]);
        assert_eq!(cells(&table, "kernel/identify ")[..5], ["70", "-", "-", "-", "-"]);
    }

    #[test]
    fn only_rows_that_are_wanted_are_shown() {
        let options = BenchOptions { only: vec![String::from("ipc")], ..BenchOptions::default() };
        let table = table("x", &[figure("ipc/round-trip-0", 360, None)], &options, &column());
        assert!(table.contains("ipc/round-trip-0") && !table.contains("kernel/"), "{table}");
        assert!(!table.contains("KERNEL") && !table.contains("OTHER ROWS"), "{table}");
    }

    #[test]
    fn every_row_of_linux_stands_beside_rows_that_there_are() {
        for linux in LinuxRow::ALL {
            for name in linux.about().beside {
                assert!(find(name).is_some(), "{}: {name}", linux.about().name);
            }
        }
    }

    #[test]
    fn ratios_are_rounded_down() {
        assert_eq!(ratio(999, 1000), "0.99");
        assert_eq!(ratio(9_999, 1000), "9.99");
        assert_eq!(ratio(10_550, 1000), "10.5");
        assert_eq!(ratio(5, 0), "5.00");
    }
}
