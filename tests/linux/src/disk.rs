//! The disk: an ext4 file system, and what has to be waited for.

use crate::about;
use crate::report::Report;
use crate::sys::{Fill, Memory, PAGE};
use rustix::fs::{Mode, OFlags, open, sync};
use rustix::io::{Errno, Result, pread};
use rustix::mount::{MountFlags, mount as mount_file_system};
use std::fs::File;
use std::time::{Duration, Instant};
use tests_linux_core::Row;

/// The disk itself.
const DISK: &str = "/dev/vda";
/// Where it is mounted.
pub const PLACE: &str = "/disk";
/// The files on it that are read: from the cache, in order, and at random places.
pub const CACHED: &str = "/disk/bench/cached";
const SEQUENTIAL: &str = "/disk/bench/sequential";
const RANDOM: &str = "/disk/bench/random";
/// A path of two names that is looked up from the root of the disk.
pub const NAMED: &str = "bench/cached";
/// A folder with many names.
pub const FOLDER: &str = "/disk/bench/names";

/// Bytes that are read, in whole.
const BYTES: usize = 64 << 20;
/// Reads at random places.
const RANDOM_READS: usize = 1000;
/// How often each row is measured.
const ROUNDS: usize = 5;
/// How long the disk may take to appear.
const APPEARS: Duration = Duration::from_secs(10);

/// Mounts it, read-only.
pub fn mount() -> std::result::Result<(), String> {
    wait_for(DISK)?;
    std::fs::create_dir_all(PLACE).map_err(about(PLACE))?;
    mount_file_system(DISK, PLACE, "ext4", MountFlags::RDONLY | MountFlags::NOATIME, None)
        .map_err(about(PLACE))
}

/// Waits until the driver has found a disk.
pub fn wait_for(disk: &str) -> std::result::Result<(), String> {
    let begin = Instant::now();
    while !std::path::Path::new(disk).exists() {
        if begin.elapsed() > APPEARS {
            return Err(format!("there is no {disk}"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Opens a file, to be read.
pub fn open_file(name: &str, flags: OFlags) -> Result<File> {
    open(name, OFlags::RDONLY | flags, Mode::empty()).map(File::from)
}

/// Measures all rows of this module. Units are pages, but for single reads at random places.
pub fn measure(report: &mut Report) -> Result<()> {
    let mut memory = Memory::anonymous(BYTES, Fill::Populated)?;
    let buffered = open_file(SEQUENTIAL, OFlags::empty())?;
    let direct = open_file(SEQUENTIAL, OFlags::DIRECT)?;
    let raw = open_file(DISK, OFlags::DIRECT)?;
    let pages = (BYTES / PAGE) as u64;
    for (row, file, call) in [
        (Row::ColdRead64k, &buffered, 64 << 10),
        (Row::Direct64k, &direct, 64 << 10),
        (Row::ColdRead1m, &buffered, 1 << 20),
        (Row::Direct1m, &direct, 1 << 20),
        (Row::Raw1m, &raw, 1 << 20),
        (Row::ColdRead64m, &buffered, BYTES),
        (Row::Direct64m, &direct, BYTES),
    ] {
        report.waits(row, ROUNDS, pages, forget_files, || read_in_calls(file, memory.bytes(), call));
    }
    let random = open_file(RANDOM, OFlags::DIRECT)?;
    let places = random_pages(RANDOM_READS);
    let buffer = &mut memory.bytes()[..PAGE];
    report.waits(Row::Random4k, ROUNDS, RANDOM_READS as u64, forget_files, || {
        places.iter().try_for_each(|page| read_at(&random, buffer, page * PAGE))
    });
    Ok(())
}

/// Empties the caches of files and names.
fn forget_files() -> Result<()> {
    sync();
    std::fs::write("/proc/sys/vm/drop_caches", "3").map_err(|_| Errno::IO)
}

fn read_in_calls(file: &File, buffer: &mut [u8], call: usize) -> Result<()> {
    buffer.chunks_mut(call).enumerate().try_for_each(|(index, chunk)| read_at(file, chunk, index * call))
}

fn read_at(file: &File, buffer: &mut [u8], offset: usize) -> Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        match pread(file, &mut buffer[done..], (offset + done) as u64)? {
            0 => return Err(Errno::IO),
            read => done += read,
        }
    }
    Ok(())
}

/// Pages of the file in an order that nothing reads ahead of (a linear congruential generator; Numerical Recipes, 7.1).
fn random_pages(count: usize) -> Vec<usize> {
    let mut state: u32 = 1;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % (BYTES / PAGE)
    };
    std::iter::repeat_with(next).take(count).collect()
}
