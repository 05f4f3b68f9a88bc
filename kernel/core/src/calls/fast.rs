//! The fast paths of IPC: a call to a server that waits, and a reply by a server that has nothing else to do, for messages
//! that fit the registers. The message goes straight from one thread's registers to the other's, and the processor
//! with it: no run queue, no timer, no table is touched.
//!
//! Who is billed does not change: the server works for the caller, at the higher one of their priorities. A caller in the background
//! pays nothing; its server is billed for what is left of the call as soon as anything else happens that could wake somebody.
//!
//! The ways of a page fault and of its answer are in [`super::fast_fault`]; [`Kernel::fast_leave`] is the way out of a call that
//! changed nothing about who runs.
//!
//! A path looks at everything before it changes anything and, where one condition does not hold, leaves the call to
//! the general code as if it had not looked. That code is the reference: the same tests run over both.

use super::local::is_local;
use crate::frame_table::FrameKind;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::name::{Link, ObjectName};
use crate::objects::{Capability, Context, Endpoint, Notification, ReplyName, Task, Thread, ThreadState};
use crate::processor::PROCESSORS_MAX;
use kernel_abi::capability::{CAPABILITIES_PER_FRAME, CAPABILITY_FRAMES_PER_TASK, Kind};
use kernel_abi::message::{MessageInfo, REGISTER_WORDS};
use kernel_abi::{Rights, SystemCall};

/// Bits of a descriptor that a message in registers may have: its label, and a word count.
const REGISTER_MESSAGE: u64 = 0xffff_ffff_0000_000f;

/// Words of a message that are moved one by one.
const SHORT: usize = 2;

/// What has come of a system call on its way in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fast {
    /// No fast path applies. Nothing has changed: the general code must take the call.
    Untaken,
    /// The thread to run; its address space is active.
    Runs(Link),
    /// The call is taken, but the general code must choose who runs.
    Taken,
}

impl From<Option<Link>> for Fast {
    #[inline(always)]
    fn from(next: Option<Link>) -> Fast {
        next.map_or(Fast::Untaken, Fast::Runs)
    }
}

impl<M: Machine> Kernel<M> {
    /// Takes the current thread's system call if a fast path applies.
    #[inline]
    pub fn fast_system_call(&mut self) -> Fast {
        let current = self.current();
        let context = &self.machine.object::<Thread>(current).context;
        let (call, handle, info, deadline) = (context.rax, context.rdi, context.rsi, context.rbx);
        // Events are written by the general code.
        if self.tracer.on != 0 {
            return Fast::Untaken;
        }
        let is_short =
            info & !REGISTER_MESSAGE == 0 && (info & 0xf) as usize <= REGISTER_WORDS && deadline == 0;
        if call == SystemCall::Call as u64 {
            if is_short {
                return self.fast_call(current, handle, MessageInfo(info));
            }
            return self.fast_laden_call(current, handle, MessageInfo(info), deadline);
        }
        if call == SystemCall::ReplyReceive as u64 {
            if is_short {
                return self.fast_reply_receive(current, handle, MessageInfo(info));
            }
            return self.fast_laden_reply_receive(current, handle, MessageInfo(info), deadline);
        }
        if call == SystemCall::ResolveReceive as u64 && deadline == 0 {
            return self.fast_resolve_receive(current).into();
        }
        if call == SystemCall::Signal as u64 {
            return self.fast_signal(current, handle).into();
        }
        if is_local(call) { self.fast_local(current, call) } else { Fast::Untaken }
    }

    /// Signals a notification that somebody waits for who is more urgent than the current thread, which waits in its queue then.
    #[inline(never)]
    fn fast_signal(&mut self, current: Link, handle: u64) -> Option<Link> {
        let capability = self.fast_capability(current, handle)?;
        if capability.kind != Kind::Notification || !capability.rights.contains(Rights::SEND) {
            return None;
        }
        let ObjectName { link, frame_generation, slot_generation } = capability.name;
        let entry = self.machine.entry(link.frame());
        if entry.generation() != frame_generation || entry.kind() != FrameKind::Notification {
            return None;
        }
        let notification = self.machine.object::<Notification>(link);
        let (waiter, bits) = (notification.waiter, notification.bits | capability.badge);
        if notification.generation != slot_generation || waiter.is_none() || bits == 0 {
            return None;
        }
        let running = self.machine.object::<Thread>(current).priority;
        let thread = self.machine.object::<Thread>(waiter);
        let (priority, is_plain) = (thread.priority, !thread.timer.is_set() && !thread.unfinished);
        if priority <= running || !is_plain || self.waiting.wrapping_shr(priority.into()) != 0 {
            return None;
        }
        let processor = &self.processors[self.here % PROCESSORS_MAX];
        if processor.called || self.processors[self.timekeeper].armed_until > self.timers.next_event() {
            return None;
        }
        // The last look: it bills the waiter.
        if !self.admit(waiter) {
            return None;
        }
        let notification = self.machine.object::<Notification>(link);
        (notification.bits, notification.waiter) = (0, Link::NONE);
        let context = &mut self.machine.object::<Thread>(current).context;
        (context.rax, context.rdx) = (0, 0);
        let thread = self.machine.object::<Thread>(waiter);
        thread.waits_for = Link::NONE;
        (thread.context.rax, thread.context.rdx) = (0, bits);
        let next = self.fast_switch(waiter);
        self.queue_up(current, true);
        self.fast_arm(priority);
        next
    }

