//! The boot archive as a file system, read-only. Names and places are [`filesystems_boot_core`]'s; contents are copied
//! from the archive's container, logically where pages lie alike, which they do for whole files: the contents of
//! every member begin on a page.
//!
//! An archive that is damaged is served all the same: every request is refused with the reason.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use containers_api::space::MapProtection;
use filesystems_api::directory::Entries;
use filesystems_api::file::{
    FileError, FileSystemStatus, IoReadContainer, NodeStatus, ReadDone, SMALL_READ_BYTES, SmallContents,
};
use filesystems_boot_core::{BootTree, Contents, ROOT};
use filesystems_serve::{FileSystem, Found, NodeBadge, Result, SentContainer, memory_refusal, serve};
use kernel_abi::FRAME_BYTES;
use kernel_protocol::{Bytes, ErrorCode, Text};
use kernel_runtime::Capability;
use kernel_runtime::containers::{Container, MemoryCallError};
use kernel_runtime::memory::Mapping;
use kernel_runtime::startup::Startup;

kernel_runtime::program!(main);

/// Bytes of one copy at most: what physmem does in one request (64 MiB), and less.
const COPY_BYTES: u64 = 16 << 20;

/// Exit status where the server was not given what it needs.
const NOT_GIVEN: i32 = 1;

fn main(startup: Startup<'static>) -> i32 {
    let (Some(endpoint), Some(archive)) = (startup.capability("endpoint"), startup.capability("archive"))
    else {
        log::error!("`endpoint` or `archive` was not given");
        return NOT_GIVEN;
    };
    let container = Container::new(Capability::from_handle(archive));
    let bytes = startup.number("archive-bytes");
    match BootFileSystem::new(container, bytes) {
        Ok(file_system) => {
            let error = serve(endpoint, &file_system);
            log::error!("the endpoint is gone ({error:?})");
        }
        Err(error) => log::error!("the archive cannot be mapped: {error}"),
    }
    NOT_GIVEN
}

struct BootFileSystem {
    archive: Container,
    mapping: Mapping,
    bytes: u64,
    /// Damaged: the reason is in the log.
    tree: core::result::Result<BootTree, FileError>,
}

impl BootFileSystem {
    fn new(archive: Container, bytes: Option<u64>) -> core::result::Result<BootFileSystem, MemoryCallError> {
        let pages = archive.status()?.pages;
        let mapping = Mapping::new(&archive, 0, pages, MapProtection::empty())?;
        let bytes = bytes.unwrap_or(u64::MAX).min(mapping.bytes() as u64);
        let tree = BootTree::read(&mapping.as_slice()[..bytes as usize]).map_err(|error| {
            log::error!("the boot archive is damaged: {error}");
            FileError::Damaged
        });
        Ok(BootFileSystem { archive, mapping, bytes, tree })
    }

    fn tree(&self) -> Result<&BootTree> {
        self.tree.as_ref().map_err(|&error| error.into())
    }

    fn file(&self, badge: NodeBadge) -> Result<Contents> {
        Ok(self.tree()?.node(number(badge))?.contents.ok_or(FileError::IsDirectory)?)
    }
}

/// A node's number; numbers are never used again, so generations do not matter.
fn number(badge: NodeBadge) -> u32 {
    match badge {
        NodeBadge::Root => ROOT,
        NodeBadge::Node { inode, .. } => inode,
    }
}

impl FileSystem for BootFileSystem {
    type Sent = SentContainer;

    fn look_up(&self, directory: NodeBadge, path: &[u8], _follow: bool) -> Result<Found> {
        let tree = self.tree()?;
        let inode = tree.look_up(number(directory), path)?;
        let node = tree.node(inode)?;
        Ok(Found::Node { inode, generation: 0, kind: node.kind(), size: node.size() })
    }

    fn read_directory(&self, directory: NodeBadge, cookie: u64) -> Result<Entries> {
        Ok(self.tree()?.entries(number(directory), cookie)?)
    }

    fn status(&self, node: NodeBadge) -> Result<NodeStatus> {
        Ok(self.tree()?.status(number(node))?)
    }

    /// Copies what there is: whole pages logically, the edges by bytes.
    fn read_container(
        &self,
        node: NodeBadge,
        read: &IoReadContainer,
        sent: SentContainer,
    ) -> Result<ReadDone> {
        let file = self.file(node)?;
        let valid = file.bytes.saturating_sub(read.offset).min(read.bytes);
        let mut done = ReadDone { bytes: 0, error: 0, moved_bytes: 0, dma_bytes: 0 };
        while done.bytes < valid {
            let source = file.offset + read.offset + done.bytes;
            let bytes = (valid - done.bytes).min(COPY_BYTES);
            let destination = read.container_offset + done.bytes;
            match sent.copy_from(&self.archive, source, destination, bytes).map_err(memory_refusal) {
                Ok(copied) => {
                    done.bytes += bytes;
                    done.moved_bytes += copied.moved_bytes;
                }
                Err(refusal) if done.bytes == 0 => return Err(refusal),
                Err(refusal) => return Ok(ReadDone { error: refusal.error.code(), ..done }),
            }
        }
        Ok(done)
    }

    fn read_small(&self, node: NodeBadge, offset: u64, bytes: usize) -> Result<SmallContents> {
        let file = self.file(node)?;
        let length = file.bytes.saturating_sub(offset).min(bytes.min(SMALL_READ_BYTES) as u64);
        let start = (file.offset + offset.min(file.bytes)) as usize;
        let contents =
            self.mapping.as_slice().get(start..start + length as usize).ok_or(FileError::Damaged)?;
        Ok(SmallContents { bytes: Bytes::new(contents).ok_or(FileError::OutOfRange)? })
    }

    fn file_system(&self) -> Result<FileSystemStatus> {
        let tree = self.tree()?;
        Ok(FileSystemStatus {
            format: Text::truncated("boot archive"),
            label: Text::truncated(""),
            block_bytes: FRAME_BYTES as u32,
            blocks: self.bytes.div_ceil(FRAME_BYTES),
            free_blocks: 0,
            inodes: tree.count(),
            free_inodes: 0,
            read_only: true,
            cached_pages: 0,
            hits: 0,
            misses: 0,
        })
    }
}
