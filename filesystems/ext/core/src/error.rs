//! Why an image is not mounted, and why a mounted one did not answer.

use crate::{FeatureNames, SourceError};
use core::fmt;
use filesystems_api::file::FileError;

/// Why an image was refused. The text says what to do about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MountError {
    /// The disk could not be read.
    Source(SourceError),
    /// There is no ext superblock.
    NotExt,
    /// The journal holds changes that are not in their places yet. Reading past it would show old contents.
    NeedsRecovery,
    /// Incompatible features that this server does not know.
    Features(FeatureNames),
    /// The file system is larger than the disk.
    Truncated {
        /// Bytes that the superblock speaks of.
        file_system_bytes: u64,
        /// Bytes that the disk has.
        disk_bytes: u64,
    },
    /// The superblock contradicts itself.
    Damaged(&'static str),
}

impl fmt::Display for MountError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MountError::Source(SourceError::Io { sector }) => {
                write!(formatter, "disk error at sector {sector}")
            }
            MountError::Source(SourceError::TimedOut) => formatter.write_str("the disk did not answer"),
            MountError::Source(SourceError::DriverEnded) => {
                formatter.write_str("the disk's driver has ended")
            }
            MountError::Source(SourceError::Beyond) => {
                formatter.write_str("the disk ends before the superblock")
            }
            MountError::NotExt => formatter.write_str("no ext2, ext3 or ext4 file system"),
            MountError::NeedsRecovery => {
                formatter.write_str("the journal needs recovery; run 'e2fsck -p IMAGE' on the host first")
            }
            MountError::Features(names) => write!(formatter, "unsupported features: {names}"),
            MountError::Truncated { file_system_bytes, disk_bytes } => write!(
                formatter,
                "truncated: a file system of {file_system_bytes} bytes on a disk of {disk_bytes}; \
                 run 'e2fsck -f IMAGE' on the host"
            ),
            MountError::Damaged(what) => {
                write!(formatter, "damaged superblock ({what}); run 'e2fsck -f IMAGE' on the host")
            }
        }
    }
}

impl MountError {
    /// As the file protocol says it, with the detail word.
    pub fn file_error(self) -> (FileError, u64) {
        match self {
            MountError::Source(SourceError::Io { sector }) => (FileError::Io, sector),
            MountError::Source(SourceError::TimedOut) => (FileError::TimedOut, 0),
            MountError::Source(SourceError::DriverEnded) => (FileError::DriverEnded, 0),
            MountError::Source(SourceError::Beyond) | MountError::NotExt => (FileError::UnknownFormat, 0),
            MountError::NeedsRecovery => (FileError::NeedsRecovery, 0),
            MountError::Features(names) => (FileError::UnknownFeatures, u64::from(names.0)),
            MountError::Truncated { file_system_bytes, .. } => (FileError::Truncated, file_system_bytes),
            MountError::Damaged(_) => (FileError::Damaged, 0),
        }
    }
}

impl From<SourceError> for MountError {
    fn from(error: SourceError) -> Self {
        MountError::Source(error)
    }
}

/// Why a mounted volume did not answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VolumeError {
    /// The disk could not be read.
    Source(SourceError),
    /// Metadata on the disk contradicts itself or its checksum.
    Damaged(&'static str),
    /// The operation needs a directory.
    NotDirectory,
    /// The operation needs a symbolic link or a regular file.
    WrongKind,
}

impl From<SourceError> for VolumeError {
    fn from(error: SourceError) -> Self {
        VolumeError::Source(error)
    }
}

impl VolumeError {
    /// As the file protocol says it, with the detail word.
    pub fn file_error(self) -> (FileError, u64) {
        match self {
            VolumeError::Source(SourceError::Io { sector }) => (FileError::Io, sector),
            VolumeError::Source(SourceError::TimedOut) => (FileError::TimedOut, 0),
            VolumeError::Source(SourceError::DriverEnded) => (FileError::DriverEnded, 0),
            VolumeError::Source(SourceError::Beyond) | VolumeError::Damaged(_) => (FileError::Damaged, 0),
            VolumeError::NotDirectory => (FileError::NotDirectory, 0),
            VolumeError::WrongKind => (FileError::Unsupported, 0),
        }
    }
}
