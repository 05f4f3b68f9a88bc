//! The fast paths of page faults: from the thread that faults straight to a pager that waits, and back with the mappings
//! entered.
//!
//! As for calls, a path looks at everything before it changes anything; but pages that it has entered stay entered when it
//! leaves the rest to the general code, which finds them as they should be.

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::name::Link;
use crate::objects::{Endpoint, Notification, ReplyName, Task, Thread, ThreadState};
use crate::page_table::{self, PRESENT};
use kernel_abi::capability::Kind;
use kernel_abi::message::{MessageFlags, MessageInfo};
use kernel_abi::pmap::{Mapping, Protection};
use kernel_abi::{FRAME_BYTES, Rights, USER_END};

/// Mappings of an answer that are looked at one by one.
const FEW: usize = 16;

impl<M: Machine> Kernel<M> {
    /// Gives the current thread's page fault to its pager, if that one waits: the thread to run, its address space active.
    /// `None`: nothing has changed, the general code must take it.
    #[inline]
    pub fn fast_page_fault(&mut self, address: u64, access: u64) -> Option<Link> {
        let current = self.current();
        // Events are written by the general code.
        if current.is_none() || self.tracer.on != 0 {
            return None;
        }
        let task = self.machine.object::<Thread>(current).task.link;
        let object = self.machine.object::<Task>(task);
        let (fault_endpoint, badge) = (object.fault_endpoint, object.fault_badge);
        if fault_endpoint.is_none() {
            return None;
        }
        let endpoint = self.fast_live_endpoint(fault_endpoint)?;
        let mut receivers = self.machine.object::<Endpoint>(endpoint).receivers;
        let receiver = receivers.first();
        if receiver.is_none() {
            return None;
        }
        let lent = self.machine.object::<Thread>(current).priority;
        let priority = self.machine.object::<Thread>(receiver).own.max(lent);
        if !self.fast_can_run(receiver, priority) {
            return None;
        }
        receivers.pop(&mut self.machine);
        let object = self.machine.object::<Endpoint>(endpoint);
        (object.receivers, object.server) = (receivers, receiver);
        let caller = self.name_of::<Thread>(current);
        let info = MessageInfo::new(0, 3, 0);
        let thread = self.machine.object::<Thread>(current);
        thread.sequence += 1;
        (thread.state, thread.is_fault) = (ThreadState::AwaitingReply, true);
        (thread.info, thread.badge) = (info, badge);
        (thread.fault_address, thread.fault_access) = (address, access);
        thread.callee = receiver;
        let (sequence, rip) = (thread.sequence, thread.context.rip);
        let thread = self.machine.object::<Thread>(receiver);
        (thread.reply, thread.waits_for) = (ReplyName { caller, sequence }, Link::NONE);
        thread.priority = priority;
        thread.context.set_words([address, access, rip, 0, 0, 0, 0, 0]);
        (thread.context.rax, thread.context.rdi) = (0, badge);
        thread.context.rsi = info.received(0, MessageFlags::FAULT).0;
        self.fast_switch(receiver)
    }

    /// Enters the few mappings by which the current thread, a pager, resolves a fault, and resumes the thread that faulted.
    #[inline(never)]
    pub(super) fn fast_resolve_receive(&mut self, current: Link) -> Option<Link> {
        let thread = self.machine.object::<Thread>(current);
        let (reply, bound) = (thread.reply, thread.bound);
        let is_plain = thread.window_filled == 0 && !thread.fallen_back;
        let context = &thread.context;
        let (endpoint, frames, array, count) = (context.rdi, context.rsi, context.rdx, context.r10 as usize);
        let is_array = array.is_multiple_of(8) && array < USER_END - (FEW * 16) as u64;
        if count > FEW || context.r10 != count as u64 || !is_array || !is_plain {
            return None;
        }
        let (endpoint, _) = self.fast_endpoint(current, endpoint, Rights::RECEIVE)?;
        if self.fast_capability(current, frames)?.kind != Kind::Frames {
            return None;
        }
        let caller = self.fast_caller_of(reply)?;
        let thread = self.machine.object::<Thread>(caller);
        let priority = thread.priority;
        if !thread.is_fault || !self.fast_can_run(caller, priority) {
            return None;
        }
        if !bound.is_none() && self.machine.object::<Notification>(bound.link).bits != 0 {
            return None;
        }
        let object = self.machine.object::<Endpoint>(endpoint);
        let mut receivers = object.receivers;
        if !object.has_no_senders() {
            return None;
        }
        self.fast_enter(caller, array, count)?;
        receivers.push(&mut self.machine, current);
        self.machine.object::<Endpoint>(endpoint).receivers = receivers;
        let thread = self.machine.object::<Thread>(current);
        thread.reply = ReplyName::NONE;
        (thread.state, thread.waits_for) = (ThreadState::Receiving, endpoint);
        (thread.serves, thread.priority) = (endpoint, thread.own);
        self.machine.object::<Thread>(caller).is_fault = false;
        self.fast_switch(caller)
    }

    /// Enters mappings of small pages at places that are empty, in tables that are there. `None`: not all are entered.
    #[inline(always)]
    fn fast_enter(&mut self, caller: Link, array: u64, count: usize) -> Option<()> {
        let task = self.machine.object::<Thread>(caller).task.link;
        let root = self.machine.object::<Task>(task).root;
        if count == 1 {
            let mut item = [0; 2];
            self.machine.read_user_words(array, &mut item).ok()?;
            return self.fast_enter_run(root, item, true);
        }
        let mut items = [[0; 2]; FEW];
        self.machine.read_user_words(array, items[..count].as_flattened_mut()).ok()?;
        items[..count].iter().try_for_each(|&item| self.fast_enter_run(root, item, false))
    }

    /// Enters successive frames that lie in one table.
    #[inline(always)]
    fn fast_enter_run(&mut self, root: u32, [address, word]: [u64; 2], is_only: bool) -> Option<()> {
        let mapping = Mapping { address, frame: word as u32, frames: (word >> 32) as u32 };
        let (address, protection) = (mapping.page_address(), mapping.protection()?);
        let clear = protection.contains(Protection::CLEAR);
        if protection.intersects(Protection::SUPERPAGE | Protection::DEVICE) || address >= USER_END {
            return None;
        }
        // What is cleared is entered once: the general code must not find it entered.
        if clear && (!is_only || mapping.frames != 1) {
            return None;
        }
        let place = page_table::walk(&mut self.machine, root, address, 1);
        let table = place.table;
        let end = place.index as u64 + u64::from(mapping.frames);
        if place.level != 1 || mapping.frames == 0 || end > 512 {
            return None;
        }
        let mut entry = page_table::page_entry(u64::from(mapping.frame), protection);
        for index in 0..mapping.frames {
            // Below 512 as checked; the remainder only says so.
            let at = (place.index + index as usize) % 512;
            if self.machine.table(table)[at] & PRESENT != 0 {
                return None;
            }
            let frame = self.machine.frame(mapping.frame.checked_add(index)?)?;
            frame.check_map().ok()?;
            if clear && frame.map_count() != 0 {
                return None;
            }
            frame.add_mapping();
            if clear {
                self.machine.zero(mapping.frame, 0, FRAME_BYTES as usize);
            }
            self.machine.table(table)[at] = entry;
            self.machine.frame(table)?.add_mapping();
            entry += FRAME_BYTES;
        }
        Some(())
    }
}
