//! A mounted volume: blocks by number, inodes by number, and what the volume tells of itself.
//!
//! The subjects have modules of their own, each an `impl` of [`Volume`]: `inode`, `map` (with `extents` and `indirect`),
//! `content`, `directory` (with `hash_index`), `lookup`.

use crate::geometry::{Geometry, read_superblock};
use crate::inode::{INODES_KEPT, Inode};
use crate::metadata::MetadataCache;
use crate::{MountError, PAGE_BYTES, Source, VolumeError};
use alloc::vec;
use alloc::vec::Vec;
use filesystems_api::file::FileSystemStatus;
use kernel_protocol::Text;
use rsext4::checksum::{ext4_group_desc_csum16, ext4_metadata_csum32};
use rsext4::crc32c::ext4_crc32c_seed_from_superblock;
use rsext4::superblock::Ext4Superblock as Superblock;

/// Inode number of the root directory.
pub const ROOT_INODE: u32 = 2;

/// A mounted volume, read-only.
pub struct Volume<S> {
    pub(crate) source: S,
    pub(crate) cache: MetadataCache,
    pub(crate) superblock: Superblock,
    pub(crate) geometry: Geometry,
    /// [`INODES_KEPT`] places. Nothing on the disk changes while it is mounted.
    pub(crate) inodes: Vec<Option<Inode>>,
}

impl<S: Source> Volume<S> {
    /// Checks the superblock and the root directory. Nothing is written, then or later.
    pub fn mount(mut source: S) -> Result<Volume<S>, MountError> {
        let (superblock, geometry) = read_superblock(&mut source)?;
        let inodes = vec![None; INODES_KEPT];
        let mut volume = Volume { source, cache: MetadataCache::new(), superblock, geometry, inodes };
        match volume.inode(ROOT_INODE) {
            Ok(root) if root.is_directory() => Ok(volume),
            Err(VolumeError::Source(error)) => Err(MountError::Source(error)),
            Err(VolumeError::Damaged(what)) => Err(MountError::Damaged(what)),
            Ok(_) | Err(_) => Err(MountError::Damaged("the root is no directory")),
        }
    }

    /// The numbers of the volume.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// What the volume tells of itself; the counts of the page cache are the server's to fill in.
    pub fn status(&self) -> FileSystemStatus {
        let superblock = &self.superblock;
        let label = superblock.s_volume_name.split(|&byte| byte == 0).next().unwrap_or(&[]);
        FileSystemStatus {
            format: Text::truncated(self.format()),
            label: Text::truncated(core::str::from_utf8(label).unwrap_or("?")),
            block_bytes: self.geometry.block_bytes,
            blocks: self.geometry.blocks,
            free_blocks: superblock.free_blocks_count(),
            inodes: u64::from(self.geometry.inodes),
            free_inodes: u64::from(superblock.s_free_inodes_count),
            read_only: true,
            cached_pages: 0,
            hits: 0,
            misses: 0,
        }
    }

    /// ext4 if it has anything that ext3 has not, ext3 if it has a journal, else ext2.
    fn format(&self) -> &'static str {
        let superblock = &self.superblock;
        let only_ext4 = Superblock::EXT4_FEATURE_INCOMPAT_EXTENTS
            | Superblock::EXT4_FEATURE_INCOMPAT_64BIT
            | Superblock::EXT4_FEATURE_INCOMPAT_FLEX_BG
            | Superblock::EXT4_FEATURE_INCOMPAT_MMP;
        let only_ext4_writable = Superblock::EXT4_FEATURE_RO_COMPAT_HUGE_FILE
            | Superblock::EXT4_FEATURE_RO_COMPAT_GDT_CSUM
            | Superblock::EXT4_FEATURE_RO_COMPAT_DIR_NLINK
            | Superblock::EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE
            | Superblock::EXT4_FEATURE_RO_COMPAT_METADATA_CSUM;
        if superblock.has_feature_incompat(only_ext4) || superblock.has_feature_ro_compat(only_ext4_writable)
        {
            "ext4"
        } else if superblock.has_journal() {
            "ext3"
        } else {
            "ext2"
        }
    }

    /// Checks that `count` blocks from `block` on are blocks of the volume that may hold something.
    pub(crate) fn check_blocks(&self, block: u64, count: u64, what: &'static str) -> Result<(), VolumeError> {
        let end = block.checked_add(count).ok_or(VolumeError::Damaged(what))?;
        if block <= self.geometry.first_block || end > self.geometry.blocks {
            return Err(VolumeError::Damaged(what));
        }
        Ok(())
    }

    /// The bytes of a block of the volume.
    pub(crate) fn block(&mut self, block: u64) -> Result<&[u8], VolumeError> {
        let block_bytes = u64::from(self.geometry.block_bytes);
        let start = block * block_bytes;
        let page = self.cache.page(&mut self.source, start / PAGE_BYTES)?;
        let within = (start % PAGE_BYTES) as usize;
        Ok(&page[within..within + block_bytes as usize])
    }

    /// First block of a group's inode table.
    pub(crate) fn inode_table(&mut self, group: u32) -> Result<u64, VolumeError> {
        let bytes = usize::from(self.geometry.descriptor_bytes);
        let block_bytes = u64::from(self.geometry.block_bytes);
        let start = self.geometry.descriptors_start + u64::from(group) * bytes as u64;
        let superblock = self.superblock;
        let block = self.block(start / block_bytes)?;
        let within = (start % block_bytes) as usize;
        let record = &block[within..within + bytes];
        let checksum = u16::from_le_bytes([record[30], record[31]]);
        let guarded = superblock.has_feature_ro_compat(
            Superblock::EXT4_FEATURE_RO_COMPAT_METADATA_CSUM | Superblock::EXT4_FEATURE_RO_COMPAT_GDT_CSUM,
        );
        if guarded && checksum != ext4_group_desc_csum16(&superblock, group, record) {
            return Err(VolumeError::Damaged("checksum of a group descriptor"));
        }
        let descriptor = rsext4::blockgroup_description::Ext4GroupDesc::decode_checked(record)
            .map_err(|_| VolumeError::Damaged("group descriptor"))?;
        let table_bytes = u64::from(self.geometry.inodes_per_group) * u64::from(self.geometry.inode_bytes);
        let table = descriptor.inode_table();
        self.check_blocks(table, table_bytes.div_ceil(block_bytes), "place of an inode table")?;
        Ok(table)
    }

    /// Checksum of metadata, bound to the volume and to what `parts` begins with.
    pub(crate) fn checksum(&self, parts: &[&[u8]]) -> u32 {
        ext4_metadata_csum32(ext4_crc32c_seed_from_superblock(&self.superblock), parts)
    }
}
