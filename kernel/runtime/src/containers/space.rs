//! Address spaces as values.

use super::{Container, NEVER, Result};
use crate::ipc::{call, call_for_capability};
use crate::{Capability, Handle};
use containers_api::space::{Map, MapProtection, SpaceDestroy, ThreadCreate, Unmap};
use core::ops::Range;

/// An address space that this task can arrange.
#[derive(PartialEq, Eq, Debug)]
pub struct Space(pub(super) Capability);

impl Space {
    /// The entry, to be named in calls.
    pub fn handle(&self) -> Handle {
        self.0.handle()
    }

    /// Maps pages of a container.
    pub fn map(
        &self,
        address: u64,
        container: &Container,
        range: Range<u64>,
        protection: MapProtection,
    ) -> Result<()> {
        map_into(self.handle(), address, container, range, protection)
    }

    /// Removes whatever is mapped.
    pub fn unmap(&self, address: u64, pages: u64) -> Result<()> {
        call(self.handle(), &Unmap { address, pages }, &[], NEVER).map(drop)
    }

    /// Makes a thread: the kernel's capability for it.
    pub fn create_thread(&self) -> Result<Capability> {
        create_thread_in(self.handle())
    }

    /// Ends the task.
    pub fn destroy(self) -> Result<()> {
        call(self.handle(), &SpaceDestroy {}, &[], NEVER).map(drop)
    }
}

/// Maps pages of a container into a space, entering what is present.
pub fn map_into(
    space: Handle,
    address: u64,
    container: &Container,
    range: Range<u64>,
    protection: MapProtection,
) -> Result<()> {
    let pages = range.end - range.start;
    let request = Map { address, pages, first_page: range.start, protection, populate: true };
    call(space, &request, &[container.handle()], NEVER).map(drop)
}

/// Makes a thread in a space.
pub fn create_thread_in(space: Handle) -> Result<Capability> {
    call_for_capability(space, &ThreadCreate {}, &[], NEVER).map(|(_, capability)| capability)
}
