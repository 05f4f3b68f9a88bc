//! Files of the disk: looking them up, reading them from the disk and from the file server's cache.
//!
//! The folder holds `cached`, `sequential` and `random` of 64 MiB, `small` of 8 MiB, none of which was read before, and a
//! folder `names`.

use crate::Bench;
use alloc::format;
use alloc::sync::Arc;
use containers_api::ContainerRights;
use containers_api::space::MapProtection;
use core::sync::atomic::{AtomicBool, Ordering};
use kernel_abi::FRAME_BYTES;
use kernel_runtime::containers::{Container, OwnContainer};
use kernel_runtime::files::{LOCK_NS, Names, Node};
use kernel_runtime::memory::Mapping;
use kernel_runtime::startup::Startup;
use kernel_runtime::threads;
use tests_bench::{Plan, USUAL, timed};
use tests_guest::{Failed, Random};

const KIBIBYTE: u64 = 1 << 10;
const MEBIBYTE: u64 = 1 << 20;
/// Bytes of the large files.
const LARGE: u64 = 64 * MEBIBYTE;
/// Where small parts are read from the cache: what was cached first lies in frames that the system has used before, and
/// other ones in each run.
const MIDDLE: u64 = LARGE / 2;
/// Entries of the folder of names, `.` and `..` included.
const ENTRIES: u64 = 66;
const FEW: Plan = Plan { warm: 1, count: 15, each: 1, ..USUAL };
const FEWER: Plan = Plan { warm: 1, count: 3, each: 1, ..USUAL };

/// Measures it.
pub fn measure(startup: &Startup<'_>, folder: &str, bench: &mut Bench<'_>) -> Result<(), Failed> {
    if !bench.wants("files/") {
        return Ok(());
    }
    let files = Files { names: Names::from_startup(startup), folder };
    // Before anything else is read.
    cold(&files, bench)?;
    names(&files, bench)?;
    cached(&files, bench)?;
    mapped(&files, bench)
}

struct Files<'a> {
    names: Names,
    folder: &'a str,
}

impl Files<'_> {
    fn path(&self, name: &str) -> alloc::string::String {
        format!("{}/{name}", self.folder)
    }

    fn open(&self, name: &str) -> Result<Node, Failed> {
        self.names.lookup(self.path(name).as_bytes(), true).map_err(|error| ("lookup", error).into())
    }
}

/// Memory that is read into.
struct Buffer {
    // In this order: the grant goes first.
    grant: Container,
    container: OwnContainer,
}

impl Buffer {
    fn new(bytes: u64) -> Result<Buffer, Failed> {
        let pages = bytes / FRAME_BYTES;
        let container = OwnContainer::new(pages).map_err(|error| ("container", error))?;
        let rights = ContainerRights::LOCK | ContainerRights::FILL | ContainerRights::COPY_OUT;
        let grant = container.grant(0..pages, rights, LOCK_NS).map_err(|error| ("grant", error))?;
        Ok(Buffer { grant, container })
    }

    fn map(&self, bytes: u64) -> Result<Mapping, Failed> {
        Mapping::new(&self.container, 0, bytes / FRAME_BYTES, MapProtection::empty())
            .map_err(|error| ("mapping", error).into())
    }

    /// Reads; whether the bytes came from the disk.
    fn read(&self, node: &Node, offset: u64, bytes: u64) -> Result<bool, Failed> {
        let done = node.read_container(offset, bytes, &self.grant, 0).map_err(|error| ("read", error))?;
        match (done.bytes == bytes, done.error, done.moved_bytes, done.dma_bytes) {
            (true, 0, 0, 0) => Ok(false),
            (true, 0, 0, by_device) if by_device == bytes => Ok(true),
            _ => Err(Failed(format!("a read of {bytes} bytes: {done:?}"))),
        }
    }
}

/// Reads of which each must come from where it is said to.
fn read_from(buffer: &Buffer, node: &Node, offset: u64, bytes: u64, from_disk: bool) -> Result<u64, Failed> {
    let (ticks, found) = timed(|| buffer.read(node, offset, bytes));
    match found? == from_disk {
        true => Ok(ticks),
        false => Err(Failed(format!("the bytes at {offset} are cached: {}", from_disk))),
    }
}

fn cold(files: &Files<'_>, bench: &mut Bench<'_>) -> Result<(), Failed> {
    let sequences: [(&str, &str, u64, Plan); 3] = [
        ("files/cold-read-64k", "small", 64 * KIBIBYTE, Plan { warm: 8, count: 100, each: 16, ..USUAL }),
        ("files/cold-read-1m", "sequential", MEBIBYTE, Plan { warm: 4, count: 60, each: 256, ..USUAL }),
        ("files/cold-read-64m", "cached", LARGE, Plan { warm: 0, count: 1, each: 16_384, ..USUAL }),
    ];
    for (name, file, bytes, plan) in sequences {
        let (node, buffer) = (files.open(file)?, Buffer::new(bytes)?);
        let mut offset = 0;
        bench.row(name, plan, || {
            offset += bytes;
            read_from(&buffer, &node, offset - bytes, bytes, true)
        })?;
    }
    let (node, buffer) = (files.open("random")?, Buffer::new(FRAME_BYTES)?);
    // Each page once: an odd step goes round all of them.
    let mut random = Random::new(6);
    let (start, step) = (random.below(LARGE / FRAME_BYTES), 2 * random.below(LARGE / FRAME_BYTES / 2) + 1);
    let mut number = 0;
    bench.row("files/cold-random-4k", Plan { warm: 8, count: 200, each: 1, ..USUAL }, || {
        let page = (start + number * step) % (LARGE / FRAME_BYTES);
        number += 1;
        read_from(&buffer, &node, page * FRAME_BYTES, FRAME_BYTES, true)
    })
}

