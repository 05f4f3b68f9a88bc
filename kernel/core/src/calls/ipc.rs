//! Synchronous IPC: call, reply, receive.

use crate::frame_table::FrameKind;
use crate::kernel::{Done, Kernel, Outcome, Stop};
use crate::machine::Machine;
use crate::name::Link;
use crate::objects::{Capability, Endpoint, Notification, ReplyName, Task, Thread, ThreadState};
use kernel_abi::capability::Kind;
use kernel_abi::message::MessageInfo;
use kernel_abi::trace::EventKind;
use kernel_abi::{Handle, KernelError, Rights};

impl<M: Machine> Kernel<M> {
    /// The endpoint that a handle names, with the capability.
    pub(super) fn endpoint(
        &mut self,
        handle: u64,
        rights: Rights,
    ) -> Result<(Link, Capability), KernelError> {
        let capability = self.capability_for(handle, Kind::Endpoint, rights)?;
        Ok((self.live(capability.name, FrameKind::Endpoint)?, capability))
    }

    pub(super) fn call(&mut self) -> Outcome {
        let current = self.current();
        let context = self.context(current);
        let (handle, info, deadline) = (context.rdi, MessageInfo(context.rsi), context.rbx);
        let (endpoint, capability) = self.endpoint(handle, Rights::SEND)?;
        self.load_message(current, info)?;
        self.check_deadline(deadline)?;
        let thread = self.machine.object::<Thread>(current);
        thread.badge = capability.badge;
        let what = [endpoint.number().into(), capability.badge, info.label().into(), deadline];
        self.trace(EventKind::Call, current, what);
        self.send(current, endpoint, deadline);
        Ok(Done::Handled)
    }

    /// Hands the message of a thread, which is checked and loaded, to an endpoint.
    pub(super) fn send(&mut self, sender: Link, endpoint: Link, deadline: u64) {
        self.machine.object::<Thread>(sender).sequence += 1;
        if deadline != 0 {
            self.timers.set(&mut self.machine, sender, deadline);
        }
        let mut receivers = self.machine.object::<Endpoint>(endpoint).receivers;
        let receiver = receivers.pop(&mut self.machine);
        if receiver.is_some() {
            self.machine.object::<Endpoint>(endpoint).receivers = receivers;
            self.timers.cancel(&mut self.machine, receiver);
            self.deliver(sender, receiver, endpoint);
            self.make_ready(receiver);
        } else {
            let is_fault = self.machine.object::<Thread>(sender).is_fault;
            let mut queue = *self.machine.object::<Endpoint>(endpoint).queue_for(is_fault);
            queue.push(&mut self.machine, sender);
            *self.machine.object::<Endpoint>(endpoint).queue_for(is_fault) = queue;
            let thread = self.machine.object::<Thread>(sender);
            (thread.state, thread.waits_for) = (ThreadState::Sending, endpoint);
            self.urge(sender, endpoint);
        }
    }

    /// Gives the message of a caller to a receiver, who then owes the reply.
    fn deliver(&mut self, sender: Link, receiver: Link, endpoint: Link) {
        if self.machine.object::<Thread>(sender).is_fault {
            self.transfer_fault(sender, receiver);
        } else {
            self.transfer(sender, receiver, Some(endpoint));
        }
        let caller = self.name_of::<Thread>(sender);
        let thread = self.machine.object::<Thread>(sender);
        (thread.state, thread.waits_for) = (ThreadState::AwaitingReply, Link::NONE);
        let sequence = thread.sequence;
        let thread = self.machine.object::<Thread>(receiver);
        (thread.reply, thread.waits_for) = (ReplyName { caller, sequence }, Link::NONE);
        self.borrow(sender, receiver, endpoint);
    }

    pub(super) fn receive(&mut self) -> Outcome {
        let context = self.context(self.current());
        let (handle, deadline) = (context.rdi, context.rbx);
        let (endpoint, _) = self.endpoint(handle, Rights::RECEIVE)?;
        self.drop_current_reply(self.current());
        self.clear_window(self.current());
        self.wait_for_message(endpoint, deadline)
    }

