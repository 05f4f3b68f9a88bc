//! The second table: what it takes to get frames back, on 1, 2 and 4 processors.
//!
//! On one processor instructions are counted and times are instructions. On several there are two boots: one for the times, and
//! one with the counter, telling processors apart, for the instructions that each spends on it. In both the processors run in
//! turns: with a thread of the host for each, times would be those of the host's scheduler wherever it has less than one
//! idle processor for each of the guest's, since all of these are busy.

use super::boots::{Bench, Boot};
use super::figure::SAMPLE;
use super::table::grouped;
use crate::Result;
use crate::counter::{OnProcessor, Record};
use crate::machine::Accelerator;
use serde_json::{Value, json};
use std::fmt::Write;

/// Name by which `--only` asks for the table.
pub const NAME: &str = "revocation";

/// Processors, boot by boot.
const PROCESSORS: [u32; 3] = [1, 2, 4];

/// What an operation is, by its name in the guest.
const TITLES: [(&str, &str); 6] = [
    ("notice", "notice to frames free, client gives them back"),
    ("seizure", "deadline to frames free, client ignores its call"),
    ("grant", "grant a page"),
    ("revoke", "revoke the grant"),
    ("break-lock", "break a fill lock, pages in use"),
    ("shootdown", "take pages away that are in use"),
];

/// A line of the table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// The operation.
    pub name: String,
    /// Frames that it is about.
    pub frames: u64,
    median: u64,
    late: u64,
    worst: u64,
    /// Rounds.
    pub count: u64,
    /// Interrupts sent to other processors, in all rounds: for shootdowns, wake-ups and stops.
    pub sent: [u64; 3],
    /// Rounds in which a client was not done by the deadline of its call.
    too_late: u64,
    /// Rounds that do not count; `None`: rounds are not marked.
    warm: Option<u64>,
    /// What each processor executed in the median, the caller's first. Empty: nobody told.
    pub processors: Vec<OnProcessor>,
}

impl Line {
    /// From what the guest printed; `None`: it is no such line.
    pub fn parse(line: &str) -> Option<Line> {
        let mut words = line.strip_prefix("revocation ")?.split_whitespace();
        let name = words.next()?.to_owned();
        let mut number = || words.next()?.parse::<u64>().ok();
        let [frames, median, late, worst, count] = [number()?, number()?, number()?, number()?, number()?];
        let rest: Vec<&str> = words.collect();
        let field = |name: &str| {
            rest.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse::<u64>().ok())
        };
        let sent = [field("sent")?, field("wakes")?, field("stops")?];
        let (too_late, warm) = (field("late")?, field("warm"));
        Some(Line { name, frames, median, late, worst, count, sent, too_late, warm, processors: Vec::new() })
    }

    /// Adds what the record says of its rounds; takes them off `passages`.
    fn add(&mut self, passages: &mut impl Iterator<Item = Vec<OnProcessor>>) {
        let Some(warm) = self.warm else { return };
        let rounds: Vec<_> = passages.take((warm + self.count) as usize).skip(warm as usize).collect();
        let processors = rounds.iter().map(Vec::len).max().unwrap_or(0);
        let median = |place: usize, of: fn(&OnProcessor) -> u64| {
            let mut all: Vec<u64> = rounds.iter().map(|round| round.get(place).map_or(0, of)).collect();
            all.sort_unstable();
            all.get(all.len() / 2).copied().unwrap_or(0)
        };
        let one = |place| OnProcessor {
            kernel: median(place, |on| on.kernel),
            programs: median(place, |on| on.programs),
        };
        self.processors = (0..processors).map(one).collect();
    }
}

/// Measures everything: the lines of each number of processors.
pub fn measure(bench: &Bench<'_>) -> Result<Vec<(u32, Vec<Line>)>> {
    PROCESSORS.iter().map(|&processors| Ok((processors, on(bench, processors)?))).collect()
}

fn on(bench: &Bench<'_>, processors: u32) -> Result<Vec<Line>> {
    let boot = Boot::Revocation(processors);
    if processors == 1 {
        return Ok(bench.run(boot, Accelerator::CountedEmulation, None)?.revocation);
    }
    let mut lines = bench.run(boot, Accelerator::EmulationInTurns, None)?.revocation;
    let counted = counted(bench, processors)?;
    for line in &mut lines {
        let same = counted.iter().find(|other| (&other.name, other.frames) == (&line.name, line.frames));
        line.processors = same.map(|line| line.processors.clone()).unwrap_or_default();
    }
    Ok(lines)
}

/// Measures what each of several processors executes; times mean nothing.
pub fn counted(bench: &Bench<'_>, processors: u32) -> Result<Vec<Line>> {
    let boot = Boot::Revocation(processors);
    let (told, record) = bench.run_counted(boot, Accelerator::EmulationInTurns, true)?;
    let mut lines = told.revocation;
    add_processors(&mut lines, &record);
    Ok(lines)
}

fn add_processors(lines: &mut [Line], record: &Record) {
    let regions = record.passages.iter().zip(&record.processors);
    let mut samples = regions.filter(|((region, _), _)| *region == SAMPLE).map(|(_, each)| each.clone());
    lines.iter_mut().for_each(|line| line.add(&mut samples));
}

