//! Mounting, once, at the start.

use crate::WORKERS;
use crate::cache::Cache;
use crate::disk::{Disk, DiskError, MetadataSource};
use crate::gate::Gate;
use containers_api::space::MapProtection;
use filesystems_api::file::FileError;
use filesystems_ext_core::plan::step_pages;
use filesystems_ext_core::{Shares, Volume};
use filesystems_serve::{Result, memory_refusal};
use kernel_protocol::Refusal;
use kernel_runtime::Handle;
use kernel_runtime::containers::{Container, MemoryCallError, OwnContainer};
use kernel_runtime::memory::Mapping;

/// How often the disk is mounted anew because its driver has ended in between.
const MOUNT_ATTEMPTS: u32 = 4;

/// What the threads share.
pub struct State {
    /// The volume.
    pub volume: Volume<MetadataSource>,
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
    /// What was read before.
    pub cache: Cache,
    /// Pages that a thread has the disk fill at a time.
    pub step_pages: u64,
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
    mounted(disk, volume, step_pages(status.pages_in_flight, WORKERS as u64)).map_err(refuse_memory)
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

fn mounted(
    disk: Disk,
    volume: Volume<MetadataSource>,
    step_pages: u64,
) -> core::result::Result<Mounted, MemoryCallError> {
    let page = OwnContainer::new(1)?.keep();
    page.allocate(0..1, false)?;
    let mapping = Mapping::new(&page, 0, 1, MapProtection::WRITE)?;
    let state = State { volume, shares: Shares::new(), assembly: Assembly { container: page, mapping } };
    Ok(Mounted { state: Gate::new(state)?, disk, cache: Cache::new()?, step_pages })
}
