//! Measuring: what each row's figure is made of, and the lines that tell it.
//!
//! Figures are kept until a group of rows is done and written then: the console's interrupts fall into no measurement.

use crate::sys;
use rustix::io::Result;
use std::io::Write;
use std::time::Instant;
use tests_linux_core::{BOOT_REGION, Clock, Figure, Line, Row, Samples};

/// Takes figures.
pub struct Report {
    lines: Vec<Line>,
    /// Instructions between two readings of the counter with nothing in between.
    overhead: u64,
    /// When it began, by both clocks.
    begun: (u64, Instant),
}

impl Report {
    /// One without figures.
    pub fn new() -> Report {
        let empty = || {
            let begin = sys::stamp();
            sys::stamp() - begin
        };
        let overhead = (0..100).map(|_| empty()).min().unwrap_or(0);
        Report { lines: Vec::new(), overhead, begun: (sys::stamp(), Instant::now()) }
    }

    /// What was executed before this program.
    pub fn boot(&mut self) {
        let (stamp, _) = self.begun;
        let figure = Figure { median: stamp, least: stamp, most: stamp, count: 1 };
        self.lines.push(Line::Row(Row::Boot, figure));
        self.lines.push(Line::Region { row: Row::Boot, region: BOOT_REGION, units: 1 });
    }

    /// Takes `count` samples of an operation of one unit.
    pub fn each(&mut self, row: Row, count: usize, operation: impl FnMut(usize) -> Result<()>) {
        self.many(row, count, 1, operation);
    }

    /// Takes `count` samples of an operation of so many units.
    pub fn many(
        &mut self,
        row: Row,
        count: usize,
        units: u64,
        mut operation: impl FnMut(usize) -> Result<()>,
    ) {
        self.timed(row, count, units, |index| {
            let begin = sys::stamp();
            operation(index)?;
            Ok(sys::stamp() - begin)
        });
    }

    /// Takes `count` samples of operations of so many units that read the counter themselves.
    pub fn timed(
        &mut self,
        row: Row,
        count: usize,
        units: u64,
        mut operation: impl FnMut(usize) -> Result<u64>,
    ) {
        debug_assert_eq!(row.about().clock, Clock::Stamps);
        let mut samples = Samples::with_room(count);
        let region = region(row);
        sys::begin(region);
        let result = (0..count).try_for_each(|index| {
            samples.push(operation(index)?.saturating_sub(self.overhead));
            Ok(())
        });
        sys::end(region);
        match (result, samples.figure(units)) {
            (Ok(()), Some(figure)) => {
                self.lines.push(Line::Row(row, figure));
                self.lines.push(Line::Region { row, region, units: count as u64 * units });
            }
            (Err(error), _) => self.failed(row, &error),
            (Ok(()), None) => self.failed(row, &rustix::io::Errno::NODATA),
        }
    }

    /// Measures an operation of so many units that waits for a device so many times, after `prepare` each time.
    pub fn waits(
        &mut self,
        row: Row,
        rounds: usize,
        units: u64,
        mut prepare: impl FnMut() -> Result<()>,
        mut operation: impl FnMut() -> Result<()>,
    ) {
        debug_assert_eq!(row.about().clock, Clock::Counter);
        let region = region(row);
        let mut samples = Samples::with_room(rounds);
        for _ in 0..rounds {
            let result = prepare().and_then(|()| {
                let begin = sys::stamp();
                sys::begin(region);
                let result = operation();
                sys::end(region);
                samples.push(sys::stamp() - begin);
                result
            });
            if let Err(error) = result {
                return self.failed(row, &error);
            }
        }
        self.lines.extend(samples.figure(units).map(|figure| Line::Row(row, figure)));
        self.lines.push(Line::Region { row, region, units });
    }

    /// The row has no figure.
    pub fn failed(&mut self, row: Row, error: &rustix::io::Errno) {
        self.lines.push(Line::Failed(row, error.to_string()));
    }

    /// Writes what was kept, and waits until it is gone.
    pub fn write(&mut self) {
        let mut output = std::io::stdout().lock();
        for line in self.lines.drain(..) {
            let _ = writeln!(output, "{line}");
        }
        let _ = output.flush();
        let _ = rustix::termios::tcdrain(&output);
    }

    /// Says how fast the counter was, and that nothing follows.
    pub fn done(&mut self) {
        let (stamp, instant) = self.begun;
        let nanoseconds = u64::try_from(instant.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.lines.push(Line::Clock { stamps: sys::stamp() - stamp, nanoseconds });
        self.lines.push(Line::Done);
        self.write();
    }
}

/// The region of a row.
fn region(row: Row) -> u16 {
    BOOT_REGION + 1 + row as u16
}
