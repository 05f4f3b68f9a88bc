//! The boots that a benchmark is made of, and what each measures.
//!
//! | boot | what runs | rows |
//! |---|---|---|
//! | disk | the same, without `-icount` | those that wait for the disk |
//! | first task | `bench/first` in physmem's stead, nothing else | kernel calls that only physmem may make |
//! | system | everything, and `bench/bench` from the shell | all others |
//! | revocation | everything, and `bench/taking-back` from the shell, on some processors | the second table |
//! | prompt | the machine that `cargo run` boots, with another disk | `boot/prompt` |
//!
//! Each is run with instructions counted, and again without for the time. Under `-icount` the clock jumps from one timer to
//! the next while the machine waits for its disk: what timers do would be done as often as the host is slow. So what waits
//! for the disk is counted by the counter alone.

use super::figure::{Figure, Printed, counted};
use super::options::BenchOptions;
use super::revocation::Line;
use super::rows::{Count, GROUPS, Row, find};
use super::{disk, figure};
use crate::archive::{Archive, Member};
use crate::build::Guest;
use crate::counter::{Counter, Record};
use crate::ending::Ending;
use crate::logfile::Log;
use crate::machine::{Accelerator, Disk, Machine, Serial};
use crate::options::memory_size;
use crate::places::Places;
use crate::session::Session;
use crate::start::{ArchiveFile, EXEC_MEMBER, drive};
use crate::{Failure, Result, report};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Memory of the whole system when it is measured.
const MEMORY: u64 = 1 << 30;
/// Longest that a boot may take.
const LIMIT: Duration = Duration::from_secs(900);
/// What the first task's rows begin with.
const FIRST_TASK: [&str; 6] =
    ["kernel/map", "kernel/unmap", "kernel/protect", "kernel/zero", "kernel/copy", "kernel/fault"];
/// Code that writes to one page after the other, from `rdi` on: `1: mov [rdi], al; add rdi, 4096; jmp 1b`.
const TOUCH: &[u8] = &[0x88, 0x07, 0x48, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, 0xeb, 0xf5];
/// Number of the region that begins when the system is up (`kernel_runtime::region`).
const UP: u16 = 2;

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Boot {
    /// The first task alone.
    FirstTask,
    /// The whole system.
    System,
    /// The whole system, waiting for its disk.
    Disk,
    /// To the prompt and no further.
    Prompt,
    /// The whole system on so many processors, taking frames back.
    Revocation(u32),
}

impl Boot {
    /// Those that measure rows, in the order in which they are made.
    pub const OF_ROWS: [Boot; 4] = [Boot::System, Boot::Disk, Boot::FirstTask, Boot::Prompt];

    /// Which one measures a row.
    pub fn of(row: &Row) -> Boot {
        match row.group() {
            "boot" => Boot::Prompt,
            _ if row.count == Count::Waits => Boot::Disk,
            _ if FIRST_TASK.iter().any(|begin| row.name.starts_with(begin)) => Boot::FirstTask,
            _ => Boot::System,
        }
    }

    fn archive(self, guest: &Guest, options: &BenchOptions, counted: bool) -> Result<Archive> {
        let mut archive = guest.archive.clone();
        match self {
            Boot::FirstTask => {
                let first = archive.remove("bench/first");
                let first = first.ok_or_else(|| Failure::new("`bench/first` was not built"))?;
                archive.put(Member { name: String::from("physmem"), ..first });
                archive.put(Member::plain("touch", TOUCH));
            }
            Boot::System | Boot::Disk => archive.put(Member::plain(EXEC_MEMBER, command(self, options))),
            Boot::Prompt => archive.put(Member::plain(EXEC_MEMBER, "true\n")),
            Boot::Revocation(processors) => {
                let names = if counted { TAKING_BACK } else { "" };
                let command = format!("with all /.boot/bench/taking-back {processors} {names}\n");
                archive.put(Member::plain(EXEC_MEMBER, command));
            }
        }
        Ok(archive)
    }
}

/// What is counted of taking frames back: all that is marked.
const TAKING_BACK: &str = "notice grant revoke break-lock shootdown";

/// A fault that is served by a physmem that is a program itself.
const USER_PAGER: &str = "memory/user-pager";
/// Frames of it and what it serves.
const USER_PAGER_FRAMES: u64 = 4096;

