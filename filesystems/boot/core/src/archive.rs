//! From the bytes of the archive to names, places and sizes.

use core::fmt;
use tar_no_std::{CorruptDataError, TarArchiveRef};

/// Members at most.
pub const MEMBERS_MAX: usize = 1024;

/// Name of the members that only fill space, so that the contents of others begin on a page.
pub const PADDING_NAME: &str = ".pad";

/// Bytes of a block.
const BLOCK_BYTES: usize = 512;

/// Why an archive is not served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ArchiveError {
    /// A header or its bounds make no sense.
    Damaged(CorruptDataError),
    /// A name is no relative path of plain names, or not UTF-8.
    Name,
    /// A name stands for a file and a directory, or for two files.
    Twice,
    /// More than [`MEMBERS_MAX`] members.
    TooMany,
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArchiveError::Damaged(error) => error.fmt(formatter),
            ArchiveError::Name => formatter.write_str("a member's name is no plain relative path"),
            ArchiveError::Twice => formatter.write_str("a name is used twice"),
            ArchiveError::TooMany => write!(formatter, "more than {MEMBERS_MAX} members"),
        }
    }
}

/// A file in the archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member<'a> {
    /// Its path, without a leading slash.
    pub path: &'a str,
    /// Permission bits.
    pub mode: u16,
    /// First byte of its contents.
    pub offset: u64,
    /// Number of bytes.
    pub bytes: u64,
}

/// Calls `visit` for each member, in order.
pub fn read(
    bytes: &[u8],
    visit: &mut dyn FnMut(Member<'_>) -> Result<(), ArchiveError>,
) -> Result<(), ArchiveError> {
    // What follows the end of an archive is nobody's; an archive ends with a whole block.
    let bytes = &bytes[..bytes.len() / BLOCK_BYTES * BLOCK_BYTES];
    let archive = TarArchiveRef::new(bytes).map_err(ArchiveError::Damaged)?;
    for (count, entry) in archive.entries().enumerate() {
        if count >= MEMBERS_MAX {
            return Err(ArchiveError::TooMany);
        }
        let name = entry.filename();
        let path = name.as_str().map_err(|_| ArchiveError::Name)?;
        if path == PADDING_NAME {
            continue;
        }
        let offset = (entry.data().as_ptr() as usize - bytes.as_ptr() as usize) as u64;
        let mode = entry.posix_header().mode.to_flags().map(|flags| flags.bits()).unwrap_or(0);
        visit(Member { path, mode: (mode & 0o777) as u16, offset, bytes: entry.size() as u64 })?;
    }
    Ok(())
}
