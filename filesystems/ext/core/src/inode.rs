//! Inodes: reading one by number, and what it tells.

use crate::{Source, Volume, VolumeError};
use filesystems_api::file::{NodeKind, NodeStatus};
use rsext4::disknode::Ext4Inode;
use rsext4::endian::DiskFormat;

/// Bytes of the fields that every inode has.
const BASE_BYTES: usize = 128;

/// Bytes of the block map, extent root or short link within an inode.
pub(crate) const MAP_BYTES: usize = 60;

/// Inodes kept as they were read and checked last, each in the place that its number gives it.
pub const INODES_KEPT: usize = 64;

const MAP_OFFSET: usize = 40;
const CHECKSUM_LOW_OFFSET: usize = 124;
const CHECKSUM_HIGH_OFFSET: usize = 130;

/// An inode as read from the disk and checked.
#[derive(Clone, Copy, Debug)]
pub struct Inode {
    /// Its number.
    pub number: u32,
    /// What it is.
    pub kind: NodeKind,
    /// Its size in bytes.
    pub size: u64,
    /// Changes when the number is used for another file.
    pub generation: u32,
    /// Block map, extent root or short link.
    pub(crate) map: [u8; MAP_BYTES],
    /// Blocks beside the contents are counted in [`Self::status`] too.
    attribute_block: bool,
    flags: u32,
    status: NodeStatus,
}

impl Inode {
    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.kind == NodeKind::Directory
    }

    /// Everything it tells of itself.
    pub fn status(&self) -> NodeStatus {
        self.status
    }

    /// Its contents are found through an extent tree, not a block map.
    pub(crate) fn has_extents(&self) -> bool {
        self.flags & Ext4Inode::EXT4_EXTENTS_FL != 0
    }

    /// It is a directory with a hash index.
    pub(crate) fn has_hash_index(&self) -> bool {
        self.flags & Ext4Inode::EXT4_INDEX_FL != 0
    }

    /// Its contents lie in the inode itself: a link without blocks of its own.
    pub(crate) fn is_short_link(&self, block_bytes: u32) -> bool {
        let attributes = if self.attribute_block { u64::from(block_bytes / 512) } else { 0 };
        self.kind == NodeKind::Link && self.size < MAP_BYTES as u64 && self.status.blocks <= attributes
    }
}

impl<S: Source> Volume<S> {
    /// The inode with this number. One that is free is damage: somebody's entry names it.
    pub fn inode(&mut self, number: u32) -> Result<Inode, VolumeError> {
        let place = number as usize % INODES_KEPT;
        match &self.inodes[place] {
            Some(kept) if kept.number == number => Ok(*kept),
            _ => {
                let inode = self.read_inode(number)?;
                self.inodes[place] = Some(inode);
                Ok(inode)
            }
        }
    }

    fn read_inode(&mut self, number: u32) -> Result<Inode, VolumeError> {
        let geometry = self.geometry;
        if number == 0 || number > geometry.inodes {
            return Err(VolumeError::Damaged("inode number"));
        }
        let (group, index) =
            ((number - 1) / geometry.inodes_per_group, (number - 1) % geometry.inodes_per_group);
        let table = self.inode_table(group)?;
        let start = u64::from(index) * u64::from(geometry.inode_bytes);
        let block_bytes = u64::from(geometry.block_bytes);
        let within = (start % block_bytes) as usize;
        let mut record = [0; crate::PAGE_BYTES as usize];
        let record = &mut record[..usize::from(geometry.inode_bytes)];
        record.copy_from_slice(&self.block(table + start / block_bytes)?[within..within + record.len()]);
        self.decode(number, record)
    }