/// What the shell is told to do: a program of its own for each group.
fn command(boot: Boot, options: &BenchOptions) -> String {
    let mut commands = String::new();
    for (group, _) in GROUPS {
        let rows = options.rows().filter(|row| row.group() == *group && Boot::of(row) == boot);
        let names: Vec<&str> = rows.map(|row| row.name).filter(|name| *name != USER_PAGER).collect();
        if !names.is_empty() {
            let names = names.join(" ");
            commands += &format!("with all /.boot/bench/bench files={} {names} || exit 1\n", disk::FOLDER);
        }
    }
    if boot == Boot::System && options.rows().any(|row| row.name == USER_PAGER) {
        commands += &format!("with {USER_PAGER_FRAMES} stacked /.boot/bench/bench {USER_PAGER} || exit 1\n");
    }
    commands
}

/// What is needed for any of them.
pub struct Bench<'a> {
    /// What is to be measured.
    pub options: &'a BenchOptions,
    /// What is booted.
    pub guest: &'a Guest,
    /// Where files lie.
    pub places: &'a Places,
    /// The disk.
    pub image: PathBuf,
}

/// What a guest has printed.
#[derive(Default)]
pub(super) struct Told {
    rows: Vec<Printed>,
    /// Lines of the second table.
    pub(super) revocation: Vec<Line>,
    /// Ticks of the time-stamp counter, and nanoseconds in which they passed.
    clock: Option<(u64, u64)>,
    failed: Option<String>,
    ticks_to_prompt: Option<u64>,
    part: [Vec<u8>; 2],
}

/// Where a line comes from.
#[derive(Clone, Copy)]
enum From {
    Console,
    Log,
}

impl Told {
    fn take(&mut self, from: From, bytes: &[u8]) {
        for &byte in bytes {
            let part = &mut self.part[from as usize];
            if byte != b'\n' {
                part.push(byte);
                continue;
            }
            let line = std::mem::take(part);
            self.take_line(String::from_utf8_lossy(&line).trim_end());
        }
    }

    fn take_line(&mut self, line: &str) {
        let number = |word: Option<&str>| word.and_then(|word| word.parse::<u64>().ok());
        if let Some(row) = Printed::parse(line) {
            self.rows.push(row);
        } else if let Some(line) = Line::parse(line) {
            self.revocation.push(line);
        } else if let Some(numbers) = line.strip_prefix("clock ") {
            let mut words = numbers.split(' ');
            self.clock = number(words.next()).zip(number(words.next()));
        } else if let Some((_, reason)) = line.split_once("bench: FAILED: ") {
            self.failed = Some(reason.to_owned());
        } else if let Some((_, rest)) = line.split_once("boot: prompt after ") {
            self.ticks_to_prompt = number(rest.split(' ').next());
        }
    }
}

