//! Containers, contracts and address spaces as values: physmem's protocol with types around the capabilities.
//!
//! A [`Container`] only lets go of its capability when dropped; an [`OwnContainer`] destroys the container. Calls
//! go to physmem, which everybody trusts, without a deadline.

mod contract;
mod page_states;
mod space;

pub use contract::{
    Allowance, NewSpace, OwnContract, Terms, call_status, contract_status, create_endpoint,
    create_notification, create_schedule, examine, renew,
};
pub use page_states::{PageState, PageStates};
pub use space::{Space, create_thread_in, map_into};

use crate::ipc::{CallError, call, call_for_capability};
use crate::layout::CONTRACT;
use crate::{Capability, Deadline, Handle};
use containers_api::container::{
    Allocate, BreakLocks, Broken, Changed, ContainerDestroy, ContainerStat, ContainerStatus, Copied, Copy,
    Deallocate, Grant, Lock, LockChange, LockPass, Locked, Move, OPERATION_PAGES_MAX, Resize, Revoke, Seal,
    SetEviction, Share, Unlock,
};
use containers_api::contract::ContainerCreate;
use containers_api::{ContainerRights, LockMode, MemoryError, Version};
use core::ops::{Deref, Range};
use kernel_abi::FRAME_BYTES;
use kernel_protocol::Request;

/// Why physmem did not do what was asked.
pub type MemoryCallError = CallError<MemoryError>;

/// Result of a call to physmem.
pub type Result<T> = core::result::Result<T, MemoryCallError>;

const NEVER: Deadline = Deadline::NEVER;

/// A container, or a grant on part of one, that this task can name.
#[derive(PartialEq, Eq, Debug)]
pub struct Container(Capability);

impl Container {
    /// The container behind a capability.
    pub const fn new(capability: Capability) -> Container {
        Container(capability)
    }

    /// The entry, to be sent along in calls.
    pub fn handle(&self) -> Handle {
        self.0.handle()
    }

    /// The capability.
    pub fn into_capability(self) -> Capability {
        self.0
    }

    fn ask<R: Request<Error = MemoryError>>(&self, request: &R, with: &[Handle]) -> Result<R::Reply> {
        call(self.handle(), request, with, NEVER)
    }

    /// How it is.
    pub fn status(&self) -> Result<ContainerStatus> {
        self.ask(&ContainerStat {}, &[])
    }

    /// Changes the size.
    pub fn resize(&self, pages: u64) -> Result<Version> {
        self.ask(&Resize { pages }, &[]).map(version)
    }

    /// Gives every page of the range a frame now, in parts where it is large: those before a part that is refused have theirs.
    pub fn allocate(&self, range: Range<u64>, any_contents: bool) -> Result<Version> {
        in_parts(range, |part| {
            let pages = part.end - part.start;
            self.ask(&Allocate { first_page: part.start, pages, any_contents }, &[]).map(version)
        })
    }

    /// Takes the range's frames away, in parts where there are many.
    pub fn deallocate(&self, range: Range<u64>) -> Result<Version> {
        let whole = Deallocate { first_page: range.start, pages: range.end - range.start };
        match self.ask(&whole, &[]) {
            Err(error) if error.refusal() == Some(MemoryError::Limit) => in_parts(range, |part| {
                let pages = part.end - part.start;
                self.ask(&Deallocate { first_page: part.start, pages }, &[]).map(version)
            }),
            result => result.map(version),
        }
    }

    /// Copies bytes to another container, in parts where they are many: what was copied before a part that is refused, was
    /// copied.
    pub fn copy_to(
        &self,
        source_offset: u64,
        destination: &Container,
        destination_offset: u64,
        bytes: u64,
    ) -> Result<Copied> {
        let mut done = 0;
        let mut sum = Copied { version: 0, moved_bytes: 0, shared_pages: 0 };
        loop {
            // A part ends with a page of the destination, and touches no more pages than a request may.
            let start = destination_offset + done;
            let most = (OPERATION_PAGES_MAX - 1) * FRAME_BYTES - start % FRAME_BYTES;
            let request = Copy {
                source_offset: source_offset + done,
                destination_offset: start,
                bytes: most.min(bytes - done),
            };
            let copied = self.ask(&request, &[destination.handle()])?;
            sum.version = copied.version;
            sum.moved_bytes += copied.moved_bytes;
            sum.shared_pages += copied.shared_pages;
            done += request.bytes;
            if done >= bytes {
                return Ok(sum);
            }
        }
    }

    /// Moves pages to another container; no more than one request may.
    pub fn move_to(
        &self,
        range: Range<u64>,
        destination: &Container,
        destination_page: u64,
    ) -> Result<Copied> {
        let pages = range.end - range.start;
        self.ask(&Move { first_page: range.start, destination_page, pages }, &[destination.handle()])
    }

