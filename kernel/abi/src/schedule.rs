//! Schedules: shares of the processors' time.
//!
//! A schedule has a budget of nanoseconds in each period, which its threads may use at up to its priority. When the budget is used
//! up they go on in the background ([`PRIORITY_BACKGROUND`]), where they get what nobody with a budget wants, until the next period.
//! The root schedule is [`crate::boot::SCHEDULE`]; every other one is made empty and is then given a part of its parent's share.

/// Priority of threads whose schedule is used up, unless their own is lower still. Threads may be started with it, too; those below
/// it run only where a processor idles.
pub const PRIORITY_BACKGROUND: u8 = 1;

/// Shortest period, in nanoseconds.
pub const PERIOD_MIN_NS: u64 = 1_000_000;
/// Longest period, in nanoseconds.
pub const PERIOD_MAX_NS: u64 = 1_000_000_000;

/// Share that is the whole time of one processor. Shares are counted in these parts, rounded up.
pub const WHOLE: u64 = 1 << 20;

/// Splits between the root schedule and the deepest one.
pub const DEPTH_MAX: u32 = 8;

/// Servers through which a caller's schedule is lent on: one that is called further down runs on its own.
pub const LENDING_DEPTH: u32 = 8;

/// Instead of a schedule: the thread has none.
pub const NO_SCHEDULE: u64 = u32::MAX as u64;

/// What [`crate::SystemCall::ScheduleRead`] reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Figure {
    /// Nanoseconds used since it was made, in the background too.
    Used = 0,
    /// Nanoseconds it has for itself in each period, without what it gave away; `u64::MAX`: as many as there are.
    Budget = 1,
    /// Its period in nanoseconds.
    Period = 2,
    /// Highest priority of its threads.
    Priority = 3,
    /// Its share, in parts of which [`WHOLE`] are one processor.
    Share = 4,
    /// The part of it that was given away.
    Given = 5,
    /// Nanoseconds that were used in the background.
    Background = 6,
    /// Periods in which the budget did not suffice.
    Overruns = 7,
}

impl Figure {
    /// All of them.
    pub const ALL: [Figure; 8] = [
        Figure::Used,
        Figure::Budget,
        Figure::Period,
        Figure::Priority,
        Figure::Share,
        Figure::Given,
        Figure::Background,
        Figure::Overruns,
    ];

    /// The one with this number.
    pub fn from_number(number: u64) -> Option<Figure> {
        Figure::ALL.into_iter().find(|&figure| figure as u64 == number)
    }
}

/// The share that a budget is of a period, rounded up. The period is not 0, the budget at most [`PERIOD_MAX_NS`] for each of
/// 1 << 20 processors.
pub const fn share_of(budget_ns: u64, period_ns: u64) -> u64 {
    budget_ns.saturating_mul(WHOLE).div_ceil(period_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_up_and_figures_decode() {
        assert_eq!(share_of(PERIOD_MIN_NS, PERIOD_MIN_NS), WHOLE);
        assert_eq!(share_of(1, PERIOD_MAX_NS), 1, "no share is free");
        assert_eq!(share_of(0, PERIOD_MAX_NS), 0);
        assert_eq!(share_of(u64::MAX, 1), u64::MAX);
        for figure in Figure::ALL {
            assert_eq!(Figure::from_number(figure as u64), Some(figure));
        }
        assert_eq!(Figure::from_number(8), None);
    }
}
