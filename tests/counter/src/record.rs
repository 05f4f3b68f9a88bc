//! What is written at each mark, and at the end.
//!
//! | line | means |
//! |---|---|
//! | `begin REGION AT` | the region began when `AT` instructions had been executed since the start of the machine |
//! | `end REGION INSTRUCTIONS REPEATED` | it ended, after so many instructions, of which so many were iterations of `rep` |
//! | `processor REGION NUMBER KERNEL PROGRAMS` | behind `end`, where processors are told apart: what this one executed meanwhile. The first is the one that passed the end |
//! | `total INSTRUCTIONS REPEATED` | the machine has ended |
//!
//! All numbers are decimal. Neither mark counts. The end of a region that did not begin is not written.

use crate::instruction::Mark;
use std::collections::HashMap;
use std::io::{Result, Write};

/// Two counts at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Instructions executed.
    pub instructions: u64,
    /// Iterations of repeated string instructions among them.
    pub repeated: u64,
}

/// The record of a run.
pub struct Record<W> {
    out: W,
    begun: HashMap<u16, (Counts, ByProcessor)>,
}

/// What each processor has executed in the kernel and in programs; none, where they are not told apart.
pub type ByProcessor = Vec<[u64; 2]>;

impl<W: Write> Record<W> {
    /// One that is written to `out`.
    pub fn new(out: W) -> Record<W> {
        Record { out, begun: HashMap::new() }
    }

    /// A processor passes a mark, at these counts.
    pub fn mark(&mut self, mark: Mark, processor: u32, counts: Counts, each: ByProcessor) -> Result<()> {
        match mark {
            Mark::Begin(region) => {
                self.begun.insert(region, (counts, each));
                writeln!(self.out, "begin {region} {}", counts.instructions)
            }
            Mark::End(region) => {
                let Some((begin, each_at_begin)) = self.begun.remove(&region) else { return Ok(()) };
                let instructions = counts.instructions - begin.instructions;
                // One of the two marks is in the difference.
                let instructions = instructions.saturating_sub(1);
                writeln!(self.out, "end {region} {instructions} {}", counts.repeated - begin.repeated)?;
                let mut each: Vec<_> = each.iter().zip(&each_at_begin).enumerate().collect();
                each.sort_by_key(|(number, _)| (*number != processor as usize, *number));
                for (number, (now, then)) in each.into_iter().filter(|(_, (now, _))| **now != [0; 2]) {
                    let (kernel, programs) = (now[0] - then[0], now[1] - then[1]);
                    writeln!(self.out, "processor {region} {number} {kernel} {programs}")?;
                }
                self.out.flush()
            }
        }
    }

    /// The machine has ended.
    pub fn end(&mut self, counts: Counts) -> Result<()> {
        writeln!(self.out, "total {} {}", counts.instructions, counts.repeated)?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(instructions: u64, repeated: u64) -> Counts {
        Counts { instructions, repeated }
    }

    #[test]
    fn a_region_counts_what_is_between_its_marks() {
        let mut out = Vec::new();
        let mut record = Record::new(&mut out);
        record.mark(Mark::Begin(3), 0, at(10, 0), Vec::new()).unwrap();
        record.mark(Mark::Begin(4), 0, at(12, 0), Vec::new()).unwrap();
        record.mark(Mark::End(3), 0, at(20, 5), Vec::new()).unwrap();
        record.mark(Mark::End(4), 0, at(21, 5), Vec::new()).unwrap();
        record.end(at(100, 7)).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "begin 3 10\nbegin 4 12\nend 3 9 5\nend 4 8 5\ntotal 100 7\n"
        );
    }

    #[test]
    fn processors_are_told_apart_and_the_one_that_ends_comes_first() {
        let mut out = Vec::new();
        let mut record = Record::new(&mut out);
        record.mark(Mark::Begin(1), 1, at(0, 0), vec![[5, 5], [7, 7], [0, 0]]).unwrap();
        record.mark(Mark::End(1), 1, at(10, 0), vec![[6, 5], [10, 12], [0, 0]]).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "begin 1 0\nend 1 9 0\nprocessor 1 1 3 5\nprocessor 1 0 1 0\n");
    }

    #[test]
    fn an_end_without_a_beginning_says_nothing() {
        let mut out = Vec::new();
        let mut record = Record::new(&mut out);
        record.mark(Mark::End(3), 0, at(10, 0), Vec::new()).unwrap();
        record.mark(Mark::Begin(3), 0, at(10, 0), Vec::new()).unwrap();
        record.mark(Mark::End(3), 0, at(11, 0), Vec::new()).unwrap();
        record.mark(Mark::End(3), 0, at(12, 0), Vec::new()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "begin 3 10\nend 3 0 0\n");
    }
}
