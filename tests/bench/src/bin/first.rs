//! What kernel calls cost that only physmem may make: page tables, frames, and the answering of page faults. Started in
//! physmem's stead as the first task, with all that the kernel leaves for it; there is nothing else in the machine.
//!
//! Rows go to the system log. The machine ends with status 0, or 1 after a line `bench: FAILED`.
//!
//! The task that faults runs the archive's member `touch`: code that writes to one page after the other, from the address in
//! `rdi` on.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::fmt::Arguments;
use kernel_abi::boot::{BOOT_ARCHIVE_ADDRESS, BootInfo, ENDPOINT, FRAMES, HARDWARE, RangeUse, TASK};
use kernel_abi::pmap::{FrameRange, FrameSpan, Mapping, PageRange, Protection};
use kernel_abi::{FRAME_BYTES, Handle, KernelError, Kind};
use kernel_runtime::server::{self, Incoming};
use kernel_runtime::syscall::{self, NewTask, Stopped, ThreadState};
use kernel_runtime::{Deadline, boot, logging};
use tar_no_std::TarArchiveRef;
use tests_bench::{Plan, USUAL, row, timed};

kernel_runtime::first_task!(main);

/// Port of QEMU's exit device.
const EXIT_PORT: u64 = 0xf4;
/// Where capabilities are put.
const PORTS: Handle = Handle(16);
const OTHER: Handle = Handle(17);
const THREAD: Handle = Handle(18);

/// Pages of a batch.
const BATCH: usize = 256;
const IN_BATCHES: Plan = Plan { each: BATCH as u64, ..USUAL };
/// Where pages are mapped here: nothing else is.
const PLACE: u64 = 0x40_0000_0000;
/// Where the other task's code lies, and where it writes.
const CODE: u64 = 0x40_0000;
const WRITTEN: u64 = 0x1000_0000;
/// Page tables for either.
const TABLES: usize = 12;

