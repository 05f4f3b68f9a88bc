//! Where a program comes from: a file, or anything else that can fill containers.

use super::image::{HEADER_BYTES, headers_end};
use super::{ImageError, SpawnError};
use crate::containers::Container;
use crate::files::{LOCK_NS, Node, is_foreign};
use crate::ipc::CallError;
use crate::memory::Mapping;
use alloc::vec::Vec;
use containers_api::ContainerRights;
use containers_api::space::MapProtection;
use core::ops::Range;
use filesystems_api::file::{FileError, SMALL_READ_BYTES};
use kernel_abi::FRAME_BYTES;
use kernel_protocol::{ErrorCode, Refusal};

/// Something that a program can be loaded from.
pub trait ImageSource {
    /// Its size in bytes.
    fn bytes(&self) -> u64;

    /// Its headers: as many bytes as [`headers_end`] says.
    fn head(&mut self) -> Result<Vec<u8>, SpawnError>;

    /// Puts a range of its bytes at the start of a container, by logical copy where it can.
    fn fill(&mut self, range: Range<u64>, container: &Container) -> Result<(), SpawnError>;
}

/// A program in a file.
#[derive(Debug)]
pub struct FileSource<'a> {
    node: &'a Node,
    bytes: u64,
}

impl<'a> FileSource<'a> {
    /// The file of this size behind a node.
    pub fn new(node: &'a Node, bytes: u64) -> FileSource<'a> {
        FileSource { node, bytes }
    }

    /// Reads more of the file's start until `head` has `wanted` bytes.
    fn extend(&self, head: &mut Vec<u8>, wanted: usize) -> Result<(), SpawnError> {
        while head.len() < wanted {
            let contents = self.node.read_small(head.len() as u64, SMALL_READ_BYTES as u32)?;
            if contents.bytes.as_slice().is_empty() {
                let error = if head.is_empty() { ImageError::NotElf } else { ImageError::Truncated };
                return Err(error.into());
            }
            head.extend_from_slice(contents.bytes.as_slice());
        }
        Ok(())
    }
}

impl ImageSource for FileSource<'_> {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn head(&mut self) -> Result<Vec<u8>, SpawnError> {
        let mut head = Vec::new();
        self.extend(&mut head, 1)?;
        if head.len() < HEADER_BYTES {
            return Err(ImageError::NotElf.into());
        }
        let wanted = headers_end(&head)?;
        self.extend(&mut head, wanted)?;
        Ok(head)
    }

    fn fill(&mut self, range: Range<u64>, container: &Container) -> Result<(), SpawnError> {
        let bytes = range.end - range.start;
        let rights = ContainerRights::LOCK | ContainerRights::FILL | ContainerRights::COPY_OUT;
        let grant = container.grant(0..bytes.div_ceil(FRAME_BYTES), rights, LOCK_NS)?;
        let result = self.node.read_container(range.start, bytes, &grant, 0);
        container.revoke(&grant, true)?;
        if result.as_ref().is_err_and(is_foreign) {
            let pages = bytes.div_ceil(FRAME_BYTES);
            let mut mapping = Mapping::new(container, 0, pages, MapProtection::WRITE)?;
            let into = &mut mapping.as_mut_slice()[..bytes as usize];
            let done = self.node.read_by_messages(range.start, into)?;
            return if done as u64 == bytes { Ok(()) } else { Err(ImageError::Truncated.into()) };
        }
        let done = result?;
        if done.error != 0 {
            let error = FileError::from_code(done.error);
            return Err(SpawnError::File(CallError::Refused(Refusal::new(error))));
        }
        if done.bytes == bytes { Ok(()) } else { Err(ImageError::Truncated.into()) }
    }
}
