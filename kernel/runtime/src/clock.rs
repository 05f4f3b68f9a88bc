//! The time without a call: the clock page turns the processor's time-stamp counter into nanoseconds.
//!
//! The page is mapped when a task first asks. Moments are nanoseconds since boot, the same for all tasks.

use crate::layout;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use kernel_abi::boot::ClockPage;

/// Until when a call may wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadline(u64);

impl Deadline {
    /// As long as it takes.
    pub const NEVER: Deadline = Deadline(0);

    /// Not to wait at all.
    pub const PASSED: Deadline = Deadline(1);

    /// At a moment, in nanoseconds since boot.
    pub const fn at(nanoseconds: u64) -> Deadline {
        // Zero means never to the kernel.
        Deadline(if nanoseconds == 0 { 1 } else { nanoseconds })
    }

    /// This long from now.
    pub fn after(duration: Duration) -> Deadline {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Deadline::at(now().saturating_add(nanoseconds))
    }

    /// As the kernel wants it.
    pub const fn nanoseconds(self) -> u64 {
        self.0
    }

    /// Whether it has passed.
    pub fn has_passed(self) -> bool {
        self != Deadline::NEVER && now() >= self.0
    }
}

static MAPPED: AtomicBool = AtomicBool::new(false);

/// Says that the clock page is mapped at [`layout::CLOCK_PAGE`]. For physmem, which maps its own.
pub fn page_is_mapped() {
    MAPPED.store(true, Ordering::Release);
}

/// Nanoseconds since boot. 0 where the clock page cannot be had.
pub fn now() -> u64 {
    page().map_or(0, |page| page.nanoseconds(ticks()))
}

/// How the time-stamp counter is to be read. `None` where the clock page cannot be had.
pub fn page() -> Option<ClockPage> {
    if !MAPPED.load(Ordering::Acquire) && !map() {
        return None;
    }
    // SAFETY: the page is mapped, read-only, for the life of the task, and never changes.
    Some(unsafe { core::ptr::read_volatile(layout::CLOCK_PAGE as *const ClockPage) })
}

/// The time-stamp counter as it is.
pub fn ticks() -> u64 {
    // SAFETY: the kernel allows RDTSC in user mode (CR4.TSD is 0).
    unsafe { core::arch::x86_64::_rdtsc() }
}

fn map() -> bool {
    use crate::ipc::{CallError, call};
    use containers_api::MemoryError;
    use containers_api::space::MapClock;
    let request = MapClock { address: layout::CLOCK_PAGE };
    let mapped = match call(layout::SPACE, &request, &[], Deadline::NEVER) {
        Ok(_) => true,
        // Another thread was faster.
        Err(CallError::Refused(refusal)) => refusal.error == MemoryError::Mapped,
        Err(_) => false,
    };
    if mapped {
        page_is_mapped();
    }
    mapped
}