impl Bench<'_> {
    /// Runs one with instructions counted.
    pub fn count(&self, boot: Boot) -> Result<Vec<Figure>> {
        let accelerator = match boot {
            Boot::Disk => Accelerator::EmulationInTurns,
            _ => Accelerator::CountedEmulation,
        };
        let (told, record) = self.run_counted(boot, accelerator, false)?;
        if boot == Boot::Prompt {
            let up = record.begun.iter().find(|(region, _)| *region == UP);
            let &(_, instructions) = up.ok_or_else(|| Failure::new("the system did not come up"))?;
            return Ok(vec![prompt(instructions)]);
        }
        counted(&told.rows, &record)
    }

    /// Runs one with the counter, telling processors apart or not.
    pub(super) fn run_counted(
        &self,
        boot: Boot,
        accelerator: Accelerator,
        processors: bool,
    ) -> Result<(Told, Record)> {
        let folder = self.places.own("counts")?;
        let out = tempfile::Builder::new()
            .tempfile_in(&folder)
            .map_err(|error| Failure::file("write to", &folder, &error))?
            .into_temp_path();
        let counter = Counter { processors, ..Counter::build(self.places, out.to_path_buf())? };
        let told = self.run(boot, accelerator, Some(counter))?;
        Ok((told, Record::read(&out)?))
    }

    /// Runs it without, and gives the figures the time that their medians take.
    pub fn time(&self, boot: Boot, figures: &mut [Figure], clock: &mut Option<(u64, u64)>) -> Result<()> {
        let told = self.run(boot, Accelerator::Emulation, None)?;
        *clock = told.clock.or(*clock);
        let Some((ticks, nanoseconds)) = *clock else { return Ok(()) };
        let scaled =
            |value: u64| (u128::from(value) * u128::from(nanoseconds) / u128::from(ticks.max(1))) as u64;
        for figure in figures.iter_mut() {
            let row = told.rows.iter().find(|row| row.name == figure.row.name);
            let median = row.map(|row| row.median).or(match boot {
                Boot::Prompt => told.ticks_to_prompt,
                _ => None,
            });
            figure.nanoseconds = median.map(scaled);
        }
        Ok(())
    }

    /// Runs one to its end.
    pub(super) fn run(&self, boot: Boot, accelerator: Accelerator, counter: Option<Counter>) -> Result<Told> {
        let archive =
            ArchiveFile::write(self.places, &boot.archive(self.guest, self.options, counter.is_some())?)?;
        let mut log = Log::create(self.places)?;
        let machine = self.machine(boot, accelerator, counter, archive.path(), &log);
        let told = std::cell::RefCell::new(Told::default());
        let mut output = |_: &mut Session, bytes: &[u8]| {
            told.borrow_mut().take(From::Console, bytes);
            Ok(())
        };
        let mut news = |bytes: &[u8]| {
            told.borrow_mut().take(From::Log, bytes);
            if self.options.verbose {
                let _ = std::io::stderr().write_all(bytes);
            }
        };
        let ending = drive(Session::start(machine)?, &mut log, Some(LIMIT), &mut output, &mut news)?;
        let told = told.into_inner();
        if let Some(reason) = &told.failed {
            return Err(Failure::new(format!("the benchmark failed in the guest: {reason}")));
        }
        if let Some(explanation) = report::explain(&ending, &log.text(), log.path(), self.guest, self.places)
        {
            return Err(Failure::new(format!("the guest did not come to its end\n{explanation}")));
        }
        match ending {
            Ending::Status(0) => {
                log.discard();
                Ok(told)
            }
            ending => Err(Failure::new(format!("the guest ended badly: {ending:?}"))),
        }
    }

    fn machine(
        &self,
        boot: Boot,
        accelerator: Accelerator,
        counter: Option<Counter>,
        archive: &Path,
        log: &Log,
    ) -> Machine {
        let usual = memory_size("256M").unwrap_or(MEMORY);
        Machine {
            kernel: self.guest.kernel.clone(),
            archive: archive.to_owned(),
            memory_bytes: if matches!(boot, Boot::System | Boot::Disk) { MEMORY } else { usual },
            cpus: if let Boot::Revocation(processors) = boot { processors } else { 1 },
            disk: (boot != Boot::FirstTask).then(|| Disk::new(&self.image)),
            swap: None,
            serial: Serial::Pipes,
            log: log.path().to_owned(),
            qmp: PathBuf::new(),
            command_line: String::new(),
            events: None,
            accelerator,
            replay: None,
            counter,
            gdb: false,
        }
    }
}

fn prompt(instructions: u64) -> Figure {
    let row = find("boot/prompt").expect("it is in the table");
    let (median, least, most) = (instructions, instructions, instructions);
    figure::Figure { row, median, least, most, count: 1, repeated: None, nanoseconds: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::rows::ROWS;

    #[test]
    fn every_row_is_measured_by_one_boot() {
        let of = |name| Boot::of(find(name).unwrap());
        assert_eq!(of("kernel/map-256"), Boot::FirstTask);
        assert_eq!((of("kernel/null-call"), of("boot/prompt")), (Boot::System, Boot::Prompt));
        assert_eq!((of("files/cached-read-1m"), of("files/cold-read-1m")), (Boot::System, Boot::Disk));
        assert!(Boot::OF_ROWS.iter().all(|&boot| ROWS.iter().any(|row| Boot::of(row) == boot)));
    }

    #[test]
    fn the_shell_is_told_which_rows_are_wanted() {
        let only = |names: &[&str]| BenchOptions {
            only: names.iter().map(|name| name.to_string()).collect(),
            ..BenchOptions::default()
        };
        let pager = "with 4096 stacked /.boot/bench/bench memory/user-pager || exit 1\n";
        assert_eq!(command(Boot::System, &only(&["memory/user-pager"])), pager);
        assert!(command(Boot::System, &only(&[])).ends_with(pager));
        let command = command(Boot::System, &only(&["kernel/yield", "kernel/zero", "files/stat"]));
        let run = "with all /.boot/bench/bench files=/bench";
        assert_eq!(command, format!("{run} kernel/yield || exit 1\n{run} files/stat || exit 1\n"));
    }

    #[test]
    fn lines_come_in_any_pieces_from_two_places() {
        let mut told = Told::default();
        told.take(From::Console, b"row kernel/zero 1 1 1 ");
        told.take(From::Log, b"[ 0.1] boot: prompt after 77 ticks\nx");
        told.take(From::Console, b"1\r\nclock 3 1\nbench: FAILED: no\n");
        assert_eq!((told.rows.len(), told.clock, told.ticks_to_prompt), (1, Some((3, 1)), Some(77)));
        assert_eq!(told.failed.as_deref(), Some("no"));
    }
}
