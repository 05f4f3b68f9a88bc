//! Linux's column: the figures on its console, joined with what the instruction counter wrote.

use crate::counter::{Counts, Record};
use std::collections::HashMap;
use tests_linux_core::{BOOT_REGION, Clock, Figure, Line, Row, Samples};

/// What was measured of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Measured {
    /// Instructions of one unit.
    pub figure: Figure,
    /// Iterations of `rep` instructions among them, of one unit, on average; `None` if not counted.
    pub repeated: Option<u64>,
    /// Time of the median in a run in which nothing is counted, in nanoseconds; `None` without such a run.
    pub nanoseconds: Option<u64>,
}

/// The column.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Column {
    /// Rows that were measured.
    pub rows: HashMap<Row, Measured>,
    /// Rows that were not, and why.
    pub failed: Vec<(Row, String)>,
}

impl Column {
    /// Adds what a run has on its console and in its record.
    pub fn add(&mut self, console: &str, record: &Record) {
        let mut figures = HashMap::new();
        let mut regions = HashMap::new();
        for line in console.lines().filter_map(Line::read) {
            match line {
                Line::Row(row, figure) => drop(figures.insert(row, figure)),
                Line::Region { row, region, units } => drop(regions.insert(row, (region, units))),
                Line::Failed(row, reason) => self.failed.push((row, reason)),
                Line::Clock { .. } | Line::Done => {}
            }
        }
        for (row, (region, units)) in regions {
            let figure = match row.about().clock {
                Clock::Stamps => figures.get(&row).copied(),
                Clock::Counter => counted(record, region, units),
            };
            let repeated = repeated(record, region, units);
            if let Some(figure) = figure {
                // Of several runs the first one counts.
                self.rows.entry(row).or_insert(Measured { figure, repeated, nanoseconds: None });
            }
        }
    }

    /// Says of rows that no run had that they are missing.
    pub fn finish(&mut self) {
        for &row in Row::ALL {
            if !self.rows.contains_key(&row) && self.failed.iter().all(|(failed, _)| *failed != row) {
                self.failed.push((row, String::from("no figure came")));
            }
        }
    }

    /// Adds the times, from the console of another run.
    pub fn add_times(&mut self, console: &str) {
        let times = times(console);
        for (row, measured) in &mut self.rows {
            measured.nanoseconds = times.get(row).copied();
        }
    }
}

/// Whether the program came to its end.
pub fn is_whole(console: &str) -> bool {
    console.lines().any(|line| Line::read(line) == Some(Line::Done))
}

/// What rows cost on the console of a run in which nothing was counted, in nanoseconds.
fn times(console: &str) -> HashMap<Row, u64> {
    let lines = || console.lines().filter_map(Line::read);
    let clock = lines().find_map(|line| match line {
        Line::Clock { stamps, nanoseconds } => Some((u128::from(stamps), u128::from(nanoseconds))),
        _ => None,
    });
    let Some((stamps, nanoseconds)) = clock else { return HashMap::new() };
    let time = |line| match line {
        Line::Row(row, figure) => {
            let time = u128::from(figure.median) * nanoseconds / stamps;
            Some((row, u64::try_from(time).ok()?))
        }
        _ => None,
    };
    lines().filter_map(time).collect()
}

/// The figure of a row that the counter alone knows.
fn counted(record: &Record, region: u16, units: u64) -> Option<Figure> {
    if region == BOOT_REGION {
        let (_, boot) = record.begun.iter().find(|(begun, _)| *begun == BOOT_REGION)?;
        return Some(Figure { median: *boot, least: *boot, most: *boot, count: 1 });
    }
    let passages: Vec<Counts> = record.region(region).collect();
    let mut samples = Samples::with_room(passages.len());
    passages.iter().for_each(|counts| samples.push(counts.instructions));
    samples.figure(units)
}

fn repeated(record: &Record, region: u16, units: u64) -> Option<u64> {
    if region == BOOT_REGION {
        return None;
    }
    let passages: Vec<u64> = record.region(region).map(|counts| counts.repeated).collect();
    let units = units * passages.len() as u64;
    (units > 0).then(|| (passages.iter().sum::<u64>() + units / 2) / units)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(console: &str, record: &Record) -> Column {
        let mut column = Column::default();
        column.add(console, record);
        column.finish();
        column
    }

    fn figure(median: u64, least: u64, most: u64, count: u64) -> Figure {
        Figure { median, least, most, count }
    }

    #[test]
    fn figures_come_from_the_console_and_rep_from_the_record() {
        let console = "[    0.5] noise\r\nrow getppid 324 323 400 1000\r\nregion getppid 2 1000\r\ndone\r\n";
        let record = Record::parse("begin 1 99\nend 1 7 0\nbegin 2 500\nend 2 344000 2600\n");
        let column = column(console, &record);
        let expected = Measured { figure: figure(324, 323, 400, 1000), repeated: Some(3), nanoseconds: None };
        assert_eq!(column.rows.get(&Row::Getppid), Some(&expected));
        assert!(is_whole(console));
        assert_eq!(column.rows.len(), 1);
    }

    #[test]
    fn what_waits_comes_from_the_record_alone() {
        let console = "region boot 1 1\nregion cold-1m 57 10\n";
        let record = Record::parse("begin 1 99\nend 1 7 0\nend 57 100 30\nend 57 90 30\nend 57 310 30\n");
        let column = column(console, &record);
        assert_eq!(column.rows[&Row::Boot].figure, figure(99, 99, 99, 1));
        assert_eq!(
            column.rows[&Row::ColdRead1m],
            Measured { figure: figure(10, 9, 31, 3), repeated: Some(3), nanoseconds: None }
        );
        assert!(!is_whole(console));
    }

    #[test]
    fn of_two_runs_the_first_one_counts() {
        let mut column = Column::default();
        column.add("region boot 1 1\n", &Record::parse("begin 1 99\n"));
        column.add("region boot 1 1\nregion swap 43 1\n", &Record::parse("begin 1 88\nend 43 7 0\n"));
        assert_eq!((column.rows[&Row::Boot].figure.median, column.rows[&Row::Swap].figure.median), (99, 7));
    }

    #[test]
    fn times_come_from_another_run_by_its_clock() {
        let mut column = column(
            "row getppid 324 323 400 1000\nregion getppid 2 1\nrow yield 9 9 9 1\nregion yield 3 1\n",
            &Record::default(),
        );
        column.add_times("row getppid 5000 1 9000 10\n");
        assert_eq!(column.rows[&Row::Getppid].nanoseconds, None, "without a clock there is no time");
        column.add_times("row getppid 5000 1 9000 10\nrow signal 1 1 1 1\nclock 3000 1000\ndone\n");
        assert_eq!(column.rows[&Row::Getppid].nanoseconds, Some(1666));
        assert_eq!(column.rows[&Row::Yield].nanoseconds, None);
        assert_eq!(column.rows[&Row::Getppid].figure.median, 324);
    }

    #[test]
    fn a_row_without_a_figure_says_why() {
        let console = "region cold-1m 57 10\nfailed swap mount: no such device\n";
        let column = column(console, &Record::default());
        assert!(column.rows.is_empty());
        assert_eq!(column.failed.len(), Row::ALL.len());
        let reason =
            |row| column.failed.iter().find(|(failed, _)| *failed == row).map(|(_, reason)| reason.as_str());
        assert_eq!(reason(Row::Swap), Some("mount: no such device"));
        assert_eq!(reason(Row::ColdRead1m), Some("no figure came"));
    }
}