    #[inline(always)]
    fn fast_call(&mut self, current: Link, handle: u64, info: MessageInfo) -> Fast {
        let Some((endpoint, badge)) = self.fast_endpoint(current, handle, Rights::SEND) else {
            return Fast::Untaken;
        };
        let receivers = self.machine.object::<Endpoint>(endpoint).receivers;
        let receiver = receivers.first();
        if receiver.is_none() {
            return Fast::Untaken;
        }
        let lent = self.machine.object::<Thread>(current).priority;
        let priority = self.machine.object::<Thread>(receiver).own.max(lent);
        if !self.is_plain(receiver) {
            return self.fast_laden_call(current, handle, info, 0);
        }
        if !self.fast_can_switch(priority) {
            return Fast::Untaken;
        }
        self.fast_hand_over(current, receiver, endpoint, priority);
        self.fast_message(current, receiver, info, badge);
        self.fast_switch(receiver).into()
    }

    /// Has the first of those who wait at an endpoint work for the current thread, which waits for the reply.
    #[inline(always)]
    pub(super) fn fast_hand_over(&mut self, current: Link, receiver: Link, endpoint: Link, priority: u8) {
        let mut receivers = self.machine.object::<Endpoint>(endpoint).receivers;
        receivers.pop(&mut self.machine);
        let object = self.machine.object::<Endpoint>(endpoint);
        (object.receivers, object.server) = (receivers, receiver);
        let caller = self.name_of::<Thread>(current);
        let thread = self.machine.object::<Thread>(current);
        thread.sequence += 1;
        thread.state = ThreadState::AwaitingReply;
        thread.is_fault = false;
        thread.callee = receiver;
        let sequence = thread.sequence;
        let thread = self.machine.object::<Thread>(receiver);
        thread.reply = ReplyName { caller, sequence };
        thread.waits_for = Link::NONE;
        thread.priority = priority;
    }

    #[inline(always)]
    fn fast_reply_receive(&mut self, current: Link, handle: u64, info: MessageInfo) -> Fast {
        let Some((endpoint, _)) = self.fast_endpoint(current, handle, Rights::RECEIVE) else {
            return Fast::Untaken;
        };
        let Some((caller, priority)) = self.fast_can_answer(current, endpoint) else {
            return Fast::Untaken;
        };
        let thread = self.machine.object::<Thread>(current);
        if thread.window_filled != 0 || thread.fallen_back || !self.is_plain(caller) {
            return self.fast_laden_reply_receive(current, handle, info, 0);
        }
        if !self.fast_can_switch(priority) {
            return Fast::Untaken;
        }
        self.fast_wait(current, endpoint);
        self.fast_message(current, caller, info, 0);
        self.fast_switch(caller).into()
    }

    /// The caller whom the current thread owes a reply, and its priority, if that one still waits for it and the current thread will
    /// have to wait at an endpoint.
    #[inline(always)]
    pub(super) fn fast_can_answer(&mut self, current: Link, endpoint: Link) -> Option<(Link, u8)> {
        let thread = self.machine.object::<Thread>(current);
        let (reply, bound) = (thread.reply, thread.bound);
        let caller = self.fast_caller_of(reply)?;
        let thread = self.machine.object::<Thread>(caller);
        if thread.is_fault {
            return None;
        }
        let priority = thread.priority;
        if !bound.is_none() && self.machine.object::<Notification>(bound.link).bits != 0 {
            return None;
        }
        self.machine.object::<Endpoint>(endpoint).has_no_senders().then_some((caller, priority))
    }

    /// Has the current thread wait at an endpoint. It owes no reply any more.
    #[inline(always)]
    pub(super) fn fast_wait(&mut self, current: Link, endpoint: Link) {
        let mut receivers = self.machine.object::<Endpoint>(endpoint).receivers;
        receivers.push(&mut self.machine, current);
        self.machine.object::<Endpoint>(endpoint).receivers = receivers;
        let thread = self.machine.object::<Thread>(current);
        thread.reply = ReplyName::NONE;
        (thread.state, thread.waits_for) = (ThreadState::Receiving, endpoint);
        (thread.serves, thread.priority) = (endpoint, thread.own);
    }

    /// The endpoint that a handle of the current thread names with these rights, and the badge.
    #[inline(always)]
    pub(super) fn fast_endpoint(
        &mut self,
        current: Link,
        handle: u64,
        rights: Rights,
    ) -> Option<(Link, u64)> {
        let capability = self.fast_capability(current, handle)?;
        if capability.kind != Kind::Endpoint || !capability.rights.contains(rights) {
            return None;
        }
        Some((self.fast_live_endpoint(capability.name)?, capability.badge))
    }

