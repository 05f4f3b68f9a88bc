//! Callers that are answered later: faults on locked pages, and revokes of grants with locks. (Those who wait for frames are
//! in `waits`.)
//!
//! Each has a record, charged to the contract of the faulting address space or of the container, and a handle in
//! physmem's table for the saved reply. A lock that ends resumes every fault that waits on its container: what is still
//! locked faults again.

use crate::fault::FaultAnswer;
use crate::layout::{CONTAINER_WAITERS, SPACE_WAITERS, contract, space, waiter};
use crate::limits::WAITERS_PER_CONTRACT;
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_api::container::Changed;
use containers_api::{FaultReason, MemoryError};
use containers_core::layout::{container, grant};
use containers_core::record::{Container, Contract, Grant, Name, Records, Space, Waiter};
use kernel_abi::Handle;
use kernel_abi::fault::RESUME;
use kernel_protocol::{ErrorCode, Message};

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// A waiter without links, and the handle for its reply. Errors: `Limit`, `NoRecord`.
    fn new_waiter(&mut self, payer: Name<Contract>) -> Result<(Name<Waiter>, Handle), MemoryError> {
        if self.get(payer, contract::WAITERS) >= WAITERS_PER_CONTRACT {
            return Err(MemoryError::Limit);
        }
        let made = self.create::<Waiter>(payer)?;
        let Some(reply) = self.handles.take() else {
            self.delete(payer, made);
            return Err(MemoryError::Internal);
        };
        self.raise(payer, contract::WAITERS, 1);
        self.set(made, waiter::REPLY, reply.0);
        Ok((made, reply))
    }

    /// Whose waiter it is: of a fault, the address space's contract; of a revoke, the container's.
    fn payer_of(&self, this: Name<Waiter>) -> Name<Contract> {
        if let Some(payer) = self.get(this, waiter::PAYER) {
            return payer;
        }
        match (self.get(this, waiter::SPACE), self.get(this, waiter::GRANT)) {
            (Some(space), _) => self.get(space, space::CONTRACT),
            (None, Some(target)) => self.get(self.get(target, grant::CONTAINER), container::CONTRACT),
            (None, None) => unreachable!("a waiter is a fault's or a revoke's"),
        }
    }

    /// Ends a waiter's record. Its reply has been answered or dropped.
    fn delete_waiter(&mut self, this: Name<Waiter>) {
        let payer = self.payer_of(this);
        if let Some(container) = self.get(this, waiter::CONTAINER) {
            CONTAINER_WAITERS.remove(self, container, this);
        }
        if let Some(space) = self.get(this, waiter::SPACE) {
            SPACE_WAITERS.remove(self, space, this);
        }
        self.handles.give(Handle(self.get(this, waiter::REPLY)));
        self.lower(payer, contract::WAITERS, 1);
        self.delete(payer, this);
    }

    /// Has a request wait until those who wait on a container are woken; then its caller is asked to make it again. Where to
    /// save its reply; none: it is to be made again at once.
    pub(crate) fn request_waits_on(
        &mut self,
        payer: Name<Contract>,
        container: Name<Container>,
    ) -> Option<Handle> {
        let (made, reply) = self.new_waiter(payer).ok()?;
        self.set(made, waiter::PAYER, Some(payer));
        self.set(made, waiter::CONTAINER, Some(container));
        CONTAINER_WAITERS.push(self, container, made);
        Some(reply)
    }

    /// Has a fault wait until those who wait on a container are woken: when a lock on it ends, or a page of it has come in.
    pub(crate) fn wait_on(&mut self, space: Name<Space>, container: Name<Container>) -> FaultAnswer {
        let payer = self.get(space, space::CONTRACT);
        match self.new_waiter(payer) {
            Ok((made, reply)) => {
                self.set(made, waiter::SPACE, Some(space));
                self.set(made, waiter::CONTAINER, Some(container));
                CONTAINER_WAITERS.push(self, container, made);
                SPACE_WAITERS.push(self, space, made);
                FaultAnswer::Wait(reply)
            }
            // No handle is left in the whole system, which is not this task's fault.
            Err(MemoryError::Internal) => FaultAnswer::Retry,
            Err(MemoryError::Limit) => FaultAnswer::Raise(FaultReason::TooManyWaiters),
            Err(_) => FaultAnswer::Raise(FaultReason::NoRecord),
        }
    }

    /// Resumes the faults that wait on a container, and has requests that do made again.
    pub(crate) fn resume_waiters(&mut self, container: Name<Container>) {
        while let Some(this) = CONTAINER_WAITERS.first(self, container) {
            let reply = Handle(self.get(this, waiter::REPLY));
            let is_fault = self.get(this, waiter::SPACE).is_some();
            self.pmap.answer(reply, if is_fault { RESUME } else { MemoryError::Again.code() }, &[]);
            self.delete_waiter(this);
        }
    }

    /// Drops the faults of a space that is going.
    pub(crate) fn drop_waiters(&mut self, space: Name<Space>) {
        while let Some(this) = SPACE_WAITERS.first(self, space) {
            let reply = Handle(self.get(this, waiter::REPLY));
            self.pmap.drop_handle(reply);
            self.delete_waiter(this);
        }
    }

    /// Has a revoke wait until the grant ends; where to save its reply. Errors: `Limit`, `NoRecord`, `Internal`.
    pub(crate) fn wait_for_revoke(&mut self, target: Name<Grant>) -> Result<Handle, MemoryError> {
        let container = self.get(target, grant::CONTAINER);
        let (made, reply) = self.new_waiter(self.get(container, container::CONTRACT))?;
        self.set(made, waiter::GRANT, Some(target));
        self.set(target, grant::WAITER, Some(made));
        Ok(reply)
    }

    /// A grant that is being revoked ends: answers who waits for it.
    pub(crate) fn answer_revoke(&mut self, target: Name<Grant>) {
        let Some(this) = self.get(target, grant::WAITER) else { return };
        let container = self.get(target, grant::CONTAINER);
        self.flush();
        let mut words = [0; 1];
        let reply = Handle(self.get(this, waiter::REPLY));
        let used = Changed { version: self.get(container, container::VERSION) }.encode(&mut words);
        self.pmap.answer(reply, 0, &words[..used]);
        self.set(target, grant::WAITER, None);
        self.delete_waiter(this);
    }
}
