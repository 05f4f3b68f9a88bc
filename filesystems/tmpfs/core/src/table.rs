//! The table of files.

use alloc::boxed::Box;
use alloc::vec::Vec;
use filesystems_api::directory::{Entries, EntriesBuilder, Entry};
use filesystems_api::file::{APPEND, FileError, NAME_BYTES, NodeKind, NodeStatus};

/// Files at a time.
pub const FILES_MAX: usize = 256;
/// Files that one contract pays for at a time.
pub const FILES_PER_PRINCIPAL_MAX: usize = 128;

/// Number of the directory; files are numbered by their places after it.
const ROOT: u32 = 1;
const FIRST_FILE: u32 = 2;

const PAGE_BYTES: u64 = 4096;
/// Generations have so many bits in a badge.
const GENERATION_MASK: u32 = 0xff_ffff;

/// A node: the directory, or a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Node {
    /// The directory.
    Root,
    /// A file, by its number and generation.
    File {
        /// Its number.
        number: u32,
        /// Which of the files that have had this number.
        generation: u32,
    },
}

/// A file.
#[derive(Debug)]
pub struct File<C> {
    /// Its memory.
    pub contents: C,
    /// Who pays for it.
    principal: u64,
    /// As far as it can grow, in bytes.
    room: u64,
    size: u64,
}

impl<C> File<C> {
    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Of a read at `offset`, how many bytes there are.
    pub fn readable(&self, offset: u64, bytes: u64) -> u64 {
        self.size.saturating_sub(offset).min(bytes)
    }

    /// Where a write of so many bytes begins.
    pub fn place(&self, offset: u64, bytes: u64) -> Result<u64, FileError> {
        let start = if offset == APPEND { self.size } else { offset };
        let end = start.checked_add(bytes).ok_or(FileError::NoSpace)?;
        if end > self.room { Err(FileError::NoSpace) } else { Ok(start) }
    }

    /// Bytes up to `end` were written.
    pub fn written(&mut self, end: u64) {
        self.size = self.size.max(end);
    }

    /// What must become zeros before the file may have another size: bytes that would show again when it grows.
    pub fn cut(&self, size: u64) -> Result<core::ops::Range<u64>, FileError> {
        if size > self.room { Err(FileError::NoSpace) } else { Ok(size.min(self.size)..self.size) }
    }

    /// It has this size, what was to be cut off being zeros.
    pub fn resized(&mut self, size: u64) {
        self.size = size;
    }
}

struct Place<C> {
    name: [u8; NAME_BYTES],
    name_bytes: u8,
    generation: u32,
    /// When it became free, by the count of files that went; of no meaning while there is a file.
    freed: u64,
    file: Option<File<C>>,
}

impl<C> Place<C> {
    fn name(&self) -> &[u8] {
        &self.name[..usize::from(self.name_bytes)]
    }
}

/// All files.
pub struct Table<C> {
    places: Box<[Place<C>]>,
    /// Files that went.
    gone: u64,
}

impl<C> Table<C> {
    /// No files. Generations begin with this one: higher than any that an earlier table may have used.
    pub fn new(first_generation: u32) -> Table<C> {
        let place = |_| Place {
            name: [0; NAME_BYTES],
            name_bytes: 0,
            generation: first_generation & GENERATION_MASK,
            freed: 0,
            file: None,
        };
        Table { places: (0..FILES_MAX).map(place).collect::<Vec<_>>().into_boxed_slice(), gone: 0 }
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        self.places.iter().position(|place| place.file.is_some() && place.name() == name)
    }

    fn node(&self, index: usize) -> Node {
        Node::File { number: FIRST_FILE + index as u32, generation: self.places[index].generation }
    }

    fn index(&self, node: Node) -> Result<usize, FileError> {
        let Node::File { number, generation } = node else { return Err(FileError::IsDirectory) };
        let index = number.checked_sub(FIRST_FILE).ok_or(FileError::Stale)? as usize;
        let place = self.places.get(index).ok_or(FileError::Stale)?;
        if place.file.is_some() && place.generation == generation { Ok(index) } else { Err(FileError::Stale) }
    }

    /// A file.
    pub fn file(&self, node: Node) -> Result<&File<C>, FileError> {
        self.places[self.index(node)?].file.as_ref().ok_or(FileError::Stale)
    }

    /// The same, to be changed.
    pub fn file_mut(&mut self, node: Node) -> Result<&mut File<C>, FileError> {
        let index = self.index(node)?;
        self.places[index].file.as_mut().ok_or(FileError::Stale)
    }

    /// The node that a path from a node leads to.
    pub fn look_up(&self, from: Node, path: &[u8]) -> Result<Node, FileError> {
        if path.contains(&0) {
            return Err(FileError::Malformed);
        }
        let mut at = if path.first() == Some(&b'/') { Node::Root } else { from };
        if at != Node::Root {
            self.index(at)?;
        }
        if path.is_empty() {
            return Ok(at);
        }
        for name in path.split(|&byte| byte == b'/') {
            if at != Node::Root {
                return Err(FileError::NotDirectory);
            }
            at = match name {
                b"" | b"." | b".." => Node::Root,
                name if name.len() > NAME_BYTES => return Err(FileError::NameTooLong),
                name => self.node(self.find(name).ok_or(FileError::NotFound)?),
            };
        }
        Ok(at)
    }

