//! From a request to the file system and back, without a system call.

use crate::badge::{NodeBadge, NodeRights};
use filesystems_api::directory::Entries;
use filesystems_api::file::{
    DirCreate, FileError, FileSystemStatus, IoReadContainer, Looked, NodeKind, NodeStatus, PATH_BYTES,
    ReadDone, Request, SMALL_READ_BYTES, SmallContents, Written,
};
use kernel_protocol::{Bytes, Refusal};

/// What a file system answers.
pub type Result<T> = core::result::Result<T, Refusal<FileError>>;

/// Where a lookup ended.
#[expect(clippy::large_enum_variant, reason = "it lives on the stack until it is sent")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// At a node.
    Node {
        /// Its number.
        inode: u32,
        /// Its generation.
        generation: u32,
        /// What it is.
        kind: NodeKind,
        /// Its size.
        size: u64,
    },
    /// At an absolute link: the client goes on with this path.
    Retry(Bytes<PATH_BYTES>),
}

/// A file system. Nodes come as badges that were made for it; those that exist no longer are `Stale`.
pub trait FileSystem {
    /// A container that a client sent along.
    type Sent;

    /// See [`filesystems_api::file::DirLookup`].
    fn look_up(&self, directory: NodeBadge, path: &[u8], follow: bool) -> Result<Found>;
    /// See [`filesystems_api::file::DirReaddir`].
    fn read_directory(&self, directory: NodeBadge, cookie: u64) -> Result<Entries>;
    /// See [`filesystems_api::file::IoStat`].
    fn status(&self, node: NodeBadge) -> Result<NodeStatus>;
    /// See [`IoReadContainer`]. Offset and length do not overflow, in the file or in the container.
    fn read_container(&self, node: NodeBadge, read: &IoReadContainer, sent: Self::Sent) -> Result<ReadDone>;
    /// See [`filesystems_api::file::IoRead`]. At most [`SMALL_READ_BYTES`] are asked for.
    fn read_small(&self, node: NodeBadge, offset: u64, bytes: usize) -> Result<SmallContents>;
    /// See [`filesystems_api::file::IoWrite`]. Answered so by whatever cannot be written.
    fn write_small(&self, _node: NodeBadge, _offset: u64, _bytes: &[u8]) -> Result<Written> {
        Err(FileError::ReadOnly.into())
    }
    /// See [`DirCreate`]. Answered so by whatever cannot be written.
    fn create(&self, _directory: NodeBadge, _name: &[u8], _sent: Self::Sent) -> Result<Found> {
        Err(FileError::ReadOnly.into())
    }
    /// See [`filesystems_api::file::DirUnlink`]. The same.
    fn unlink(&self, _directory: NodeBadge, _name: &[u8]) -> Result<()> {
        Err(FileError::ReadOnly.into())
    }
    /// See [`filesystems_api::file::FileSetSize`]. The same.
    fn set_size(&self, _node: NodeBadge, _size: u64) -> Result<()> {
        Err(FileError::ReadOnly.into())
    }
    /// See [`filesystems_api::file::FileStatfs`].
    fn file_system(&self) -> Result<FileSystemStatus>;
}

/// A successful answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// With the node's badge, unless it is a path to retry.
    Looked(Looked, Option<NodeBadge>),
    /// Directory entries.
    Entries(Entries),
    /// What a node is.
    Status(NodeStatus),
    /// Small contents.
    Small(SmallContents),
    /// What a write did.
    Written(Written),
    /// It is done.
    Done,
    /// What the file system is.
    FileSystem(FileSystemStatus),
}

/// Carries a read into a container out: the request that is made most often. `sent` takes the container that came along.
pub fn dispatch_read<F: FileSystem>(
    file_system: &F,
    badge: u64,
    read: &IoReadContainer,
    sent: impl FnOnce() -> Result<F::Sent>,
) -> Result<ReadDone> {
    let node = NodeBadge::decode(badge).ok_or(FileError::Stale)?;
    if !node.rights().contains(NodeRights::READ) {
        return Err(FileError::MissingRight.into());
    }
    let fits = |start: u64| start.checked_add(read.bytes).is_some();
    if !fits(read.offset) || !fits(read.container_offset) {
        return Err(FileError::OutOfRange.into());
    }
    file_system.read_container(node, read, sent()?)
}

