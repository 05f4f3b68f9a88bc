//! Which disk blocks back which blocks of a file.
//!
//! ```text
//!   file block:  0         8      10            12        2^32
//!                [ data    ][ zero ][ data        ]  zero ...
//!   run(3)  =      ^^^^^^^  blocks 3-7, all backed by successive disk blocks
//!   run(9)  =                   ^   a hole, or blocks allocated and never written: both read as zeros
//! ```
//! A run covers at least one block; at one call costs at most as many block reads as the map is deep.

use crate::{Inode, Source, Volume, VolumeError};

/// What a run of file blocks reads as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backing {
    /// Successive blocks of the disk from this one on.
    Disk(u64),
    /// Zeros.
    Zero,
}

/// Successive blocks of a file, backed alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// By what.
    pub backing: Backing,
    /// How many, at least 1.
    pub blocks: u64,
}

impl Run {
    /// Zeros.
    pub(crate) fn zeros(blocks: u64) -> Run {
        Run { backing: Backing::Zero, blocks }
    }
}

/// Block numbers within a file have 32 bits.
pub(crate) const FILE_BLOCKS: u64 = 1 << 32;

impl<S: Source> Volume<S> {
    /// What backs a file from block `block` on, as far as one map entry tells.
    pub fn run(&mut self, inode: &Inode, block: u64) -> Result<Run, VolumeError> {
        let Ok(number) = u32::try_from(block) else {
            return Ok(Run::zeros(u64::MAX - block));
        };
        if inode.has_extents() { self.extent_run(inode, number) } else { self.indirect_run(inode, number) }
    }
}
