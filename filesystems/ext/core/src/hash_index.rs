//! The hash index of a large directory: from a name's hash to the one block that can hold the name.
//!
//! ```text
//!   block 0:  "." ".."  root information  | limit,count | (hash, block) ... sorted by hash
//!   levels below: 8 bytes that look like a deleted entry  | limit,count | (hash, block) ...
//!   leaves: ordinary directory blocks
//! ```
//! A hash whose lowest bit is set in the next entry says that equal hashes run on into that block. The index only saves
//! time: where it is of an unknown kind the caller reads the directory in order.

use crate::directory::parse;
use crate::hash::name_hash;
use crate::{Inode, Source, Volume, VolumeError};
use rsext4::superblock::Ext4Superblock as Superblock;

/// Where the root information lies, after the two first entries.
const ROOT_INFORMATION: usize = 24;
/// Where the entries of an inner node begin.
const INNER_ENTRIES: usize = 8;
const ENTRY_BYTES: usize = 8;
/// Levels of inner nodes below the root, at most (without the large_dir feature).
const LEVELS_MAX: u8 = 1;
/// Bits of a block number in an entry.
const BLOCK_MASK: u32 = 0x0fff_ffff;

const DAMAGED: VolumeError = VolumeError::Damaged("hash index of a directory");

/// Where a search stands in a node: which block to go to, and whether equal hashes run on into the next entry.
struct Step {
    block: u32,
    /// Block of the next entry, if it continues the same hash.
    continues: Option<u32>,
}

fn word(bytes: &[u8], position: usize) -> Result<u32, VolumeError> {
    let word = bytes.get(position..position + 4).ok_or(DAMAGED)?;
    Ok(u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
}

/// Finds the last entry whose hash is not above `hash`. The first entry has no hash: its place holds limit and count.
fn step(node: &[u8], entries: usize, hash: u32) -> Result<Step, VolumeError> {
    let header = word(node, entries)?;
    let (limit, count) = ((header & 0xffff) as usize, (header >> 16) as usize);
    if count == 0 || count > limit || entries + limit * ENTRY_BYTES > node.len() {
        return Err(DAMAGED);
    }
    let hash_of = |index: usize| word(node, entries + index * ENTRY_BYTES);
    let block_of =
        |index: usize| word(node, entries + index * ENTRY_BYTES + 4).map(|block| block & BLOCK_MASK);
    let (mut low, mut high) = (1, count);
    while low < high {
        let middle = (low + high) / 2;
        if hash_of(middle)? <= hash { low = middle + 1 } else { high = middle }
    }
    let continues = if low < count && hash_of(low)? == hash | 1 { Some(block_of(low)?) } else { None };
    Ok(Step { block: block_of(low - 1)?, continues })
}

impl<S: Source> Volume<S> {
    /// Searches by the index. `None`: the index is of a kind that is not known, or equal hashes run over several
    /// blocks; read in order.
    pub(crate) fn find_indexed(
        &mut self,
        directory: &Inode,
        name: &[u8],
    ) -> Result<Option<Option<u32>>, VolumeError> {
        if name == b"." || name == b".." {
            return Ok(None);
        }
        let unsigned = self.superblock.s_flags & Superblock::EXT4_FLAGS_UNSIGNED_HASH != 0;
        let seed = self.superblock.s_hash_seed;
        let root = self.directory_block(directory, 0)?;
        let (version, length, levels) =
            (root[ROOT_INFORMATION + 4], root[ROOT_INFORMATION + 5], root[ROOT_INFORMATION + 6]);
        if levels > LEVELS_MAX || length != 8 {
            return Ok(None);
        }
        let Some(hash) = name_hash(name, version, unsigned, &seed) else {
            return Ok(None);
        };
        let mut next = step(root, ROOT_INFORMATION + usize::from(length), hash)?;
        for _ in 0..levels {
            if next.continues.is_some() {
                return Ok(None);
            }
            next = step(self.index_block(directory, next.block)?, INNER_ENTRIES, hash)?;
        }
        if next.continues.is_some() {
            return Ok(None);
        }
        self.find_in_block(directory, next.block, name).map(Some)
    }

    fn index_block(&mut self, directory: &Inode, block: u32) -> Result<&[u8], VolumeError> {
        if u64::from(block) >= self.directory_blocks(directory)? {
            return Err(DAMAGED);
        }
        self.directory_block(directory, u64::from(block))
    }

    fn find_in_block(
        &mut self,
        directory: &Inode,
        block: u32,
        name: &[u8],
    ) -> Result<Option<u32>, VolumeError> {
        let kinds = self.geometry.entry_kinds;
        let bytes = self.index_block(directory, block)?;
        let mut position = 0;
        while position < bytes.len() {
            let (entry, end) = parse(bytes, position, kinds)?;
            if entry.inode != 0 && entry.name == name {
                return Ok(Some(entry.inode));
            }
            position = end;
        }
        Ok(None)
    }
}