    pub(super) fn reply_receive(&mut self) -> Outcome {
        let current = self.current();
        let context = self.context(current);
        let (handle, info, deadline) = (context.rdi, MessageInfo(context.rsi), context.rbx);
        let (endpoint, _) = self.endpoint(handle, Rights::RECEIVE)?;
        self.load_message(current, info)?;
        let reply = core::mem::replace(&mut self.machine.object::<Thread>(current).reply, ReplyName::NONE);
        if let Some(caller) = self.caller_of(reply) {
            self.answer(current, caller, info);
        }
        self.clear_window(current);
        self.wait_for_message(endpoint, deadline)
    }

    pub(super) fn reply(&mut self, handle: u64) -> Outcome {
        let current = self.current();
        let info = MessageInfo(self.context(current).rsi);
        let task = self.current_task();
        let (reply, place) = if handle == u64::from(Handle::NULL.0) {
            (self.machine.object::<Thread>(current).reply, None)
        } else {
            let capability = self.capability_for(handle, Kind::Reply, Rights::empty())?;
            let place = self.entry_of(task, Handle(handle as u32))?;
            (ReplyName { caller: capability.name, sequence: capability.badge }, Some(place))
        };
        if reply.caller.is_none() {
            return Err(KernelError::NoReply.into());
        }
        self.load_message(current, info)?;
        match place {
            Some(place) => {
                *self.capability_at(place) = Capability::NULL;
                self.machine.object::<Task>(task).saved_replies -= 1;
            }
            None => self.machine.object::<Thread>(current).reply = ReplyName::NONE,
        }
        let caller = self.caller_of(reply).ok_or(KernelError::Stale)?;
        self.answer(current, caller, info);
        Ok(Done::Value(0))
    }

    pub(super) fn save_reply(&mut self, destination: u64) -> Outcome {
        let current = self.current();
        let reply = self.machine.object::<Thread>(current).reply;
        if reply.caller.is_none() {
            return Err(KernelError::NoReply.into());
        }
        let place = self.empty_entry(destination)?;
        let task = self.current_task();
        *self.capability_at(place) = Capability {
            kind: Kind::Reply,
            rights: Rights::TRANSFER,
            name: reply.caller,
            badge: reply.sequence,
            extent: 0,
        };
        self.machine.object::<Task>(task).saved_replies += 1;
        let thread = self.machine.object::<Thread>(current);
        thread.lender = core::mem::replace(&mut thread.reply, ReplyName::NONE);
        Ok(Done::Value(0))
    }

    /// The thread that still waits for this reply.
    pub(crate) fn caller_of(&mut self, reply: ReplyName) -> Option<Link> {
        let caller = self.live(reply.caller, FrameKind::Thread).ok()?;
        let thread = self.machine.object::<Thread>(caller);
        (thread.state == ThreadState::AwaitingReply && thread.sequence == reply.sequence).then_some(caller)
    }

    /// Gives a caller its answer, which is checked and loaded.
    fn answer(&mut self, sender: Link, caller: Link, info: MessageInfo) {
        self.trace(EventKind::Reply, sender, [caller.number().into(), info.label().into(), 0, 0]);
        self.timers.cancel(&mut self.machine, caller);
        if self.machine.object::<Thread>(caller).is_fault {
            self.answer_fault(caller, info.label());
        } else {
            self.transfer(sender, caller, None);
            self.make_ready(caller);
        }
    }

    /// Drops a reply that was neither sent nor saved: its caller learns that it will not come.
    pub(crate) fn drop_current_reply(&mut self, thread: Link) {
        let reply = core::mem::replace(&mut self.machine.object::<Thread>(thread).reply, ReplyName::NONE);
        self.drop_reply(reply);
    }

    /// Fails the call that a reply belongs to.
    pub(crate) fn drop_reply(&mut self, reply: ReplyName) {
        if !reply.caller.is_none()
            && let Some(caller) = self.caller_of(reply)
        {
            self.fail(caller, KernelError::PeerDied);
        }
    }