fn names(files: &Files<'_>, bench: &mut Bench<'_>) -> Result<(), Failed> {
    let path = files.path("cached");
    let lookup =
        || files.names.lookup(path.as_bytes(), true).map_err(|error| Failed::from(("lookup", error)));
    bench.row("files/open", USUAL, || {
        let (ticks, node) = timed(|| lookup().map(drop));
        node?;
        Ok(ticks)
    })?;
    bench.row("files/stat", USUAL, || {
        let (ticks, status) = timed(|| lookup()?.status().map_err(|error| Failed::from(("status", error))));
        if status?.size != LARGE {
            return Err(Failed("a file of another size".into()));
        }
        Ok(ticks)
    })?;
    let folder = files.open("names")?;
    bench.row("files/readdir", Plan { each: ENTRIES, ..FEW }, || {
        let (ticks, entries) = timed(|| folder.entries());
        let found = entries.map_err(|error| ("entries", error))?.len() as u64;
        if found != ENTRIES {
            return Err(Failed(format!("{found} entries")));
        }
        Ok(ticks)
    })
}

fn cached(files: &Files<'_>, bench: &mut Bench<'_>) -> Result<(), Failed> {
    if !bench.wants("files/cached") && !bench.wants("files/mapped") {
        return Ok(());
    }
    let node = files.open("cached")?;
    without_idling(|| fill_cache(&node))?;
    let mut others = Others { nodes: [files.open("sequential")?, files.open("cached")?], turn: 0 };
    fill_cache(&others.nodes[0])?;
    let sizes = [
        ("4k", FRAME_BYTES, USUAL),
        ("64k", 64 * KIBIBYTE, USUAL),
        ("1m", MEBIBYTE, FEW),
        ("64m", LARGE, FEWER),
    ];
    for (size, bytes, plan) in sizes {
        let buffer = Buffer::new(bytes)?;
        bench.row(&format!("files/cached-read-{size}"), plan, || {
            read_from(&buffer, others.next(), place(bytes), bytes, false)
        })?;
    }
    let buffer = Buffer::new(MEBIBYTE)?;
    bench
        .row("files/cached-again-1m", FEW, || read_from(&buffer, &node, place(MEBIBYTE), MEBIBYTE, false))?;
    for (size, bytes, plan) in sizes {
        let buffer = Buffer::new(bytes)?;
        buffer.read(&node, place(bytes), bytes)?;
        let mapping = buffer.map(bytes)?;
        touch(&mapping);
        bench.row(&format!("files/cached-touch-{size}"), plan, || {
            let other = others.next();
            let (ticks, result) = timed(|| {
                let read = buffer.read(other, place(bytes), bytes);
                touch(&mapping);
                read
            });
            match result? {
                false => Ok(ticks),
                true => Err(Failed("it came from the disk".into())),
            }
        })?;
    }
    Ok(())
}

/// Two files that are cached. Read in turn, since reading again what a buffer holds already changes nothing.
struct Others {
    nodes: [Node; 2],
    turn: usize,
}

impl Others {
    fn next(&mut self) -> &Node {
        self.turn += 1;
        &self.nodes[self.turn % 2]
    }
}

/// Where so many bytes are read from the cache.
fn place(bytes: u64) -> u64 {
    if bytes == LARGE { 0 } else { MIDDLE }
}

/// Has a file be cached, piece by piece.
fn fill_cache(node: &Node) -> Result<(), Failed> {
    let piece = Buffer::new(MEBIBYTE)?;
    (0..LARGE).step_by(MEBIBYTE as usize).try_for_each(|offset| piece.read(node, offset, MEBIBYTE).map(drop))
}

/// Does some work while the processor never idles: what is done in idle time, as frames are zeroed, would take more or fewer
/// frames between two reads as the disk is slow or fast, and files would lie in other frames in each run.
fn without_idling<T>(work: impl FnOnce() -> Result<T, Failed>) -> Result<T, Failed> {
    let ended = Arc::new(AtomicBool::new(false));
    let spinning = ended.clone();
    let spin = move || while !spinning.load(Ordering::Relaxed) {};
    threads::spawn_at(1, threads::STACK_PAGES, spin).map_err(|error| ("thread", error))?;
    let result = work();
    ended.store(true, Ordering::Relaxed);
    result
}

/// Reads a byte of each page.
fn touch(mapping: &Mapping) -> u64 {
    mapping.as_slice().iter().step_by(FRAME_BYTES as usize).map(|byte| u64::from(*byte)).sum()
}

/// All that `mmap`, touching and `munmap` do elsewhere: the memory is made, filled from the cache, mapped, looked at and given
/// back.
fn mapped(files: &Files<'_>, bench: &mut Bench<'_>) -> Result<(), Failed> {
    let node = files.open("cached")?;
    bench.row("files/mapped-1m", FEW, || {
        let (ticks, result) = timed(|| {
            let buffer = Buffer::new(MEBIBYTE)?;
            let from_disk = buffer.read(&node, MIDDLE, MEBIBYTE)?;
            let mapping = buffer.map(MEBIBYTE)?;
            core::hint::black_box(touch(&mapping));
            Ok::<_, Failed>(from_disk)
        });
        match result? {
            false => Ok(ticks),
            true => Err(Failed("it came from the disk".into())),
        }
    })
}