/// The tables.
pub fn table(all: &[(u32, Vec<Line>)]) -> String {
    let mut text = String::new();
    for (processors, lines) in all {
        let unit = if *processors == 1 { "guest instructions" } else { "nanoseconds" };
        let title = format!("TAKING FRAMES BACK, {processors} PROCESSOR(S), IN {}", unit.to_uppercase());
        let _ = write!(
            text,
            "{title:<62} {:>6} {:>10} {:>10} {:>10} {:>8}",
            "FRAMES", "MEDIAN", "99 %", "WORST", "A FRAME"
        );
        if *processors > 1 {
            let _ = write!(text, " {:>7} {:>10} {:>10}  OTHERS' KERNEL", "IPIS", "KERNEL", "PROGRAMS");
        }
        text.push('\n');
        for line in lines {
            let _ = writeln!(text, "{}", shown(line, *processors));
        }
        text.push('\n');
    }
    text + "ipis: interrupts sent to other processors, an operation. kernel, programs: instructions on the processor that\n\
            asks, median; others' kernel: on each of the others, which run a thread of the same address space meanwhile.\n\
            Several processors run in turns, so what one does for another takes time of both\n"
}

fn shown(line: &Line, processors: u32) -> String {
    let title = TITLES.iter().find(|(name, _)| *name == line.name).map_or("", |(_, title)| title);
    let [median, late, worst, each] =
        [line.median, line.late, line.worst, line.median / line.frames.max(1)].map(grouped);
    let mut text = format!(
        "{:<11} {title:<50} {:>6} {median:>10} {late:>10} {worst:>10} {each:>8}",
        line.name, line.frames
    );
    if processors > 1 {
        let _ = write!(text, " {:>7.2}", line.sent.iter().sum::<u64>() as f64 / line.count.max(1) as f64);
        if let [own, others @ ..] = &line.processors[..] {
            let others: Vec<String> = others.iter().map(|on| grouped(on.kernel)).collect();
            let (kernel, programs) = (grouped(own.kernel), grouped(own.programs));
            let _ = write!(text, " {kernel:>10} {programs:>10}  {}", others.join(", "));
        }
    }
    if line.too_late > 0 {
        let _ = write!(text, "  ({} of {} calls met too late)", line.too_late, line.count);
    }
    text
}

/// For programs.
pub fn to_json(all: &[(u32, Vec<Line>)]) -> Value {
    let one = |(processors, line): (u32, &Line)| {
        let each = |on: &OnProcessor| json!({"kernel": on.kernel, "programs": on.programs});
        json!({
            "processors": processors,
            "name": line.name,
            "frames": line.frames,
            "median": line.median,
            "p99": line.late,
            "worst": line.worst,
            "count": line.count,
            "shootdowns_sent": line.sent[0],
            "wakes_sent": line.sent[1],
            "stops_sent": line.sent[2],
            "too_late": line.too_late,
            "instructions": line.processors.iter().map(each).collect::<Value>(),
        })
    };
    all.iter().flat_map(|(processors, lines)| lines.iter().map(|line| (*processors, line))).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRANT: &str = "revocation grant 1 100 110 120 2 sent=4 shootdowns=9 wakes=1 stops=1 late=0 warm=1";

    #[test]
    fn a_line_is_read_and_one_that_lacks_something_is_not() {
        let line = Line::parse(GRANT).unwrap();
        assert_eq!((line.name.as_str(), line.frames, line.median, line.worst), ("grant", 1, 100, 120));
        assert_eq!((line.sent, line.warm), ([4, 1, 1], Some(1)));
        let line = "revocation seizure 16 1 1 1 1 sent=0 shootdowns=0 wakes=0 stops=0 late=0 unmarked";
        assert_eq!(Line::parse(line).unwrap().warm, None);
        for line in ["", "revocation", "revocation x 1 2 3 4", "revocation x 1 2 3 4 5 sent=1"] {
            assert_eq!(Line::parse(line), None, "{line}");
        }
    }

    #[test]
    fn rounds_are_those_of_the_record_in_order() {
        let seizure = GRANT.replace("grant", "seizure").replace("warm=1", "unmarked");
        let mut lines = [&seizure, GRANT].map(|line| Line::parse(line).unwrap());
        let record = Record::parse(
            "end 1 1 0\nprocessor 1 0 900 900\nend 2 1 0\nend 1 9 0\nprocessor 1 1 5 6\nprocessor 1 0 7 99\n\
             end 1 9 0\nprocessor 1 0 5 6\nprocessor 1 1 8 99\n",
        );
        add_processors(&mut lines, &record);
        assert!(lines[0].processors.is_empty());
        let kernel: Vec<_> = lines[1].processors.iter().map(|on| on.kernel).collect();
        assert_eq!(kernel, [5, 8]);
        let text = table(&[(2, lines.to_vec())]);
        assert!(text.contains("3.00          5          6  8\n"), "{text}");
        assert!(text.contains("2 PROCESSOR(S), IN NANOSECONDS"), "{text}");
    }
}
