//! Files in memory at `/tmp`, each in a container of whoever made it. Names and sizes are [`filesystems_tmpfs_core`]'s.
//!
//! The server never maps a client's container and never locks one: it has physmem copy, whole pages logically and edges by
//! bytes, so a container that is seized, cut off or destroyed in the middle is a refusal and not a fault. What a write needs is
//! charged to the file's contract. A few bytes go by way of a page of the server's own.
//!
//! The names do not outlive the server. Nodes of a server that has ended are stale; the memory of its files stays with the contracts
//! that paid for it, until these end.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use containers_api::space::MapProtection;
use containers_api::{ContainerRights, MemoryError};
use core::cell::RefCell;
use filesystems_api::directory::Entries;
use filesystems_api::file::{
    FileError, FileSystemStatus, IoReadContainer, NodeKind, NodeStatus, ReadDone, SMALL_READ_BYTES,
    SmallContents, Written,
};
use filesystems_serve::{
    ClientContainer, FileSystem, Found, NodeBadge, Result, SentContainer, memory_refusal, serve,
};
use filesystems_tmpfs_core::{FILES_MAX, Node, Table};
use kernel_abi::FRAME_BYTES;
use kernel_protocol::{Bytes, ErrorCode, Refusal, Text};
use kernel_runtime::containers::{Container, MemoryCallError, OwnContainer};
use kernel_runtime::memory::Mapping;
use kernel_runtime::startup::Startup;
use kernel_runtime::{clock, handles};

kernel_runtime::program!(main);

/// Exit status where the server was not given what it needs.
const NOT_GIVEN: i32 = 1;

/// Bytes of the stack that any request is done with.
const STACK_BYTES: usize = 16 << 10;

/// Pages through which a few bytes go: the bytes of one message, wherever in a page they begin.
const STAGING_PAGES: u64 = 2;

/// Bytes of one read at most: what physmem does in a few requests, and less.
const READ_BYTES_MAX: u64 = 16 << 20;

/// What a file's container must allow: filling and reading it, giving pages back, and giving all of it back.
const NEEDED: ContainerRights = ContainerRights::FILL
    .union(ContainerRights::COPY_OUT)
    .union(ContainerRights::ALLOCATE)
    .union(ContainerRights::GRANT);

/// Nanoseconds of a generation: places are used again much more slowly than one goes by, so that no life of the server begins with
/// a generation of the one before.
const GENERATION_NS: u64 = 1_000_000;

fn main(startup: Startup<'static>) -> i32 {
    let Some(endpoint) = startup.capability("endpoint") else {
        log::error!("`endpoint` was not given");
        return NOT_GIVEN;
    };
    match TemporaryFiles::new() {
        Ok(files) => {
            let error = serve(endpoint, &files);
            log::error!("the endpoint is gone ({error:?})");
        }
        Err(error) => log::error!("no memory: {error}"),
    }
    NOT_GIVEN
}

struct TemporaryFiles {
    table: RefCell<Table<OwnContainer>>,
    staging: OwnContainer,
    mapping: RefCell<Mapping>,
    /// Nothing is ever written here.
    hole: OwnContainer,
}

impl TemporaryFiles {
    /// With all that requests will need of the server's own memory: none makes it grow.
    fn new() -> core::result::Result<TemporaryFiles, MemoryCallError> {
        core::hint::black_box([0_u8; STACK_BYTES]);
        let entries: Vec<_> = (0..FILES_MAX).map_while(|_| handles::allocate()).collect();
        entries.into_iter().for_each(handles::free);
        let staging = OwnContainer::new(STAGING_PAGES)?;
        staging.allocate(0..STAGING_PAGES, false)?;
        let mapping = Mapping::new(&staging, 0, STAGING_PAGES, MapProtection::WRITE)?;
        let table = Table::new((clock::now() / GENERATION_NS) as u32);
        let hole = OwnContainer::new(STAGING_PAGES)?;
        Ok(TemporaryFiles { table: RefCell::new(table), staging, mapping: RefCell::new(mapping), hole })
    }

    /// The container sent along as a file's memory.
    fn take(&self, sent: SentContainer) -> Result<ClientContainer> {
        let client = sent.examine()?;
        if client.rights.contains(NEEDED) {
            return Ok(client);
        }
        Err(Refusal::with_detail(FileError::Container, u64::from(MemoryError::MissingRight.code())))
    }
}

fn node(badge: NodeBadge) -> Node {
    match badge {
        NodeBadge::Root => Node::Root,
        // The directory has a number, too.
        NodeBadge::Node { inode: 1, .. } => Node::Root,
        NodeBadge::Node { inode, generation, .. } => Node::File { number: inode, generation },
    }
}

/// What a client is told of a call about a file's own container that physmem refused.
fn file_refusal(error: MemoryCallError) -> Refusal<FileError> {
    match error.refusal() {
        Some(MemoryError::ContractExhausted | MemoryError::NoRecord | MemoryError::UnderPressure) => {
            FileError::NoSpace.into()
        }
        Some(MemoryError::Locked) => FileError::Busy.into(),
        // physmem does not know it any more, or not its contents.
        Some(MemoryError::Stale | MemoryError::Lost) | None => FileError::DataLost.into(),
        Some(_) => memory_refusal(error),
    }
}

/// Whether the memory of a file is still there.
fn is_there(contents: &Container) -> bool {
    contents.status().is_ok()
}

impl FileSystem for TemporaryFiles {
    type Sent = SentContainer;

