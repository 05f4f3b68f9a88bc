//! Requests about nodes: each looks at metadata behind the gate and answers; reads go on in [`crate::read`].

use crate::mount::{Mounted, State};
use crate::read::plan;
use containers_api::MemoryError;
use filesystems_api::directory::{Entries, EntriesBuilder, Entry};
use filesystems_api::file::{
    FileError, FileSystemStatus, IoReadContainer, NodeKind, NodeStatus, ReadDone, SMALL_READ_BYTES,
    SmallContents,
};
use filesystems_ext_core::plan::Step;
use filesystems_ext_core::{Inode, LookupError, ROOT_INODE, Resolved, VolumeError};
use filesystems_serve::{FileSystem, Found, NodeBadge, Result, SentContainer, memory_refusal};
use kernel_protocol::{Bytes, Refusal};
use kernel_runtime::events::Events;

/// The server: a mounted volume, or why there is none.
pub struct Server {
    /// What every request is refused with, if it is not mounted.
    pub mounted: Result<Mounted>,
    /// Where reads are told.
    pub events: Events,
}

/// One thread of the server.
pub struct Worker {
    /// What all of them share.
    pub server: &'static Server,
    /// Which one it is.
    pub index: usize,
}

/// A volume's error as a refusal.
pub fn volume_refusal(error: VolumeError) -> Refusal<FileError> {
    if let VolumeError::Damaged(what) = error {
        log::warn!("damaged: {what}");
    }
    let (error, detail) = error.file_error();
    Refusal::with_detail(error, detail)
}

fn lookup_refusal(error: LookupError) -> Refusal<FileError> {
    match error {
        LookupError::Volume(error) => volume_refusal(error),
        other => {
            let (error, detail) = other.file_error();
            Refusal::with_detail(error, detail)
        }
    }
}

/// The inode that a badge means.
pub fn inode(state: &mut State, badge: NodeBadge) -> Result<Inode> {
    let number = match badge {
        NodeBadge::Root => ROOT_INODE,
        NodeBadge::Node { inode, .. } => inode,
    };
    let inode = state.volume.inode(number).map_err(volume_refusal)?;
    if badge.is_of(inode.generation) { Ok(inode) } else { Err(FileError::Stale.into()) }
}

/// The inode that a badge means, which is to be read.
fn file(state: &mut State, badge: NodeBadge) -> Result<Inode> {
    let inode = inode(state, badge)?;
    match inode.kind {
        NodeKind::File => Ok(inode),
        NodeKind::Directory => Err(FileError::IsDirectory.into()),
        _ => Err(FileError::Unsupported.into()),
    }
}

impl Worker {
    /// Copies what is wanted, where all of it is cached, without asking who the client is. `None`: it is to be read step by step.
    fn read_cached(
        &self,
        node: NodeBadge,
        request: &IoReadContainer,
        sent: &SentContainer,
    ) -> Result<Option<ReadDone>> {
        let mut cache = &self.mounted()?.cache;
        let step = self.with(|state| {
            let read = plan(file(state, node)?, request, false, 1);
            // The copy may wait for frames of the client's guarantee.
            let step = if state.shares.take_unknown() { read.cached(&mut cache) } else { return Ok(None) };
            if step.is_none() {
                state.shares.give_unknown();
            }
            Ok(step)
        })?;
        let Some(Step::Copy { run, source_offset, destination_offset, bytes, valid }) = step else {
            return Ok(None);
        };
        let copied = sent.copy_from(&cache.container, source_offset, destination_offset, bytes);
        cache.index().release(run);
        self.with(|state| {
            state.shares.give_unknown();
            Ok(())
        })?;
        match copied {
            Ok(copied) => {
                Ok(Some(ReadDone { bytes: valid, error: 0, moved_bytes: copied.moved_bytes, dma_bytes: 0 }))
            }
            // Seized pages are found out step by step.
            Err(error) if error.refusal() == Some(MemoryError::Lost) => Ok(None),
            Err(error) => Err(memory_refusal(error)),
        }
    }

    /// The volume.
    pub fn mounted(&self) -> Result<&'static Mounted> {
        self.server.mounted.as_ref().map_err(|&refusal| refusal)
    }

    /// Looks at metadata with nobody else there.
    fn with<T>(&self, work: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        work(&mut self.mounted()?.state.enter(self.index))
    }
}

