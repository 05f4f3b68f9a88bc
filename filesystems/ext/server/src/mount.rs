//! Mounting, once, at the start.

use crate::WORKERS;
use crate::disk::{Disk, DiskError, MetadataSource};
use crate::gate::Gate;
use containers_api::space::MapProtection;
use filesystems_api::file::FileError;
use filesystems_ext_core::cache::PageIndex;
use filesystems_ext_core::plan::COPY_PAGES;
use filesystems_ext_core::{PAGE_BYTES, Shares, Volume};
use filesystems_serve::{Result, memory_refusal};
use kernel_protocol::Refusal;
use kernel_runtime::Handle;
use kernel_runtime::containers::{Container, MemoryCallError, OwnContainer, contract_status};
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::memory::Mapping;

/// Pages that the cache may have at most: what the index is made for.
const CACHE_PAGES_MAX: u64 = 8192;
/// Pages that it has at least, whatever the contract says.
const CACHE_PAGES_MIN: u64 = 64;
/// Frames of the contract that are left for everything else.
const OTHER_FRAMES: u64 = 256;

/// How often the disk is mounted anew because its driver has ended in between.
const MOUNT_ATTEMPTS: u32 = 4;

/// What the threads share.
pub struct State {
    /// The volume.
    pub volume: Volume<MetadataSource>,
    /// What is cached where.
    pub index: PageIndex,
    /// Who has requests in progress.
    pub shares: Shares<WORKERS>,
    /// A page that the processor puts together.
    pub assembly: Assembly,
}

/// A page of the server's own, to be written and then copied from.
pub struct Assembly {
    /// As a container.
    pub container: Container,
    /// As bytes.
    pub mapping: Mapping,
}

/// A mounted volume with its cache.
pub struct Mounted {
    /// What the threads share.
    pub state: Gate<State>,
    /// The driver.
    pub disk: Disk,
    /// Cached pages, and behind them pages that are never there.
    pub cache: Container,
    /// First byte of the pages that are never there, which copy as zeros.
    pub zeros_offset: u64,
}

/// Mounts the disk behind a driver. The refusal is what every request is answered with, then.
pub fn mount(block: Handle) -> Result<Mounted> {
    let mut attempts = MOUNT_ATTEMPTS;
    loop {
        attempts -= 1;
        match try_mount(block) {
            // init starts it again.
            Err(refusal) if refusal.error == FileError::DriverEnded && attempts > 0 => {}
            result => return result,
        }
    }
}

fn try_mount(block: Handle) -> Result<Mounted> {
    let disk = Disk(block);
    let status = disk.status().map_err(refuse_disk)?;
    let source = MetadataSource::new(disk, status.sectors).map_err(refuse_memory)?;
    let volume = Volume::mount(source).map_err(|error| {
        log::error!("the disk is not mounted: {error}");
        let (error, detail) = error.file_error();
        Refusal::with_detail(error, detail)
    })?;
    let label = volume.status();
    log::info!(
        "{} `{}`, {} blocks of {}, mounted read-only",
        label.format,
        label.label,
        label.blocks,
        label.block_bytes
    );
    mounted(disk, volume).map_err(refuse_memory)
}

fn refuse_disk(error: DiskError) -> Refusal<FileError> {
    let refusal = error.file_refusal();
    log::error!("the disk is not mounted: {} ({})", refusal.error, refusal.detail);
    refusal
}

fn refuse_memory(error: MemoryCallError) -> Refusal<FileError> {
    log::error!("the disk is not mounted: {error}");
    let refusal = memory_refusal(error);
    Refusal { error: FileError::NoMemory, ..refusal }
}

fn mounted(disk: Disk, volume: Volume<MetadataSource>) -> core::result::Result<Mounted, MemoryCallError> {
    let pages = cache_pages()?;
    let cache = OwnContainer::new(pages + COPY_PAGES + 1)?.keep();
    let page = OwnContainer::new(1)?.keep();
    page.allocate(0..1, false)?;
    let mapping = Mapping::new(&page, 0, 1, MapProtection::WRITE)?;
    let state = State {
        volume,
        index: PageIndex::new(pages as u32),
        shares: Shares::new(),
        assembly: Assembly { container: page, mapping },
    };
    Ok(Mounted { state: Gate::new(state)?, disk, cache, zeros_offset: pages * PAGE_BYTES })
}

/// What the contract allows beside everything else; idle memory is asked for and may be refused.
fn cache_pages() -> core::result::Result<u64, MemoryCallError> {
    let status = contract_status(CONTRACT)?;
    let held = status.pages + status.records + status.kernel + status.handed_on + OTHER_FRAMES;
    let room = status.guaranteed.saturating_sub(held).saturating_add(status.extra_limit);
    Ok(room.clamp(CACHE_PAGES_MIN, CACHE_PAGES_MAX))
}
