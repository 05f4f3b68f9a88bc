//! Who pays for what a thread does, and how urgent it is: a caller's schedule serves its call.
//!
//! ```text
//! caller C --call--> server S --call--> driver D        helper V: waits at S's endpoint
//! ```
//!
//! While D works for S, which works for C, the schedule of C pays, as the one at the start of the chain; where that is used up
//! the next one down the chain that has time does, in the end D's own, and C's next period is billed too. Where none has time the
//! best of those who wait for the chain pays for it, so that it gets to them. Where there is none either, the thread goes on
//! in the background. One without a schedule of its own fails the call then, with `OutOfTime`.
//!
//! The priority of D is the highest base priority among those of its chain that have time, and their helpers. A chain is looked
//! at over [`LENDING_DEPTH`] callers up and as many servers down, and no further: whoever stands beyond neither pays nor urges.
//!
//! Nothing is passed on in a call: who pays is read off the replies that servers owe, so a caller that dies or gives up pays no more, and
//! what is lent returns when the server receives next. The stored priority is a note of that. It is set when a message is
//! delivered and corrected before a thread runs ([`Kernel::admit`]), when somebody comes to wait at an endpoint and when a period begins.
//! An endpoint knows one server, the one that received last: of several it is the one that is helped.

use crate::accounts::Bill;
use crate::frame_table::FrameKind;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::name::{Link, ObjectName};
use crate::objects::{Endpoint, ReplyName, Thread, ThreadState};
use kernel_abi::KernelError;
use kernel_abi::schedule::{LENDING_DEPTH, PRIORITY_BACKGROUND};

/// What a thread's chain of calls comes to.
#[derive(Clone, Copy, Debug)]
struct Standing {
    /// Whose schedule pays; none: nobody's has time.
    payer: Link,
    /// The start of the chain, as far as it is looked at.
    origin: Link,
    /// How urgent it is.
    priority: u8,
}

impl<M: Machine> Kernel<M> {
    /// Whose call a thread works on, if that still waits.
    fn lender_of(&mut self, link: Link) -> Option<Link> {
        let Thread { reply, lender, .. } = self.machine.object::<Thread>(link);
        let name = if reply.caller.is_none() { *lender } else { *reply };
        if name.caller.is_none() { None } else { self.caller_of(name) }
    }

    /// Who waits at a thread's endpoint for it to receive, if that one still does.
    fn helper_of(&mut self, link: Link) -> Option<Link> {
        let ReplyName { caller, sequence } = self.machine.object::<Thread>(link).helper;
        let helper = self.live(caller, FrameKind::Thread).ok()?;
        let thread = self.machine.object::<Thread>(helper);
        (thread.state == ThreadState::Sending && thread.sequence == sequence).then_some(helper)
    }

    /// The server that works on a thread's call, if it still does.
    fn callee_of(&mut self, link: Link) -> Option<Link> {
        let Thread { state, callee, sequence, .. } = *self.machine.object::<Thread>(link);
        if state != ThreadState::AwaitingReply || !self.is_thread(callee) {
            return None;
        }
        let expected = ReplyName { caller: self.name_of::<Thread>(link), sequence };
        let Thread { reply, lender, .. } = *self.machine.object::<Thread>(callee);
        (reply == expected || lender == expected).then_some(callee)
    }

    fn is_thread(&mut self, link: Link) -> bool {
        link.is_some()
            && self.machine.frame(link.frame()).is_some_and(|entry| entry.kind() == FrameKind::Thread)
    }

    fn standing(&mut self, link: Link) -> Standing {
        let mut found = Standing { payer: Link::NONE, origin: link, priority: 0 };
        let mut helps = Link::NONE;
        for _ in 0..=LENDING_DEPTH {
            let Thread { schedule, base, helper, .. } = *self.machine.object::<Thread>(found.origin);
            if self.has_time(schedule) {
                (found.payer, found.priority) = (found.origin, found.priority.max(base));
            }
            if !helper.caller.is_none()
                && let Some(helper) = self.helper_of(found.origin)
            {
                let Thread { schedule, base, .. } = *self.machine.object::<Thread>(helper);
                if self.has_time(schedule) {
                    (helps, found.priority) = (helper, found.priority.max(base));
                }
            }
            match self.lender_of(found.origin) {
                Some(caller) => found.origin = caller,
                None => break,
            }
        }
        if found.payer.is_none() {
            found.payer = helps;
        }
        if found.payer.is_none() {
            found.priority = self.machine.object::<Thread>(link).base.min(PRIORITY_BACKGROUND);
        }
        found
    }

