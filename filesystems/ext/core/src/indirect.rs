//! Block maps of ext2 and ext3: twelve pointers in the inode, then one block of pointers, a block of such blocks, and a
//! block of those. A pointer of 0 is a hole as large as what would hang below it.

use crate::inode::MAP_BYTES;
use crate::map::{Backing, FILE_BLOCKS, Run};
use crate::{Inode, Source, Volume, VolumeError};

const DIRECT: u64 = 12;
const LEVELS: u32 = 3;
const POINTER_BYTES: usize = 4;

fn pointer(bytes: &[u8], index: usize) -> u32 {
    let start = index * POINTER_BYTES;
    u32::from_le_bytes([bytes[start], bytes[start + 1], bytes[start + 2], bytes[start + 3]])
}

/// Pointers from `index` on that continue each other, or are all 0.
fn alike(bytes: &[u8], index: usize, end: usize) -> u64 {
    let first = pointer(bytes, index);
    let step = u32::from(first != 0);
    let mut count = 1;
    while index + count < end && first.checked_add(step * count as u32) == Some(pointer(bytes, index + count))
    {
        count += 1;
    }
    count as u64
}

impl<S: Source> Volume<S> {
    /// [`Volume::run`] for a file with a block map.
    pub(crate) fn indirect_run(&mut self, inode: &Inode, block: u32) -> Result<Run, VolumeError> {
        let per_block = u64::from(self.geometry.block_bytes) / POINTER_BYTES as u64;
        let block = u64::from(block);
        if block < DIRECT {
            return self.pointers(&inode.map, block as usize, DIRECT as usize);
        }
        let mut within = block - DIRECT;
        for level in 1..=LEVELS {
            let covered = per_block.pow(level);
            if within < covered {
                let root = pointer(&inode.map[..MAP_BYTES], DIRECT as usize + level as usize - 1);
                return self.descend(root, level, within, per_block);
            }
            within -= covered;
        }
        Ok(Run::zeros(FILE_BLOCKS - block))
    }

    /// Follows `level` blocks of pointers down to file block `within` of what `root` covers.
    fn descend(&mut self, root: u32, level: u32, within: u64, per_block: u64) -> Result<Run, VolumeError> {
        let (mut node, mut within) = (root, within);
        for below in (0..level).rev() {
            let span = per_block.pow(below);
            if node == 0 {
                return Ok(Run::zeros(span * per_block - within));
            }
            self.check_blocks(u64::from(node), 1, "place of a pointer block")?;
            let index = (within / span) as usize;
            if below == 0 {
                let mut copy = [0; crate::PAGE_BYTES as usize];
                let bytes = self.block(u64::from(node))?;
                let length = bytes.len();
                copy[..length].copy_from_slice(bytes);
                return self.pointers(&copy[..length], index, per_block as usize);
            }
            node = pointer(self.block(u64::from(node))?, index);
            within %= span;
        }
        Err(VolumeError::Damaged("depth of a block map"))
    }

    /// The run that begins at a pointer to a data block.
    fn pointers(&self, bytes: &[u8], index: usize, end: usize) -> Result<Run, VolumeError> {
        let blocks = alike(bytes, index, end);
        match pointer(bytes, index) {
            0 => Ok(Run::zeros(blocks)),
            first => {
                self.check_blocks(u64::from(first), blocks, "place of a data block")?;
                Ok(Run { backing: Backing::Disk(u64::from(first)), blocks })
            }
        }
    }
}