/// Carries the making of a file out. `sent` takes the container that came along.
pub fn dispatch_create<F: FileSystem>(
    file_system: &F,
    badge: u64,
    create: &DirCreate,
    sent: impl FnOnce() -> Result<F::Sent>,
) -> Result<Answer> {
    let node = NodeBadge::decode(badge).ok_or(FileError::Stale)?;
    if !node.rights().contains(NodeRights::WRITE) {
        return Err(FileError::MissingRight.into());
    }
    Ok(looked(node, file_system.create(node, create.name.as_slice(), sent()?)?))
}

/// Carries any other request out.
pub fn dispatch<F: FileSystem>(file_system: &F, badge: u64, request: &Request) -> Result<Answer> {
    let node = NodeBadge::decode(badge).ok_or(FileError::Stale)?;
    let needed = match request {
        Request::IoStat(_) | Request::FileStatfs(_) => NodeRights::empty(),
        Request::IoWrite(_) | Request::DirCreate(_) | Request::DirUnlink(_) | Request::FileSetSize(_) => {
            NodeRights::WRITE
        }
        _ => NodeRights::READ,
    };
    if !node.rights().contains(needed) {
        return Err(FileError::MissingRight.into());
    }
    Ok(match request {
        Request::DirLookup(lookup) => {
            looked(node, file_system.look_up(node, lookup.path.as_slice(), lookup.follow)?)
        }
        Request::DirReaddir(readdir) => Answer::Entries(file_system.read_directory(node, readdir.cookie)?),
        Request::IoStat(_) => Answer::Status(file_system.status(node)?),
        // These come with a container and by other ways.
        Request::IoReadContainer(_) | Request::DirCreate(_) => return Err(FileError::Malformed.into()),
        Request::IoRead(read) => {
            let bytes = usize::try_from(read.bytes).unwrap_or(usize::MAX).min(SMALL_READ_BYTES);
            Answer::Small(file_system.read_small(node, read.offset, bytes)?)
        }
        Request::IoWrite(write) => {
            Answer::Written(file_system.write_small(node, write.offset, write.bytes.as_slice())?)
        }
        Request::DirUnlink(unlink) => {
            file_system.unlink(node, unlink.name.as_slice())?;
            Answer::Done
        }
        Request::FileSetSize(asked) => {
            file_system.set_size(node, asked.size)?;
            Answer::Done
        }
        Request::FileStatfs(_) => Answer::FileSystem(file_system.file_system()?),
    })
}

