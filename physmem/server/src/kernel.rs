//! The kernel as physmem's logic wants it: each operation is carried through, however often the kernel is called away.

use crate::idle;
use containers_api::FaultReason;
use kernel_abi::boot::{ENDPOINT, FRAMES, NOTIFICATION, TRACE};
use kernel_abi::pmap::{
    BATCH_ITEMS, FrameRange, FrameSpan, Mapping, PageRange, QUERY_CLEAR_ALL, QUERY_CLEAR_NOTHING,
    QUERY_CLEAR_REFERENCED,
};
use kernel_abi::trace::{EventKind, SERVER_ARGUMENTS};
use kernel_abi::{Handle, KernelError, Kind, Rights};
use kernel_runtime::Deadline;
use kernel_runtime::server::{self, Incoming, Outgoing};
use kernel_runtime::syscall::{self, NewTask, Stopped};
use physmem_core::Physmem;
use physmem_core::pmap::{Clear, EnterError, NewObject, Pmap, RecordMemory};
use physmem_serve::serve::ANSWER_HANDLES;
use physmem_serve::{Platform, Unresolved};

/// Where capabilities stand until they are handed out.
pub const OBJECTS: Handle = Handle(16);
/// What [`crate::idle`] uses.
pub const IDLE_HANDLES: Handle = OBJECTS.offset(ANSWER_HANDLES);
/// First handle for the logic to use.
pub const LOGIC_HANDLES: Handle = IDLE_HANDLES.offset(idle::HANDLES);

/// Code that a task is given which physmem ends.
const ENDED_BY_PHYSMEM: u32 = 137;

/// The kernel's calls.
pub struct KernelCalls;

/// Calls with a batch of items until all are done. Errors: what stopped it, other than being preempted.
fn carry_through<T>(items: &[T], mut call: impl FnMut(&[T]) -> Result<(), Stopped>) -> Result<(), Stopped> {
    for batch in items.chunks(BATCH_ITEMS) {
        let mut rest = batch;
        while let Err(stopped) = call(rest) {
            match stopped.error {
                KernelError::Preempted => rest = &rest[stopped.value as usize..],
                _ => return Err(stopped),
            }
        }
    }
    Ok(())
}

fn entered(result: Result<(), Stopped>) -> Result<(), EnterError> {
    result.map_err(|stopped| match stopped.error {
        KernelError::NeedTables => EnterError::NeedTables(stopped.value),
        error => EnterError::Refused(error),
    })
}

impl Pmap for KernelCalls {
    const CLEARS: bool = true;

    fn enter(&mut self, task: Handle, mappings: &[Mapping]) -> Result<(), EnterError> {
        entered(carry_through(mappings, |rest| syscall::pmap_enter(FRAMES, task, rest)))
    }

    fn remove(&mut self, task: Handle, ranges: &[PageRange]) -> Result<(), KernelError> {
        carry_through(ranges, |rest| syscall::pmap_remove(FRAMES, task, rest).map(drop))
            .map_err(|stopped| stopped.error)
    }

    fn protect(&mut self, task: Handle, ranges: &[PageRange]) -> Result<(), KernelError> {
        carry_through(ranges, |rest| syscall::pmap_protect(FRAMES, task, rest).map(drop))
            .map_err(|stopped| stopped.error)
    }

    fn enter_device(
        &mut self,
        task: Handle,
        device: Handle,
        address: u64,
        first_page: u64,
        pages: u64,
    ) -> Result<(), EnterError> {
        entered(syscall::pmap_enter_device(FRAMES, task, device, address, first_page, pages))
    }

    fn stock(&mut self, task: Handle, frames: &[u32]) -> Result<(), KernelError> {
        syscall::pmap_stock(FRAMES, task, frames).map_err(|stopped| stopped.error)
    }

    fn unstock(&mut self, task: Handle, frames: &mut [u32]) -> usize {
        let mut taken = 0;
        while taken < frames.len() {
            match syscall::pmap_unstock(FRAMES, task, &mut frames[taken..]) {
                Ok(more) => return taken + more as usize,
                Err(stopped) if stopped.error == KernelError::Preempted => taken += stopped.value as usize,
                Err(_) => return taken,
            }
        }
        taken
    }

    fn zero(&mut self, ranges: &[FrameRange]) {
        carry_through(ranges, |rest| syscall::frame_zero(FRAMES, rest))
            .expect("physmem's own frames can be cleared");
    }

