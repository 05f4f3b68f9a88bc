//! Faults and ends: page faults as calls to the pager, processor exceptions, the end of threads and tasks.

use crate::frame_table::FrameKind;
use crate::kernel::Kernel;
use crate::machine::{Machine, UserFault};
use crate::name::{Link, ObjectName};
use crate::objects::{Capability, Notification, ReplyName, Task, Thread, ThreadState};
use kernel_abi::capability::{CAPABILITIES_PER_FRAME, Kind};
use kernel_abi::fault::RESUME;
use kernel_abi::message::{MessageFlags, MessageInfo};
use kernel_abi::task::TaskStatus;
use kernel_abi::trace::EventKind;

/// Reason in the status of a task whose pager is gone: no label of a reply.
pub const PAGER_GONE: u32 = u32::MAX;

impl<M: Machine> Kernel<M> {
    /// The current thread met a page fault in user mode, unless it was stopped on its way in.
    pub fn page_fault(&mut self, address: u64, access: u64) {
        let current = self.current();
        if current.is_some() {
            self.raise_fault(current, UserFault { address, access });
        }
    }

    /// The current thread met another exception: it ends.
    pub fn exception(&mut self, vector: u32) {
        let current = self.current();
        if current.is_some() {
            self.end_thread(current, TaskStatus::Exception(vector));
        }
    }

    /// Sends a thread's page fault to its pager.
    pub(crate) fn raise_fault(&mut self, link: Link, fault: UserFault) {
        let task = self.machine.object::<Thread>(link).task.link;
        let Task { fault_endpoint, fault_badge, .. } = *self.machine.object::<Task>(task);
        let thread = self.machine.object::<Thread>(link);
        thread.is_fault = true;
        thread.badge = fault_badge;
        thread.fault_address = fault.address;
        thread.fault_access = fault.access;
        thread.info = MessageInfo::new(0, 3, 0);
        let what = [fault.address, fault.access, thread.context.rip, fault_badge];
        self.trace(EventKind::Fault, link, what);
        match self.live(fault_endpoint, FrameKind::Endpoint) {
            Ok(endpoint) => self.send(link, endpoint, 0),
            Err(_) => self.end_thread(link, TaskStatus::Fault(PAGER_GONE)),
        }
    }

    /// Gives a page fault to the pager's thread as a message.
    pub(super) fn transfer_fault(&mut self, sender: Link, receiver: Link) {
        let from = self.machine.object::<Thread>(sender);
        let words = [from.fault_address, from.fault_access, from.context.rip, 0, 0, 0, 0, 0];
        let badge = from.badge;
        let context = &mut self.machine.object::<Thread>(receiver).context;
        context.set_words(words);
        context.rax = 0;
        context.rdi = badge;
        context.rsi = MessageInfo::new(0, 3, 0).received(0, MessageFlags::FAULT).0;
    }

    /// The pager has answered.
    pub(super) fn answer_fault(&mut self, link: Link, label: u32) {
        self.machine.object::<Thread>(link).is_fault = false;
        self.trace(EventKind::FaultAnswered, link, [label.into(), 0, 0, 0]);
        if label == RESUME {
            self.make_ready(link);
        } else {
            self.end_thread(link, TaskStatus::Fault(label));
        }
    }

    /// The pager is gone or dropped the fault: the thread ends, in its own turn. Here its end could set off that of others
    /// whose pager it is, and so on without bound.
    pub(super) fn pager_failed(&mut self, link: Link) {
        self.machine.object::<Thread>(link).unfinished = true;
        self.make_ready(link);
    }

    /// Does what is left to do before a thread runs on. False: it does not run on.
    pub(crate) fn finish_waiting(&mut self, link: Link) -> bool {
        if self.machine.object::<Thread>(link).is_fault {
            self.end_thread(link, TaskStatus::Fault(PAGER_GONE));
            return false;
        }
        self.copy_message_out(link)
    }

    /// Ends a thread in whatever state. The last one ends its task with `status`.
    pub(crate) fn end_thread(&mut self, link: Link, status: TaskStatus) {
        let task = self.machine.object::<Thread>(link).task.link;
        self.stop_thread(link);
        if self.machine.object::<Task>(task).thread_count == 0 {
            self.end_task(task, status);
        }
    }

    /// Takes a thread out of everything it is part of.
    fn stop_thread(&mut self, link: Link) {
        self.trace(EventKind::ThreadEnded, link, [0; 4]);
        self.leave_queue(link);
        self.timers.cancel(&mut self.machine, link);
        self.unlist(link);
        let thread = self.machine.object::<Thread>(link);
        thread.state = ThreadState::Ended;
        thread.generation = thread.generation.wrapping_add(1);
        thread.is_fault = false;
        let Thread { task, task_next, task_previous, bound, .. } = *thread;
        self.drop_current_reply(link);
        if let Ok(notification) = self.live(bound, FrameKind::Notification) {
            self.machine.object::<Notification>(notification).bound = ObjectName::NONE;
        }
        if task_previous.is_none() {
            self.machine.object::<Task>(task.link).threads = task_next;
        } else {
            self.machine.object::<Thread>(task_previous).task_next = task_next;
        }
        if task_next.is_some() {
            self.machine.object::<Thread>(task_next).task_previous = task_previous;
        }
        self.machine.object::<Task>(task.link).thread_count -= 1;
    }

    /// Ends a task: its threads, the calls that it owes a reply to, and tells who asked to be told. Bounded by the number of
    /// threads and, if it saved replies, the size of its capability table.
    pub(crate) fn end_task(&mut self, link: Link, status: TaskStatus) {
        let task = self.machine.object::<Task>(link);
        if !task.is_alive() {
            return;
        }
        task.status = status;
        loop {
            let thread = self.machine.object::<Task>(link).threads;
            if thread.is_none() {
                break;
            }
            self.stop_thread(thread);
        }
        if self.machine.object::<Task>(link).saved_replies != 0 {
            self.drop_saved_replies(link);
        }
        if link == self.first_task.link {
            self.machine.first_task_ended(status);
        }
        let Task { death_notice, death_bits, .. } = *self.machine.object::<Task>(link);
        if let Ok(notification) = self.live(death_notice, FrameKind::Notification) {
            self.signal(notification, death_bits);
        }
    }

    fn drop_saved_replies(&mut self, task: Link) {
        let frames = self.machine.object::<Task>(task).table;
        for frame in frames.into_iter().filter(|&frame| frame != 0) {
            for slot in 1..CAPABILITIES_PER_FRAME {
                let place = Link::new::<Capability>(frame, slot);
                if self.capability_at(place).kind == Kind::Reply {
                    self.drop_capability(task, place);
                }
            }
        }
    }

    /// Empties an entry of a task's table, with everything that follows from it.
    pub(crate) fn drop_capability(&mut self, task: Link, place: Link) {
        let capability = core::mem::replace(self.capability_at(place), Capability::NULL);
        if capability.kind == Kind::Reply {
            self.machine.object::<Task>(task).saved_replies -= 1;
            self.drop_reply(ReplyName { caller: capability.name, sequence: capability.badge });
        }
    }
}
