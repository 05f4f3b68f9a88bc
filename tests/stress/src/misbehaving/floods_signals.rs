//! Signals and timers without end.
//!
//! Laws 5 and 8: a signal sets bits in a place that is there already, a timer is one entry of a wheel; neither allocates nor
//! queues, so a flood costs its sender alone. The task signals its own notifications, arms every timer it has for the
//! past, for the next nanosecond and for never, again and again, waits with deadlines that have passed, and tries to signal
//! what it was given for other purposes.

use super::Attacker;
use alloc::vec::Vec;
use kernel_runtime::layout::{CONTRACT, SPACE, TASK};
use kernel_runtime::notification::Notification;
use kernel_runtime::{Deadline, clock, syscall};
use tests_guest::Failed;
use tests_stress_core::tally::Counter;

/// Notifications.
const NOTIFICATIONS: usize = 16;
/// Signals of one round.
const SIGNALS: u64 = 1000;

/// One round.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, .. } = attacker;
    let made: Result<Vec<_>, _> = (0..NOTIFICATIONS).map(|_| Notification::new()).collect();
    let all = made.map_err(|error| ("notification", error))?;
    for _ in 0..SIGNALS {
        page.count(Counter::Tried);
        let one = &all[random.below(NOTIFICATIONS as u64) as usize];
        let moment = [0, 1, clock::now(), clock::now() + 1, u64::MAX][random.below(5) as usize];
        let _ = syscall::timer_set(one.handle(), moment, random.number());
        let signalled = one.signaller(1).and_then(|capability| syscall::signal(capability.handle()));
        page.check(signalled.is_ok(), format_args!("a signal failed: {signalled:?}"));
        let bits = one.wait(Deadline::at(1)).or_else(|_| one.poll());
        page.check(bits.is_ok_and(|bits| bits & 1 == 1), format_args!("a signal was lost: {bits:?}"));
        page.count(Counter::Granted);
    }
    for handle in [CONTRACT, SPACE, TASK] {
        page.count(Counter::Tried);
        let refused = syscall::signal(handle).is_err();
        page.check(refused, format_args!("handle {} was signalled", handle.0));
        page.count(Counter::Refused);
    }
    Ok(())
}