    /// Ends what a thread waits for with an error; it must be out of every queue.
    pub(crate) fn fail(&mut self, link: Link, error: KernelError) {
        self.timers.cancel(&mut self.machine, link);
        let thread = self.machine.object::<Thread>(link);
        thread.sequence += 1;
        thread.waits_for = Link::NONE;
        if thread.is_fault {
            self.pager_failed(link);
            return;
        }
        thread.context.rax = error.status();
        self.trace(EventKind::CallFailed, link, [error.status(), 0, 0, 0]);
        self.make_ready(link);
    }

    /// Takes the next message for the current thread, or has it wait. What waits already is taken even after the deadline.
    pub(super) fn wait_for_message(&mut self, endpoint: Link, deadline: u64) -> Outcome {
        let current = self.current();
        self.give_back(current, endpoint);
        let bound = self.machine.object::<Thread>(current).bound;
        if let Ok(link) = self.live(bound, FrameKind::Notification) {
            let bits = core::mem::take(&mut self.machine.object::<Notification>(link).bits);
            if bits != 0 {
                self.deliver_bits(current, bits);
                return Ok(Done::Handled);
            }
        }
        if !self.machine.object::<Endpoint>(endpoint).has_no_senders() {
            let mut queue = *self.machine.object::<Endpoint>(endpoint).next_queue();
            let sender = queue.pop(&mut self.machine);
            let is_fault = self.machine.object::<Thread>(sender).is_fault;
            *self.machine.object::<Endpoint>(endpoint).queue_for(is_fault) = queue;
            self.deliver(sender, current, endpoint);
            return Ok(Done::Handled);
        }
        self.check_deadline(deadline)?;
        if deadline != 0 {
            self.timers.set(&mut self.machine, current, deadline);
        }
        let mut receivers = self.machine.object::<Endpoint>(endpoint).receivers;
        receivers.push(&mut self.machine, current);
        self.machine.object::<Endpoint>(endpoint).receivers = receivers;
        let thread = self.machine.object::<Thread>(current);
        (thread.state, thread.waits_for) = (ThreadState::Receiving, endpoint);
        Ok(Done::Handled)
    }

    /// Refuses a deadline that has passed.
    pub(super) fn check_deadline(&mut self, deadline: u64) -> Result<(), Stop> {
        if deadline != 0 && deadline <= self.machine.now() {
            return Err(KernelError::TimedOut.into());
        }
        Ok(())
    }

    /// Takes a thread out of the queue it waits in.
    pub(crate) fn leave_queue(&mut self, link: Link) {
        let thread = self.machine.object::<Thread>(link);
        let (state, place, is_fault) = (thread.state, thread.waits_for, thread.is_fault);
        match state {
            ThreadState::Sending | ThreadState::Receiving => {
                let mut endpoint = *self.machine.object::<Endpoint>(place);
                let queue = if state == ThreadState::Sending {
                    endpoint.queue_for(is_fault)
                } else {
                    &mut endpoint.receivers
                };
                queue.remove(&mut self.machine, link);
                *self.machine.object::<Endpoint>(place) = endpoint;
            }
            ThreadState::Waiting => self.machine.object::<Notification>(place).waiter = Link::NONE,
            ThreadState::Ready => self.take_off(link),
            _ => {}
        }
        self.machine.object::<Thread>(link).waits_for = Link::NONE;
    }

    /// The deadline of an object has passed.
    pub(crate) fn expired(&mut self, link: Link) {
        let kind = self.machine.frame(link.frame()).map(|entry| entry.kind());
        match kind {
            Some(FrameKind::Thread) => {
                self.leave_queue(link);
                self.fail(link, KernelError::TimedOut);
            }
            Some(FrameKind::Schedule) => self.period_over(link),
            _ => {
                let bits = self.machine.object::<Notification>(link).timer_bits;
                self.signal(link, bits);
            }
        }
    }
}
