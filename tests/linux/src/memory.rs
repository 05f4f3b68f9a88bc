//! Faults, mappings, copies.

use crate::pager::Pager;
use crate::report::Report;
use crate::sys::{Fill, Memory, PAGE, fork, stamp};
use rustix::io::{Result, read};
use rustix::mm::MprotectFlags;
use rustix::pipe::pipe;
use std::hint::black_box;
use tests_linux_core::Row;

/// Pages that are touched one by one.
const TOUCHED: usize = 1024;
/// Pages of a mapping of 1 MiB.
const MANY: usize = 256;
/// Samples of operations on whole mappings.
const COUNT: usize = 200;
/// Samples of the copy of 64 MiB.
const LARGE_COUNT: usize = 5;

const READ_WRITE: MprotectFlags = MprotectFlags::READ.union(MprotectFlags::WRITE);

/// Measures all rows of this module.
pub fn measure(report: &mut Report) -> Result<()> {
    touches(report)?;
    copy_on_write(report)?;
    user_pager(report)?;
    mappings(report)?;
    protection(report)?;
    copies(report)?;
    report.write();
    Ok(())
}

fn touches(report: &mut Report) -> Result<()> {
    let memory = Memory::anonymous(TOUCHED * PAGE, Fill::Touched)?;
    report.each(Row::ReadTouch, TOUCHED, |page| {
        black_box(memory.read(page));
        Ok(())
    });
    memory.forget()?;
    report.each(Row::FirstTouch, TOUCHED, |page| {
        memory.write(page);
        Ok(())
    });
    report.timed(Row::Populate, COUNT, MANY as u64, |_| {
        let begin = stamp();
        let _mapped = Memory::anonymous(MANY * PAGE, Fill::Populated)?;
        Ok(stamp() - begin)
    });
    Ok(())
}

/// The parent writes what a child still shares.
fn copy_on_write(report: &mut Report) -> Result<()> {
    let memory = Memory::anonymous(TOUCHED * PAGE, Fill::Populated)?;
    let (reader, writer) = pipe()?;
    let child = fork(|| read(&reader, &mut [0]).map(drop))?;
    report.each(Row::CopyOnWrite, TOUCHED, |page| {
        memory.write(page);
        Ok(())
    });
    rustix::io::write(&writer, &[0])?;
    child.wait()
}

fn user_pager(report: &mut Report) -> Result<()> {
    let page = Memory::anonymous(PAGE, Fill::Populated)?;
    let memory = Memory::anonymous(TOUCHED * PAGE, Fill::Touched)?;
    let pager = Pager::new(&memory, page)?;
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || pager.serve(TOUCHED));
        report.each(Row::UserFault, TOUCHED, |page| {
            memory.write(page);
            Ok(())
        });
        thread.join().unwrap_or(Err(rustix::io::Errno::CHILD))
    })
}

fn mappings(report: &mut Report) -> Result<()> {
    report.timed(Row::MapUntouched, COUNT, 1, |_| {
        let begin = stamp();
        let _memory = Memory::anonymous(PAGE, Fill::Touched)?;
        Ok(stamp() - begin)
    });
    for (row, pages, touched) in
        [(Row::UnmapUntouched, 1, false), (Row::UnmapTouched, 1, true), (Row::UnmapTouched64, 64, true)]
    {
        report.timed(row, COUNT, pages as u64, |_| {
            let memory = Memory::anonymous(pages * PAGE, Fill::Touched)?;
            if touched {
                memory.write_all();
            }
            let begin = stamp();
            drop(memory);
            Ok(stamp() - begin)
        });
    }
    Ok(())
}

fn protection(report: &mut Report) -> Result<()> {
    for (row, pages) in [(Row::Protect, 1), (Row::Protect256, MANY)] {
        let memory = Memory::anonymous(pages * PAGE, Fill::Populated)?;
        report.many(row, COUNT, pages as u64, |index| {
            memory.protect(if index % 2 == 0 { MprotectFlags::READ } else { READ_WRITE })
        });
    }
    let memory = Memory::anonymous(PAGE, Fill::Populated)?;
    report.timed(Row::Lock, COUNT, 1, |_| {
        let begin = stamp();
        memory.lock()?;
        let taken = stamp() - begin;
        memory.unlock()?;
        Ok(taken)
    });
    report.timed(Row::Unlock, COUNT, 1, |_| {
        memory.lock()?;
        let begin = stamp();
        memory.unlock()?;
        Ok(stamp() - begin)
    });
    Ok(())
}

/// Copies from and to memory that is there.
fn copies(report: &mut Report) -> Result<()> {
    let mut page = Memory::anonymous(PAGE, Fill::Populated)?;
    report.each(Row::Clear4k, COUNT, |_| {
        black_box(page.bytes()).fill(0);
        Ok(())
    });
    for (row, bytes, count) in [
        (Row::Copy4k, 4 << 10, COUNT),
        (Row::Copy64k, 64 << 10, COUNT),
        (Row::Copy1m, 1 << 20, COUNT),
        (Row::Copy64m, 64 << 20, LARGE_COUNT),
    ] {
        let mut source = Memory::anonymous(bytes, Fill::Populated)?;
        let mut destination = Memory::anonymous(bytes, Fill::Populated)?;
        report.each(row, count, |_| {
            black_box(destination.bytes()).copy_from_slice(black_box(source.bytes()));
            Ok(())
        });
    }
    Ok(())
}
