//! Extent trees: the root in the inode, deeper nodes in blocks of their own.
//!
//! A node is a header and entries sorted by file block: extents in a leaf, children above. A child's depth is one less
//! than its parent's, which is checked at each step, so that a walk ends after [`DEPTH_MAX`] steps whatever the disk
//! says.

use crate::map::{Backing, FILE_BLOCKS, Run};
use crate::{Inode, Source, Volume, VolumeError};
use rsext4::disknode::{Ext4Extent, Ext4ExtentHeader, Ext4ExtentIdx};
use rsext4::endian::DiskFormat;

/// Deepest tree that covers 2^32 blocks of the smallest size.
const DEPTH_MAX: u16 = 5;

/// Bytes of a header, an extent and a child entry.
const RECORD_BYTES: usize = 12;

/// Bytes of the checksum that follows the room for entries in a block.
const TAIL_BYTES: usize = 4;

/// A node whose header was checked against the node's size.
struct Node<'a> {
    bytes: &'a [u8],
    entries: usize,
    depth: u16,
}

/// What a search in a node finds: where the block lies, and the file block at which the next entry begins.
enum Found {
    Extent { extent: Ext4Extent, next: u64 },
    Child { block: u64, next: u64 },
    Nothing { next: u64 },
}

impl<'a> Node<'a> {
    fn new(bytes: &'a [u8]) -> Result<Node<'a>, VolumeError> {
        let header = Ext4ExtentHeader::from_disk_bytes(&bytes[..RECORD_BYTES]);
        let room = (bytes.len() - RECORD_BYTES) / RECORD_BYTES;
        if header.eh_magic != Ext4ExtentHeader::EXT4_EXT_MAGIC
            || header.eh_entries > header.eh_max
            || usize::from(header.eh_max) > room
            || header.eh_depth > DEPTH_MAX
        {
            return Err(VolumeError::Damaged("header of an extent node"));
        }
        Ok(Node { bytes, entries: usize::from(header.eh_entries), depth: header.eh_depth })
    }

    fn record(&self, index: usize) -> &[u8] {
        let start = RECORD_BYTES * (1 + index);
        &self.bytes[start..start + RECORD_BYTES]
    }

    /// File block at which an entry begins; leaf and child entries have it at the same place.
    fn start(&self, index: usize) -> u32 {
        let record = self.record(index);
        u32::from_le_bytes([record[0], record[1], record[2], record[3]])
    }

    /// The entry that covers `block`, if any begins at or before it.
    fn find(&self, block: u32, end: u64) -> Result<Found, VolumeError> {
        let (mut low, mut high) = (0, self.entries);
        while low < high {
            let middle = (low + high) / 2;
            if self.start(middle) <= block { low = middle + 1 } else { high = middle }
        }
        let next = if low < self.entries { u64::from(self.start(low)) } else { end };
        let Some(index) = low.checked_sub(1) else {
            return Ok(Found::Nothing { next });
        };
        if next > end {
            return Err(VolumeError::Damaged("order of an extent node"));
        }
        if self.depth == 0 {
            let extent = Ext4Extent::from_disk_bytes(self.record(index));
            return Ok(Found::Extent { extent, next });
        }
        let child = Ext4ExtentIdx::from_disk_bytes(self.record(index));
        let block = u64::from(child.ei_leaf_hi) << 32 | u64::from(child.ei_leaf_lo);
        Ok(Found::Child { block, next })
    }
}

impl<S: Source> Volume<S> {
    /// [`Volume::run`] for a file with extents.
    pub(crate) fn extent_run(&mut self, inode: &Inode, block: u32) -> Result<Run, VolumeError> {
        let root = Node::new(&inode.map)?;
        let mut depth = root.depth;
        let mut found = root.find(block, FILE_BLOCKS)?;
        loop {
            match found {
                Found::Nothing { next } => return Ok(Run::zeros(next - u64::from(block))),
                Found::Extent { extent, next } => return self.within_extent(&extent, block, next),
                Found::Child { block: child, next } => {
                    self.check_blocks(child, 1, "place of an extent node")?;
                    self.check_node(inode, child)?;
                    let node = Node::new(self.block(child)?)?;
                    if node.depth + 1 != depth {
                        return Err(VolumeError::Damaged("depth of an extent node"));
                    }
                    depth = node.depth;
                    found = node.find(block, next)?;
                }
            }
        }
    }

    fn within_extent(&self, extent: &Ext4Extent, block: u32, next: u64) -> Result<Run, VolumeError> {
        let (start, length) = (u64::from(extent.ee_block), u64::from(extent.len()));
        if length == 0 || start + length > next {
            return Err(VolumeError::Damaged("length of an extent"));
        }
        self.check_blocks(extent.start_block(), length, "place of an extent")?;
        let within = u64::from(block) - start;
        if within >= length {
            return Ok(Run::zeros(next - u64::from(block)));
        }
        let backing =
            if extent.is_unwritten() { Backing::Zero } else { Backing::Disk(extent.start_block() + within) };
        Ok(Run { backing, blocks: length - within })
    }

    fn check_node(&mut self, inode: &Inode, block: u64) -> Result<(), VolumeError> {
        if !self.geometry.checksums {
            return Ok(());
        }
        let seed = self.checksum(&[&inode.number.to_le_bytes(), &inode.generation.to_le_bytes()]);
        let bytes = self.block(block)?;
        let header = Ext4ExtentHeader::from_disk_bytes(&bytes[..RECORD_BYTES]);
        let tail = RECORD_BYTES * (1 + usize::from(header.eh_max));
        let stored = bytes
            .get(tail..tail + TAIL_BYTES)
            .map(|tail| u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
        if stored != Some(rsext4::checksum::ext4_metadata_csum32(seed, &[&bytes[..tail.min(bytes.len())]])) {
            return Err(VolumeError::Damaged("checksum of an extent node"));
        }
        Ok(())
    }
}
