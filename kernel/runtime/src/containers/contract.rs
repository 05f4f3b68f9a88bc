//! Contracts as values.

use super::{NEVER, Result, Space};
use crate::ipc::{Answer, CallError, call, call_for_answer, call_for_capability};
use crate::layout::CONTRACT;
use crate::{Capability, Handle};
use containers_api::Name;
use containers_api::contract::{
    CallStat, CallStatus, ContractDestroy, ContractStat, ContractStatus, EndpointCreate, Examine, Examined,
    Extend, HandDown, Merge, NotificationCreate, Renew, Renewed, ScheduleCreate, SpaceCreate, Split,
    TakeBack,
};

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

/// What a contract says beside numbers of frames. The default is what contracts have that say nothing: no swap, the system's
/// weight and term, for as long as the parent lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Terms {
    /// Pages that may be swapped out.
    pub swap_limit: u64,
    /// How much it counts where frames are taken back from several; 0: as much as usual.
    pub weight: u64,
    /// How long an extra frame is its for certain, in nanoseconds; 0: the system's usual term.
    pub extra_term_ns: u64,
    /// How long the contract lasts, in nanoseconds; 0: as long as its parent.
    pub term_ns: u64,
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
    /// Splits a contract, with the usual terms.
    pub fn split(parent: Handle, allowance: &Allowance, name: &str) -> Result<OwnContract> {
        OwnContract::split_with(parent, allowance, &Terms::default(), name)
    }

    /// Splits a contract.
    pub fn split_with(
        parent: Handle,
        allowance: &Allowance,
        terms: &Terms,
        name: &str,
    ) -> Result<OwnContract> {
        let &Allowance { guaranteed, extra_limit, pin_limit } = allowance;
        let &Terms { swap_limit, weight, extra_term_ns, term_ns } = terms;
        let name = Name::truncated(name);
        let request =
            Split { guaranteed, extra_limit, pin_limit, swap_limit, weight, extra_term_ns, term_ns, name };
        call_for_capability(parent, &request, &[], NEVER).map(|(_, capability)| OwnContract(capability))
    }

    /// Moves guarantee and pin limit from its parent to it.
    pub fn hand_down(&self, parent: Handle, guaranteed: u64, pin_limit: u64) -> Result<()> {
        call(parent, &HandDown { guaranteed, pin_limit }, &[self.handle()], NEVER).map(drop)
    }

    /// Moves guarantee and pin limit from it back to its parent.
    pub fn take_back(&self, parent: Handle, guaranteed: u64, pin_limit: u64) -> Result<()> {
        call(parent, &TakeBack { guaranteed, pin_limit }, &[self.handle()], NEVER).map(drop)
    }

    /// Gives it a new term from now on; 0: as long as its parent.
    pub fn extend(&self, parent: Handle, term_ns: u64) -> Result<()> {
        call(parent, &Extend { term_ns }, &[self.handle()], NEVER).map(drop)
    }

    /// Makes all that it holds its parent's own. The contract is gone then: dropping this value destroys nothing any more.
    pub fn merge(&self, parent: Handle) -> Result<()> {
        call(parent, &Merge {}, &[self.handle()], NEVER).map(drop)
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

/// The call to a contract that is in progress, as physmem sees it now: a call whose frames are back is met with that.
pub fn call_status(contract: Handle) -> Result<CallStatus> {
    call(contract, &CallStat {}, &[], NEVER)
}

/// Starts the terms of a contract's extra frames anew: how many, and until when.
pub fn renew(contract: Handle) -> Result<Renewed> {
    call(contract, &Renew {}, &[], NEVER)
}

/// What a capability from somebody else is, before it is called or sent along with a call.
pub fn examine(capability: Handle) -> Result<Examined> {
    call(CONTRACT, &Examine {}, &[capability], NEVER)
}

/// An endpoint with all rights, paid for by the task's own contract.
pub fn create_endpoint() -> Result<Capability> {
    call_for_capability(CONTRACT, &EndpointCreate {}, &[], NEVER).map(|(_, capability)| capability)
}

/// A schedule with all rights, without processor time as yet, paid for by the task's own contract; it ends with that.
pub fn create_schedule() -> Result<Capability> {
    call_for_capability(CONTRACT, &ScheduleCreate {}, &[], NEVER).map(|(_, capability)| capability)
}

/// A notification with all rights, paid for by the task's own contract.
pub fn create_notification() -> Result<Capability> {
    call_for_capability(CONTRACT, &NotificationCreate {}, &[], NEVER).map(|(_, capability)| capability)
}
