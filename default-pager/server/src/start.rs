//! How the pager comes up: what outlives it, the disk, and the keys of this boot.
//!
//! Whatever the disk is, the pager comes up: without one, or with one that is not its own, it keeps pages in memory only. The reason
//! is in the log.

use crate::disk::SwapDisk;
use crate::transfers::Wire;
use alloc::boxed::Box;
use alloc::sync::Arc;
use containers_api::space::MapProtection;
use core::fmt;
use core::sync::atomic::AtomicU64;
use core::time::Duration;
use default_pager_core::header::{self, Header};
use default_pager_core::limits::{PAGE_BYTES, SECTORS_PER_PAGE};
use default_pager_core::seal::Secret;
use default_pager_core::{Direction, OpenError, Page, Pager, Service};
use filesystems_api::block::{BlockError, BlockStat, BlockStatus};
use kernel_runtime::containers::{Container, MemoryCallError};
use kernel_runtime::entropy::{self, NoEntropy};
use kernel_runtime::ipc::{CallError, call};
use kernel_runtime::memory::Mapping;
use kernel_runtime::notification::Notification;
use kernel_runtime::startup::Startup;
use kernel_runtime::{Capability, Deadline, Handle, KernelError};

/// How long the last pager's transfers may take to end: longer than their driver gives them.
const DRAIN: Duration = Duration::from_secs(30);
/// Time between two looks at them.
const DRAIN_PAUSE: Duration = Duration::from_millis(1);

/// The pager's parts as they are here.
pub type OwnService = Service<&'static [AtomicU64], &'static mut [u8], SwapDisk>;

/// Why there is no pager.
pub enum Failure {
    /// The server lacks something that init should have given it.
    NotGiven(&'static str),
    /// physmem refused.
    Memory(&'static str, MemoryCallError),
    /// The kernel refused.
    Kernel(KernelError),
    /// What the last pager left does not fit the disk.
    Open(OpenError),
    /// The last pager's transfers do not end.
    NotDrained,
}

impl From<KernelError> for Failure {
    fn from(error: KernelError) -> Failure {
        Failure::Kernel(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NotGiven(name) => write!(formatter, "no `{name}`"),
            Failure::Memory(what, error) => write!(formatter, "{what}: {error}"),
            Failure::Kernel(error) => write!(formatter, "the kernel refused ({error:?})"),
            Failure::Open(error) => error.fmt(formatter),
            Failure::NotDrained => formatter.write_str("the disk does not end the last pager's transfers"),
        }
    }
}

/// Why a disk is not used.
enum Unusable {
    Stat(CallError<BlockError>),
    Unreadable,
    Unwritable,
    Foreign,
    TooSmall(u64),
    NoEntropy,
}

impl fmt::Display for Unusable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::Stat(error) => error.fmt(formatter),
            Unusable::Unreadable => formatter.write_str("its first page cannot be read"),
            Unusable::Unwritable => formatter.write_str("its first page cannot be written"),
            Unusable::Foreign => formatter
                .write_str("it holds something else: its first page is neither empty nor a swap header"),
            Unusable::TooSmall(sectors) => write!(formatter, "{sectors} sectors hold no page"),
            Unusable::NoEntropy => {
                formatter.write_str("the processor has no random numbers, and keys must be no guess")
            }
        }
    }
}

/// The pages of a container that this server was given, for as long as it runs.
pub fn map(startup: &Startup<'_>, name: &'static str) -> Result<&'static mut Mapping, Failure> {
    let handle = startup.capability(name).ok_or(Failure::NotGiven(name))?;
    let container = Container::new(Capability::from_handle(handle));
    let failed = |error| Failure::Memory(name, error);
    let pages = container.status().map_err(failed)?.pages;
    let mapping = Mapping::new(&container, 0, pages, MapProtection::WRITE).map_err(failed)?;
    container.into_capability().into_handle();
    Ok(Box::leak(Box::new(mapping)))
}

