//! Directories: their blocks, their entries in order, and the search for one name.
//!
//! A cookie is the byte offset of the entry to go on with, on linear and hashed directories alike: the blocks of a hash
//! index look like deleted entries to whoever reads the directory in order.

use crate::map::Backing;
use crate::{Inode, Source, Volume, VolumeError};
use filesystems_api::file::NodeKind;
use rsext4::checksum::{verify_ext4_dirblock_checksum, verify_ext4_dx_checksum};

/// Bytes of an entry before its name.
const HEAD_BYTES: usize = 8;

/// An entry as it lies in a directory block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DirectoryEntry<'a> {
    /// Number of the inode.
    pub inode: u32,
    /// What it is, where the volume's entries tell.
    pub kind: Option<NodeKind>,
    /// Cookie of what follows.
    pub next: u64,
    /// Its name.
    pub name: &'a [u8],
}

impl<S: Source> Volume<S> {
    /// Calls `visit` for the entries from `cookie` on, in order, until it says no or the directory ends.
    pub fn read_directory(
        &mut self,
        directory: &Inode,
        cookie: u64,
        visit: &mut dyn FnMut(DirectoryEntry<'_>) -> bool,
    ) -> Result<(), VolumeError> {
        let blocks = self.directory_blocks(directory)?;
        let block_bytes = u64::from(self.geometry.block_bytes);
        for block in cookie / block_bytes..blocks {
            let kinds = self.geometry.entry_kinds;
            let bytes = self.directory_block(directory, block)?;
            let mut position = 0;
            while position < bytes.len() {
                let (entry, end) = parse(bytes, position, kinds)?;
                let place = block * block_bytes + position as u64;
                position = end;
                let next = block * block_bytes + end as u64;
                if place >= cookie && entry.inode != 0 && !visit(DirectoryEntry { next, ..entry }) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Number of the inode that a directory has under a name.
    pub fn find(&mut self, directory: &Inode, name: &[u8]) -> Result<Option<u32>, VolumeError> {
        self.directory_blocks(directory)?;
        if self.geometry.hash_indexes
            && directory.has_hash_index()
            && let Some(found) = self.find_indexed(directory, name)?
        {
            return Ok(found);
        }
        let mut found = None;
        self.read_directory(directory, 0, &mut |entry| {
            if entry.name == name {
                found = Some(entry.inode);
            }
            found.is_none()
        })?;
        Ok(found)
    }

    /// Blocks of a directory. More than the volume has would make a scan endless.
    pub(crate) fn directory_blocks(&self, directory: &Inode) -> Result<u64, VolumeError> {
        if !directory.is_directory() {
            return Err(VolumeError::NotDirectory);
        }
        let block_bytes = u64::from(self.geometry.block_bytes);
        let blocks = directory.size / block_bytes;
        if !directory.size.is_multiple_of(block_bytes) || blocks > self.geometry.blocks {
            return Err(VolumeError::Damaged("size of a directory"));
        }
        Ok(blocks)
    }

    /// A block of a directory, its checksum checked.
    pub(crate) fn directory_block(&mut self, directory: &Inode, block: u64) -> Result<&[u8], VolumeError> {
        let Backing::Disk(place) = self.run(directory, block)?.backing else {
            return Err(VolumeError::Damaged("hole in a directory"));
        };
        if !self.geometry.checksums {
            return self.block(place);
        }
        let superblock = self.superblock;
        let (number, generation) = (directory.number, directory.generation);
        let bytes = self.block(place)?;
        let index = if directory.has_hash_index() {
            verify_ext4_dx_checksum(&superblock, number, generation, bytes)
        } else {
            None
        };
        if index != Some(true) && !verify_ext4_dirblock_checksum(&superblock, number, generation, bytes) {
            return Err(VolumeError::Damaged("checksum of a directory block"));
        }
        Ok(bytes)
    }
}

/// The entry at `position` of a block, without its cookie, and where it ends. Always ends further on.
pub(crate) fn parse(
    bytes: &[u8],
    position: usize,
    kinds: bool,
) -> Result<(DirectoryEntry<'_>, usize), VolumeError> {
    const DAMAGED: VolumeError = VolumeError::Damaged("directory entry");
    let head = bytes.get(position..position + HEAD_BYTES).ok_or(DAMAGED)?;
    let inode = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let length = usize::from(u16::from_le_bytes([head[4], head[5]]));
    let end = position + length;
    let name_end = position + HEAD_BYTES + usize::from(head[6]);
    // The name's end is beyond the head's, so that an entry that passes is never empty.
    if !length.is_multiple_of(4) || end > bytes.len() || name_end > end {
        return Err(DAMAGED);
    }
    let name = &bytes[position + HEAD_BYTES..name_end];
    if inode != 0 && (name.is_empty() || name.iter().any(|&byte| byte == 0 || byte == b'/')) {
        return Err(DAMAGED);
    }
    let kind = if kinds { kind(head[7]) } else { None };
    Ok((DirectoryEntry { inode, kind, next: 0, name }, end))
}

fn kind(number: u8) -> Option<NodeKind> {
    Some(match number {
        1 => NodeKind::File,
        2 => NodeKind::Directory,
        3 => NodeKind::CharacterDevice,
        4 => NodeKind::BlockDevice,
        5 => NodeKind::Pipe,
        6 => NodeKind::Socket,
        7 => NodeKind::Link,
        _ => return None,
    })
}
