//! Figures: what a guest printed, joined with what the counter outside of it saw.

use super::rows::{Count, Row, find};
use crate::counter::{Counts, Record};
use crate::{Failure, Result};

/// Number of the region that a sample is (`kernel_runtime::region`).
pub const SAMPLE: u16 = 1;

/// Instructions by which the two ways of counting may be apart, and one in a hundred more.
const APART: u64 = 8;

/// What one row costs, an operation (or a page: the row says).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Figure {
    /// The row.
    pub row: &'static Row,
    /// Instructions, with iterations of `rep`.
    pub median: u64,
    /// The least that a sample took.
    pub least: u64,
    /// The most.
    pub most: u64,
    /// Samples.
    pub count: u64,
    /// Iterations of `rep` within the median sample; `None` where nobody counted them.
    pub repeated: Option<u64>,
    /// Time that the median takes in a run of its own in which nothing is counted, in nanoseconds.
    pub nanoseconds: Option<u64>,
}

/// A line `row NAME MEDIAN LEAST MOST COUNT [rep=N] [warm=N] [each=N] [unmarked]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Printed {
    /// Of the row.
    pub name: String,
    /// Ticks of the guest's time-stamp counter.
    pub median: u64,
    /// The least.
    pub least: u64,
    /// The most.
    pub most: u64,
    /// Samples that count.
    pub count: u64,
    /// Iterations of `rep`, where the guest knows them.
    pub repeated: Option<u64>,
    /// Samples before them.
    pub warm: u64,
    /// Operations of a sample.
    pub each: u64,
    /// Whether each sample is a region of the record.
    pub marked: bool,
}

impl Printed {
    /// From a line, whatever stands before `row `. `None`: it is no such line.
    pub fn parse(line: &str) -> Option<Printed> {
        let begin = line.find("row ").filter(|&at| at == 0 || line.as_bytes()[at - 1] == b' ')?;
        let mut words = line[begin..].split_whitespace().skip(1);
        let name = words.next()?.to_owned();
        let mut number = || words.next()?.parse::<u64>().ok();
        let (median, least, most, count) = (number()?, number()?, number()?, number()?);
        let mut printed =
            Printed { name, median, least, most, count, repeated: None, warm: 0, each: 1, marked: true };
        for word in words {
            match word.split_once('=') {
                Some(("rep", value)) => printed.repeated = Some(value.parse().ok()?),
                Some(("warm", value)) => printed.warm = value.parse().ok()?,
                Some(("each", value)) => printed.each = value.parse().ok().filter(|&each| each > 0)?,
                None if word == "unmarked" => printed.marked = false,
                _ => return None,
            }
        }
        Some(printed)
    }

    /// As a figure, by the guest's own counter.
    pub fn figure(&self) -> Result<Figure> {
        let row = find(&self.name)
            .ok_or_else(|| Failure::new(format!("the guest measured `{}`, which is no row", self.name)))?;
        let Printed { median, least, most, count, repeated, .. } = *self;
        Ok(Figure { row, median, least, most, count, repeated, nanoseconds: None })
    }
}

/// Figures of rows in the order in which they were measured, by the record of the counter. Rows whose samples are not marked
/// are the guest's own.
pub fn counted(printed: &[Printed], record: &Record) -> Result<Vec<Figure>> {
    let mut passages = record.region(SAMPLE);
    let figures = printed.iter().map(|row| {
        let figure = row.figure()?;
        if !row.marked {
            return Ok(figure);
        }
        let samples: Vec<Counts> = passages.by_ref().take((row.warm + row.count) as usize).collect();
        match samples.get(row.warm as usize..) {
            Some(kept) if kept.len() as u64 == row.count && row.count > 0 => {
                agreed(&figure, from_samples(figure.clone(), kept, row.each))
            }
            _ => Err(Failure::new(format!("the counter saw too few samples of `{}`", row.name))),
        }
    });
    let figures = figures.collect::<Result<_>>()?;
    match passages.count() {
        0 => Ok(figures),
        left => Err(Failure::new(format!("the counter saw {left} samples that belong to no row"))),
    }
}

