//! What the superblock says of the volume, after it was checked: every later calculation relies on these bounds.

use crate::features::READABLE;
use crate::{FeatureNames, MountError, Source};
use rsext4::endian::DiskFormat;
use rsext4::error::{ErrorContext, Ext4Error};
use rsext4::superblock::Ext4Superblock as Superblock;

/// Where the superblock lies on the disk.
const SUPERBLOCK_SECTOR: u64 = 2;

/// Inode size of revision 0, which has no field for it.
const OLD_INODE_BYTES: u16 = 128;

/// Numbers of the volume that never change while it is mounted.
///
/// Invariants: `block_bytes` is 1024, 2048 or 4096; `blocks * block_bytes` is at most the disk's size;
/// `inode_bytes` is a power of two from 128 to `block_bytes`; the group descriptors and `inodes_per_group` are not 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Geometry {
    /// Bytes of a block.
    pub block_bytes: u32,
    /// Blocks of the volume.
    pub blocks: u64,
    /// First block that is not boot area.
    pub first_block: u64,
    /// Block groups.
    pub groups: u32,
    /// Inodes; numbers run from 1.
    pub inodes: u32,
    /// Inodes of a group.
    pub inodes_per_group: u32,
    /// Bytes of an inode.
    pub inode_bytes: u16,
    /// First byte of the group descriptors.
    pub descriptors_start: u64,
    /// Bytes of a group descriptor.
    pub descriptor_bytes: u16,
    /// Metadata carries checksums.
    pub checksums: bool,
    /// Directory entries carry the kind.
    pub entry_kinds: bool,
    /// Large files count their storage in 48 bits.
    pub huge_files: bool,
    /// Directories may have a hash index.
    pub hash_indexes: bool,
}

/// Reads and checks the superblock.
pub fn read_superblock(source: &mut impl Source) -> Result<(Superblock, Geometry), MountError> {
    let mut bytes = [0; Superblock::SUPERBLOCK_SIZE];
    source.read(SUPERBLOCK_SECTOR, &mut bytes)?;
    let mut superblock = Superblock::from_disk_bytes(&bytes);
    if !superblock.is_valid() {
        return Err(MountError::NotExt);
    }
    if superblock.s_rev_level == 0 {
        superblock.s_inode_size = OLD_INODE_BYTES;
        superblock.s_feature_compat = 0;
        superblock.s_feature_incompat = 0;
        superblock.s_feature_ro_compat = 0;
    }
    superblock.verify_superblock().map_err(|_| MountError::Damaged("checksum"))?;
    check_features(&superblock)?;
    superblock.validate_geometry().map_err(|error| MountError::Damaged(reason(error)))?;
    let geometry = geometry(&superblock)?;
    check_size(&geometry, source.sectors())?;
    Ok((superblock, geometry))
}

fn check_features(superblock: &Superblock) -> Result<(), MountError> {
    let recovery = Superblock::EXT4_FEATURE_INCOMPAT_RECOVER;
    let unknown = superblock.s_feature_incompat & !READABLE & !recovery;
    if unknown != 0 {
        return Err(MountError::Features(FeatureNames(unknown)));
    }
    if superblock.s_feature_incompat & recovery != 0 {
        return Err(MountError::NeedsRecovery);
    }
    Ok(())
}

/// The part of a library error that names the field.
fn reason(error: Ext4Error) -> &'static str {
    match error.context() {
        Some(ErrorContext::Operation { op }) => op,
        _ => "geometry",
    }
}

fn geometry(superblock: &Superblock) -> Result<Geometry, MountError> {
    let damaged = |_| MountError::Damaged("geometry");
    let groups = superblock.checked_block_groups_count().map_err(damaged)?;
    let inodes = superblock.s_inodes_count;
    if inodes < 2 || u64::from(inodes) > u64::from(groups) * u64::from(superblock.s_inodes_per_group) {
        return Err(MountError::Damaged("number of inodes"));
    }
    let ro = |feature| superblock.has_feature_ro_compat(feature);
    Ok(Geometry {
        block_bytes: superblock.checked_block_size().map_err(damaged)?,
        blocks: superblock.blocks_count(),
        first_block: u64::from(superblock.s_first_data_block),
        groups,
        inodes,
        inodes_per_group: superblock.s_inodes_per_group,
        inode_bytes: if superblock.s_inode_size == 0 { OLD_INODE_BYTES } else { superblock.s_inode_size },
        descriptors_start: superblock.primary_gdt_byte_offset().map_err(damaged)?,
        descriptor_bytes: superblock.get_desc_size(),
        checksums: ro(Superblock::EXT4_FEATURE_RO_COMPAT_METADATA_CSUM),
        entry_kinds: superblock.has_feature_incompat(Superblock::EXT4_FEATURE_INCOMPAT_FILETYPE),
        huge_files: ro(Superblock::EXT4_FEATURE_RO_COMPAT_HUGE_FILE),
        hash_indexes: superblock.has_feature_compat(Superblock::EXT4_FEATURE_COMPAT_DIR_INDEX),
    })
}

fn check_size(geometry: &Geometry, sectors: u64) -> Result<(), MountError> {
    let disk_bytes = sectors.saturating_mul(filesystems_api::block::SECTOR_BYTES);
    let file_system_bytes = geometry.blocks.saturating_mul(u64::from(geometry.block_bytes));
    if file_system_bytes > disk_bytes {
        return Err(MountError::Truncated { file_system_bytes, disk_bytes });
    }
    let descriptors = u64::from(geometry.groups) * u64::from(geometry.descriptor_bytes);
    if geometry.descriptors_start.saturating_add(descriptors) > file_system_bytes {
        return Err(MountError::Damaged("group descriptors"));
    }
    Ok(())
}