type Result<T = ()> = core::result::Result<T, (&'static str, KernelError)>;

fn main() -> i32 {
    let status = match run() {
        Ok(()) => 0,
        Err((what, error)) => {
            logging::write_line(format_args!("bench: FAILED: {what}: {error:?}"));
            1
        }
    };
    let _ = syscall::hardware_mint(HARDWARE, Kind::IoPorts, EXIT_PORT, 4, PORTS);
    let _ = syscall::port_write(PORTS, 0, 4, status);
    status as i32
}

fn run() -> Result {
    let info = boot::info().ok_or(("boot information", KernelError::InvalidCall))?;
    let mut frames = FreeFrames::largest(info);
    stock(&mut frames, TASK)?;
    single(frames.take())?;
    batches(&mut frames)?;
    contents(&mut frames)?;
    faults(info, &mut frames)
}

/// Frames that nobody uses.
struct FreeFrames {
    next: u32,
}

impl FreeFrames {
    fn largest(info: &BootInfo) -> FreeFrames {
        let ranges = info.ranges.iter().take(info.range_count as usize);
        let free = ranges.filter(|range| range.used_as == RangeUse::Free as u32);
        FreeFrames { next: free.max_by_key(|range| range.frames).map_or(0, |range| range.frame) }
    }

    fn take(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }
}

fn print(line: Arguments<'_>) {
    logging::write_line(line);
}

fn measure(name: &str, plan: Plan, once: impl FnMut() -> Result<u64>) -> Result {
    row(&mut print, name, plan, once)
}

fn because(what: &'static str) -> impl Fn(Stopped) -> (&'static str, KernelError) {
    move |stopped| (what, stopped.error)
}

fn stock(frames: &mut FreeFrames, task: Handle) -> Result {
    let tables: [u32; TABLES] = core::array::from_fn(|_| frames.take());
    syscall::pmap_stock(FRAMES, task, &tables).map_err(because("stock"))
}

fn enter(mappings: &[Mapping]) -> Result {
    syscall::pmap_enter(FRAMES, TASK, mappings).map_err(because("enter"))
}

fn remove(ranges: &[PageRange]) -> Result {
    syscall::pmap_remove(FRAMES, TASK, ranges).map(drop).map_err(because("remove"))
}

fn protect(ranges: &[PageRange]) -> Result {
    syscall::pmap_protect(FRAMES, TASK, ranges).map(drop).map_err(because("protect"))
}

/// Ticks of something that may fail.
fn ticks(work: impl FnOnce() -> Result) -> Result<u64> {
    let (ticks, result) = timed(work);
    result.map(|()| ticks)
}

fn single(frame: u32) -> Result {
    let mapping = [Mapping::new(PLACE, Protection::WRITE, frame, 1)];
    let range = [PageRange { address: PLACE, pages: 1 }];
    measure("kernel/map-1", USUAL, || {
        let ticks = ticks(|| enter(&mapping))?;
        remove(&range).map(|()| ticks)
    })?;
    measure("kernel/unmap-1", USUAL, || {
        enter(&mapping)?;
        ticks(|| remove(&range))
    })?;
    enter(&mapping)?;
    // Write protection there and back, in turns.
    let mut bits = Protection::WRITE.bits();
    measure("kernel/protect-1", USUAL, || {
        bits ^= Protection::WRITE.bits();
        ticks(|| protect(&[PageRange { address: PLACE | bits, pages: 1 }]))
    })?;
    remove(&range)
}

fn batches(frames: &mut FreeFrames) -> Result {
    // Frames that do not follow each other, so that each page is an item.
    let mappings: [Mapping; BATCH] = core::array::from_fn(|page| {
        let frame = frames.take();
        frames.take();
        Mapping::new(PLACE + page as u64 * FRAME_BYTES, Protection::WRITE, frame, 1)
    });
    let run = [Mapping::new(PLACE, Protection::WRITE, frames.next, BATCH as u32)];
    frames.next += BATCH as u32;
    let all = [PageRange { address: PLACE, pages: BATCH as u64 }];
    for (name, mappings) in [("kernel/map-256", &mappings[..]), ("kernel/map-run-256", &run)] {
        measure(name, IN_BATCHES, || {
            let ticks = ticks(|| enter(mappings))?;
            remove(&all).map(|()| ticks)
        })?;
    }
    measure("kernel/unmap-256", IN_BATCHES, || {
        enter(&mappings)?;
        ticks(|| remove(&all))
    })?;
    enter(&mappings)?;
    let mut bits = Protection::WRITE.bits();
    measure("kernel/protect-256", IN_BATCHES, || {
        bits ^= Protection::WRITE.bits();
        ticks(|| protect(&[PageRange { address: PLACE | bits, pages: BATCH as u64 }]))
    })?;
    remove(&all)
}

fn contents(frames: &mut FreeFrames) -> Result {
    let (source, destination) = (frames.take(), frames.take());
    let whole = [FrameRange { frame: source, offset: 0, bytes: FRAME_BYTES as u16 }];
    measure("kernel/zero", USUAL, || ticks(|| syscall::frame_zero(FRAMES, &whole).map_err(because("zero"))))?;
    let span = [FrameSpan { source, destination, bytes: FRAME_BYTES as u16, ..FrameSpan::default() }];
    measure("kernel/copy", USUAL, || ticks(|| syscall::frame_copy(FRAMES, &span).map_err(because("copy"))))
}

/// Another task touches pages, one after the other; each is mapped for it.
fn faults(info: &BootInfo, frames: &mut FreeFrames) -> Result {
    let code = code(info).ok_or(("archive member `touch`", KernelError::WrongFrame))?;
    start(frames, code)?;
    let frame = frames.take();
    let mut fault = server::receive(ENDPOINT, Deadline::NEVER).map_err(|error| ("receive", error))?;
    measure("kernel/fault", USUAL, || {
        let address = fault.fault().ok_or(("no fault", KernelError::InvalidCall))?.address;
        let page = [Mapping::new(address & !(FRAME_BYTES - 1), Protection::WRITE, frame, 1)];
        let (ticks, next) = timed(|| server::resolve_receive(ENDPOINT, FRAMES, &page, Deadline::NEVER));
        fault = next.map_err(because("resolve"))?;
        expect_next(&fault, address).map(|()| ticks)
    })
}

fn expect_next(fault: &Incoming, address: u64) -> Result {
    match fault.fault() {
        Some(fault) if fault.address == address + FRAME_BYTES => Ok(()),
        _ => Err(("a fault at a wrong address", KernelError::InvalidCall)),
    }
}

/// The frame of the code that touches pages.
fn code(info: &BootInfo) -> Option<u32> {
    let archive = TarArchiveRef::new(boot::archive(info)).ok()?;
    let member = archive.entries().find(|entry| entry.filename().as_str() == Ok("touch"))?;
    let offset = member.data().as_ptr().addr() as u64 - BOOT_ARCHIVE_ADDRESS;
    let ranges = info.ranges.iter().take(info.range_count as usize);
    let first = ranges.clone().find(|range| range.used_as == RangeUse::BootArchive as u32)?.frame;
    offset.is_multiple_of(FRAME_BYTES).then(|| first + (offset / FRAME_BYTES) as u32)
}

fn start(frames: &mut FreeFrames, code: u32) -> Result {
    let failed = |error| ("starting the other task", error);
    let task = NewTask {
        frame: frames.take(),
        slot: 0,
        destination: OTHER,
        root: frames.take(),
        fault_endpoint: ENDPOINT,
        fault_badge: 1,
        name: [0; 2],
    };
    syscall::task_create(FRAMES, &task).map_err(failed)?;
    syscall::thread_create(FRAMES, frames.take(), 0, THREAD, OTHER).map_err(failed)?;
    stock(frames, OTHER)?;
    let mapping = Mapping::new(CODE, Protection::EXECUTE, code, 1);
    syscall::pmap_enter(FRAMES, OTHER, &[mapping]).map_err(because("the other task's code"))?;
    let state = ThreadState {
        instruction_pointer: CODE,
        stack_pointer: 0,
        arguments: [WRITTEN, 0],
        priority: 1,
        schedule: None,
    };
    syscall::thread_start(THREAD, &state).map_err(failed)
}