/// Brings the pager up; transfers that end are told to `done`.
pub fn start(startup: &Startup<'_>, done: Capability) -> Result<OwnService, Failure> {
    let block = startup.capability("block").ok_or(Failure::NotGiven("block"))?;
    let region: &'static Mapping = map(startup, "region")?;
    let region = region.as_words();
    let store = map(startup, "store")?.as_mut_slice();
    let pause = Notification::new().map_err(|error| Failure::Memory("notification", error))?;
    let status = drained(block, &pause)?;
    let (wire, mut buffers) = Wire::new(block).map_err(|error| Failure::Memory("buffers", error))?;
    let secret = entropy::words().map(|(words, source)| (secret(words), source));
    let usable = usable(status, &wire, &mut buffers, &pause, secret.is_ok());
    let (sectors, is_writable) = usable.unwrap_or_else(|why| {
        log::warn!("the swap disk is not used: {why}");
        (0, false)
    });
    let disk = SwapDisk::new(&wire, buffers, sectors, is_writable, &Arc::new(done));
    let disk = disk.map_err(|error| Failure::Memory("threads", error))?;
    // Without a disk nothing leaves the machine's memory: then the keys need not be secret.
    let (secret, source) = match secret {
        Ok((secret, source)) => (secret, Some(source)),
        Err(NoEntropy) => (Secret([0; 48]), None),
    };
    let is_formatted = default_pager_core::is_formatted(&region);
    let pager = match is_formatted {
        true => Pager::recover(region, store, disk),
        false => Pager::format(region, store, disk, &secret),
    };
    let service = Service::new(pager.map_err(Failure::Open)?);
    tell(service, is_formatted, source)
}

fn tell(
    mut service: OwnService,
    recovered: bool,
    source: Option<entropy::Source>,
) -> Result<OwnService, Failure> {
    let told = service.pager().statistics();
    let slots = told.slots_total;
    if recovered {
        log::info!(
            "goes on: {} of {slots} slots in use, {} page-outs undone",
            slots - told.slots.free,
            told.counters.undone
        );
    } else {
        let bytes = told.tier_capacity_bytes >> 10;
        log::info!(
            "{slots} slots, {bytes} KiB for compressed pages; {}; keys from {}",
            told.cipher.name(),
            source.map_or("nowhere", source_name)
        );
    }
    Ok(service)
}

fn source_name(source: entropy::Source) -> &'static str {
    match source {
        entropy::Source::Rdseed => "Rdseed",
        entropy::Source::Rdrand => "Rdrand",
    }
}

fn secret(words: [u64; 6]) -> Secret {
    let mut secret = Secret([0; 48]);
    for (bytes, word) in secret.0.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    secret
}

/// How the disk is, once it has nothing of the last pager's any more.
fn drained(
    block: Handle,
    pause: &Notification,
) -> Result<Result<BlockStatus, CallError<BlockError>>, Failure> {
    let end = Deadline::after(DRAIN);
    loop {
        match call(block, &BlockStat {}, &[], end) {
            Ok(status) if status.in_flight > 0 => {}
            // A driver that ended has left a disk that the next one stops before it serves.
            Err(CallError::Kernel(KernelError::PeerDied)) => {}
            status => return Ok(status),
        }
        if end.has_passed() {
            return Err(Failure::NotDrained);
        }
        match pause.wait(Deadline::after(DRAIN_PAUSE)) {
            Ok(_) | Err(KernelError::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The sectors for slots, and whether they can be written; the header is there, then.
fn usable(
    status: Result<BlockStatus, CallError<BlockError>>,
    wire: &Wire,
    buffers: &mut Mapping,
    pause: &Notification,
    has_keys: bool,
) -> Result<(u64, bool), Unusable> {
    let status = status.map_err(Unusable::Stat)?;
    if status.sectors < header::HEADER_SECTORS + SECTORS_PER_PAGE {
        return Err(Unusable::TooSmall(status.sectors));
    }
    if !has_keys {
        return Err(Unusable::NoEntropy);
    }
    wire.move_pages(Direction::Read, 0, 0..1, pause).map_err(|_| Unusable::Unreadable)?;
    let first = first_page(buffers);
    let found = Header::of(first);
    if found == Header::Foreign {
        return Err(Unusable::Foreign);
    }
    if found == Header::New && !status.read_only {
        header::write(first);
        wire.move_pages(Direction::Write, 0, 0..1, pause).map_err(|_| Unusable::Unwritable)?;
    }
    if status.read_only {
        log::warn!("the swap disk is read-only: pages stay in memory");
    }
    Ok((status.sectors - header::HEADER_SECTORS, !status.read_only))
}

fn first_page(buffers: &mut Mapping) -> &mut Page {
    let (pages, _) = buffers.as_mut_slice().as_chunks_mut::<PAGE_BYTES>();
    &mut pages[0]
}
