//! Containers, contracts and address spaces as values: physmem's protocol with types around the capabilities.
//!
//! A [`Container`] only lets go of its capability when dropped; an [`OwnContainer`] destroys the container. Calls
//! go to physmem, which everybody trusts, without a deadline.

use crate::ipc::{Answer, CallError, call, call_for_answer, call_for_capability};
use crate::layout::CONTRACT;
use crate::{Capability, Deadline, Handle};
use containers_api::container::*;
use containers_api::contract::*;
use containers_api::space::{Map, MapProtection, SpaceDestroy, ThreadCreate, Unmap};
use containers_api::{ContainerRights, LockMode, MemoryError, Name, Version};
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

/// A contract that this task split off: destroyed, with everything held under it, when dropped.
#[derive(PartialEq, Eq, Debug)]
pub struct OwnContract(Capability);

/// What a contract allows, in frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowance {
    /// Frames that an allocation finds for certain.
    pub guaranteed: u64,
    /// Frames beyond them.
    pub extra_limit: u64,
    /// Frames pinned at a time.
    pub pin_limit: u64,
}

/// A task that was made but not started.
#[derive(PartialEq, Eq, Debug)]
pub struct NewSpace {
    /// The kernel's capability for the task.
    pub task: Capability,
    /// physmem's for its address space.
    pub space: Space,
}

impl OwnContract {
    /// Splits a contract.
    pub fn split(parent: Handle, allowance: &Allowance, name: &str) -> Result<OwnContract> {
        let &Allowance { guaranteed, extra_limit, pin_limit } = allowance;
        let request = Split::new(guaranteed, extra_limit, pin_limit, Name::truncated(name));
        call_for_capability(parent, &request, &[], NEVER).map(|(_, capability)| OwnContract(capability))
    }

    /// The entry, to be named in calls.
    pub fn handle(&self) -> Handle {
        self.0.handle()
    }

    /// How it stands.
    pub fn status(&self) -> Result<ContractStatus> {
        contract_status(self.handle())
    }

    /// Makes a schedule, without processor time as yet; it ends with the contract.
    pub fn create_schedule(&self) -> Result<Capability> {
        call_for_capability(self.handle(), &ScheduleCreate {}, &[], NEVER).map(|(_, capability)| capability)
    }

    /// Makes a task with an address space.
    pub fn create_space(&self, name: &str) -> Result<NewSpace> {
        let request = SpaceCreate { name: Name::truncated(name) };
        let Answer { received, .. } = call_for_answer(self.handle(), &request, &[], NEVER)?;
        if received.handle(0).is_none() || received.handle(1).is_none() {
            return Err(CallError::Violation);
        }
        Ok(NewSpace { task: received.take(0)?, space: Space(received.take(1)?) })
    }
}

impl Drop for OwnContract {
    fn drop(&mut self) {
        let _ = call(self.handle(), &ContractDestroy {}, &[], NEVER);
    }
}

/// How a contract stands.
pub fn contract_status(contract: Handle) -> Result<ContractStatus> {
    call(contract, &ContractStat {}, &[], NEVER)
}

/// What a capability from somebody else is, before it is called or sent along with a call.
pub fn examine(capability: Handle) -> Result<Examined> {
    call(CONTRACT, &Examine {}, &[capability], NEVER)
}

/// An endpoint with all rights, paid for by the task's own contract.
pub fn create_endpoint() -> Result<Capability> {
    call_for_capability(CONTRACT, &EndpointCreate {}, &[], NEVER).map(|(_, capability)| capability)
}

/// A notification with all rights, paid for by the task's own contract.
pub fn create_notification() -> Result<Capability> {
    call_for_capability(CONTRACT, &NotificationCreate {}, &[], NEVER).map(|(_, capability)| capability)
}

/// An address space that this task can arrange.
#[derive(PartialEq, Eq, Debug)]
pub struct Space(Capability);

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
