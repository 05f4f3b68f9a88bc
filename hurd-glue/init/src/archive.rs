//! The boot archive in a container: mapped to be read here, copied from page by page to start programs.

use crate::Failure;
use alloc::vec::Vec;
use containers_api::space::MapProtection;
use core::fmt;
use core::ops::Range;
use hurd_glue_init_core::archive::{self, ArchiveError, Member};
use kernel_abi::FRAME_BYTES;
use kernel_runtime::Handle;
use kernel_runtime::containers::Container;
use kernel_runtime::memory::Mapping;
use kernel_runtime::process::{ImageSource, SpawnError, image};
use kernel_runtime::startup::Startup;

/// The boot archive.
pub struct Archive {
    container: Container,
    mapping: Mapping,
    bytes: u64,
}

/// Why a program is not in the archive.
#[derive(Debug)]
pub enum MemberError {
    /// It has no such member.
    Missing,
    /// It is damaged before that member.
    Damaged(ArchiveError),
}

impl fmt::Display for MemberError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemberError::Missing => formatter.write_str("it is not in the boot archive"),
            MemberError::Damaged(error) => error.fmt(formatter),
        }
    }
}

impl Archive {
    /// The archive that physmem handed over.
    pub fn new(startup: &Startup<'_>) -> Result<Archive, Failure> {
        let handle = startup.capability("archive").ok_or(Failure::SetUp("archive"))?;
        let bytes = startup.number("archive-bytes").ok_or(Failure::SetUp("archive-bytes"))?;
        let container = Container::new(kernel_runtime::Capability::from_handle(handle));
        let mapping = Mapping::new(&container, 0, bytes.div_ceil(FRAME_BYTES), MapProtection::empty())
            .map_err(|error| Failure::Memory("mapping the boot archive", error))?;
        Ok(Archive { container, mapping, bytes })
    }

    /// The entry of its container.
    pub fn handle(&self) -> Handle {
        self.container.handle()
    }

    /// Its size.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn as_slice(&self) -> &[u8] {
        let bytes = self.mapping.as_slice();
        bytes.get(..self.bytes as usize).unwrap_or(bytes)
    }

    /// A program by its member's name.
    pub fn program(&self, name: &str) -> Result<ArchivedProgram<'_>, MemberError> {
        match archive::find(self.as_slice(), name) {
            Ok(Some(Member { offset, bytes, .. })) => Ok(ArchivedProgram { archive: self, offset, bytes }),
            Ok(None) => Err(MemberError::Missing),
            Err(error) => Err(MemberError::Damaged(error)),
        }
    }
}

/// A program in the archive.
pub struct ArchivedProgram<'a> {
    archive: &'a Archive,
    offset: u64,
    bytes: u64,
}

impl ImageSource for ArchivedProgram<'_> {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn head(&mut self) -> Result<Vec<u8>, SpawnError> {
        let head = self.bytes.min(image::HEADERS_END_MAX as u64);
        // The parser keeps members within the archive.
        let range = self.offset as usize..(self.offset + head) as usize;
        Ok(self.archive.as_slice().get(range).unwrap_or_default().to_vec())
    }

    fn fill(&mut self, range: Range<u64>, container: &Container) -> Result<(), SpawnError> {
        let bytes = range.end - range.start;
        self.archive.container.copy_to(self.offset + range.start, container, 0, bytes)?;
        Ok(())
    }
}
