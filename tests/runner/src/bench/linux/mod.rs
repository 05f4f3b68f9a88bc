//! The other column of `cargo run -- bench --against linux`: the same work on Debian's cloud kernel, in the same QEMU with the
//! same flags.
//!
//! [`package`] gets the kernel, [`programs`] packs what runs in it (`tests/linux`), [`column`] reads what it says. Linux runs on QEMU's plain processor: where one promises fast string instructions it copies by them, and
//! each of their iterations counts.

mod column;
mod cpio;
mod package;
mod programs;

pub use column::{Column, Measured};
pub use package::Kernel;

use crate::counter::{Counter, Record};
use crate::ending::Ending;
use crate::logfile::Log;
use crate::machine::{Accelerator, Disk, Machine, Serial};
use crate::places::Places;
use crate::session::Session;
use crate::start::{ArchiveFile, drive};
use crate::{Failure, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tests_linux_core::{STAMPS, WAITS};

/// Memory of the machine: caches of 64 MiB, buffers of as much, and room.
const MEMORY_BYTES: u64 = 1 << 30;
/// Bytes of the disk to swap to.
const SWAP_BYTES: u64 = 256 << 20;
/// Words for the kernel: as its distribution has it, with its console on the serial port; a panic ends the machine.
const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1";
/// How long it may take; half a minute is usual.
const TIME_LIMIT: Duration = Duration::from_secs(900);
/// Most that is kept of its console.
const CONSOLE_BYTES_MAX: usize = 1 << 20;
/// Lines of the console in a failure.
const LINES_SHOWN: usize = 12;
/// How the machine ends when every row was tried.
const DONE: Ending = Ending::Status(tests_linux_core::DONE);

/// The kernel, downloaded if none is kept. What fails here is a network or a package that is not there, or a bad package.
pub fn kernel(places: &Places) -> Result<Kernel> {
    package::find(&package::Debian, &places.own("linux")?)
}

/// Boots Linux with this disk and measures: what waits for nothing; what waits for the disk, where the clock does not jump over
/// waiting; and if wanted everything once more for the time, with nothing counted.
pub fn measure(places: &Places, kernel: &Kernel, image: &Path, with_time: bool) -> Result<Column> {
    eprintln!("measuring {} under QEMU, about a minute", kernel.name);
    let archive = ArchiveFile::write_bytes(places, &programs::pack(places, kernel)?)?;
    let boot = |accelerator, part: &str, counter: Option<Counter>| {
        let swap = swap_disk(places)?;
        let machine = Machine {
            kernel: kernel.image.clone(),
            archive: archive.path().to_owned(),
            memory_bytes: MEMORY_BYTES,
            cpus: 1,
            disk: Some(Disk::new(image)),
            swap: Some(Disk::writable(swap.to_path_buf())),
            serial: Serial::Pipes,
            log: PathBuf::new(),
            qmp: PathBuf::new(),
            // What stands behind the dashes is for the first process.
            command_line: format!("{COMMAND_LINE} -- {part}"),
            events: None,
            accelerator,
            replay: None,
            counter,
            gdb: false,
        };
        let (ending, console) = run(places, machine)?;
        conclude(&ending, console)
    };
    let mut column = Column::default();
    for (accelerator, part) in [(Accelerator::CountedPlain, STAMPS), (Accelerator::EmulationPlain, WAITS)] {
        let record = record_file(places)?;
        let console = boot(accelerator, part, Some(Counter::build(places, record.to_path_buf())?))?;
        column.add(&console, &Record::read(&record)?);
    }
    column.finish();
    if with_time {
        column.add_times(&boot(Accelerator::EmulationPlain, "", None)?);
    }
    Ok(column)
}

/// Runs it to its end: how it ended, and what was on its console.
fn run(places: &Places, machine: Machine) -> Result<(Ending, String)> {
    let mut log = Log::create(places)?;
    let machine = Machine { log: log.path().to_owned(), ..machine };
    let mut console = Vec::new();
    let mut take = |_: &mut Session, bytes: &[u8]| {
        let room = CONSOLE_BYTES_MAX.saturating_sub(console.len());
        console.extend(&bytes[..bytes.len().min(room)]);
        Ok(())
    };
    let ending = drive(Session::start(machine)?, &mut log, Some(TIME_LIMIT), &mut take, &mut |_| ());
    log.discard();
    Ok((ending?, String::from_utf8_lossy(&console).into_owned()))
}

fn record_file(places: &Places) -> Result<tempfile::TempPath> {
    let folder = places.own("counts")?;
    let file = tempfile::Builder::new().tempfile_in(&folder);
    file.map(tempfile::NamedTempFile::into_temp_path)
        .map_err(|error| Failure::file("write to", &folder, &error))
}

/// An empty disk to swap to; it goes with the value.
fn swap_disk(places: &Places) -> Result<tempfile::TempPath> {
    let folder = places.own("disk")?;
    let failed = |error: std::io::Error| Failure::file("write to", &folder, &error);
    let file = tempfile::Builder::new().prefix("swap-").tempfile_in(&folder).map_err(failed)?;
    file.as_file().set_len(SWAP_BYTES).map_err(failed)?;
    Ok(file.into_temp_path())
}

/// The console of a run that came to its end.
fn conclude(ending: &Ending, console: String) -> Result<String> {
    if *ending == DONE && column::is_whole(&console) {
        return Ok(console);
    }
    let why = match ending {
        Ending::Status(_) => String::from("its program could not go on"),
        ending => ending.complaint().unwrap_or_default(),
    };
    let lines: Vec<&str> = console.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n");
    Err(Failure::new(format!("Linux could not be measured: {why}\n{last}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_to_the_end_has_a_console() {
        let console = "row getppid 324 323 400 1000\ndone\n";
        assert_eq!(conclude(&DONE, console.into()).as_deref(), Ok(console));
    }

    #[test]
    fn a_run_that_broke_off_shows_the_end_of_the_console() {
        let console = (0..40).map(|line| format!("line {line}\n\n")).collect::<String>();
        let failed = Ending::Status(tests_linux_core::FAILED);
        let failure = conclude(&failed, console + "error: the disk: no /dev/vda\n").unwrap_err();
        assert!(
            failure.what.contains("could not go on") && failure.what.ends_with("no /dev/vda"),
            "{failure}"
        );
        assert!(failure.what.contains("line 39") && !failure.what.contains("line 28\n"), "{failure}");
        let failure = conclude(&DONE, "row getppid 324 323 400 1000\n".into()).unwrap_err();
        assert!(failure.what.contains("getppid"), "not whole: {failure}");
        let failure = conclude(&Ending::TimedOut { answered: false }, String::new()).unwrap_err();
        assert!(failure.what.contains("time ran out"), "{failure}");
    }
}
