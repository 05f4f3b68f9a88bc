//! Names of the incompatible features, so that a refusal tells more than a number.

use core::fmt;
use rsext4::superblock::Ext4Superblock as Superblock;

/// Incompatible features that do not stand in the way of reading.
pub const READABLE: u32 = Superblock::EXT4_FEATURE_INCOMPAT_FILETYPE
    | Superblock::EXT4_FEATURE_INCOMPAT_EXTENTS
    | Superblock::EXT4_FEATURE_INCOMPAT_64BIT
    | Superblock::EXT4_FEATURE_INCOMPAT_MMP
    | Superblock::EXT4_FEATURE_INCOMPAT_FLEX_BG
    | Superblock::EXT4_FEATURE_INCOMPAT_CSUM_SEED;

/// As `mke2fs -O` spells them.
const NAMES: [(u32, &str); 16] = [
    (0x1, "compression"),
    (0x2, "filetype"),
    (0x4, "needs_recovery"),
    (0x8, "journal_dev"),
    (0x10, "meta_bg"),
    (0x40, "extent"),
    (0x80, "64bit"),
    (0x100, "mmp"),
    (0x200, "flex_bg"),
    (0x400, "ea_inode"),
    (0x1000, "dirdata"),
    (0x2000, "metadata_csum_seed"),
    (0x4000, "large_dir"),
    (0x8000, "inline_data"),
    (0x1_0000, "encrypt"),
    (0x2_0000, "casefold"),
];

/// A set of incompatible features that prints as their names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeatureNames(pub u32);

impl fmt::Display for FeatureNames {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for bit in (0..u32::BITS).map(|shift| 1 << shift).filter(|bit| self.0 & bit != 0) {
            match NAMES.iter().find(|(number, _)| *number == bit) {
                Some((_, name)) => write!(formatter, "{separator}{name}")?,
                None => write!(formatter, "{separator}unknown feature {bit:#x}")?,
            }
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::FeatureNames;
    use alloc::string::ToString;

    #[test]
    fn features_are_named() {
        assert_eq!(FeatureNames(0x8010).to_string(), "meta_bg, inline_data");
        assert_eq!(FeatureNames(0x8000_0000).to_string(), "unknown feature 0x80000000");
    }
}
