//! Reading moves no byte by a processor: not from the disk, not from the cache, not on a later read into the same container, not
//! when the container was written to between. Checked by the counters of the answers and of physmem, and by the contents.
//!
//! Argument: a file of at least 4 MiB, whose words of 8 bytes are each its number's [`word`]. It must not have been read before.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::ToString;
use containers_api::ContainerRights;
use containers_api::control::{SystemStat, SystemStatus};
use containers_api::space::MapProtection;
use kernel_runtime::Deadline;
use kernel_runtime::containers::{Container, OwnContainer};
use kernel_runtime::files::{LOCK_NS, Names, Node};
use kernel_runtime::ipc::call;
use kernel_runtime::memory::Mapping;
use kernel_runtime::startup::Startup;
use tests_guest::{Failed, Report};

kernel_runtime::program!(main);

/// Bytes of one read.
const BYTES: u64 = 1 << 20;
/// Bytes of a page.
const PAGE_BYTES: u64 = 4096;
/// Bytes of metadata that may be read with them.
const METADATA_BYTES: u64 = 64 << 10;
/// Reads from the disk, one place of the file after the other.
const PLACES: u64 = 4;

fn main(startup: Startup<'static>) -> i32 {
    let mut report = Report::new(&startup);
    let result = match startup.arguments[..] {
        [file] => run(&startup, &mut report, file),
        _ => Err(Failed("usage: reads FILE".to_string())),
    };
    report.finish("reads", result)
}

/// A container that is read into, again and again.
struct Reader<'a> {
    startup: &'a Startup<'a>,
    node: Node,
    // In this order: the mapping goes first.
    mapping: Mapping,
    grant: Container,
    _container: OwnContainer,
}

fn run(startup: &Startup<'_>, report: &mut Report, file: &[u8]) -> Result<(), Failed> {
    let node =
        Names::from_startup(startup).lookup(file, true).map_err(|error| ("looking the file up", error))?;
    let pages = BYTES / PAGE_BYTES;
    let container = OwnContainer::new(pages).map_err(|error| ("container", error))?;
    let rights = ContainerRights::LOCK | ContainerRights::FILL | ContainerRights::COPY_OUT;
    let grant = container.grant(0..pages, rights, LOCK_NS).map_err(|error| ("grant", error))?;
    let mapping =
        Mapping::new(&container, 0, pages, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
    let mut reader = Reader { startup, node, mapping, grant, _container: container };
    for place in 0..PLACES {
        reader.read(place, Source::Disk)?;
        reader.read(place, Source::Cache)?;
        // What was written goes the way of the old contents, and never into the cache.
        reader.scribble();
        reader.read(place, Source::Cache)?;
        reader.read(0, Source::Cache)?;
    }
    report.line(format_args!(
        "reads: {PLACES} MiB from the disk, {} from the cache, no byte moved",
        3 * PLACES
    ));
    Ok(())
}

/// Where the bytes must come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    Disk,
    Cache,
}

impl Reader<'_> {
    /// Reads the part of this number, and checks counters and contents.
    fn read(&mut self, place: u64, source: Source) -> Result<(), Failed> {
        let before = self.look()?;
        let offset = place * BYTES;
        let done =
            self.node.read_container(offset, BYTES, &self.grant, 0).map_err(|error| ("read", error))?;
        let after = self.look()?;
        let by_device = if source == Source::Disk { BYTES } else { 0 };
        let counted = (done.bytes, done.error, done.moved_bytes, done.dma_bytes);
        if counted != (BYTES, 0, 0, by_device) {
            return Err(Failed(format!("part {place} from {source:?}: the answer is {done:?}")));
        }
        let moved = after.moved_bytes - before.moved_bytes;
        let written = after.dma_bytes - before.dma_bytes;
        let shared = after.shared_pages - before.shared_pages;
        // From the disk the pages are copied logically into the cache, from there out of it. The file server may have had to
        // read where the file's blocks are.
        let metadata = if source == Source::Disk { METADATA_BYTES } else { 0 };
        let expected_writes = by_device..=by_device + metadata;
        if (moved, shared) != (0, BYTES / PAGE_BYTES) || !expected_writes.contains(&written) {
            return Err(Failed(format!(
                "part {place} from {source:?}: {moved} bytes moved, {written} by the device, {shared} pages shared"
            )));
        }
        self.check_contents(offset)
    }

    fn look(&self) -> Result<SystemStatus, Failed> {
        let control =
            self.startup.capability("control").ok_or(Failed("no control capability".to_string()))?;
        call(control, &SystemStat {}, &[], Deadline::NEVER).map_err(|error| ("system status", error).into())
    }

    fn check_contents(&self, offset: u64) -> Result<(), Failed> {
        let (words, _) = self.mapping.as_slice().as_chunks::<8>();
        for (index, found) in words.iter().enumerate() {
            let number = offset / 8 + index as u64;
            let (found, expected) = (u64::from_le_bytes(*found), word(number));
            if found != expected {
                return Err(Failed(format!("word {number} is {found:#x}, must be {expected:#x}")));
            }
        }
        Ok(())
    }

    /// Writes to every page.
    fn scribble(&mut self) {
        self.mapping.as_mut_slice().iter_mut().step_by(PAGE_BYTES as usize).for_each(|byte| *byte ^= 0xff);
    }
}

/// The word of this number in the file (`tests/system` writes the same).
fn word(number: u64) -> u64 {
    (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
