//! The figures that are kept in the tree, `tests/bench/figures`: what they were when they were last looked at. They hold for
//! one version of compiler and emulator; with another one differences are told and mean nothing.

use super::figure::Figure;
use super::rows::Count;
use crate::host::{self, Host, ThisMachine};
use crate::places::{Places, write_whole};
use crate::{Failure, Result, child};
use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

/// The file, from the root of the tree.
pub const FILE: &str = "tests/bench/figures";

/// Parts of a hundred by which a figure may differ from what is kept.
const TOLERANCE: u64 = 3;
/// The same for what sets a timer.
const TOLERANCE_TIMED: u64 = 10;
/// The same for work on cached files: where the disk's requests were done in another order their pages lie otherwise.
const TOLERANCE_CACHED: u64 = 25;
/// The same for what waits for the disk: how many requests it has done when it is looked at depends on the host.
const TOLERANCE_WAITS: u64 = 25;

const HEAD: &str = "\
# What operations cost: row, guest instructions, iterations of `rep` among them.
# Written by `cargo run -- bench --update`. A test fails if a figure is off by more than 3 % (what sets timers: 10 %, cached files: 25 %,
# rows that wait for the disk: 25 %), so whoever changes what something costs changes this file with it.
";

/// What the figures depend on beside the tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Versions {
    /// The compiler of the guest.
    pub compiler: String,
    /// QEMU.
    pub emulator: String,
}

impl Versions {
    /// Of this machine.
    pub fn find() -> Result<Versions> {
        let compiler =
            if ThisMachine.has_guest_target() { host::rustc() } else { PathBuf::from(host::DEBIAN_RUSTC) };
        let first_line = |mut command: Command| {
            let bytes = child::succeed(command.arg("--version"))?;
            Ok::<_, Failure>(String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().to_owned())
        };
        let emulator = first_line(host::command("qemu-system-x86_64")?)?;
        Ok(Versions { compiler: first_line(Command::new(compiler))?, emulator })
    }
}

/// What is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Where they are from.
    pub versions: Versions,
    /// Row, median, iterations of `rep`.
    pub figures: Vec<(String, u64, u64)>,
}

/// What came of a comparison.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Comparison {
    /// A line for each row that differs by more than it may.
    pub differences: Vec<String>,
    /// Whether the figures are from the same versions.
    pub is_meant: bool,
}

impl Kept {
    /// From the tree.
    pub fn read(places: &Places) -> Result<Kept> {
        let path = places.root.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(|error| Failure::file("read", &path, &error))?;
        Kept::parse(&text).ok_or_else(|| Failure::new(format!("{FILE} is damaged")))
    }

    /// From text; `None`: it is damaged.
    pub fn parse(text: &str) -> Option<Kept> {
        let (mut compiler, mut emulator, mut figures) = (None, None, Vec::new());
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            match line.split_once(' ')? {
                ("compiler", version) => compiler = Some(version.to_owned()),
                ("emulator", version) => emulator = Some(version.to_owned()),
                (name, numbers) => {
                    let (median, repeated) = numbers.split_once(' ')?;
                    figures.push((name.to_owned(), median.parse().ok()?, repeated.parse().ok()?));
                }
            }
        }
        Some(Kept { versions: Versions { compiler: compiler?, emulator: emulator? }, figures })
    }

    /// Writes figures in their place.
    pub fn write(places: &Places, versions: &Versions, figures: &[Figure]) -> Result<()> {
        write_whole(&places.root.join(FILE), text(versions, figures).as_bytes())
    }

    /// Compares figures with what is kept. All rows that are kept must have been measured where `is_whole`.
    pub fn compare(&self, versions: &Versions, figures: &[Figure], is_whole: bool) -> Comparison {
        let mut differences = Vec::new();
        for figure in figures {
            let name = figure.row.name;
            match self.figures.iter().find(|(kept, ..)| kept == name) {
                None => differences.push(format!("{name}: {}, is not kept", figure.median)),
                Some(&(_, was, _)) if differs(figure, was) => {
                    let percent = (figure.median as f64 - was as f64) * 100.0 / was.max(1) as f64;
                    differences.push(format!("{name}: was {was}, is {} ({percent:+.1} %)", figure.median));
                }
                Some(_) => {}
            }
        }
        if is_whole {
            let gone = self
                .figures
                .iter()
                .filter(|(name, ..)| !figures.iter().any(|figure| figure.row.name == name));
            differences.extend(gone.map(|(name, ..)| format!("{name}: was not measured")));
        }
        Comparison { differences, is_meant: self.versions == *versions }
    }
}

fn differs(figure: &Figure, was: u64) -> bool {
    let tolerance = match figure.row.count {
        Count::Exact => TOLERANCE,
        Count::Timed => TOLERANCE_TIMED,
        Count::Cached => TOLERANCE_CACHED,
        Count::Waits => TOLERANCE_WAITS,
    };
    figure.median.abs_diff(was) * 100 > was * tolerance
}

fn text(versions: &Versions, figures: &[Figure]) -> String {
    let mut text = String::from(HEAD);
    let _ = writeln!(text, "compiler {}\nemulator {}\n", versions.compiler, versions.emulator);
    for figure in figures {
        let _ = writeln!(text, "{} {} {}", figure.row.name, figure.median, figure.repeated.unwrap_or(0));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::rows::find;

    fn figure(name: &str, median: u64) -> Figure {
        let row = find(name).unwrap();
        Figure { row, median, least: 0, most: median, count: 1, repeated: Some(3), nanoseconds: None }
    }

    fn versions() -> Versions {
        Versions { compiler: "rustc 1".into(), emulator: "QEMU 7 (x y)".into() }
    }

    #[test]
    fn what_is_written_is_read() {
        let written = text(&versions(), &[figure("kernel/zero", 1000), figure("boot/prompt", 5)]);
        let kept = Kept::parse(&written).unwrap();
        assert_eq!(kept.versions, versions());
        assert_eq!(kept.figures, [("kernel/zero".into(), 1000, 3), ("boot/prompt".into(), 5, 3)]);
        for damaged in ["", "compiler x\n", "compiler x\nemulator y\nkernel/zero 1\n", "kernel/zero a b\n"] {
            assert_eq!(Kept::parse(damaged), None, "{damaged}");
        }
    }

    #[test]
    fn more_than_the_tolerance_is_a_difference_either_way() {
        let kept =
            Kept::parse(&text(&versions(), &[figure("kernel/zero", 1000), figure("boot/prompt", 1000)]));
        let kept = kept.unwrap();
        let compare = |zero, boot| {
            let figures = [figure("kernel/zero", zero), figure("boot/prompt", boot)];
            kept.compare(&versions(), &figures, true).differences
        };
        assert_eq!(compare(1030, 1250), [""; 0]);
        assert_eq!(compare(970, 750), [""; 0]);
        assert_eq!(compare(1031, 1000), ["kernel/zero: was 1000, is 1031 (+3.1 %)"]);
        assert_eq!(compare(969, 1251).len(), 2);
    }

    #[test]
    fn rows_that_are_new_or_gone_are_differences() {
        let kept = Kept::parse(&text(&versions(), &[figure("kernel/zero", 1000)])).unwrap();
        let other = Versions { compiler: "rustc 2".into(), ..versions() };
        let compared = kept.compare(&other, &[figure("kernel/copy", 7)], true);
        assert_eq!(compared.differences, ["kernel/copy: 7, is not kept", "kernel/zero: was not measured"]);
        assert!(!compared.is_meant);
        assert_eq!(kept.compare(&versions(), &[], false).differences, [""; 0]);
    }
}