    /// What a handle of the current thread names.
    #[inline(always)]
    pub(super) fn fast_capability(&mut self, current: Link, handle: u64) -> Option<Capability> {
        let task = self.machine.object::<Thread>(current).task.link;
        let (index, slot) =
            (handle / u64::from(CAPABILITIES_PER_FRAME), handle as u32 % CAPABILITIES_PER_FRAME);
        if index >= u64::from(CAPABILITY_FRAMES_PER_TASK) || slot == 0 {
            return None;
        }
        let frame = self.machine.object::<Task>(task).table[index as usize];
        if frame == 0 {
            return None;
        }
        Some(*self.machine.object::<Capability>(Link::new::<Capability>(frame, slot)))
    }

    /// The endpoint of a name, if it still exists.
    #[inline(always)]
    pub(super) fn fast_live_endpoint(&mut self, name: ObjectName) -> Option<Link> {
        // No name's frame lies beyond the frame table.
        let entry = self.machine.entry(name.link.frame());
        let is_current = entry.generation() == name.frame_generation && entry.kind() == FrameKind::Endpoint;
        if !is_current || self.machine.object::<Endpoint>(name.link).generation != name.slot_generation {
            return None;
        }
        Some(name.link)
    }

    /// The thread that still waits for this reply.
    #[inline(always)]
    pub(super) fn fast_caller_of(&mut self, reply: ReplyName) -> Option<Link> {
        let ReplyName { caller, sequence } = reply;
        // No name's frame, not even of the name that names nothing, lies beyond what `entry` answers for.
        let entry = self.machine.entry(caller.link.frame());
        if entry.generation() != caller.frame_generation || entry.kind() != FrameKind::Thread {
            return None;
        }
        let thread = self.machine.object::<Thread>(caller.link);
        let is_it = thread.generation == caller.slot_generation && thread.sequence == sequence;
        (is_it && thread.state == ThreadState::AwaitingReply).then_some(caller.link)
    }

    /// Whether the processor may go from the current thread, which is about to wait, straight to another one, which gets
    /// nothing but registers.
    #[inline(always)]
    pub(super) fn fast_can_run(&mut self, other: Link, priority: u8) -> bool {
        self.is_plain(other) && self.fast_can_switch(priority)
    }

    /// Whether a thread that waits needs nothing but registers to go on: no deadline has to be cancelled, nothing to be dropped.
    #[inline(always)]
    fn is_plain(&mut self, other: Link) -> bool {
        let thread = self.machine.object::<Thread>(other);
        !thread.timer.is_set() && thread.window_filled == 0 && !thread.unfinished
    }

    /// Whether the processor may go on with a thread of a priority that does not stand in a queue: nobody better waits anywhere, and
    /// an equal that waits here will have its turn in time.
    #[inline(always)]
    pub(super) fn fast_can_switch(&mut self, priority: u8) -> bool {
        self.waiting.wrapping_shr(priority.into()) == 0 || self.equals_can_wait(priority)
    }

    /// Whether those who wait are no better than a priority, and where they are its equals here, their turn is timed.
    #[cold]
    fn equals_can_wait(&self, priority: u8) -> bool {
        let processor = &self.processors[self.here];
        self.waiting >> priority == 1
            && (!processor.scheduler.has_rival(priority) || processor.slice_is_timed())
    }

    #[inline(always)]
    pub(super) fn fast_switch(&mut self, to: Link) -> Option<Link> {
        let thread = self.machine.object::<Thread>(to);
        (thread.state, thread.home) = (ThreadState::Ready, self.here as u8);
        let (task, base) = (thread.task.link, thread.context.fs_base);
        let processor = &mut self.processors[self.here % PROCESSORS_MAX];
        processor.scheduler.current = to;
        if task != processor.active_task {
            processor.active_task = task;
            let object = self.machine.object::<Task>(task);
            object.last_run = self.switches;
            let root = object.root;
            self.machine.activate(root);
        }
        self.machine.set_local_base(base);
        Some(to)
    }

    /// Puts a sender's message into the registers of who receives it; words beyond the message are nobody else's to see.
    #[inline(always)]
    fn fast_message(&mut self, sender: Link, receiver: Link, info: MessageInfo, badge: u64) {
        let count = info.words();
        if count <= SHORT {
            let Context { rdx, r10, .. } = self.machine.object::<Thread>(sender).context;
            let first = if count > 0 { rdx } else { 0 };
            let second = if count > 1 { r10 } else { 0 };
            let context = &mut self.machine.object::<Thread>(receiver).context;
            context.set_words([first, second, 0, 0, 0, 0, 0, 0]);
        } else {
            self.fast_words(sender, receiver, count);
        }
        let context = &mut self.machine.object::<Thread>(receiver).context;
        (context.rax, context.rdi, context.rsi) = (0, badge, info.0);
    }

    #[inline(never)]
    fn fast_words(&mut self, sender: Link, receiver: Link, count: usize) {
        let words = self.machine.object::<Thread>(sender).context.words();
        let context = &mut self.machine.object::<Thread>(receiver).context;
        context.set_words(core::array::from_fn(|index| if index < count { words[index] } else { 0 }));
    }
}