impl FileSystem for Worker {
    type Sent = SentContainer;

    fn look_up(&self, directory: NodeBadge, path: &[u8], follow: bool) -> Result<Found> {
        self.with(|state| {
            let start = inode(state, directory)?;
            match state.volume.lookup(&start, path, follow).map_err(lookup_refusal)? {
                Resolved::Node(Inode { number, generation, kind, size, .. }) => {
                    Ok(Found::Node { inode: number, generation, kind, size })
                }
                Resolved::Retry(path) => Ok(Found::Retry(Bytes::new(&path).ok_or(FileError::NameTooLong)?)),
            }
        })
    }

    fn read_directory(&self, directory: NodeBadge, cookie: u64) -> Result<Entries> {
        self.with(|state| entries(state, directory, cookie))
    }

    fn status(&self, node: NodeBadge) -> Result<NodeStatus> {
        self.with(|state| inode(state, node).map(|inode| inode.status()))
    }

    fn read_container(
        &self,
        node: NodeBadge,
        read: &IoReadContainer,
        sent: SentContainer,
    ) -> Result<ReadDone> {
        if let Some(done) = self.read_cached(node, read, &sent)? {
            return Ok(done);
        }
        let client = sent.examine()?;
        let inode = self.with(|state| {
            let inode = file(state, node)?;
            if !state.shares.take(client.principal) {
                return Err(FileError::Busy.into());
            }
            Ok(inode)
        })?;
        let result = self.read(inode, read, &client);
        self.with(|state| {
            state.shares.give(client.principal);
            result
        })
    }

    fn read_small(&self, node: NodeBadge, offset: u64, bytes: usize) -> Result<SmallContents> {
        let mut room = [0; SMALL_READ_BYTES];
        let bytes = bytes.min(room.len());
        let length = self.with(|state| {
            let inode = inode(state, node)?;
            match inode.kind {
                NodeKind::File => {
                    state.volume.read(&inode, offset, &mut room[..bytes]).map_err(volume_refusal)
                }
                NodeKind::Link => read_link(state, &inode, offset, &mut room[..bytes]),
                NodeKind::Directory => Err(FileError::IsDirectory.into()),
                _ => Err(FileError::Unsupported.into()),
            }
        })?;
        Ok(SmallContents { bytes: Bytes::new(&room[..length]).ok_or(FileError::OutOfRange)? })
    }

    fn file_system(&self) -> Result<FileSystemStatus> {
        let (cached_pages, hits, misses) = self.mounted()?.cache.index().counts();
        self.with(|state| Ok(FileSystemStatus { cached_pages, hits, misses, ..state.volume.status() }))
    }
}

fn read_link(state: &mut State, inode: &Inode, offset: u64, into: &mut [u8]) -> Result<usize> {
    let mut target = [0; 4095];
    let length = state.volume.read_link(inode, &mut target).map_err(volume_refusal)?;
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(length);
    let part = (length - start).min(into.len());
    into[..part].copy_from_slice(&target[start..start + part]);
    Ok(part)
}

/// As many entries as an answer holds. Where the volume's entries do not tell the kind, the inodes are asked.
fn entries(state: &mut State, badge: NodeBadge, cookie: u64) -> Result<Entries> {
    let directory = inode(state, badge)?;
    let told = tell_entries(state, &directory, cookie)?;
    let mut builder = EntriesBuilder::new();
    for entry in told.iter() {
        let kind = match entry.kind {
            UNKNOWN => state.volume.inode(entry.inode as u32).map_or(NodeKind::File, |inode| inode.kind),
            kind => kind,
        };
        builder.push(Entry { kind, ..entry });
    }
    Ok(builder.finish())
}

/// Stands for a kind that the entry does not tell. Where it does tell, inodes of sockets are asked for nothing.
const UNKNOWN: NodeKind = NodeKind::Socket;

fn tell_entries(state: &mut State, directory: &Inode, cookie: u64) -> Result<Entries> {
    let mut builder = EntriesBuilder::new();
    state
        .volume
        .read_directory(directory, cookie, &mut |entry| {
            let kind = entry.kind.unwrap_or(UNKNOWN);
            builder.push(Entry { inode: u64::from(entry.inode), kind, next: entry.next, name: entry.name })
        })
        .map_err(volume_refusal)?;
    Ok(builder.finish())
}