    fn copy(&mut self, spans: &[FrameSpan]) {
        carry_through(spans, |rest| syscall::frame_copy(FRAMES, rest))
            .expect("physmem's own frames can be copied");
    }

    fn create(
        &mut self,
        object: NewObject,
        frame: u32,
        slot: u32,
        destination: Handle,
    ) -> Result<(), KernelError> {
        match object {
            NewObject::Endpoint => syscall::endpoint_create(FRAMES, frame, slot, destination),
            NewObject::Notification => syscall::notification_create(FRAMES, frame, slot, destination),
            NewObject::Schedule => syscall::schedule_create(FRAMES, frame, slot, destination),
            NewObject::Thread { task } => syscall::thread_create(FRAMES, frame, slot, destination, task),
            NewObject::Task { root, fault_endpoint, fault_badge, name } => {
                let fault_endpoint = fault_endpoint.unwrap_or(ENDPOINT);
                let task = NewTask { frame, slot, destination, root, fault_endpoint, fault_badge, name };
                syscall::task_create(FRAMES, &task)
            }
        }
    }

    fn add_table(&mut self, task: Handle, frame: u32) -> Result<u32, KernelError> {
        syscall::capability_table_add(FRAMES, task, frame).map(|first| first.0)
    }

    fn reclaim(&mut self, frame: u32) -> Result<(), KernelError> {
        syscall::reclaim(FRAMES, frame)
    }

    fn kill(&mut self, task: Handle) {
        // One that has ended already keeps its status.
        let _ = syscall::task_kill(task, ENDED_BY_PHYSMEM);
    }

    fn time_used(&mut self, task: Handle) -> u64 {
        syscall::task_time(task).unwrap_or(0)
    }

    fn share_waiting(&mut self, task: Handle) -> u64 {
        syscall::task_waits(task).unwrap_or(0)
    }

    fn drop_handle(&mut self, handle: Handle) {
        syscall::capability_drop(handle).expect("physmem's own handles are in its table");
    }

    fn query(&mut self, task: Handle, address: u64, output: &mut [u8], clear: Clear) {
        let clear = match clear {
            Clear::Nothing => QUERY_CLEAR_NOTHING,
            Clear::Referenced => QUERY_CLEAR_REFERENCED,
            Clear::All => QUERY_CLEAR_ALL,
        };
        // A task that has ended uses nothing; where a large page lies its bits are told and not cleared.
        if syscall::pmap_query(FRAMES, task, address, output, clear).is_err() {
            let _ = syscall::pmap_query(FRAMES, task, address, output, QUERY_CLEAR_NOTHING);
        }
    }

    fn last_run(&mut self, task: Handle) -> u64 {
        // Of a task that is gone nobody asks; it would be first to be looked at.
        syscall::task_run(task).unwrap_or(0)
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

    fn trace(&mut self, kind: EventKind, what: [u64; SERVER_ARGUMENTS]) {
        // It is physmem's own capability, and the kind is known: the kernel cannot refuse.
        let _ = syscall::trace_write(TRACE, kind, what);
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

/// The first physmem's entries and calls.
pub struct FirstPhysmem;

impl Platform for FirstPhysmem {
    type Pmap = KernelCalls;

    fn endpoint(&self) -> Handle {
        ENDPOINT
    }

    fn notification(&self) -> Handle {
        NOTIFICATION
    }

    fn objects(&self) -> Handle {
        OBJECTS
    }

    fn want_idle(&mut self) {
        idle::want();
    }

    fn resolve<M: RecordMemory>(
        &mut self,
        physmem: &mut Physmem<'static, KernelCalls, M>,
        _: u64,
        done: usize,
        patience: Deadline,
    ) -> Result<Incoming, Unresolved> {
        let items = &physmem.resolved().items()[done..];
        server::resolve_receive(ENDPOINT, FRAMES, items, patience).map_err(|stopped| match stopped.error {
            KernelError::TimedOut => Unresolved::TimedOut,
            KernelError::Preempted => Unresolved::Preempted(stopped.value),
            KernelError::NeedTables => Unresolved::NeedTables(stopped.value),
            KernelError::MapCountFull => Unresolved::Raise(FaultReason::MapCountFull),
            // The kernel refuses a mapping that the logic allows: the thread cannot have it.
            _ => Unresolved::Raise(FaultReason::NotMapped),
        })
    }
}
