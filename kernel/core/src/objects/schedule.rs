//! A schedule: a share of the processors' time.
//!
//! Its numbers change in [`crate::accounts`] (time that passes) and `calls/schedules.rs` (shares that are given).

use super::Object;
use crate::frame_table::FrameKind;
use crate::name::{Link, ObjectName};
use crate::timer::TimerNode;
use kernel_abi::object::SCHEDULES_PER_FRAME;

/// Budget of a schedule that is never used up.
pub const UNLIMITED: i64 = i64::MAX;

/// See the module.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Schedule {
    /// Generation of the slot.
    pub generation: u32,
    /// The slot holds a schedule.
    pub live: bool,
    /// Highest priority of threads that are started on it, and of schedules split off it.
    pub priority: u8,
    /// Splits between the root and this one.
    pub depth: u8,
    /// Whose share this is a part of; none: it is the root, or has no share.
    pub parent: ObjectName,
    /// Its part of all time, with what it gave away.
    pub share: u64,
    /// The budget that its share stands for, in nanoseconds a period.
    pub granted: u64,
    /// The part of the share which it gave away: the sum of its children's shares.
    pub given: u64,
    /// Nanoseconds in which the budget may be used.
    pub period: u64,
    /// Nanoseconds that it may use itself in a period; [`UNLIMITED`].
    pub budget: i64,
    /// Nanoseconds of it that are left; at most the budget, less than 0 where servers had to overrun it.
    pub left: i64,
    /// End of the present period.
    pub period_end: u64,
    /// Nanoseconds used so far, in the background too.
    pub used: u64,
    /// Nanoseconds of that in the background.
    pub background: u64,
    /// Periods in which the budget did not suffice.
    pub overruns: u64,
    /// First of its threads that wait for the next period.
    pub dry: Link,
    /// The last of them.
    pub dry_last: Link,
    /// The end of the period, while threads wait for it.
    pub timer: TimerNode,
}

impl Schedule {
    /// Whether it can never be used up.
    pub fn is_unlimited(&self) -> bool {
        self.budget == UNLIMITED
    }
}

impl Object for Schedule {
    const KIND: FrameKind = FrameKind::Schedule;
    const PER_FRAME: u32 = SCHEDULES_PER_FRAME;
    const EMPTY: Self = Schedule {
        generation: 0,
        live: false,
        priority: 0,
        depth: 0,
        parent: ObjectName::NONE,
        share: 0,
        granted: 0,
        given: 0,
        period: 0,
        budget: 0,
        left: 0,
        period_end: u64::MAX,
        used: 0,
        background: 0,
        overruns: 0,
        dry: Link::NONE,
        dry_last: Link::NONE,
        timer: TimerNode::IDLE,
    };

    fn generation(&self) -> u32 {
        self.generation
    }
}
