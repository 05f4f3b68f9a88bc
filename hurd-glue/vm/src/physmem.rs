//! physmem as the library's [`Memory`]: each request is a message to the object it is about.

use containers_api::MemoryError;
use containers_api::container::{
    Allocate, ContainerDestroy, Copy, Deallocate, Move, OPERATION_PAGES_MAX, SetEviction,
};
use containers_api::contract::{ContainerCreate, ContractStat, ObjectKind};
use containers_api::space::{Map, MapProtection, Protect, Unmap};
use core::ops::Range;
use hurd_glue_vm_core::memory::{Frames, Memory, Outcome};
use kernel_abi::FRAME_BYTES;
use kernel_runtime::containers::{MemoryCallError, examine};
use kernel_runtime::ipc::{CallError, call, call_for_capability};
use kernel_runtime::{Capability, Deadline, Handle, Rights};

const NEVER: Deadline = Deadline::NEVER;

/// physmem, and what copies have cost so far.
#[derive(Debug, Default)]
pub struct Physmem {
    /// Bytes that a processor moved for copies.
    pub moved_bytes: u64,
    /// Pages that became shared copy-on-write instead.
    pub shared_pages: u64,
}

impl Physmem {
    /// Nothing copied yet.
    pub const fn new() -> Physmem {
        Physmem { moved_bytes: 0, shared_pages: 0 }
    }
}

/// What the library sees of an error: a capability that cannot be called names nothing.
fn refused(error: MemoryCallError) -> MemoryError {
    match error {
        CallError::Refused(refusal) => refusal.error,
        CallError::Kernel(_) => MemoryError::WrongObject,
        CallError::Violation => MemoryError::Protocol,
    }
}

/// Takes frames away; where there are more than one request may take, by halves, so that holes of any size cost little.
fn deallocate(container: Handle, pages: Range<u64>) -> Outcome {
    let count = pages.end - pages.start;
    let request = Deallocate { first_page: pages.start, pages: count };
    match call(container, &request, &[], NEVER).map_err(refused) {
        Err(MemoryError::Limit) if count > 1 => {
            let middle = pages.start + count / 2;
            deallocate(container, pages.start..middle)?;
            deallocate(container, middle..pages.end)
        }
        result => result.map(drop),
    }
}

impl Memory for Physmem {
    type Space = Handle;
    type Contract = Handle;
    type Container = Handle;

    fn create(&mut self, contract: Handle, pages: u64) -> Outcome<Handle> {
        let made = call_for_capability(contract, &ContainerCreate { pages }, &[], NEVER);
        made.map(|(_, capability)| capability.into_handle()).map_err(refused)
    }

    fn destroy(&mut self, container: Handle) {
        // One that is gone with its contract needs no destroying.
        let _ = call(container, &ContainerDestroy {}, &[], NEVER);
        drop(Capability::from_handle(container));
    }

    fn keep(&mut self, container: Handle) -> Outcome<Handle> {
        let copy = Capability::copy(container, Rights::SEND | Rights::TRANSFER);
        copy.map(Capability::into_handle).map_err(|_| MemoryError::NoRecord)
    }

    fn release(&mut self, container: Handle) {
        drop(Capability::from_handle(container));
    }

    fn size(&mut self, container: Handle) -> Outcome<u64> {
        // Not asked of the capability itself, which may be anybody's.
        let examined = examine(container).map_err(refused)?;
        match examined.kind {
            ObjectKind::Container => Ok(examined.pages),
            _ => Err(MemoryError::WrongObject),
        }
    }

    fn map(
        &mut self,
        space: Handle,
        address: u64,
        container: Handle,
        pages: Range<u64>,
        protection: MapProtection,
    ) -> Outcome {
        let (first_page, pages) = (pages.start, pages.end - pages.start);
        let request = Map { address, pages, first_page, protection, populate: true };
        call(space, &request, &[container], NEVER).map(drop).map_err(refused)
    }

    fn unmap(&mut self, space: Handle, range: Range<u64>) -> Outcome {
        let pages = (range.end - range.start) / FRAME_BYTES;
        call(space, &Unmap { address: range.start, pages }, &[], NEVER).map(drop).map_err(refused)
    }

    fn protect(&mut self, space: Handle, range: Range<u64>, protection: MapProtection) -> Outcome {
        let pages = (range.end - range.start) / FRAME_BYTES;
        let request = Protect { address: range.start, pages, protection };
        call(space, &request, &[], NEVER).map(drop).map_err(refused)
    }

    fn copy(&mut self, source: (Handle, u64), destination: (Handle, u64), bytes: u64) -> Outcome {
        let mut done = 0;
        while done < bytes {
            // A part ends with a page of the destination, and touches no more pages than a request may.
            let destination_offset = destination.1 + done;
            let most = (OPERATION_PAGES_MAX - 1) * FRAME_BYTES - destination_offset % FRAME_BYTES;
            let bytes = most.min(bytes - done);
            let request = Copy { source_offset: source.1 + done, destination_offset, bytes };
            let copied = call(source.0, &request, &[destination.0], NEVER).map_err(refused)?;
            self.moved_bytes += copied.moved_bytes;
            self.shared_pages += copied.shared_pages;
            done += bytes;
        }
        Ok(())
    }

    fn move_pages(&mut self, source: (Handle, u64), destination: (Handle, u64), pages: u64) -> Outcome {
        let request = Move { first_page: source.1, destination_page: destination.1, pages };
        call(source.0, &request, &[destination.0], NEVER).map(drop).map_err(refused)
    }

    fn allocate(&mut self, container: Handle, pages: Range<u64>) -> Outcome {
        let mut first_page = pages.start;
        while first_page < pages.end {
            let pages = (pages.end - first_page).min(OPERATION_PAGES_MAX);
            let request = Allocate { first_page, pages, any_contents: false };
            call(container, &request, &[], NEVER).map_err(refused)?;
            first_page += pages;
        }
        Ok(())
    }

    fn deallocate(&mut self, container: Handle, pages: Range<u64>) -> Outcome {
        deallocate(container, pages)
    }

    fn set_vital(&mut self, container: Handle, vital: bool) -> Outcome {
        let request = SetEviction { rank: 0, discardable: false, vital };
        call(container, &request, &[], NEVER).map(drop).map_err(refused)
    }

    fn frames(&mut self, contract: Handle) -> Outcome<Frames> {
        let status = call(contract, &ContractStat {}, &[], NEVER).map_err(refused)?;
        let held = status.pages + status.records + status.kernel;
        Ok(Frames { free: status.guaranteed.saturating_sub(held), present: status.pages })
    }
}
