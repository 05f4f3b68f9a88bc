//! The disk, by the block driver: contents into locked ranges, metadata through a page of the server's own.

use alloc::format;
use containers_api::LockMode;
use containers_api::space::MapProtection;
use core::time::Duration;
use filesystems_api::block::{BlockError, BlockRead, BlockStat, BlockStatus, Extent, Extents, SECTOR_BYTES};
use filesystems_api::file::FileError;
use filesystems_ext_core::{PAGE_BYTES, Source, SourceError};
use filesystems_serve::memory_refusal;
use kernel_protocol::Refusal;
use kernel_runtime::containers::{Container, MemoryCallError, OwnContainer};
use kernel_runtime::ipc::{CallError, call};
use kernel_runtime::memory::Mapping;
use kernel_runtime::notification::Notification;
use kernel_runtime::{Deadline, Handle, KernelError};

/// Term of a lock on a client's range: longer than a disk request may take, with all the waiting.
pub const LOCK_TERM_NS: u64 = 40_000_000_000;
/// Term of the lock that the driver gets: ends before the server's own.
const PASS_TERM_NS: u64 = 30_000_000_000;
/// How long the driver may take to answer: ends before its lock.
const CALL_TIME: Duration = Duration::from_secs(25);

/// How often a request is made again that the driver had no room for, and how long to wait between.
const BUSY_ATTEMPTS: u32 = 200;
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// Why the disk did not fill a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskError {
    /// The driver refused, or said that the disk failed.
    Refused(Refusal<BlockError>),
    /// The driver did not answer in time.
    TimedOut,
    /// The driver ended before it answered.
    DriverEnded,
    /// The lock could not be passed on.
    Memory(MemoryCallError),
}

impl DiskError {
    /// What a client is told.
    pub fn file_refusal(self) -> Refusal<FileError> {
        match self {
            DiskError::Refused(refusal) => match refusal.error {
                BlockError::Io | BlockError::Unsupported => {
                    Refusal::with_detail(FileError::Io, refusal.detail)
                }
                BlockError::TimedOut => FileError::TimedOut.into(),
                BlockError::Busy => FileError::Busy.into(),
                BlockError::NoDisk => FileError::NoDisk.into(),
                BlockError::BadLock => Refusal::with_detail(FileError::Container, refusal.detail),
                _ => FileError::Damaged.into(),
            },
            DiskError::TimedOut => FileError::TimedOut.into(),
            DiskError::DriverEnded => FileError::DriverEnded.into(),
            DiskError::Memory(error) => memory_refusal(error),
        }
    }
}

/// The driver.
#[derive(Clone, Copy, Debug)]
pub struct Disk(pub Handle);

impl Disk {
    /// What the disk is.
    pub fn status(self) -> Result<BlockStatus, DiskError> {
        call(self.0, &BlockStat {}, &[], Deadline::after(CALL_TIME)).map_err(disk_error)
    }

    /// Has the disk write into a range that is locked through `container`.
    pub fn fill(self, container: &Container, lock: u64, extents: &Extents) -> Result<u64, DiskError> {
        let mut attempts = BUSY_ATTEMPTS;
        loop {
            let (_, passed) =
                container.lock_pass(lock, LockMode::Dma, PASS_TERM_NS).map_err(DiskError::Memory)?;
            let request = BlockRead { extents: *extents };
            let result = call(self.0, &request, &[passed.handle()], Deadline::after(CALL_TIME));
            match result.map_err(disk_error) {
                Err(DiskError::Refused(refusal)) if refusal.error == BlockError::Busy && attempts > 0 => {
                    attempts -= 1;
                    pause();
                }
                result => return result.map(|done| done.bytes),
            }
        }
    }
}

fn disk_error(error: CallError<BlockError>) -> DiskError {
    match error {
        CallError::Refused(refusal) => DiskError::Refused(refusal),
        CallError::Kernel(KernelError::TimedOut) => DiskError::TimedOut,
        CallError::Kernel(KernelError::PeerDied) => DiskError::DriverEnded,
        CallError::Kernel(_) | CallError::Violation => DiskError::Refused(BlockError::Protocol.into()),
    }
}

/// Waits a little, for nothing.
fn pause() {
    if let Ok(nothing) = Notification::new() {
        let _ = nothing.wait(Deadline::after(BUSY_PAUSE));
    }
}

/// The disk as the volume reads its metadata.
pub struct MetadataSource {
    disk: Disk,
    sectors: u64,
    mapping: Mapping,
    container: OwnContainer,
}

impl MetadataSource {
    /// With a page of the server's own to read through.
    pub fn new(disk: Disk, sectors: u64) -> Result<MetadataSource, MemoryCallError> {
        let container = OwnContainer::new(1)?;
        container.allocate(0..1, false)?;
        let mapping = Mapping::new(&container, 0, 1, MapProtection::empty())?;
        Ok(MetadataSource { disk, sectors, mapping, container })
    }

    fn read_page(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        let mut extents = Extents::EMPTY;
        let extent = Extent { sector, offset: 0, bytes: into.len() as u32 };
        // A list without extents has room for one.
        let _ = extents.push(extent);
        let locked = self.container.lock(0..1, LockMode::Dma, LOCK_TERM_NS).map_err(DiskError::Memory)?;
        let filled = self.disk.fill(&self.container, locked.lock, &extents);
        let valid = if filled.is_ok() { into.len() as u64 } else { 0 };
        let unlocked = self.container.unlock(locked.lock, valid).map_err(DiskError::Memory);
        filled.and(unlocked)?;
        into.copy_from_slice(&self.mapping.as_slice()[..into.len()]);
        Ok(())
    }
}

impl Source for MetadataSource {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), SourceError> {
        let end = sector.checked_add(into.len() as u64 / SECTOR_BYTES);
        if end.is_none_or(|end| end > self.sectors) {
            return Err(SourceError::Beyond);
        }
        for (index, page) in into.chunks_mut(PAGE_BYTES as usize).enumerate() {
            let sector = sector + index as u64 * (PAGE_BYTES / SECTOR_BYTES);
            self.read_page(sector, page).map_err(|error| source_error(error, sector))?;
        }
        Ok(())
    }
}

fn source_error(error: DiskError, sector: u64) -> SourceError {
    log::warn!("metadata at sector {sector}: {}", describe(error));
    match error {
        DiskError::TimedOut => SourceError::TimedOut,
        DiskError::DriverEnded => SourceError::DriverEnded,
        DiskError::Refused(refusal) if refusal.error == BlockError::TimedOut => SourceError::TimedOut,
        DiskError::Refused(_) | DiskError::Memory(_) => SourceError::Io { sector },
    }
}

fn describe(error: DiskError) -> alloc::string::String {
    match error {
        DiskError::Refused(refusal) => format!("{} ({})", refusal.error, refusal.detail),
        DiskError::TimedOut => "the driver did not answer".into(),
        DiskError::DriverEnded => "the driver has ended".into(),
        DiskError::Memory(error) => format!("{error}"),
    }
}
