//! Making files, emptying them, and taking them away.

use super::{FileCallError, Names, Node, ReadError, deadline};
use crate::Handle;
use crate::containers::OwnContainer;
use crate::ipc::{call, call_for_capability};
use filesystems_api::file::{DirCreate, DirUnlink, FileError, FileSetSize, NAME_BYTES};
use kernel_protocol::Bytes;

/// Pages that a file can grow to: 64 MiB. Only what is written is charged.
pub const FILE_PAGES: u64 = 16_384;

impl Names {
    /// Makes a file, which `contract` pays for and lives as long as.
    pub fn create(&self, name: &[u8], contract: Handle) -> Result<Node, ReadError> {
        let (directory, name) = self.directory_of(name)?;
        let container = OwnContainer::under(contract, FILE_PAGES)?;
        let made =
            call_for_capability(directory.handle(), &DirCreate { name }, &[container.handle()], deadline())?;
        // The file server's to destroy from now on.
        container.keep();
        Ok(Node::new(made.1))
    }

    /// Takes a file away.
    pub fn unlink(&self, name: &[u8]) -> Result<(), FileCallError> {
        let (directory, name) = self.directory_of(name)?;
        call(directory.handle(), &DirUnlink { name }, &[], deadline()).map(drop)
    }

    /// The directory in which a name is, and its last part.
    fn directory_of(&self, name: &[u8]) -> Result<(Node, Bytes<NAME_BYTES>), FileCallError> {
        let end = name.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let (directory, last) = name.split_at(end);
        let last = Bytes::new(last).ok_or(FileError::NameTooLong)?;
        let directory: &[u8] = if directory.is_empty() { b"." } else { directory };
        Ok((self.lookup(directory, true)?, last))
    }
}

impl Node {
    /// Cuts the file off, or has zeros follow.
    pub fn set_size(&self, size: u64) -> Result<(), FileCallError> {
        call(self.handle(), &FileSetSize { size }, &[], deadline()).map(drop)
    }
}