    /// Whether a thread works for itself alone, is billed already and has time: the usual case after a reply.
    fn is_billed_alone(&mut self, link: Link) -> bool {
        let thread = self.machine.object::<Thread>(link);
        let has_company = !thread.reply.caller.is_none() || !thread.lender.caller.is_none();
        if has_company || !thread.helper.caller.is_none() || thread.priority != thread.base {
            return false;
        }
        let Thread { task, schedule, .. } = *thread;
        let own = Bill { schedule, overrun: ObjectName::NONE, task, in_background: false };
        if self.processors[self.here].bill != own || !self.has_time(schedule) {
            return false;
        }
        self.machine.object::<Thread>(link).fallen_back = false;
        true
    }

    /// Looks at who pays for a thread that is about to run, and bills them. False: it is less urgent than it was thought to be,
    /// somebody else may be better.
    pub(crate) fn admit(&mut self, link: Link) -> bool {
        if self.is_billed_alone(link) {
            return true;
        }
        let Standing { payer, origin, priority } = self.standing(link);
        let thread = self.machine.object::<Thread>(link);
        let thought = core::mem::replace(&mut thread.priority, priority);
        thread.fallen_back = payer.is_some() && payer != origin;
        let has_failed_a_call = payer.is_none() && self.run_dry(link);
        if priority < thought || has_failed_a_call {
            return false;
        }
        let Thread { task, schedule: owed, .. } = *self.machine.object::<Thread>(origin);
        let bill = if payer.is_none() {
            Bill { schedule: owed, overrun: ObjectName::NONE, task, in_background: true }
        } else {
            let schedule = self.machine.object::<Thread>(payer).schedule;
            let overrun = if schedule == owed { ObjectName::NONE } else { owed };
            Bill { schedule, overrun, task, in_background: false }
        };
        self.bill(bill);
        true
    }

    /// Nobody pays for a thread: it and its callers are listed to be told of their next periods. Without a schedule of its own it
    /// owes no answer any more: whether it did, and its caller was told.
    fn run_dry(&mut self, link: Link) -> bool {
        let mut at = link;
        for _ in 0..=LENDING_DEPTH {
            self.throttle(at);
            match self.lender_of(at) {
                Some(caller) => at = caller,
                None => break,
            }
        }
        if !self.machine.object::<Thread>(link).schedule.is_none() {
            return false;
        }
        let caller = self.lender_of(link);
        let thread = self.machine.object::<Thread>(link);
        (thread.reply, thread.lender) = (ReplyName::NONE, ReplyName::NONE);
        if let Some(caller) = caller {
            self.fail(caller, KernelError::OutOfTime);
            self.queue_woken();
        }
        caller.is_some()
    }

    /// A message has been delivered to a thread, which works for its sender from now on.
    pub(crate) fn borrow(&mut self, sender: Link, receiver: Link, endpoint: Link) {
        self.machine.object::<Endpoint>(endpoint).server = receiver;
        let thread = self.machine.object::<Thread>(sender);
        thread.callee = receiver;
        let lent = thread.priority;
        let thread = self.machine.object::<Thread>(receiver);
        (thread.serves, thread.priority) = (endpoint, thread.own.max(lent));
    }

    /// A thread is about to receive: it works for nobody any more.
    pub(crate) fn give_back(&mut self, link: Link, endpoint: Link) {
        let thread = self.machine.object::<Thread>(link);
        (thread.lender, thread.helper) = (ReplyName::NONE, ReplyName::NONE);
        (thread.serves, thread.priority) = (endpoint, thread.own);
    }

    /// A thread has come to wait at an endpoint: who serves there is as urgent as it is.
    pub(crate) fn urge(&mut self, sender: Link, endpoint: Link) {
        let server = self.machine.object::<Endpoint>(endpoint).server;
        if !self.is_thread(server) || self.machine.object::<Thread>(server).serves != endpoint {
            return;
        }
        let caller = self.name_of::<Thread>(sender);
        let Thread { sequence, priority, .. } = *self.machine.object::<Thread>(sender);
        let known = self.helper_of(server).map(|helper| self.machine.object::<Thread>(helper).priority);
        if known.is_none_or(|known| known < priority) {
            self.machine.object::<Thread>(server).helper = ReplyName { caller, sequence };
            self.reassess_chain(server);
        }
    }

    /// Sets the priorities of a thread and of the servers that work for it anew.
    pub(crate) fn reassess_chain(&mut self, link: Link) {
        let mut at = link;
        for _ in 0..=LENDING_DEPTH {
            let priority = self.standing(at).priority;
            self.change_priority(at, priority);
            match self.callee_of(at) {
                Some(callee) => at = callee,
                None => return,
            }
        }
    }
}
