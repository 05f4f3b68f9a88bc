//! The fast paths of laden messages: those with capabilities, with words beyond the registers, or with a deadline on either side.
//!
//! The message is loaded and moved by the general code ([`super::transfer`]), so what arrives is the same; what is spared is the
//! choice of who runs. As ever, everything that could stand in the way is looked at before anything changes; but what was read from
//! the sender's buffer stays in its thread, where the general code reads it anew.

use super::fast::Fast;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::name::Link;
use crate::objects::{Endpoint, Thread};
use kernel_abi::capability::Kind;
use kernel_abi::message::MessageInfo;
use kernel_abi::{Handle, Rights};

impl<M: Machine> Kernel<M> {
    /// A call to a server that waits.
    #[inline(never)]
    pub(super) fn fast_laden_call(
        &mut self,
        current: Link,
        handle: u64,
        info: MessageInfo,
        deadline: u64,
    ) -> Fast {
        let Some((endpoint, badge)) = self.fast_endpoint(current, handle, Rights::SEND) else {
            return Fast::Untaken;
        };
        let receiver = self.machine.object::<Endpoint>(endpoint).receivers.first();
        if receiver.is_none() {
            return Fast::Untaken;
        }
        let lent = self.machine.object::<Thread>(current).priority;
        let priority = self.machine.object::<Thread>(receiver).own.max(lent);
        let can_run = self.fast_can_switch(priority) && self.can_fill_window(receiver, info.capabilities());
        if !can_run || !self.is_ready_to_send(current, info, deadline) {
            return Fast::Untaken;
        }
        self.fast_hand_over(current, receiver, endpoint, priority);
        self.machine.object::<Thread>(current).badge = badge;
        if deadline != 0 {
            self.timers.set(&mut self.machine, current, deadline);
        }
        self.transfer(current, receiver, Some(endpoint));
        self.fast_resume(receiver, priority)
    }

    /// A reply by a server that has nothing else to do.
    #[inline(never)]
    pub(super) fn fast_laden_reply_receive(
        &mut self,
        current: Link,
        handle: u64,
        info: MessageInfo,
        deadline: u64,
    ) -> Fast {
        let Some((endpoint, _)) = self.fast_endpoint(current, handle, Rights::RECEIVE) else {
            return Fast::Untaken;
        };
        let Some((caller, priority)) = self.fast_can_answer(current, endpoint) else {
            return Fast::Untaken;
        };
        let can_run = self.fast_can_switch(priority) && self.can_fill_window(caller, info.capabilities());
        if !can_run || !self.can_fill_window(current, 0) || !self.is_ready_to_send(current, info, deadline) {
            return Fast::Untaken;
        }
        // The last look: where the server paid for itself, it bills the caller.
        let fallen_back = self.machine.object::<Thread>(current).fallen_back;
        if fallen_back && !self.admit(caller) {
            return Fast::Untaken;
        }
        self.transfer(current, caller, None);
        self.clear_window(current);
        self.fast_wait(current, endpoint);
        if deadline != 0 {
            self.timers.set(&mut self.machine, current, deadline);
        }
        self.fast_resume(caller, priority)
    }

    /// Reads what lies in the sender's buffer. False: the general code is to say what is wrong.
    fn is_ready_to_send(&mut self, current: Link, info: MessageInfo, deadline: u64) -> bool {
        self.load_message(current, info).is_ok() && self.check_deadline(deadline).is_ok()
    }

    /// Whether the entries of a thread's window that a message fills, or finds filled, hold no reply: dropping one ends somebody's call.
    fn can_fill_window(&mut self, link: Link, capabilities: usize) -> bool {
        let thread = self.machine.object::<Thread>(link);
        let (window, task) = (thread.window, thread.task.link);
        let count = u32::from(thread.window_filled).max(capabilities as u32);
        (0..count).all(|index| {
            let place = self.entry_of(task, Handle(window.wrapping_add(index)));
            place.is_ok_and(|place| self.capability_at(place).kind != Kind::Reply)
        })
    }

    /// Goes on with the thread that the message went to, which waits for nothing any more.
    fn fast_resume(&mut self, to: Link, priority: u8) -> Fast {
        self.timers.cancel(&mut self.machine, to);
        let next = self.fast_switch(to);
        // Where its message cannot be delivered yet it waits again, and the general code finds out who runs.
        if self.machine.object::<Thread>(to).unfinished && !self.copy_message_out(to) {
            return Fast::Taken;
        }
        if !self.fast_cover(priority) {
            return Fast::Taken;
        }
        self.fast_arm(priority);
        next.into()
    }
}
