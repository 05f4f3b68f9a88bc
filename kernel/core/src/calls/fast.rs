//! The fast paths of IPC: a call to a server that waits, and a reply by a server that has nothing else to do, for messages
//! that fit the registers. The message goes straight from one thread's registers to the other's, and the processor
//! with it: no run queue, no timer, no table is touched.
//!
//! A path looks at everything before it changes anything and, where one condition does not hold, leaves the call to
//! the general code as if it had not looked. That code is the reference: the same tests run over both.

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

impl<M: Machine> Kernel<M> {
    /// Takes the current thread's system call if a fast path applies: the thread to run, its address space active. `None`:
    /// nothing has changed, the general code must take it.
    #[inline]
    pub fn fast_system_call(&mut self) -> Option<Link> {
        let current = self.current();
        let context = &self.machine.object::<Thread>(current).context;
        let (call, handle, info, deadline) = (context.rax, context.rdi, context.rsi, context.rbx);
        let in_registers = info & !REGISTER_MESSAGE == 0 && (info & 0xf) as usize <= REGISTER_WORDS;
        // Events are written by the general code.
        if deadline | self.tracer.on != 0 || !in_registers {
            return None;
        }
        if call == SystemCall::Call as u64 {
            self.fast_call(current, handle, MessageInfo(info))
        } else if call == SystemCall::ReplyReceive as u64 {
            self.fast_reply_receive(current, handle, MessageInfo(info))
        } else {
            None
        }
    }

    fn fast_call(&mut self, current: Link, handle: u64, info: MessageInfo) -> Option<Link> {
        let (endpoint, badge) = self.fast_endpoint(current, handle, Rights::SEND)?;
        let receivers = self.machine.object::<Endpoint>(endpoint).receivers;
        let receiver = receivers.first();
        if receiver.is_none() || !self.fast_can_run(receiver) {
            return None;
        }
        let mut receivers = receivers;
        receivers.pop(&mut self.machine);
        self.machine.object::<Endpoint>(endpoint).receivers = receivers;
        let caller = self.name_of::<Thread>(current);
        let thread = self.machine.object::<Thread>(current);
        thread.sequence += 1;
        thread.state = ThreadState::AwaitingReply;
        thread.is_fault = false;
        let (sequence, words) = (thread.sequence, thread.context.words());
        let thread = self.machine.object::<Thread>(receiver);
        thread.reply = ReplyName { caller, sequence };
        thread.waits_for = Link::NONE;
        receive_in_registers(&mut thread.context, words, info, badge);
        self.fast_switch(receiver)
    }

    fn fast_reply_receive(&mut self, current: Link, handle: u64, info: MessageInfo) -> Option<Link> {
        let (endpoint, _) = self.fast_endpoint(current, handle, Rights::RECEIVE)?;
        let thread = self.machine.object::<Thread>(current);
        let (reply, bound, filled) = (thread.reply, thread.bound, thread.window_filled);
        let caller = self.caller_of(reply)?;
        let thread = self.machine.object::<Thread>(caller);
        if filled != 0 || thread.is_fault || !self.fast_can_run(caller) {
            return None;
        }
        if !bound.is_none() && self.machine.object::<Notification>(bound.link).bits != 0 {
            return None;
        }
        let mut receivers = self.machine.object::<Endpoint>(endpoint).receivers;
        if !self.machine.object::<Endpoint>(endpoint).has_no_senders() {
            return None;
        }
        receivers.push(&mut self.machine, current);
        self.machine.object::<Endpoint>(endpoint).receivers = receivers;
        let thread = self.machine.object::<Thread>(current);
        thread.reply = ReplyName::NONE;
        (thread.state, thread.waits_for) = (ThreadState::Receiving, endpoint);
        let words = thread.context.words();
        let thread = self.machine.object::<Thread>(caller);
        receive_in_registers(&mut thread.context, words, info, 0);
        self.fast_switch(caller)
    }

    /// The endpoint that a handle of the current thread names with these rights, and the badge.
    #[inline(always)]
    fn fast_endpoint(&mut self, current: Link, handle: u64, rights: Rights) -> Option<(Link, u64)> {
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
        let capability = self.machine.object::<Capability>(Link::new(frame, slot));
        if capability.kind != Kind::Endpoint || !capability.rights.contains(rights) {
            return None;
        }
        let (name, badge): (ObjectName, u64) = (capability.name, capability.badge);
        let entry = self.machine.frame(name.link.frame())?;
        let is_current = entry.generation() == name.frame_generation && entry.kind() == FrameKind::Endpoint;
        if !is_current || self.machine.object::<Endpoint>(name.link).generation != name.slot_generation {
            return None;
        }
        Some((name.link, badge))
    }

    /// Whether the processor may go from the current thread, which is about to wait, straight to another one: nobody
    /// better waits anywhere, and an equal that waits here will have its turn in time.
    #[inline(always)]
    fn fast_can_run(&mut self, other: Link) -> bool {
        let thread = self.machine.object::<Thread>(other);
        let is_plain = !thread.timer.is_set() && thread.window_filled == 0 && !thread.unfinished;
        let priority = thread.priority;
        is_plain && (self.waiting >> priority == 0 || self.equals_can_wait(priority))
    }

    /// Whether those who wait are no better than a priority, and where they are its equals here, their turn is timed.
    #[cold]
    fn equals_can_wait(&self, priority: u8) -> bool {
        let processor = &self.processors[self.here];
        self.waiting >> priority == 1
            && (!processor.scheduler.has_rival(priority) || processor.slice_is_timed())
    }

    #[inline(always)]
    fn fast_switch(&mut self, to: Link) -> Option<Link> {
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
}

/// Puts a message into the registers of who receives it; words beyond the message are nobody else's to see.
fn receive_in_registers(context: &mut Context, words: [u64; REGISTER_WORDS], info: MessageInfo, badge: u64) {
    let count = info.words();
    context.set_words(core::array::from_fn(|index| if index < count { words[index] } else { 0 }));
    (context.rax, context.rdi, context.rsi) = (0, badge, info.0);
}
