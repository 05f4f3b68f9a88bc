//! Files that are in the cache, and names.

use crate::disk::{CACHED, FOLDER, NAMED, PLACE, open_file};
use crate::report::Report;
use crate::sys::{Fill, Memory, PAGE, stamp};
use rustix::fs::{AtFlags, Mode, OFlags, RawDir, open, openat, seek, statat};
use rustix::io::{Errno, Result, pread};
use std::hint::black_box;
use std::mem::MaybeUninit;
use tests_linux_core::Row;

/// Samples of short operations, of those on 1 MiB, of those on 64 MiB.
const COUNT: usize = 1000;
const MIB_COUNT: usize = 50;
const LARGE_COUNT: usize = 5;

const MIB: usize = 1 << 20;

/// Measures all rows of this module.
pub fn measure(report: &mut Report) -> Result<()> {
    names(report)?;
    reads(report)?;
    mapped(report)
}

fn names(report: &mut Report) -> Result<()> {
    let root = open(PLACE, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
    let open_named = || openat(&root, NAMED, OFlags::RDONLY, Mode::empty());
    report.timed(Row::Open, COUNT, 1, |_| {
        let begin = stamp();
        let _file = open_named()?;
        Ok(stamp() - begin)
    });
    report.each(Row::OpenClose, COUNT, |_| open_named().map(drop));
    report.each(Row::Stat, COUNT, |_| statat(&root, NAMED, AtFlags::empty()).map(drop));
    let folder = open(FOLDER, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
    let mut buffer = [const { MaybeUninit::uninit() }; 32 << 10];
    let mut entries = || -> Result<u64> {
        let mut entries = 0;
        seek(&folder, rustix::fs::SeekFrom::Start(0))?;
        let mut reader = RawDir::new(&folder, &mut buffer);
        while let Some(entry) = reader.next() {
            entry?;
            entries += 1;
        }
        Ok(entries)
    };
    let count = entries()?;
    report.many(Row::ReadFolder, COUNT, count, |_| entries().map(drop));
    Ok(())
}

/// Into a buffer that is there.
fn reads(report: &mut Report) -> Result<()> {
    let file = open_file(CACHED, OFlags::empty())?;
    let mut memory = Memory::anonymous(64 * MIB, Fill::Populated)?;
    read_whole(&file, memory.bytes())?;
    for (row, bytes, count) in [
        (Row::Read4k, 4 << 10, COUNT),
        (Row::Read64k, 64 << 10, COUNT),
        (Row::Read1m, MIB, MIB_COUNT),
        (Row::Read64m, 64 * MIB, LARGE_COUNT),
    ] {
        let buffer = &mut memory.bytes()[..bytes];
        report.each(row, count, |_| read_whole(&file, buffer));
    }
    Ok(())
}

fn read_whole(file: &std::fs::File, buffer: &mut [u8]) -> Result<()> {
    let bytes = buffer.len();
    if pread(file, buffer, 0)? == bytes { Ok(()) } else { Err(Errno::IO) }
}

fn mapped(report: &mut Report) -> Result<()> {
    let file = open_file(CACHED, OFlags::empty())?;
    report.each(Row::Mapped1m, MIB_COUNT, |_| {
        let memory = Memory::of_file(&file, MIB, Fill::Touched)?;
        for page in 0..memory.pages() {
            black_box(memory.read(page));
        }
        Ok(())
    });
    for (map, unmap, pages) in
        [(Row::MapCached, Some(Row::UnmapCached), MIB / PAGE), (Row::MapCachedPage, None, 1)]
    {
        report.timed(map, MIB_COUNT, pages as u64, |_| {
            let begin = stamp();
            let _memory = Memory::of_file(&file, pages * PAGE, Fill::Populated)?;
            Ok(stamp() - begin)
        });
        let Some(unmap) = unmap else { continue };
        report.timed(unmap, MIB_COUNT, pages as u64, |_| {
            let memory = Memory::of_file(&file, pages * PAGE, Fill::Populated)?;
            let begin = stamp();
            drop(memory);
            Ok(stamp() - begin)
        });
    }
    Ok(())
}