    /// Whether a file of this name may be made in a node, by a contract. `NoSpace`: see [`Table::retain`].
    pub fn may_create(&self, directory: Node, name: &[u8], principal: u64) -> Result<(), FileError> {
        if directory != Node::Root {
            return Err(self.index(directory).map_or(FileError::Stale, |_| FileError::NotDirectory));
        }
        match name {
            b"" | b"." | b".." => return Err(FileError::Malformed),
            name if name.len() > NAME_BYTES => return Err(FileError::NameTooLong),
            name if name.contains(&b'/') || name.contains(&0) => return Err(FileError::Malformed),
            name if self.find(name).is_some() => return Err(FileError::Exists),
            _ => {}
        }
        let files = self.places.iter().filter_map(|place| place.file.as_ref());
        if files.filter(|file| file.principal == principal).count() >= FILES_PER_PRINCIPAL_MAX {
            return Err(FileError::NoSpace);
        }
        self.free_place().map(drop).ok_or(FileError::NoSpace)
    }

    fn free_place(&self) -> Option<usize> {
        let free = self.places.iter().enumerate().filter(|(_, place)| place.file.is_none());
        free.min_by_key(|(_, place)| place.freed).map(|(index, _)| index)
    }

    /// Makes a file, empty, in a container of so many pages of this contract. What it cannot use comes back.
    pub fn create(
        &mut self,
        directory: Node,
        name: &[u8],
        principal: u64,
        pages: u64,
        contents: C,
    ) -> Result<Node, (FileError, C)> {
        if let Err(error) = self.may_create(directory, name, principal) {
            return Err((error, contents));
        }
        let Some(index) = self.free_place() else { return Err((FileError::NoSpace, contents)) };
        let place = &mut self.places[index];
        place.name[..name.len()].copy_from_slice(name);
        place.name_bytes = name.len() as u8;
        place.generation = (place.generation + 1) & GENERATION_MASK;
        let room = pages.saturating_mul(PAGE_BYTES).min(APPEND - 1);
        place.file = Some(File { contents, principal, room, size: 0 });
        Ok(self.node(index))
    }

    /// Takes a file away: its memory, to be given back.
    pub fn unlink(&mut self, directory: Node, name: &[u8]) -> Result<C, FileError> {
        if directory != Node::Root {
            return Err(self.index(directory).map_or(FileError::Stale, |_| FileError::NotDirectory));
        }
        let index = self.find(name).ok_or(match name {
            b"" | b"." | b".." => FileError::IsDirectory,
            _ => FileError::NotFound,
        })?;
        self.remove(index).ok_or(FileError::NotFound)
    }

    fn remove(&mut self, index: usize) -> Option<C> {
        self.gone += 1;
        self.places[index].freed = self.gone;
        self.places[index].file.take().map(|file| file.contents)
    }

    /// Takes away the files of which `keep` says that their memory is gone.
    pub fn retain(&mut self, mut keep: impl FnMut(&C) -> bool) {
        for index in 0..self.places.len() {
            if self.places[index].file.as_ref().is_some_and(|file| !keep(&file.contents)) {
                self.remove(index);
            }
        }
    }

    /// Entries of the directory from a cookie on.
    pub fn entries(&self, node: Node, cookie: u64) -> Result<Entries, FileError> {
        if node != Node::Root {
            return Err(self.index(node).map_or(FileError::Stale, |_| FileError::NotDirectory));
        }
        let files = self.places.iter().enumerate();
        let files = files.map(|(index, place)| {
            (FIRST_FILE + index as u32, place.name(), place.file.as_ref().map(|_| NodeKind::File))
        });
        let directory = [b".".as_slice(), b".."].map(|name| (ROOT, name, Some(NodeKind::Directory)));
        let all = directory.into_iter().chain(files).enumerate();
        let mut builder = EntriesBuilder::new();
        for (place, (number, name, kind)) in all.skip(usize::try_from(cookie).unwrap_or(usize::MAX)) {
            let Some(kind) = kind else { continue };
            if !builder.push(Entry { inode: number.into(), kind, next: place as u64 + 1, name }) {
                break;
            }
        }
        Ok(builder.finish())
    }

    /// What a node tells of itself; `blocks`: units of 512 bytes that it takes.
    pub fn status(&self, node: Node, blocks: u64) -> Result<NodeStatus, FileError> {
        let (inode, kind, mode, size) = match node {
            Node::Root => (ROOT, NodeKind::Directory, 0o777, self.count()),
            Node::File { number, .. } => (number, NodeKind::File, 0o666, self.file(node)?.size),
        };
        Ok(NodeStatus {
            inode: inode.into(),
            kind,
            mode,
            links: if kind == NodeKind::Directory { 2 } else { 1 },
            user: 0,
            group: 0,
            size,
            blocks,
            accessed: 0,
            modified: 0,
            changed: 0,
        })
    }

    /// Files that there are.
    pub fn count(&self) -> u64 {
        self.places.iter().filter(|place| place.file.is_some()).count() as u64
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
