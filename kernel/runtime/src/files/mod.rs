//! Files as a client sees them: names are looked up across mounts ([`Names`]), nodes are read into containers.
//!
//! Calls to file servers carry a deadline, [`ANSWER_NS`], so that a server that is gone or hangs makes an error
//! and not a program that never ends.

mod changes;
mod names;
pub mod path;
mod walk;

pub use changes::FILE_PAGES;
pub use names::{LookupError, Names};

use crate::containers::{Container, MemoryCallError, OwnContainer};
use crate::ipc::{CallError, call};
use crate::memory::Mapping;
use crate::{Capability, Deadline, Handle};
use alloc::vec::Vec;
use containers_api::space::MapProtection;
use containers_api::{ContainerRights, MemoryError};
use core::time::Duration;
use filesystems_api::directory::Entries;
use filesystems_api::file::*;
use kernel_abi::FRAME_BYTES;
use kernel_protocol::{Bytes, ErrorCode};

/// How long a file server may take for one answer, in nanoseconds.
pub const ANSWER_NS: u64 = 30_000_000_000;

/// Longest lock that a file server and its driver get on a client's pages, in nanoseconds.
pub const LOCK_NS: u64 = 30_000_000_000;

/// Why a file server did not do it.
pub type FileCallError = CallError<FileError>;

fn deadline() -> Deadline {
    Deadline::after(Duration::from_nanos(ANSWER_NS))
}

/// A file, directory or other node.
#[derive(PartialEq, Eq, Debug)]
pub struct Node(Capability);

impl Node {
    /// The node behind a capability.
    pub const fn new(capability: Capability) -> Node {
        Node(capability)
    }

    /// The entry.
    pub fn handle(&self) -> Handle {
        self.0.handle()
    }

    /// Gives the node up as a capability.
    pub fn into_capability(self) -> Capability {
        self.0
    }

    /// What it is.
    pub fn status(&self) -> Result<NodeStatus, FileCallError> {
        call(self.handle(), &IoStat {}, &[], deadline())
    }

    /// A node in this directory, a symbolic link being itself.
    pub fn child(&self, name: &[u8]) -> Result<Node, FileCallError> {
        names::child(self.handle(), name).map(|(node, ..)| node)
    }

    /// The file system that it belongs to.
    pub fn file_system(&self) -> Result<FileSystemStatus, FileCallError> {
        call(self.handle(), &FileStatfs {}, &[], deadline())
    }

    /// A few bytes; of a symbolic link its target.
    pub fn read_small(&self, offset: u64, bytes: u32) -> Result<SmallContents, FileCallError> {
        call(self.handle(), &IoRead { offset, bytes }, &[], deadline())
    }

    /// The target of a symbolic link.
    pub fn read_link(&self) -> Result<Vec<u8>, FileCallError> {
        let mut target = Vec::new();
        loop {
            let contents = self.read_small(target.len() as u64, SMALL_READ_BYTES as u32)?;
            target.extend_from_slice(contents.bytes.as_slice());
            // No link's target is longer than a page.
            if contents.bytes.as_slice().len() < SMALL_READ_BYTES || target.len() >= FRAME_BYTES as usize {
                return Ok(target);
            }
        }
    }

    /// Reads into a container, or a grant, that allows the server to lock and fill.
    pub fn read_container(
        &self,
        offset: u64,
        bytes: u64,
        container: &Container,
        container_offset: u64,
    ) -> Result<ReadDone, FileCallError> {
        let request = IoReadContainer { offset, bytes, container_offset };
        let done = call(self.handle(), &request, &[container.handle()], deadline())?;
        if done.bytes > bytes { Err(CallError::Violation) } else { Ok(done) }
    }

