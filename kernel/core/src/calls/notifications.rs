//! Notifications and their timers.

use crate::frame_table::FrameKind;
use crate::kernel::{Done, Kernel, Outcome};
use crate::machine::Machine;
use crate::name::{Link, ObjectName};
use crate::objects::{Notification, Thread, ThreadState};
use kernel_abi::capability::Kind;
use kernel_abi::message::{MessageFlags, MessageInfo};
use kernel_abi::{Handle, KernelError, Rights};

impl<M: Machine> Kernel<M> {
    fn notification(&mut self, handle: u64, rights: Rights) -> Result<(Link, u64), KernelError> {
        let capability = self.capability_for(handle, Kind::Notification, rights)?;
        Ok((self.live(capability.name, FrameKind::Notification)?, capability.badge))
    }

    pub(super) fn signal_call(&mut self, handle: u64) -> Outcome {
        let (link, bits) = self.notification(handle, Rights::SEND)?;
        self.signal(link, bits);
        Ok(Done::Value(0))
    }

    /// Sets bits and wakes who waits for them.
    pub(crate) fn signal(&mut self, link: Link, bits: u64) {
        let notification = self.machine.object::<Notification>(link);
        notification.bits |= bits;
        let Notification { bits, waiter, bound, .. } = *notification;
        if bits == 0 {
            return;
        }
        if waiter.is_some() {
            notification.bits = 0;
            notification.waiter = Link::NONE;
            self.timers.cancel(&mut self.machine, waiter);
            let thread = self.machine.object::<Thread>(waiter);
            thread.waits_for = Link::NONE;
            (thread.context.rax, thread.context.rdx) = (0, bits);
            self.make_ready(waiter);
        } else if let Ok(thread) = self.live(bound, FrameKind::Thread)
            && self.machine.object::<Thread>(thread).state == ThreadState::Receiving
        {
            self.machine.object::<Notification>(link).bits = 0;
            self.leave_queue(thread);
            self.timers.cancel(&mut self.machine, thread);
            self.deliver_bits(thread, bits);
            self.make_ready(thread);
        }
    }

    /// Gives a thread that receives the bits of its bound notification.
    pub(super) fn deliver_bits(&mut self, link: Link, bits: u64) {
        let context = self.context(link);
        (context.rax, context.rdi, context.rdx) = (0, 0, bits);
        context.rsi = MessageInfo::new(0, 1, 0).received(0, MessageFlags::NOTIFICATION).0;
    }

    pub(super) fn wait(&mut self, handle: u64) -> Outcome {
        let (link, _) = self.notification(handle, Rights::RECEIVE)?;
        let current = self.current();
        let deadline = self.context(current).rbx;
        let notification = self.machine.object::<Notification>(link);
        if notification.waiter.is_some() {
            return Err(KernelError::Busy.into());
        }
        if notification.bits != 0 {
            return Ok(Done::Value(core::mem::take(&mut notification.bits)));
        }
        self.check_deadline(deadline)?;
        self.machine.object::<Notification>(link).waiter = current;
        if deadline != 0 {
            self.timers.set(&mut self.machine, current, deadline);
        }
        let thread = self.machine.object::<Thread>(current);
        (thread.state, thread.waits_for) = (ThreadState::Waiting, link);
        Ok(Done::Handled)
    }

    pub(super) fn poll(&mut self, handle: u64) -> Outcome {
        let (link, _) = self.notification(handle, Rights::RECEIVE)?;
        Ok(Done::Value(core::mem::take(&mut self.machine.object::<Notification>(link).bits)))
    }

    pub(super) fn timer_set(&mut self, handle: u64, time: u64, bits: u64) -> Outcome {
        let (link, _) = self.notification(handle, Rights::RECEIVE)?;
        self.timers.cancel(&mut self.machine, link);
        if time != 0 {
            self.machine.object::<Notification>(link).timer_bits = bits;
            self.timers.set(&mut self.machine, link, time);
        }
        Ok(Done::Value(0))
    }

    pub(super) fn thread_bind(&mut self, handle: u64) -> Outcome {
        let current = self.current();
        let target = if handle == u64::from(Handle::NULL.0) {
            None
        } else {
            let (link, _) = self.notification(handle, Rights::RECEIVE)?;
            let bound = self.machine.object::<Notification>(link).bound;
            if self.live(bound, FrameKind::Thread).is_ok_and(|thread| thread != current) {
                return Err(KernelError::Busy.into());
            }
            Some(link)
        };
        let old = self.machine.object::<Thread>(current).bound;
        if let Ok(old) = self.live(old, FrameKind::Notification) {
            self.machine.object::<Notification>(old).bound = ObjectName::NONE;
        }
        let mut name = ObjectName::NONE;
        if let Some(link) = target {
            let thread = self.name_of::<Thread>(current);
            self.machine.object::<Notification>(link).bound = thread;
            name = self.name_of::<Notification>(link);
        }
        self.machine.object::<Thread>(current).bound = name;
        Ok(Done::Value(0))
    }
}