fn looked(from: NodeBadge, found: Found) -> Answer {
    let empty = Bytes::new(&[]).expect("nothing fits");
    match found {
        Found::Node { inode, generation, kind, size } => {
            let badge = NodeBadge::node(inode, generation, from.rights());
            Answer::Looked(Looked { kind, size, retry: empty }, Some(badge))
        }
        Found::Retry(retry) => Answer::Looked(Looked { kind: NodeKind::Link, size: 0, retry }, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use filesystems_api::directory::EntriesBuilder;

    /// Answers anything with something.
    struct Sample;

    impl FileSystem for Sample {
        type Sent = ();

        fn look_up(&self, _: NodeBadge, path: &[u8], _: bool) -> Result<Found> {
            match Bytes::new(path) {
                Some(path) if path.as_slice().first() == Some(&b'/') => Ok(Found::Retry(path)),
                _ => Ok(Found::Node { inode: 7, generation: 3, kind: NodeKind::File, size: 9 }),
            }
        }
        fn read_directory(&self, _: NodeBadge, _: u64) -> Result<Entries> {
            Ok(EntriesBuilder::new().finish())
        }
        fn status(&self, _: NodeBadge) -> Result<NodeStatus> {
            Err(Refusal::with_detail(FileError::Io, 5))
        }
        fn read_container(&self, _: NodeBadge, read: &IoReadContainer, (): ()) -> Result<ReadDone> {
            assert!(read.offset.checked_add(read.bytes).is_some());
            Ok(ReadDone { bytes: 0, error: 0, moved_bytes: 0, dma_bytes: 0 })
        }
        fn read_small(&self, _: NodeBadge, _: u64, bytes: usize) -> Result<SmallContents> {
            Ok(SmallContents { bytes: Bytes::new(&[1; SMALL_READ_BYTES][..bytes]).unwrap() })
        }
        fn file_system(&self) -> Result<FileSystemStatus> {
            Err(FileError::NoDisk.into())
        }
    }

    fn ask(badge: u64, request: &Request) -> Result<Answer> {
        dispatch(&Sample, badge, request)
    }

    fn read(badge: u64, read: &IoReadContainer) -> Result<ReadDone> {
        dispatch_read(&Sample, badge, read, || Ok(()))
    }

    #[test]
    fn a_lookup_hands_rights_on() {
        use filesystems_api::file::DirLookup;
        let lookup =
            |path: &[u8]| Request::DirLookup(DirLookup { path: Bytes::new(path).unwrap(), follow: true });
        let Ok(Answer::Looked(looked, Some(badge))) = ask(0, &lookup(b"x")) else { panic!() };
        assert_eq!((looked.size, badge), (9, NodeBadge::node(7, 3, NodeRights::all())));
        let Ok(Answer::Looked(looked, None)) = ask(badge.encode(), &lookup(b"/etc")) else { panic!() };
        assert_eq!(looked.retry.as_slice(), b"/etc");
        let without = NodeBadge::node(7, 3, NodeRights::empty()).encode();
        assert_eq!(ask(without, &lookup(b"x")), Err(FileError::MissingRight.into()));
    }

    #[test]
    fn a_read_needs_the_right_to() {
        let asked = IoReadContainer { offset: 0, bytes: 1, container_offset: 0 };
        let without = NodeBadge::node(7, 3, NodeRights::empty()).encode();
        assert_eq!(read(without, &asked), Err(FileError::MissingRight.into()));
        assert_eq!(read(u64::MAX, &asked), Err(FileError::Stale.into()));
        assert!(read(0, &asked).is_ok());
    }

    #[test]
    fn a_write_needs_the_right_to_and_a_file_system_that_can_be_written() {
        let bytes = Bytes::new(b"x").unwrap();
        let write = Request::IoWrite(filesystems_api::file::IoWrite { offset: 0, bytes });
        assert_eq!(ask(0, &write), Err(FileError::ReadOnly.into()));
        let create = DirCreate { name: Bytes::new(b"x").unwrap() };
        let made = |badge: u64| dispatch_create(&Sample, badge, &create, || Ok(())).err();
        assert_eq!(made(0), Some(FileError::ReadOnly.into()));
        assert_eq!(
            made(NodeBadge::node(7, 3, NodeRights::READ).encode()),
            Some(FileError::MissingRight.into())
        );
        let reader = NodeBadge::node(7, 3, NodeRights::READ).encode();
        assert_eq!(ask(reader, &write), Err(FileError::MissingRight.into()));
        let writer = NodeBadge::node(7, 3, NodeRights::WRITE).encode();
        let asked = IoReadContainer { offset: 0, bytes: 1, container_offset: 0 };
        assert_eq!(read(writer, &asked), Err(FileError::MissingRight.into()));
    }

    #[test]
    fn ranges_that_overflow_are_refused() {
        for (offset, container_offset) in [(u64::MAX, 0), (0, u64::MAX)] {
            let asked = IoReadContainer { offset, bytes: 1, container_offset };
            assert_eq!(read(0, &asked), Err(FileError::OutOfRange.into()));
        }
        let read = Request::IoRead(filesystems_api::file::IoRead { offset: 0, bytes: u32::MAX });
        let Ok(Answer::Small(small)) = ask(0, &read) else { panic!() };
        assert_eq!(small.bytes.as_slice().len(), SMALL_READ_BYTES);
    }

    #[test]
    fn random_messages_are_answered_or_refused() {
        let mut random = 88_172_645_463_325_252_u64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let mut decoded = 0;
        for _ in 0..200_000 {
            let mut words = [0; 64];
            let count = (next() % 65) as usize;
            let bits = next() % 64;
            words.iter_mut().for_each(|word| *word = next() >> bits);
            words[0] = if next() % 2 == 0 { next() % 500 } else { words[0] };
            let count = if next() % 2 == 0 { 1 + (words[0] as usize).div_ceil(8) + 1 } else { count }.min(64);
            let badge = next() >> (next() % 64);
            if let Ok(request) = Request::decode((next() % 12) as u32, &words[..count]) {
                decoded += 1;
                let _ = match &request {
                    Request::IoReadContainer(asked) => read(badge, asked).map(drop),
                    Request::DirCreate(asked) => dispatch_create(&Sample, badge, asked, || Ok(())).map(drop),
                    other => ask(badge, other).map(drop),
                };
            }
        }
        assert!(decoded > 1000, "{decoded}");
    }
}