    /// Reads by messages, for a server that does not know the client's physmem: as many bytes as there are and fit.
    pub fn read_by_messages(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, FileCallError> {
        let mut done = 0;
        while done < bytes.len() {
            let wanted = (bytes.len() - done).min(SMALL_READ_BYTES);
            let contents = self.read_small(offset + done as u64, wanted as u32)?;
            let got = contents.bytes.as_slice();
            if got.is_empty() {
                break;
            }
            if got.len() > wanted {
                return Err(CallError::Violation);
            }
            bytes[done..done + got.len()].copy_from_slice(got);
            done += got.len();
        }
        Ok(done)
    }

    /// Entries of a directory from a cookie on.
    pub fn read_directory(&self, cookie: u64) -> Result<Entries, FileCallError> {
        call(self.handle(), &DirReaddir { cookie }, &[], deadline())
    }

    /// All entries of a directory: number, kind, name.
    pub fn entries(&self) -> Result<Vec<DirectoryEntry>, FileCallError> {
        let mut all = Vec::new();
        let mut cookie = 0;
        loop {
            let entries = self.read_directory(cookie)?;
            let Some(last) = entries.iter().last() else {
                return Ok(all);
            };
            // A server that turns in circles would fill this task's memory.
            if last.next == cookie {
                return Err(CallError::Violation);
            }
            cookie = last.next;
            all.extend(entries.iter().map(|entry| DirectoryEntry {
                inode: entry.inode,
                kind: entry.kind,
                name: entry.name.to_vec(),
            }));
        }
    }
}

/// Writes bytes at the end of a file, whoever else does: all of them, or those before the first that is refused.
pub fn append(node: Handle, bytes: &[u8]) -> Result<(), FileCallError> {
    for chunk in bytes.chunks(SMALL_WRITE_BYTES) {
        let mut rest = chunk;
        while let Some(bytes) = Bytes::new(rest).filter(|_| !rest.is_empty()) {
            let written = call(node, &IoWrite { offset: APPEND, bytes }, &[], deadline())?.bytes as usize;
            // A server that takes nothing would be asked for ever.
            rest = rest.get(written..).filter(|_| written > 0).ok_or(CallError::Violation)?;
        }
    }
    Ok(())
}

/// Whether a server refused a container because it is none of the physmem that the server itself runs under. A program under
/// a stacked physmem meets that with servers outside of it.
pub fn is_foreign(error: &FileCallError) -> bool {
    let CallError::Refused(refusal) = error else { return false };
    refusal.error == FileError::Container && refusal.detail == u64::from(MemoryError::WrongObject.code())
}

/// One name in a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirectoryEntry {
    /// Number of the node.
    pub inode: u64,
    /// What it is.
    pub kind: NodeKind,
    /// Its name.
    pub name: Vec<u8>,
}

/// Why reading through a window failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadError {
    /// physmem refused.
    Memory(MemoryCallError),
    /// The file server refused.
    File(FileCallError),
}

impl From<MemoryCallError> for ReadError {
    fn from(error: MemoryCallError) -> Self {
        ReadError::Memory(error)
    }
}

impl From<FileCallError> for ReadError {
    fn from(error: FileCallError) -> Self {
        ReadError::File(error)
    }
}

impl core::fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            ReadError::Memory(error) => error.fmt(formatter),
            ReadError::File(error) => error.fmt(formatter),
        }
    }
}

/// A container through which files are read piece by piece: file servers fill it, this task looks at it.
#[derive(Debug)]
pub struct Window {
    // In this order: the mapping goes first, then the grant, then the container.
    mapping: Mapping,
    grant: Container,
    container: OwnContainer,
}

impl Window {
    /// A window of so many pages. Nothing is charged until something is read.
    pub fn new(pages: u64) -> Result<Window, MemoryCallError> {
        let container = OwnContainer::new(pages)?;
        let rights = ContainerRights::LOCK | ContainerRights::FILL | ContainerRights::COPY_OUT;
        let grant = container.grant(0..pages, rights, LOCK_NS)?;
        let mapping = Mapping::new(&container, 0, pages, MapProtection::empty())?;
        Ok(Window { mapping, grant, container })
    }

    /// Bytes that one read can bring.
    pub fn bytes(&self) -> usize {
        self.mapping.bytes()
    }

    /// Reads as much of a file from `offset` (page-aligned, for reads without copying) as there is and fits.
    /// Nothing: the end of the file.
    pub fn read(&mut self, node: &Node, offset: u64) -> Result<&[u8], ReadError> {
        let (bytes, error) = self.read_partly(node, offset)?;
        match error {
            Some(error) if bytes.is_empty() => {
                Err(ReadError::File(CallError::Refused(kernel_protocol::Refusal::new(error))))
            }
            _ => Ok(bytes),
        }
    }

    /// The same; what an error left valid, and the error. A server that has ended, or does not answer, loses its locks.
    pub fn read_partly(&mut self, node: &Node, offset: u64) -> Result<(&[u8], Option<FileError>), ReadError> {
        let done = match node.read_container(offset, self.bytes() as u64, &self.grant, 0) {
            Err(CallError::Kernel(error)) => {
                self.container.break_locks(0..self.bytes() as u64 / FRAME_BYTES)?;
                return Err(ReadError::File(CallError::Kernel(error)));
            }
            Err(error) if is_foreign(&error) => {
                let pages = self.bytes() as u64 / FRAME_BYTES;
                let mut writable = Mapping::new(&self.container, 0, pages, MapProtection::WRITE)?;
                let bytes = node.read_by_messages(offset, writable.as_mut_slice())?;
                return Ok((&self.mapping.as_slice()[..bytes], None));
            }
            result => result?,
        };
        let error = (done.error != 0).then(|| kernel_protocol::ErrorCode::from_code(done.error));
        Ok((&self.mapping.as_slice()[..done.bytes as usize], error))
    }
}
