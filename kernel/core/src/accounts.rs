//! Processor time: who is billed for it, and when a budget comes back.
//!
//! A schedule is a *deferrable server* (Strosnider, Lehoczky and Sha, "The Deferrable Server Algorithm for Enhanced Aperiodic
//! Responsiveness in Hard Real-Time Environments", 1995): its budget is there from the beginning of each period, may be used at any
//! moment of it, and what is left at the end is forgotten. So in any time `t` a schedule uses at most `t / period + 2` budgets at
//! its priority, and whoever is lower waits no longer than that.
//!
//! Each processor has a [`Bill`]: the schedule and the task that what it does is for. The clock is read when the bill changes
//! and when the timer says that the budget is used up, and at no other time; a call and its reply change no bill, because the server
//! works for its caller. Processors that use one schedule at once notice each at its own reading, so they can overrun its budget
//! by as much as is left at the time; like every overrun it is taken off the next period, of which at most all is lost.
//!
//! Threads that find their schedule used up are listed with it. While the list is not empty a deadline stands at the end of the
//! period; then they get their priority back, a few in each kernel entry.
//!
//! Time is counted, not promised, while a thread runs in the background: it takes nothing from a budget.

use crate::frame_table::FrameKind;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::name::{Link, ObjectName};
use crate::objects::{Schedule, Task, Thread};
use kernel_abi::schedule::{DEPTH_MAX, PRIORITY_BACKGROUND};

/// Threads that get their priority back in one kernel entry; the others follow in the next.
pub(crate) const PROMOTIONS_PER_ENTRY: u32 = 16;

/// Whom a processor works for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bill {
    /// The schedule that pays.
    pub schedule: ObjectName,
    /// The schedule that should have paid and had no more: it pays in its next period, too.
    pub overrun: ObjectName,
    /// The task at the start of the chain of calls.
    pub task: ObjectName,
    /// Nobody has a budget for this: the time is idle otherwise.
    pub in_background: bool,
}

impl Bill {
    /// It idles.
    pub const NONE: Bill = Bill {
        schedule: ObjectName::NONE,
        overrun: ObjectName::NONE,
        task: ObjectName::NONE,
        in_background: false,
    };
}

impl<M: Machine> Kernel<M> {
    /// Has the processor work for somebody from now on.
    pub(crate) fn bill(&mut self, bill: Bill) {
        if self.processors[self.here].bill != bill {
            self.settle();
            self.processors[self.here].bill = bill;
            self.note_exhaustion();
        }
    }

    /// Charges what the processor has done since the clock was read last.
    pub(crate) fn settle(&mut self) {
        let now = self.machine.now();
        let processor = &mut self.processors[self.here];
        let since = core::mem::replace(&mut processor.billed_until, now);
        let (bill, spent) = (processor.bill, now.saturating_sub(since));
        if let Ok(task) = self.live(bill.task, FrameKind::Task) {
            self.machine.object::<Task>(task).used += spent;
        }
        if let Ok(link) = self.live(bill.schedule, FrameKind::Schedule) {
            let schedule = self.machine.object::<Schedule>(link);
            schedule.used += spent;
            if bill.in_background {
                schedule.background += spent;
            } else {
                self.charge(link, spent, now);
            }
        }
        if let Ok(link) = self.live(bill.overrun, FrameKind::Schedule) {
            self.machine.object::<Schedule>(link).used += spent;
            self.charge(link, spent, now);
        }
        self.note_exhaustion();
    }

    /// Takes time that has just passed off a budget: what belongs to a period that is over off that.
    fn charge(&mut self, link: Link, spent: u64, now: u64) {
        let schedule = *self.machine.object::<Schedule>(link);
        if schedule.is_unlimited() {
            return;
        }
        let mut late = spent;
        if now >= schedule.period_end {
            late = (now - schedule.period_end) % schedule.period.max(1);
            late = late.min(spent);
            self.spend(link, spent - late);
            self.replenish(link, now);
        }
        self.spend(link, late);
    }

    fn spend(&mut self, link: Link, spent: u64) {
        let schedule = self.machine.object::<Schedule>(link);
        let had = schedule.left;
        schedule.left = had.saturating_sub_unsigned(spent).max(-schedule.budget);
        schedule.overruns += u64::from(had > 0 && schedule.left <= 0);
    }

    /// Gives a schedule the budgets of the periods that have begun. Nothing comes back to one that is cut off from the root.
    fn replenish(&mut self, link: Link, now: u64) {
        let is_cut_off = self.is_cut_off(link);
        let schedule = self.machine.object::<Schedule>(link);
        let Some(late) = now.checked_sub(schedule.period_end) else { return };
        if is_cut_off {
            (schedule.budget, schedule.left, schedule.period_end) = (0, 0, u64::MAX);
            return;
        }
        let periods = 1 + late / schedule.period;
        let more = schedule.budget.saturating_mul(i64::try_from(periods).unwrap_or(i64::MAX));
        schedule.left = schedule.left.saturating_add(more).min(schedule.budget);
        schedule.period_end = schedule.period_end.saturating_add(periods.saturating_mul(schedule.period));
    }

