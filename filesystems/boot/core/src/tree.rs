//! Nodes by number and by path.

use crate::archive::{ArchiveError, Member, read};
use alloc::string::String;
use alloc::vec::Vec;
use filesystems_api::directory::{Entries, EntriesBuilder, Entry};
use filesystems_api::file::{FileError, NAME_BYTES, NodeKind, NodeStatus};

/// Number of the root directory.
pub const ROOT: u32 = 1;

/// Where a file's contents lie in the archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Contents {
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub bytes: u64,
}

/// A file or directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    name: String,
    parent: u32,
    mode: u16,
    /// Of a file; a directory has none.
    pub contents: Option<Contents>,
    children: Vec<u32>,
}

impl Node {
    /// What it is.
    pub fn kind(&self) -> NodeKind {
        if self.contents.is_some() { NodeKind::File } else { NodeKind::Directory }
    }

    /// Its size: bytes of a file, children of a directory.
    pub fn size(&self) -> u64 {
        self.contents.map_or(self.children.len() as u64, |contents| contents.bytes)
    }
}

/// All nodes; number `n` is at place `n - 1`. Nothing changes once it is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BootTree {
    nodes: Vec<Node>,
}

const DIRECTORY_MODE: u16 = 0o555;

impl BootTree {
    /// Reads an archive. What lies behind its end does not matter.
    pub fn read(bytes: &[u8]) -> Result<BootTree, ArchiveError> {
        let mut tree = BootTree { nodes: Vec::new() };
        tree.add(ROOT, "", DIRECTORY_MODE, None);
        read(bytes, &mut |member| tree.insert(&member))?;
        Ok(tree)
    }

    fn insert(&mut self, member: &Member<'_>) -> Result<(), ArchiveError> {
        let contents = Contents { offset: member.offset, bytes: member.bytes };
        let mut at = ROOT;
        let mut names = member.path.split('/').peekable();
        while let Some(name) = names.next() {
            if name.is_empty() || name == "." || name == ".." || name.len() > NAME_BYTES {
                return Err(ArchiveError::Name);
            }
            let is_last = names.peek().is_none();
            at = match self.child(at, name.as_bytes()) {
                Some(child) if !is_last && self.nodes[child as usize - 1].contents.is_none() => child,
                Some(_) => return Err(ArchiveError::Twice),
                None if is_last => self.add(at, name, member.mode, Some(contents)),
                None => self.add(at, name, DIRECTORY_MODE, None),
            };
        }
        Ok(())
    }

    fn add(&mut self, parent: u32, name: &str, mode: u16, contents: Option<Contents>) -> u32 {
        self.nodes.push(Node { name: name.into(), parent, mode, contents, children: Vec::new() });
        let number = self.nodes.len() as u32;
        if number != ROOT {
            self.nodes[parent as usize - 1].children.push(number);
        }
        number
    }

    fn child(&self, directory: u32, name: &[u8]) -> Option<u32> {
        let children = &self.nodes[directory as usize - 1].children;
        children.iter().copied().find(|&child| self.nodes[child as usize - 1].name.as_bytes() == name)
    }

    /// A node by number.
    pub fn node(&self, number: u32) -> Result<&Node, FileError> {
        let place = (number as usize).checked_sub(1).ok_or(FileError::Stale)?;
        self.nodes.get(place).ok_or(FileError::Stale)
    }

    /// The node that a path from a directory leads to.
    pub fn look_up(&self, from: u32, path: &[u8]) -> Result<u32, FileError> {
        if path.contains(&0) {
            return Err(FileError::Malformed);
        }
        let mut at = if path.first() == Some(&b'/') { ROOT } else { from };
        self.node(at)?;
        for name in path.split(|&byte| byte == b'/') {
            if path.is_empty() {
                break;
            }
            if self.node(at)?.kind() != NodeKind::Directory {
                return Err(FileError::NotDirectory);
            }
            at = match name {
                b"" | b"." => at,
                b".." => self.node(at)?.parent,
                name if name.len() > NAME_BYTES => return Err(FileError::NameTooLong),
                name => self.child(at, name).ok_or(FileError::NotFound)?,
            };
        }
        Ok(at)
    }

    /// Entries of a directory from a cookie on: `.`, `..`, then its children.
    pub fn entries(&self, directory: u32, cookie: u64) -> Result<Entries, FileError> {
        let node = self.node(directory)?;
        if node.kind() != NodeKind::Directory {
            return Err(FileError::NotDirectory);
        }
        let mut builder = EntriesBuilder::new();
        let first = [(&b"."[..], directory), (&b".."[..], node.parent)].into_iter();
        let children =
            node.children.iter().map(|&child| (self.nodes[child as usize - 1].name.as_bytes(), child));
        let start = usize::try_from(cookie).unwrap_or(usize::MAX);
        for (place, (name, number)) in first.chain(children).enumerate().skip(start) {
            let kind = self.node(number)?.kind();
            if !builder.push(Entry { inode: u64::from(number), kind, next: place as u64 + 1, name }) {
                break;
            }
        }
        Ok(builder.finish())
    }

    /// What a node tells of itself.
    pub fn status(&self, number: u32) -> Result<NodeStatus, FileError> {
        let node = self.node(number)?;
        let is_directory = |child: &&u32| self.nodes[**child as usize - 1].kind() == NodeKind::Directory;
        let links = match node.kind() {
            NodeKind::Directory => 2 + node.children.iter().filter(is_directory).count() as u32,
            _ => 1,
        };
        Ok(NodeStatus {
            inode: u64::from(number),
            kind: node.kind(),
            mode: node.mode,
            links,
            user: 0,
            group: 0,
            size: node.size(),
            blocks: node.contents.map_or(0, |contents| contents.bytes.div_ceil(512)),
            accessed: 0,
            modified: 0,
            changed: 0,
        })
    }

    /// Number of nodes.
    pub fn count(&self) -> u64 {
        self.nodes.len() as u64
    }
}