    fn decode(&self, number: u32, record: &[u8]) -> Result<Inode, VolumeError> {
        let large = record.len() > BASE_BYTES;
        if large {
            let extra = usize::from(u16::from_le_bytes([record[BASE_BYTES], record[BASE_BYTES + 1]]));
            if !extra.is_multiple_of(4) || BASE_BYTES + extra > record.len() {
                return Err(VolumeError::Damaged("extra bytes of an inode"));
            }
        }
        let disk = Ext4Inode::from_disk_bytes(record);
        if self.geometry.checksums {
            self.check_inode(number, &disk, record)?;
        }
        if disk.i_links_count == 0 || disk.i_mode == 0 {
            return Err(VolumeError::Damaged("a free inode is in use"));
        }
        let kind = kind(disk.i_mode).ok_or(VolumeError::Damaged("kind of an inode"))?;
        let size = if kind == NodeKind::File { disk.size() } else { u64::from(disk.i_size_lo) };
        if i64::try_from(size).is_err() {
            return Err(VolumeError::Damaged("size of a file"));
        }
        let mut map = [0; MAP_BYTES];
        map.copy_from_slice(&record[MAP_OFFSET..MAP_OFFSET + MAP_BYTES]);
        Ok(Inode {
            number,
            kind,
            size,
            generation: disk.i_generation,
            map,
            attribute_block: disk.file_acl() != 0,
            flags: disk.i_flags,
            status: self.status_of(number, kind, size, &disk, record.len() as u16),
        })
    }

    fn check_inode(&self, number: u32, disk: &Ext4Inode, record: &[u8]) -> Result<(), VolumeError> {
        let high = disk.field_fits(record.len() as u16, Ext4Inode::FIELD_END_I_CHECKSUM_HI);
        let rest = if high { CHECKSUM_HIGH_OFFSET } else { CHECKSUM_LOW_OFFSET + 2 };
        let zeros: &[u8] = if high { &[0; 2] } else { &[] };
        let computed = self.checksum(&[
            &number.to_le_bytes(),
            &disk.i_generation.to_le_bytes(),
            &record[..CHECKSUM_LOW_OFFSET],
            &[0; 2],
            &record[CHECKSUM_LOW_OFFSET + 2..rest],
            zeros,
            &record[rest + zeros.len()..],
        ]);
        let stored = u32::from(disk.l_i_checksum_lo) | u32::from(disk.i_checksum_hi) << 16;
        let mask = if high { u32::MAX } else { 0xffff };
        if stored != computed & mask {
            return Err(VolumeError::Damaged("checksum of an inode"));
        }
        Ok(())
    }

    fn status_of(
        &self,
        number: u32,
        kind: NodeKind,
        size: u64,
        disk: &Ext4Inode,
        record_bytes: u16,
    ) -> NodeStatus {
        let seconds = |time: rsext4::Ext4Timestamp| u64::try_from(time.sec).unwrap_or(0);
        NodeStatus {
            inode: u64::from(number),
            kind,
            mode: disk.i_mode & 0o7777,
            links: u32::from(disk.i_links_count),
            user: disk.uid(),
            group: disk.gid(),
            size,
            blocks: disk.blocks_count(self.geometry.block_bytes, self.geometry.huge_files),
            accessed: seconds(disk.atime_ts(record_bytes)),
            modified: seconds(disk.mtime_ts(record_bytes)),
            changed: seconds(disk.ctime_ts(record_bytes)),
        }
    }
}

fn kind(mode: u16) -> Option<NodeKind> {
    Some(match mode & Ext4Inode::S_IFMT {
        Ext4Inode::S_IFREG => NodeKind::File,
        Ext4Inode::S_IFDIR => NodeKind::Directory,
        Ext4Inode::S_IFLNK => NodeKind::Link,
        Ext4Inode::S_IFCHR => NodeKind::CharacterDevice,
        Ext4Inode::S_IFBLK => NodeKind::BlockDevice,
        Ext4Inode::S_IFIFO => NodeKind::Pipe,
        Ext4Inode::S_IFSOCK => NodeKind::Socket,
        _ => return None,
    })
}
