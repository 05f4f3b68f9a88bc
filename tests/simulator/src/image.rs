//! The disk: an ext2 volume whose metadata are made here and whose contents are what [`Cell::disk`] says of each sector.
//!
//! Blocks of 4096 bytes, one group, files of one direct map and one block of pointers, with holes, in pieces, and with
//! ends in the middle of a sector. Metadata is read from memory, at once and without errors; contents by the driver.

use crate::contents::{Cell, SECTOR};
use crate::random::Random;
use filesystems_ext_core::{Source, SourceError};
use std::rc::Rc;

const BLOCK: usize = 4096;
const BLOCK_SECTORS: u64 = (BLOCK / SECTOR) as u64;
/// Blocks of the volume.
const BLOCKS: u32 = 512;
/// Blocks that hold metadata: super block, descriptors, bitmaps, inodes, root, and the files' blocks of pointers.
const METADATA_BLOCKS: usize = 6 + FILES;
const INODES: u32 = 32;
const INODE_BYTES: usize = 128;
const DIRECT: usize = 12;
const FIRST_FILE: u32 = 12;
const FILES: usize = 8;

/// Sectors of the disk.
pub const DISK_SECTORS: u64 = BLOCKS as u64 * BLOCK_SECTORS;

/// A file, as whoever made it knows it.
pub struct File {
    /// Its inode.
    pub inode: u32,
    /// Bytes.
    pub size: u64,
    /// Block of the disk for each of its blocks; none: a hole.
    blocks: Vec<Option<u32>>,
}

impl File {
    /// What the sector at a place in the file holds, whole: also what lies beyond the end of the file in it.
    pub fn whole_sector(&self, offset: u64) -> Cell {
        let block = self.blocks.get(offset as usize / BLOCK).copied().flatten();
        block.map_or(Cell::ZERO, |block| {
            Cell::disk(u64::from(block) * BLOCK_SECTORS + offset % BLOCK as u64 / SECTOR as u64)
        })
    }

    /// The same, as the file has it: nothing but zeros behind its end.
    pub fn sector(&self, offset: u64) -> Cell {
        let left = self.size.saturating_sub(offset).min(SECTOR as u64) as usize;
        match self.whole_sector(offset) {
            Cell::ZERO => Cell::ZERO,
            cell => cell.first(left),
        }
    }
}

/// The disk's contents.
pub struct Image {
    metadata: Vec<u8>,
    /// The files.
    pub files: Vec<File>,
}

fn put(bytes: &mut [u8], offset: usize, value: u32) {
    bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
}

impl Image {
    /// The same one always.
    pub fn new() -> Rc<Image> {
        let mut image = Image { metadata: vec![0; METADATA_BLOCKS * BLOCK], files: Vec::new() };
        image.write_superblock();
        image.write_inode(2, 0x41ed, BLOCK as u64, &[Some(5)]);
        let mut random = Random::of(0, 0);
        let mut next = METADATA_BLOCKS as u32 + 2;
        for index in 0..FILES {
            let blocks = file_blocks(&mut random, &mut next, 1 + index * 3);
            let size = (blocks.len() * BLOCK) as u64 - random.pick(&[0, 1, 512, 700, 4000]);
            let inode = FIRST_FILE + index as u32;
            image.write_inode(inode, 0x81a4, size, &blocks);
            image.files.push(File { inode, size, blocks });
        }
        Rc::new(image)
    }

    fn write_superblock(&mut self) {
        let bytes = &mut self.metadata[1024..2048];
        for (offset, value) in
            [(0, INODES), (4, BLOCKS), (24, 2), (28, 2), (32, 32768), (36, 32768), (40, INODES)]
        {
            put(bytes, offset, value);
        }
        put(bytes, 56, 0x1_ef53);
        let descriptor = &mut self.metadata[BLOCK..BLOCK + 32];
        for (offset, value) in [(0, 2), (4, 3), (8, 4)] {
            put(descriptor, offset, value);
        }
    }

    fn write_inode(&mut self, number: u32, mode: u32, size: u64, blocks: &[Option<u32>]) {
        let start = 4 * BLOCK + (number as usize - 1) * INODE_BYTES;
        put(&mut self.metadata, start, mode);
        put(&mut self.metadata, start + 4, size as u32);
        put(&mut self.metadata, start + 26, 1);
        put(&mut self.metadata, start + 100, number);
        let pointers = number.saturating_sub(FIRST_FILE) + 6;
        if blocks.len() > DIRECT {
            put(&mut self.metadata, start + 40 + 4 * DIRECT, pointers);
        }
        for (index, block) in blocks.iter().enumerate() {
            let place = match index.checked_sub(DIRECT) {
                None => start + 40 + 4 * index,
                Some(rest) => pointers as usize * BLOCK + 4 * rest,
            };
            put(&mut self.metadata, place, block.unwrap_or(0));
        }
    }

    /// The file with an inode.
    pub fn file(&self, inode: u32) -> &File {
        &self.files[(inode - FIRST_FILE) as usize]
    }
}

/// Blocks for a file, in pieces, some of them holes; the last one is none.
fn file_blocks(random: &mut Random, next: &mut u32, count: usize) -> Vec<Option<u32>> {
    let mut blocks = Vec::new();
    while blocks.len() < count {
        let piece = random.between(1, 6) as usize;
        let is_hole = random.once_in(4);
        for _ in 0..piece.min(count - blocks.len()) {
            blocks.push((!is_hole).then_some(*next));
            *next += u32::from(!is_hole);
        }
        *next += random.below(3) as u32;
    }
    if let Some(last) = blocks.last_mut()
        && last.is_none()
    {
        *last = Some(*next);
        *next += 1;
    }
    blocks
}

/// The image as a volume reads its metadata.
#[derive(Clone)]
pub struct Metadata(pub Rc<Image>);

impl Source for Metadata {
    fn sectors(&self) -> u64 {
        DISK_SECTORS
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), SourceError> {
        let start = sector as usize * SECTOR;
        let from = self.0.metadata.get(start..start + into.len()).ok_or(SourceError::Beyond)?;
        into.copy_from_slice(from);
        Ok(())
    }
}