    fn look_up(&self, directory: NodeBadge, path: &[u8], _follow: bool) -> Result<Found> {
        let table = self.table.borrow();
        Ok(match table.look_up(node(directory), path)? {
            Node::Root => {
                Found::Node { inode: 1, generation: 0, kind: NodeKind::Directory, size: table.count() }
            }
            file @ Node::File { number, generation } => {
                let size = table.file(file)?.size();
                Found::Node { inode: number, generation, kind: NodeKind::File, size }
            }
        })
    }

    fn read_directory(&self, directory: NodeBadge, cookie: u64) -> Result<Entries> {
        Ok(self.table.borrow().entries(node(directory), cookie)?)
    }

    fn status(&self, badge: NodeBadge) -> Result<NodeStatus> {
        let (table, node) = (self.table.borrow(), node(badge));
        let present = match node {
            Node::Root => 0,
            file => table.file(file)?.contents.status().map_or(0, |status| status.present),
        };
        Ok(table.status(node, present * (FRAME_BYTES / 512))?)
    }

    fn read_container(
        &self,
        badge: NodeBadge,
        read: &IoReadContainer,
        sent: SentContainer,
    ) -> Result<ReadDone> {
        let table = self.table.borrow();
        let file = table.file(node(badge))?;
        let bytes = file.readable(read.offset, read.bytes).min(READ_BYTES_MAX);
        let mut done = ReadDone { bytes, error: 0, moved_bytes: 0, dma_bytes: 0 };
        if bytes > 0 {
            match sent.copy_from(&file.contents, read.offset, read.container_offset, bytes) {
                Ok(copied) => done.moved_bytes = copied.moved_bytes,
                // Whose memory it was that failed, the file's or the reader's, is to be found out.
                Err(error) if error.refusal() == Some(MemoryError::Lost) || !is_there(&file.contents) => {
                    return Err(FileError::DataLost.into());
                }
                Err(error) => return Err(memory_refusal(error)),
            }
        }
        Ok(done)
    }

    fn read_small(&self, badge: NodeBadge, offset: u64, bytes: usize) -> Result<SmallContents> {
        let table = self.table.borrow();
        let file = table.file(node(badge))?;
        let bytes = file.readable(offset, bytes.min(SMALL_READ_BYTES) as u64);
        let start = offset % FRAME_BYTES;
        if bytes > 0 {
            file.contents.copy_to(offset, &self.staging, start, bytes).map_err(file_refusal)?;
        }
        let mapping = self.mapping.borrow();
        let contents = mapping.as_slice().get(start as usize..(start + bytes) as usize);
        Ok(SmallContents { bytes: contents.and_then(Bytes::new).ok_or(FileError::OutOfRange)? })
    }

    fn write_small(&self, badge: NodeBadge, offset: u64, bytes: &[u8]) -> Result<Written> {
        let mut table = self.table.borrow_mut();
        let file = table.file_mut(node(badge))?;
        let count = bytes.len() as u64;
        let place = file.place(offset, count)?;
        let start = place % FRAME_BYTES;
        if count > 0 {
            if let Some(room) = self.mapping.borrow_mut().as_mut_slice().get_mut(start as usize..) {
                let room = room.get_mut(..bytes.len()).ok_or(FileError::OutOfRange)?;
                room.copy_from_slice(bytes);
            }
            self.staging.copy_to(start, &file.contents, place, count).map_err(file_refusal)?;
            file.written(place + count);
        }
        Ok(Written { bytes: count })
    }

    fn create(&self, directory: NodeBadge, name: &[u8], sent: SentContainer) -> Result<Found> {
        let client = self.take(sent)?;
        let mut table = self.table.borrow_mut();
        if table.may_create(node(directory), name, client.principal) == Err(FileError::NoSpace) {
            table.retain(|contents| is_there(contents));
        }
        let contents = OwnContainer::adopt(client.container);
        match table.create(node(directory), name, client.principal, client.pages, contents) {
            Ok(Node::File { number, generation }) => {
                Ok(Found::Node { inode: number, generation, kind: NodeKind::File, size: 0 })
            }
            Ok(Node::Root) => Err(FileError::Malformed.into()),
            Err((error, contents)) => {
                // It was not taken, and stays its maker's.
                drop(contents.keep());
                Err(error.into())
            }
        }
    }

    fn unlink(&self, directory: NodeBadge, name: &[u8]) -> Result<()> {
        // Destroyed with the value, where it is not gone already.
        drop(self.table.borrow_mut().unlink(node(directory), name)?);
        Ok(())
    }

    fn set_size(&self, badge: NodeBadge, size: u64) -> Result<()> {
        let mut table = self.table.borrow_mut();
        let file = table.file_mut(node(badge))?;
        let cut = file.cut(size)?;
        // Whole pages go back to the contract, the rest of the last one becomes zeros.
        let whole = cut.start.div_ceil(FRAME_BYTES)..cut.end.div_ceil(FRAME_BYTES);
        let edge = cut.end.min(whole.start * FRAME_BYTES).saturating_sub(cut.start);
        if edge > 0 {
            let start = cut.start % FRAME_BYTES;
            self.hole.copy_to(start, &file.contents, cut.start, edge).map_err(file_refusal)?;
        }
        if whole.start < whole.end {
            file.contents.deallocate(whole).map_err(file_refusal)?;
        }
        file.resized(size);
        Ok(())
    }

    fn file_system(&self) -> Result<FileSystemStatus> {
        let files = self.table.borrow().count();
        Ok(FileSystemStatus {
            format: Text::truncated("tmpfs"),
            label: Text::truncated(""),
            block_bytes: FRAME_BYTES as u32,
            blocks: 0,
            free_blocks: 0,
            inodes: FILES_MAX as u64,
            free_inodes: FILES_MAX as u64 - files,
            read_only: false,
            cached_pages: 0,
            hits: 0,
            misses: 0,
        })
    }
}