    /// Whether a schedule above this one is gone, with the share that all below lived on.
    fn is_cut_off(&mut self, link: Link) -> bool {
        let mut at = link;
        for _ in 0..=DEPTH_MAX {
            let Schedule { parent, depth, .. } = *self.machine.object::<Schedule>(at);
            if depth == 0 {
                return parent.is_none() && self.name_of::<Schedule>(at) != self.root_schedule;
            }
            match self.live(parent, FrameKind::Schedule) {
                Ok(above) => at = above,
                Err(_) => return true,
            }
        }
        true
    }

    /// Whether there is time left on a schedule. The clock is read only where it was used up.
    pub(crate) fn has_time(&mut self, name: ObjectName) -> bool {
        let Ok(link) = self.live(name, FrameKind::Schedule) else { return false };
        if self.machine.object::<Schedule>(link).left > 0 {
            return true;
        }
        let now = self.machine.now();
        self.replenish(link, now);
        self.machine.object::<Schedule>(link).left > 0
    }

    /// Notes when what the processor does will have used up the budget that pays for it.
    fn note_exhaustion(&mut self) {
        let Bill { schedule, in_background, .. } = self.processors[self.here].bill;
        let mut exhausted_at = u64::MAX;
        if !in_background && let Ok(link) = self.live(schedule, FrameKind::Schedule) {
            let schedule = *self.machine.object::<Schedule>(link);
            if !schedule.is_unlimited() {
                let left = u64::try_from(schedule.left).unwrap_or(0);
                exhausted_at = self.processors[self.here].billed_until.saturating_add(left);
            }
        }
        self.processors[self.here].exhausted_at = exhausted_at;
    }

    /// Time that all processors have worked for somebody since their clocks were read.
    pub(crate) fn running_for(&mut self, is_meant: impl Fn(&Bill) -> bool) -> u64 {
        let now = self.machine.now();
        let processors = &self.processors[..self.processor_count];
        let meant = processors.iter().filter(|processor| is_meant(&processor.bill));
        meant.map(|processor| now.saturating_sub(processor.billed_until)).sum()
    }

    /// Lists a thread with its schedule, which is used up: until the next period its own priority is that of the background.
    pub(crate) fn throttle(&mut self, link: Link) {
        let Thread { schedule, throttled, .. } = *self.machine.object::<Thread>(link);
        let Ok(place) = self.live(schedule, FrameKind::Schedule) else { return };
        if throttled {
            return;
        }
        let thread = self.machine.object::<Thread>(link);
        (thread.throttled, thread.own) = (true, thread.base.min(PRIORITY_BACKGROUND));
        self.append(place, link);
        let schedule = self.machine.object::<Schedule>(place);
        if !schedule.timer.is_set() {
            let period_end = schedule.period_end;
            self.timers.set(&mut self.machine, place, period_end);
        }
    }

    fn append(&mut self, place: Link, link: Link) {
        let schedule = self.machine.object::<Schedule>(place);
        let last = core::mem::replace(&mut schedule.dry_last, link);
        if last.is_none() {
            schedule.dry = link;
        } else {
            self.machine.object::<Thread>(last).dry_next = link;
        }
        let thread = self.machine.object::<Thread>(link);
        (thread.dry_next, thread.dry_previous) = (Link::NONE, last);
    }

    /// Takes a thread out of a list; the list's schedule. The list is cut before the slot or frame of that is used again.
    fn detach(&mut self, link: Link) -> Link {
        let thread = self.machine.object::<Thread>(link);
        let Thread { schedule, dry_next, dry_previous, .. } = *thread;
        (thread.dry_next, thread.dry_previous) = (Link::NONE, Link::NONE);
        let place = schedule.link;
        if dry_next.is_none() {
            self.machine.object::<Schedule>(place).dry_last = dry_previous;
        } else {
            self.machine.object::<Thread>(dry_next).dry_previous = dry_previous;
        }
        if dry_previous.is_none() {
            self.machine.object::<Schedule>(place).dry = dry_next;
        } else {
            self.machine.object::<Thread>(dry_previous).dry_next = dry_next;
        }
        place
    }

    /// A thread falls behind its equals: behind those of its schedule, too, if it waits for a period with them. So they take
    /// turns over periods.
    pub(crate) fn fall_behind(&mut self, link: Link) {
        if self.machine.object::<Thread>(link).throttled {
            let place = self.detach(link);
            self.append(place, link);
        }
    }

    /// Takes a thread out of its schedule's list for good.
    pub(crate) fn unlist(&mut self, link: Link) {
        if !core::mem::take(&mut self.machine.object::<Thread>(link).throttled) {
            return;
        }
        let place = self.detach(link);
        if self.machine.object::<Schedule>(place).dry.is_none() {
            self.timers.cancel(&mut self.machine, place);
        }
    }

    /// A period is over for which threads wait.
    pub(crate) fn period_over(&mut self, link: Link) {
        let now = self.machine.now();
        self.replenish(link, now);
        for _ in 0..PROMOTIONS_PER_ENTRY {
            let Schedule { left, dry, .. } = *self.machine.object::<Schedule>(link);
            if dry.is_none() || left <= 0 {
                break;
            }
            self.unlist(dry);
            let thread = self.machine.object::<Thread>(dry);
            thread.own = thread.base;
            self.reassess_chain(dry);
        }
        let Schedule { left, dry, period_end, .. } = *self.machine.object::<Schedule>(link);
        if dry.is_some() {
            self.timers.set(&mut self.machine, link, if left > 0 { now } else { period_end });
        }
    }
}
