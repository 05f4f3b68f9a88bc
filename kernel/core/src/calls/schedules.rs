//! Schedules: giving shares, reading numbers, the end.
//!
//! The sum of what a schedule gives away never exceeds its share, and its own budget is what remains: so the budgets
//! of all schedules together are at most the time of all processors. No time is made by giving or taking: the first budget
//! of a share comes out of what its parent has left in its period, and what is left of one that ends goes back.

use super::Arguments;
use crate::frame_table::FrameKind;
use crate::kernel::{Done, Kernel, Outcome, Stop};
use crate::machine::Machine;
use crate::name::{Link, ObjectName};
use crate::objects::{Object, Schedule, UNLIMITED};
use kernel_abi::capability::Kind;
use kernel_abi::schedule::{DEPTH_MAX, Figure, PERIOD_MAX_NS, PERIOD_MIN_NS, WHOLE, share_of};
use kernel_abi::{KernelError, Rights};

/// What a schedule has for itself in a period.
fn own_budget(schedule: &Schedule) -> i64 {
    let given = (schedule.given * schedule.period).div_ceil(WHOLE);
    schedule.granted.saturating_sub(given) as i64
}

impl<M: Machine> Kernel<M> {
    fn schedule(&mut self, handle: u64, rights: Rights) -> Result<(Link, ObjectName), KernelError> {
        let capability = self.capability_for(handle, Kind::Schedule, rights)?;
        Ok((self.live(capability.name, FrameKind::Schedule)?, capability.name))
    }

    pub(super) fn schedule_split(&mut self, arguments: Arguments) -> Outcome {
        let Arguments([parent, child, priority, budget, period, ..]) = arguments;
        let (parent, parent_name) = self.schedule(parent, Rights::CONFIGURE)?;
        let (child, child_name) = self.schedule(child, Rights::CONFIGURE)?;
        let (above, below) = (*self.object(parent), *self.object(child));
        let is_free = below.parent.is_none() && child_name != self.root_schedule && parent != child;
        if !is_free && below.parent != parent_name || u32::from(above.depth) >= DEPTH_MAX {
            return Err(KernelError::WrongState.into());
        }
        let budget_max = PERIOD_MAX_NS * self.processor_count as u64;
        if !(PERIOD_MIN_NS..=PERIOD_MAX_NS).contains(&period) || budget > budget_max {
            return Err(KernelError::InvalidArgument.into());
        }
        let priority = u8::try_from(priority).map_err(|_| KernelError::InvalidArgument)?;
        if priority > above.priority {
            return Err(KernelError::PriorityTooHigh.into());
        }
        let share = share_of(budget, period);
        if share > above.share - above.given + below.share || share < below.given {
            return Err(KernelError::OverCommitted.into());
        }
        let now = self.machine.now();
        self.settle();
        let schedule = self.object(child);
        (schedule.priority, schedule.depth, schedule.parent) = (priority, above.depth + 1, parent_name);
        self.set_share(child, (budget, period), share, now);
        self.give(parent, child, share - below.share.min(share), below.share - share.min(below.share));
        if share == 0 {
            let schedule = self.object(child);
            (schedule.parent, schedule.depth) = (ObjectName::NONE, 0);
        }
        Ok(Done::Value(0))
    }

    fn object(&mut self, link: Link) -> &mut Schedule {
        self.machine.object::<Schedule>(link)
    }

    /// Changes a share; what is left of the budget at most shrinks.
    fn set_share(&mut self, link: Link, (granted, period): (u64, u64), share: u64, now: u64) {
        let schedule = self.object(link);
        if schedule.period_end == u64::MAX || schedule.period != period {
            schedule.period_end = now + period;
        }
        (schedule.share, schedule.period, schedule.granted) = (share, period, granted);
        let budget = own_budget(schedule);
        schedule.budget = budget;
        schedule.left = schedule.left.clamp(-budget, budget);
    }

    /// Books shares that went from a parent to its child, or came back, and the budget of the present period with them.
    fn give(&mut self, parent: Link, child: Link, more: u64, less: u64) {
        let above = self.object(parent);
        above.given = above.given + more - less;
        let had = above.left.max(0);
        if !above.is_unlimited() {
            above.budget = own_budget(above);
        }
        let below = self.object(child);
        let (budget, left) = (below.budget, below.left);
        let first = if more != 0 { (budget - left.max(0)).min(had).max(0) } else { 0 };
        let below = self.object(child);
        let first = first.min((more * below.period / WHOLE) as i64);
        below.left += first;
        let above = self.object(parent);
        if !above.is_unlimited() {
            above.left = (above.left - first).clamp(-above.budget, above.budget);
        }
    }

    pub(super) fn schedule_read(&mut self, schedule: u64, figure: u64) -> Outcome {
        let (link, name) = self.schedule(schedule, Rights::INSPECT)?;
        let figure = Figure::from_number(figure).ok_or(KernelError::InvalidArgument)?;
        let schedule = *self.object(link);
        let value = match figure {
            Figure::Used => {
                schedule.used + self.running_for(|bill| bill.schedule == name || bill.overrun == name)
            }
            Figure::Budget if schedule.budget == UNLIMITED => u64::MAX,
            Figure::Budget => schedule.budget as u64,
            Figure::Period => schedule.period,
            Figure::Priority => schedule.priority.into(),
            Figure::Share => schedule.share,
            Figure::Given => schedule.given,
            Figure::Background => {
                schedule.background + self.running_for(|bill| bill.schedule == name && bill.in_background)
            }
            Figure::Overruns => schedule.overruns,
        };
        Ok(Done::Value(value))
    }

    /// Ends a schedule: its share goes back to its parent, its threads run in the background for good, and what was split off it
    /// gets no new budgets.
    pub(super) fn cut_schedule(&mut self, link: Link) -> Result<(), Stop> {
        let schedule = self.object(link);
        if core::mem::take(&mut schedule.live) {
            let Schedule { parent, share, left, .. } = *schedule;
            // From here on no name finds it.
            schedule.generation = schedule.generation.wrapping_add(1);
            (schedule.share, schedule.budget, schedule.left) = (0, 0, 0);
            if let Ok(above) = self.live(parent, FrameKind::Schedule) {
                let above = self.object(above);
                above.given -= share;
                if !above.is_unlimited() {
                    above.budget = own_budget(above);
                    above.left = (above.left + left.max(0)).min(above.budget);
                }
            }
        }
        loop {
            let first = self.object(link).dry;
            if first.is_none() {
                break;
            }
            self.unlist(first);
            self.look()?;
        }
        let generation = self.object(link).generation;
        *self.object(link) = Schedule { generation, ..Schedule::EMPTY };
        Ok(())
    }
}
