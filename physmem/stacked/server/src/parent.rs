//! The parent by calls, and what the serving loop needs of this task.

use containers_api::{FaultReason, MemoryError};
use kernel_abi::fault::RESUME;
use kernel_abi::message::MESSAGE_CAPABILITIES;
use kernel_protocol::{Refusal, Request};
use kernel_runtime::ipc::{CallError, call_for_answer};
use kernel_runtime::notification::Notification;
use kernel_runtime::server::{self, Incoming, Outgoing};
use kernel_runtime::{Deadline, Handle, KernelError, Kind, Rights, clock, syscall};
use physmem_core::Physmem;
use physmem_core::pmap::{EnterError, RecordMemory};
use physmem_serve::{Platform, Unresolved};
use physmem_stacked_core::parent::Refused;
use physmem_stacked_core::{Parent, ParentPmap};

/// The parent.
pub struct Calls;

impl Parent for Calls {
    fn ask_for<R: Request<Error = MemoryError>>(
        &mut self,
        of: Handle,
        request: &R,
        sent: &[Handle],
        into: &[Handle],
    ) -> Result<R::Reply, Refused> {
        let answer = call_for_answer(of, request, sent, Deadline::NEVER).map_err(|error| match error {
            CallError::Refused(refusal) => refusal,
            _ => Refusal::new(MemoryError::Internal),
        })?;
        for (index, &entry) in into.iter().enumerate() {
            let received = answer.received.handle(index).ok_or(MemoryError::Protocol)?;
            syscall::capability_move(received, entry).map_err(|_| MemoryError::Protocol)?;
        }
        Ok(answer.reply)
    }

    fn drop_handle(&mut self, handle: Handle) {
        syscall::capability_drop(handle).expect("entries set aside are in the table");
    }

    fn keep_notification(&mut self, sent: Handle, kept: Handle) -> Result<(), KernelError> {
        let identity = syscall::capability_identify(sent)?;
        if identity.kind != Kind::Notification || !identity.rights.contains(Rights::SEND) {
            return Err(KernelError::WrongKind);
        }
        syscall::capability_copy(sent, kept, Rights::SEND)
    }

    fn is_receiver(&mut self, sent: Handle) -> bool {
        syscall::capability_identify(sent).is_ok_and(|identity| {
            identity.kind == Kind::Endpoint && identity.rights.contains(Rights::SEND | Rights::RECEIVE)
        })
    }

    fn signal(&mut self, notification: Handle) {
        // Who would hear it may be gone.
        let _ = syscall::signal(notification);
    }

    fn answer(&mut self, reply: Handle, label: u32, words: &[u64]) {
        if server::reply_to(reply, Outgoing::new(label, words)).is_err() {
            // The caller is gone; its entry must be empty all the same.
            self.drop_handle(reply);
        }
    }
}

/// The logic's kernel.
pub type Kernel = ParentPmap<'static, Calls>;

/// What serving needs of this task.
pub struct Serving {
    endpoint: Handle,
    notification: Notification,
    objects: Handle,
    kept: Handle,
    kept_count: u32,
}

impl Serving {
    /// With the endpoint, the notification that is bound to this thread, and empty entries for answers and for what came along.
    pub fn new(endpoint: Handle, notification: Notification, objects: Handle, kept: Handle) -> Serving {
        Serving { endpoint, notification, objects, kept, kept_count: 0 }
    }

    /// A capability that tells this thread of somebody's death.
    pub fn death_notice(&self, bits: u64) -> Result<kernel_runtime::Capability, KernelError> {
        self.notification.signaller(bits)
    }
}

impl Platform for Serving {
    type Pmap = Kernel;

    fn endpoint(&self) -> Handle {
        self.endpoint
    }

    fn notification(&self) -> Handle {
        self.notification.handle()
    }

    fn objects(&self) -> Handle {
        self.objects
    }

    /// Calls to the parent empty the receive window.
    fn keep_sent(&mut self, index: u32, received: Handle) -> Handle {
        let entry = self.kept.offset(index);
        if index >= MESSAGE_CAPABILITIES as u32 || syscall::capability_move(received, entry).is_err() {
            return Handle::NULL;
        }
        self.kept_count = self.kept_count.max(index + 1);
        entry
    }

    fn drop_sent(&mut self) {
        for index in 0..core::mem::take(&mut self.kept_count) {
            Calls.drop_handle(self.kept.offset(index));
        }
    }

    fn hear_call<M: RecordMemory>(&mut self, physmem: &mut Physmem<'static, Kernel, M>) {
        let (frames, due) = physmem.pmap.called_for();
        log::debug!("{frames} frames are called for from above");
        physmem.owe(clock::now(), frames, due);
    }

    fn resolve<M: RecordMemory>(
        &mut self,
        physmem: &mut Physmem<'static, Kernel, M>,
        badge: u64,
        done: usize,
        patience: Deadline,
    ) -> Result<Incoming, Unresolved> {
        let task = physmem.task_of(badge).ok_or(Unresolved::Raise(FaultReason::NotMapped))?;
        physmem.enter_resolved(task, done).map_err(|error| match error {
            EnterError::NeedTables(tables) => Unresolved::NeedTables(tables),
            EnterError::Lost => Unresolved::Raise(FaultReason::Repossessed),
            EnterError::Refused(KernelError::MapCountFull) => Unresolved::Raise(FaultReason::MapCountFull),
            EnterError::Refused(KernelError::Busy) => Unresolved::Raise(FaultReason::ContractExhausted),
            EnterError::Refused(_) => Unresolved::Raise(FaultReason::NotMapped),
        })?;
        // Nothing but the time can be what keeps a message from coming.
        server::reply_receive(self.endpoint, Outgoing::fault(RESUME), patience)
            .map_err(|_| Unresolved::TimedOut)
    }
}
