//! What is written at each mark, and at the end.
//!
//! | line | means |
//! |---|---|
//! | `begin REGION AT` | the region began when `AT` instructions had been executed since the start of the machine |
//! | `end REGION INSTRUCTIONS REPEATED` | it ended, after so many instructions, of which so many were iterations of `rep` |
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
    begun: HashMap<u16, Counts>,
}

impl<W: Write> Record<W> {
    /// One that is written to `out`.
    pub fn new(out: W) -> Record<W> {
        Record { out, begun: HashMap::new() }
    }

    /// A mark is passed, at these counts.
    pub fn mark(&mut self, mark: Mark, counts: Counts) -> Result<()> {
        match mark {
            Mark::Begin(region) => {
                self.begun.insert(region, counts);
                writeln!(self.out, "begin {region} {}", counts.instructions)
            }
            Mark::End(region) => {
                let Some(begin) = self.begun.remove(&region) else { return Ok(()) };
                let instructions = counts.instructions - begin.instructions;
                // One of the two marks is in the difference.
                let instructions = instructions.saturating_sub(1);
                writeln!(self.out, "end {region} {instructions} {}", counts.repeated - begin.repeated)?;
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
        record.mark(Mark::Begin(3), at(10, 0)).unwrap();
        record.mark(Mark::Begin(4), at(12, 0)).unwrap();
        record.mark(Mark::End(3), at(20, 5)).unwrap();
        record.mark(Mark::End(4), at(21, 5)).unwrap();
        record.end(at(100, 7)).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "begin 3 10\nbegin 4 12\nend 3 9 5\nend 4 8 5\ntotal 100 7\n"
        );
    }

    #[test]
    fn an_end_without_a_beginning_says_nothing() {
        let mut out = Vec::new();
        let mut record = Record::new(&mut out);
        record.mark(Mark::End(3), at(10, 0)).unwrap();
        record.mark(Mark::Begin(3), at(10, 0)).unwrap();
        record.mark(Mark::End(3), at(11, 0)).unwrap();
        record.mark(Mark::End(3), at(12, 0)).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "begin 3 10\nend 3 0 0\n");
    }
}
