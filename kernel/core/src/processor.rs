//! What belongs to one processor: which thread it runs, which address space is active on it, when its timer fires. There
//! is one so far; a second one is a second value of this type.

use crate::name::Link;
use crate::scheduler::Scheduler;

/// See the module.
pub struct Processor {
    /// Its run queues and the thread that runs.
    pub scheduler: Scheduler,
    /// Task whose address space is active.
    pub active_task: Link,
    /// Time for which its timer is set.
    pub armed_until: u64,
    /// When the running thread must let its equals run; set when there is one.
    pub slice_end: u64,
    /// The running thread is to fall behind its equals.
    pub yields: bool,
}

impl Processor {
    /// Idle, with no address space but the kernel's own.
    pub const IDLE: Processor = Processor {
        scheduler: Scheduler::EMPTY,
        active_task: Link::NONE,
        armed_until: u64::MAX,
        slice_end: u64::MAX,
        yields: false,
    };

    /// Whether a running thread with an equal behind it will be stopped in time, without the timer being set anew.
    pub fn slice_is_timed(&self) -> bool {
        self.slice_end != u64::MAX && self.armed_until <= self.slice_end
    }
}
