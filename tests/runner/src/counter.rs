//! The plugin that counts executed guest instructions (`tests/counter`): built on demand, loaded, its record read.

use crate::machine::with_path;
use crate::places::Places;
use crate::{Failure, Result, child, host};
use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The counter, as QEMU loads it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counter {
    /// The plugin.
    pub plugin: PathBuf,
    /// Where it writes its record.
    pub out: PathBuf,
    /// Count each instruction, too.
    pub profile: Option<Profile>,
    /// Tell what each processor executed.
    pub processors: bool,
}

/// Counts of each instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    /// Where they are written; read by [`crate::profile`].
    pub file: PathBuf,
    /// Only what is executed within this region.
    pub region: Option<u16>,
}

impl Counter {
    /// Builds the plugin, with what builds this program.
    pub fn build(places: &Places, out: impl Into<PathBuf>) -> Result<Counter> {
        let mut command = Command::new(host::cargo());
        command.current_dir(&places.root);
        command.args(["build", "--quiet", "--locked", "--release", "--package", "tests-counter"]);
        command.arg("--target-dir").arg(&places.target);
        if !child::wait(&mut child::start(&mut command)?)?.success() {
            return Err(Failure::new("the instruction counter does not build (see above)"));
        }
        let plugin = places.target.join("release").join("libtests_counter.so");
        Ok(Counter { plugin, out: out.into(), profile: None, processors: false })
    }

    /// The value of QEMU's option `-plugin`.
    pub fn argument(&self) -> Result<OsString> {
        let mut argument = with_path("", &self.plugin, "")?;
        argument.push(with_path(",out=", &self.out, "")?);
        if let Some(profile) = &self.profile {
            argument.push(with_path(",profile=", &profile.file, "")?);
            if let Some(region) = profile.region {
                argument.push(format!(",region={region}"));
            }
        }
        if self.processors {
            argument.push(",processors=on");
        }
        Ok(argument)
    }
}

/// One passage through a region, or a whole run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Instructions executed; a repeated string instruction counts once for each iteration.
    pub instructions: u64,
    /// Such iterations among them.
    pub repeated: u64,
}

/// What one processor executed during a passage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OnProcessor {
    /// In the kernel.
    pub kernel: u64,
    /// In programs.
    pub programs: u64,
}

/// What a run's record says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Record {
    /// Where regions began: region, and instructions since the machine's start, in the order of time.
    pub begun: Vec<(u16, u64)>,
    /// Passages through regions, in the order of their ends.
    pub passages: Vec<(u16, Counts)>,
    /// What processors executed in each passage, in the same order; the first is the one that came to its end. Empty where
    /// processors were not told apart.
    pub processors: Vec<Vec<OnProcessor>>,
    /// The whole run; `None` if it did not end by itself.
    pub total: Option<Counts>,
}

impl Record {
    /// Reads the file that the plugin wrote.
    pub fn read(path: &Path) -> Result<Record> {
        let text = std::fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?;
        Ok(Record::parse(&text))
    }

    /// Reads lines as `tests/counter` writes them. What was cut short is left out.
    pub fn parse(text: &str) -> Record {
        let mut record = Record::default();
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |index: usize| words.get(index).and_then(|word| word.parse::<u64>().ok());
            let region = number(1).and_then(|region| u16::try_from(region).ok());
            let counts = |index| Some(Counts { instructions: number(index)?, repeated: number(index + 1)? });
            match words[0] {
                "begin" => record.begun.extend(region.zip(number(2))),
                "end" => {
                    record.passages.extend(region.zip(counts(2)));
                    record.processors.resize(record.passages.len(), Vec::new());
                }
                "processor" => {
                    let on = number(3).zip(number(4));
                    let on = on.map(|(kernel, programs)| OnProcessor { kernel, programs });
                    if let Some(all) = record.processors.last_mut() {
                        all.extend(on);
                    }
                }
                "total" => record.total = counts(1),
                _ => {}
            }
        }
        record
    }

    /// A line for each region: passages, and least, median and most instructions, without iterations of `rep`, and these.
    pub fn table(&self) -> String {
        let mut text = String::from("region  passages       least      median        most    rep (median)\n");
        let mut regions: Vec<u16> = self.passages.iter().map(|(region, _)| *region).collect();
        regions.sort_unstable();
        regions.dedup();
        for region in regions {
            let sorted = |count: fn(Counts) -> u64| {
                let mut counts: Vec<u64> = self.region(region).map(count).collect();
                counts.sort_unstable();
                counts
            };
            let once = sorted(|counts| counts.instructions - counts.repeated);
            let repeated = sorted(|counts| counts.repeated);
            let (passages, middle) = (once.len(), once.len() / 2);
            let (least, median, most) = (once[0], once[middle], once[passages - 1]);
            let repeated = repeated[middle];
            let _ = writeln!(text, "{region:6} {passages:9} {least:11} {median:11} {most:11} {repeated:15}");
        }
        text
    }

    /// What the passages through a region counted, in the order of time.
    pub fn region(&self, region: u16) -> impl Iterator<Item = Counts> + '_ {
        self.passages.iter().filter(move |(one, _)| *one == region).map(|(_, counts)| *counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_and_what_was_cut_short_is_left_out() {
        let text = "begin 3 100\nend 3 20 5\nprocessor 3 1 7 8\nbegin 4 130\nend 3 22 5\nnoise\nend x\ntotal 150 9\nend 3 23 ";
        let record = Record::parse(text);
        assert_eq!(record.begun, [(3, 100), (4, 130)]);
        let counted: Vec<_> = record.region(3).map(|counts| counts.instructions).collect();
        assert_eq!(counted, [20, 22]);
        assert_eq!(record.region(4).count(), 0);
        assert_eq!(record.processors, [vec![OnProcessor { kernel: 7, programs: 8 }], vec![]]);
        assert_eq!(record.total, Some(Counts { instructions: 150, repeated: 9 }));
        assert_eq!(Record::parse("total 15"), Record::default());
    }

    #[test]
    fn the_table_has_a_line_for_each_region() {
        let record = Record::parse("end 9 100 30\nend 2 5 0\nend 9 90 30\nend 9 110 30\n");
        let lines: Vec<Vec<String>> =
            record.table().lines().map(|line| line.split_whitespace().map(String::from).collect()).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1], ["2", "1", "5", "5", "5", "0"]);
        assert_eq!(lines[2], ["9", "3", "60", "70", "80", "30"]);
    }
}