/// The counter's figure, where it is the guest's own: these are two ways of counting that know nothing of each other. What
/// waits for the disk the guest cannot count, as its clock goes on meanwhile.
fn agreed(by_guest: &Figure, by_counter: Figure) -> Result<Figure> {
    let apart = by_guest.median.abs_diff(by_counter.median);
    if by_guest.row.count == Count::Waits || apart <= APART + by_counter.median / 100 {
        return Ok(by_counter);
    }
    let (name, guest, counter) = (by_guest.row.name, by_guest.median, by_counter.median);
    Err(Failure::new(format!(
        "`{name}` took {guest} instructions by the guest's clock, {counter} by the counter"
    )))
}

fn from_samples(figure: Figure, samples: &[Counts], each: u64) -> Figure {
    let an_operation = |count: u64| (count + each / 2) / each;
    let mut samples = samples.to_vec();
    samples.sort_unstable_by_key(|sample| (sample.instructions, sample.repeated));
    let (first, middle, last) = (samples[0], samples[samples.len() / 2], samples[samples.len() - 1]);
    Figure {
        median: an_operation(middle.instructions),
        least: an_operation(first.instructions),
        most: an_operation(last.instructions),
        repeated: Some(an_operation(middle.repeated)),
        ..figure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_guest_is_read_wherever_it_stands() {
        let line = "[    0.012345] row kernel/zero 700 699 801 64 warm=8 each=2";
        let printed = Printed::parse(line).unwrap();
        assert_eq!((printed.name.as_str(), printed.median, printed.most), ("kernel/zero", 700, 801));
        assert_eq!((printed.warm, printed.each, printed.marked), (8, 2, true));
        assert!(!Printed::parse("row kernel/zero 1 1 1 1 unmarked").unwrap().marked);
        assert_eq!(Printed::parse("row kernel/zero 1 1 1 1 rep=512").unwrap().repeated, Some(512));
        for line in ["", "row", "arrow x 1 1 1 1", "row x 1 1 1", "row x 1 1 1 1 each=0", "row x 1 1 1 1 y=2"]
        {
            assert_eq!(Printed::parse(line), None, "{line}");
        }
    }

    #[test]
    fn samples_are_those_of_the_record_in_order() {
        let printed = |text| Printed::parse(text).unwrap();
        let rows = [
            printed("row kernel/zero 12 1 1 3 warm=1 each=2"),
            printed("row memory/seize 9 8 10 5 unmarked"),
            printed("row kernel/copy 1 1 1 1"),
        ];
        let record =
            Record::parse("end 1 999 0\nend 2 5 0\nend 1 20 8\nend 1 40 8\nend 1 21 10\nend 1 7 0\n");
        let figures = counted(&rows, &record).unwrap();
        assert_eq!((figures[0].least, figures[0].median, figures[0].most), (10, 11, 20));
        assert_eq!((figures[0].repeated, figures[0].count), (Some(5), 3));
        assert_eq!((figures[1].median, figures[1].repeated), (9, None));
        assert_eq!(figures[2].median, 7);
    }

    #[test]
    fn two_counts_of_the_same_must_agree() {
        let count = |text, record| {
            let printed = [Printed::parse(text).unwrap()];
            counted(&printed, &Record::parse(record)).map(|figures| figures[0].median)
        };
        assert_eq!(count("row kernel/zero 1018 1 1 1", "end 1 1000 0\n"), Ok(1000));
        let failure = count("row kernel/zero 1019 1 1 1", "end 1 1000 0\n").unwrap_err();
        assert!(failure.what.contains("1019 instructions by the guest's clock, 1000 by"), "{failure}");
        assert_eq!(count("row files/cold-random-4k 99999 1 1 1", "end 1 1000 0\n"), Ok(1000));
    }

    #[test]
    fn a_record_that_does_not_fit_is_refused() {
        let rows = [Printed::parse("row kernel/zero 1 1 1 2").unwrap()];
        assert!(counted(&rows, &Record::parse("end 1 9 0\n")).unwrap_err().what.contains("too few"));
        let record = Record::parse("end 1 9 0\nend 1 9 0\nend 1 9 0\n");
        assert!(counted(&rows, &record).unwrap_err().what.contains("belong to no row"));
        let rows = [Printed::parse("row kernel/nothing 1 1 1 2").unwrap()];
        assert!(counted(&rows, &record).unwrap_err().what.contains("no row"));
    }
}
