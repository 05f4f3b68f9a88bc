//! The way out of the kernel where it is plain who runs next, without a look at run queues and timers.

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::name::Link;
use crate::objects::{Thread, ThreadState};
use crate::processor::PROCESSORS_MAX;

impl<M: Machine> Kernel<M> {
    /// Leaves the kernel where it is plain who runs next: the thread that was woken, if the one that ran waits or is less urgent;
    /// otherwise the one that ran. Nobody as good waits anywhere, and a processor's timer covers the next deadline. Who pays for the one
    /// that goes on is not looked at: that would have changed with the end of somebody's call, who was woken then, or with the timer.
    /// `None`: the general code must choose.
    #[inline(always)]
    pub fn fast_leave(&mut self) -> Option<Link> {
        let processor = &self.processors[self.here % PROCESSORS_MAX];
        let (current, woken) = (processor.scheduler.current, processor.scheduler.handoff);
        let has_queue = processor.scheduler.occupied != 0 && self.processor_count != 1;
        let covered = self.processors[self.timekeeper % PROCESSORS_MAX].armed_until;
        if current.is_none() || processor.yields || processor.called || has_queue || self.tracer.on != 0 {
            return None;
        }
        if covered > self.timers.next_event() || processor.exhausted_at < processor.armed_until {
            return None;
        }
        let thread = self.machine.object::<Thread>(current);
        let (runs, priority) = (thread.state == ThreadState::Ready, thread.priority);
        if runs && thread.unfinished {
            return None;
        }
        if woken.is_some() {
            return self.fast_leave_for(current, runs.then_some(priority), woken);
        }
        if !runs || self.waiting.wrapping_shr(priority.into()) != 0 {
            return None;
        }
        let base = thread.context.fs_base;
        self.machine.set_local_base(base);
        Some(current)
    }

    /// Has the timer fire when the budget that pays now is used up.
    #[inline(always)]
    pub(super) fn fast_arm(&mut self, priority: u8) {
        let processor = &self.processors[self.here % PROCESSORS_MAX];
        if processor.exhausted_at < processor.armed_until {
            self.arm_timer(Some(priority));
        }
    }

    #[inline(always)]
    fn fast_leave_for(&mut self, current: Link, running: Option<u8>, woken: Link) -> Option<Link> {
        let thread = self.machine.object::<Thread>(woken);
        let (priority, unfinished) = (thread.priority, thread.unfinished);
        if self.waiting.wrapping_shr(priority.into()) != 0
            || running.is_some_and(|running| running >= priority)
        {
            return None;
        }
        // A server that was given the call of the thread that ran works at its cost: the bill stays.
        let thread = self.machine.object::<Thread>(current);
        let is_served = thread.state == ThreadState::AwaitingReply && thread.callee == woken;
        if !is_served && !self.admit(woken) {
            return None;
        }
        self.processors[self.here % PROCESSORS_MAX].scheduler.handoff = Link::NONE;
        let next = self.fast_switch(woken);
        if running.is_some() {
            self.queue_up(current, true);
        }
        self.fast_arm(priority);
        // Where its message cannot be delivered yet it waits again, and the general code finds out who runs.
        if unfinished && !self.finish_waiting(woken) { None } else { next }
    }

    /// Has the timer cover the next deadline, which may have been brought forward just now. False: it has passed, and the general code
    /// must see to it.
    #[inline(always)]
    pub(super) fn fast_cover(&mut self, priority: u8) -> bool {
        let covered = self.processors[self.timekeeper % PROCESSORS_MAX].armed_until;
        covered <= self.timers.next_event() || self.cover(priority)
    }

    #[inline(never)]
    fn cover(&mut self, priority: u8) -> bool {
        if self.timers.next_event() <= self.machine.now() {
            return false;
        }
        self.arm_timer(Some(priority));
        true
    }
}
