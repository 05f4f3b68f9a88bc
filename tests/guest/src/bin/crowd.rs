//! Several readers at once, of different files and of the same one, some of them ended midway. Each checks its contents against
//! what a quiet read gave before; at the end nobody holds anything of theirs.
//!
//! Arguments: the number of rounds, files.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;
use kernel_runtime::containers::Allowance;
use kernel_runtime::files::{Names, Window};
use kernel_runtime::process::ExitStatus;
use kernel_runtime::startup::Startup;
use tests_guest::child::Child;
use tests_guest::{Books, Failed, Random, Report};

kernel_runtime::program!(main);

/// Readers at a time.
const READERS: u64 = 3;
/// What each may hold.
const ALLOWANCE: Allowance = Allowance { guaranteed: 128, extra_limit: 0, pin_limit: WINDOW_PAGES };
/// Pages that a reader reads at a time.
const WINDOW_PAGES: u64 = 32;
/// Time in which a reader must be done.
const LIMIT: Duration = Duration::from_secs(60);
/// Exit status of a reader that found what it was told to find.
const RIGHT: u32 = 55;

fn main(startup: Startup<'static>) -> i32 {
    let mut report = Report::new(&startup);
    let result = match &startup.arguments[..] {
        [b"reader", file, sum] => match checksum(&startup, file) {
            Ok(found) if found.as_bytes() == *sum => return RIGHT as i32,
            Ok(found) => Err(Failed(format!("wrong contents: {found}"))),
            Err(failed) => Err(failed),
        },
        [b"victim", file, sum] => read_for_ever(&startup, file, sum),
        [rounds, files @ ..] if !files.is_empty() => run(&startup, &mut report, rounds, files),
        _ => Err(Failed("usage: crowd ROUNDS FILE...".to_string())),
    };
    report.finish("crowd", result)
}

fn run(
    startup: &Startup<'_>,
    report: &mut Report,
    rounds: &[u8],
    files: &[&'static [u8]],
) -> Result<(), Failed> {
    let rounds = core::str::from_utf8(rounds).ok().and_then(|text| text.parse().ok());
    let rounds: u64 = rounds.ok_or(Failed("the number of rounds is no number".to_string()))?;
    let sums = files.iter().map(|file| checksum(startup, file)).collect::<Result<Vec<_>, _>>()?;
    let mut random = Random::new(rounds);
    round(startup, &mut random, files, &sums)?;
    let before = Books::look(startup)?;
    let (mut done, mut ended) = (0, 0);
    for _ in 0..rounds {
        let (by_itself, midway) = round(startup, &mut random, files, &sums)?;
        (done, ended) = (done + by_itself, ended + midway);
        Books::look(startup)?.check_same(&before, "crowd")?;
    }
    if done == 0 || ended == 0 {
        return Err(Failed(format!("{done} readers ended by themselves, {ended} were ended midway")));
    }
    report.line(format_args!("crowd: {done} readers read what was there, {ended} were ended midway"));
    Ok(())
}

/// Starts the readers, ends some, waits for the others. How many ended by themselves, and how many did not.
fn round(
    startup: &Startup<'_>,
    random: &mut Random,
    files: &[&[u8]],
    sums: &[String],
) -> Result<(u64, u64), Failed> {
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let choice = random.below(files.len() as u64) as usize;
        // A victim reads until it is ended, however quick the machine is.
        let is_victim = random.below(3) == 0;
        let part: &[u8] = if is_victim { b"victim" } else { b"reader" };
        let arguments: &[&[u8]] = &[part, files[choice], sums[choice].as_bytes()];
        let reader = Child::start_with(startup, "/.boot/test/crowd", arguments, &[], &ALLOWANCE)?;
        readers.push((reader, is_victim));
    }
    let (mut done, mut ended) = (0, 0);
    for (reader, is_victim) in readers {
        let limit = if is_victim { Duration::from_micros(random.below(20_000)) } else { LIMIT };
        match reader.wait(limit) {
            Some(ExitStatus::Exited(RIGHT)) if !is_victim => done += 1,
            None if is_victim => ended += 1,
            end => return Err(Failed(format!("a reader ended with {end:?}"))),
        }
    }
    Ok((done, ended))
}

/// The victim: reads and checks until somebody ends it.
fn read_for_ever(startup: &Startup<'_>, file: &[u8], sum: &[u8]) -> Result<(), Failed> {
    loop {
        let found = checksum(startup, file)?;
        if found.as_bytes() != sum {
            return Err(Failed(format!("wrong contents: {found}")));
        }
    }
}

/// A checksum of a file (FNV-1a, 64 bits): enough to tell bytes of another file or place.
fn checksum(startup: &Startup<'_>, file: &[u8]) -> Result<String, Failed> {
    let node =
        Names::from_startup(startup).lookup(file, true).map_err(|error| ("looking the file up", error))?;
    let mut window = Window::new(WINDOW_PAGES).map_err(|error| ("window", error))?;
    let (mut sum, mut offset) = (0xcbf2_9ce4_8422_2325_u64, 0);
    loop {
        let bytes = window.read(&node, offset).map_err(|error| ("read", error))?;
        if bytes.is_empty() {
            return Ok(format!("{sum:016x}-{offset}"));
        }
        sum = bytes.iter().fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
        offset += bytes.len() as u64;
    }
}