    /// Another capability to this container.
    pub fn share(&self, rights: ContainerRights) -> Result<Container> {
        call_for_capability(self.handle(), &Share { rights }, &[], NEVER)
            .map(|(_, capability)| Container(capability))
    }

    /// Freezes contents and size for good.
    pub fn seal(&self) -> Result<Version> {
        self.ask(&Seal {}, &[]).map(version)
    }

    /// A capability for a range, that can be revoked.
    pub fn grant(
        &self,
        range: Range<u64>,
        rights: ContainerRights,
        maximum_lock_ns: u64,
    ) -> Result<Container> {
        let pages = range.end - range.start;
        let request = Grant { first_page: range.start, pages, rights, maximum_lock_ns };
        call_for_capability(self.handle(), &request, &[], NEVER).map(|(_, capability)| Container(capability))
    }

    /// Ends a grant of this container.
    pub fn revoke(&self, grant: &Container, break_locks: bool) -> Result<Version> {
        self.ask(&Revoke { break_locks }, &[grant.handle()]).map(version)
    }

    /// Locks a range.
    pub fn lock(&self, range: Range<u64>, mode: LockMode, term_ns: u64) -> Result<Locked> {
        let pages = range.end - range.start;
        self.ask(&Lock { first_page: range.start, pages, mode, term_ns }, &[])
    }

    /// Ends a lock.
    pub fn unlock(&self, lock: u64, filled_bytes: u64) -> Result<Version> {
        self.ask(&Unlock { lock, filled_bytes }, &[]).map(version)
    }

    /// Takes a range back from whoever has locked it.
    pub fn break_locks(&self, range: Range<u64>) -> Result<Broken> {
        self.ask(&BreakLocks { first_page: range.start, pages: range.end - range.start }, &[])
    }

    /// Changes a lock's mode downwards.
    pub fn lock_change(&self, lock: u64, mode: LockMode, filled_bytes: u64) -> Result<Version> {
        self.ask(&LockChange { lock, mode, filled_bytes }, &[]).map(version)
    }

    /// Says in which order its extra frames go when they are seized; see [`SetEviction`].
    pub fn set_eviction(&self, order: &SetEviction) -> Result<Version> {
        self.ask(order, &[]).map(version)
    }

    /// How the pages of a range are, one after the other: which have frames, which were used, which are lost. With
    /// `clear` the bits that tell of use start anew; only the owner may do that.
    pub fn page_states(&self, range: Range<u64>, clear: bool) -> PageStates<'_> {
        PageStates::new(self, range, clear)
    }

    /// Passes a lock on: the capability to hand to whoever fills the range.
    pub fn lock_pass(&self, lock: u64, mode: LockMode, term_ns: u64) -> Result<(Version, Capability)> {
        call_for_capability(self.handle(), &LockPass { lock, mode, term_ns }, &[], NEVER)
            .map(|(changed, capability)| (changed.version, capability))
    }
}

fn version(changed: Changed) -> Version {
    changed.version
}

/// Does something to a range in parts that one request may have; the last answer.
fn in_parts(range: Range<u64>, mut ask: impl FnMut(Range<u64>) -> Result<Version>) -> Result<Version> {
    let mut start = range.start;
    loop {
        let end = range.end.min(start.saturating_add(OPERATION_PAGES_MAX));
        let version = ask(start..end)?;
        if end == range.end {
            return Ok(version);
        }
        start = end;
    }
}

/// A container of a contract that this task holds: destroyed when dropped.
#[derive(PartialEq, Eq, Debug)]
pub struct OwnContainer(Option<Container>);

impl OwnContainer {
    /// A container of the task's own contract.
    pub fn new(pages: u64) -> Result<OwnContainer> {
        OwnContainer::under(CONTRACT, pages)
    }

    /// A container of a contract.
    pub fn under(contract: Handle, pages: u64) -> Result<OwnContainer> {
        let (_, capability) = call_for_capability(contract, &ContainerCreate { pages }, &[], NEVER)?;
        Ok(OwnContainer(Some(Container(capability))))
    }

    /// A container that this task is to destroy, whoever pays for it.
    pub fn adopt(container: Container) -> OwnContainer {
        OwnContainer(Some(container))
    }

    /// Keeps the container beyond this value: it goes with its contract.
    pub fn keep(mut self) -> Container {
        self.0.take().expect("it is there until it is dropped")
    }
}

impl Deref for OwnContainer {
    type Target = Container;

    fn deref(&self) -> &Container {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for OwnContainer {
    fn drop(&mut self) {
        if let Some(container) = &self.0 {
            // One that is gone with its contract needs no destroying.
            let _ = container.ask(&ContainerDestroy {}, &[]);
        }
    }
}
