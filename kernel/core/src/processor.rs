//! What belongs to one processor: which thread it runs, which address space is active on it, when its timer fires, what
//! it has done.
//!
//! Processors are numbered from 0, the one that booted. Between two kernel entries a processor either runs its current
//! thread in user mode, with the thread's address space active, or idles with the kernel's own. So the processors that may
//! remember translations of a task are those on which it is the active one: address spaces have no tags, and a
//! processor that leaves one forgets it.

use crate::accounts::Bill;
use crate::name::Link;
use crate::scheduler::Scheduler;
use kernel_abi::call::ProcessorCounter;

/// Processors that the kernel uses at most; of a machine with more, the others stay switched off.
pub const PROCESSORS_MAX: usize = 16;

/// A set of processors.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ProcessorSet(u32);

const _: () = assert!(PROCESSORS_MAX <= 32);

impl ProcessorSet {
    /// No processor.
    pub const EMPTY: ProcessorSet = ProcessorSet(0);

    /// Adds a processor.
    pub fn insert(&mut self, processor: usize) {
        self.0 |= 1 << processor;
    }

    /// The set without a processor.
    #[must_use]
    pub fn without(self, processor: usize) -> ProcessorSet {
        ProcessorSet(self.0 & !(1 << processor))
    }

    /// Whether a processor is in it.
    pub fn contains(self, processor: usize) -> bool {
        self.0 >> processor & 1 == 1
    }

    /// Number of processors in it.
    pub fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// Its processors, ascending.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..PROCESSORS_MAX).filter(move |&processor| self.contains(processor))
    }
}

/// What a processor has done for others since boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Interrupts sent to other processors because a thread waits for them.
    pub wakes_sent: u64,
    /// Batches of changed mappings for which translations had to be forgotten, here or elsewhere.
    pub shootdowns: u64,
    /// Interrupts sent to other processors for these.
    pub shootdowns_sent: u64,
    /// Threads of other processors that were stopped.
    pub stops_sent: u64,
    /// Threads taken from other processors' queues.
    pub steals: u64,
}

impl Counters {
    /// One of them.
    pub fn get(&self, counter: ProcessorCounter) -> u64 {
        match counter {
            ProcessorCounter::WakesSent => self.wakes_sent,
            ProcessorCounter::Shootdowns => self.shootdowns,
            ProcessorCounter::ShootdownsSent => self.shootdowns_sent,
            ProcessorCounter::StopsSent => self.stops_sent,
            ProcessorCounter::Steals => self.steals,
        }
    }
}

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
    /// Whom it works for.
    pub(crate) bill: Bill,
    /// When it was billed for last.
    pub(crate) billed_until: u64,
    /// When the budget will be used up that pays for what it does.
    pub(crate) exhausted_at: u64,
    /// The running thread is to fall behind its equals.
    pub yields: bool,
    /// It has been sent for: an interrupt is on its way, by which it comes to look at the queues.
    pub called: bool,
    /// What it has done.
    pub counters: Counters,
}

impl Processor {
    /// Idle, with no address space but the kernel's own.
    pub const IDLE: Processor = Processor {
        scheduler: Scheduler::EMPTY,
        active_task: Link::NONE,
        armed_until: u64::MAX,
        slice_end: u64::MAX,
        bill: Bill::NONE,
        billed_until: 0,
        exhausted_at: u64::MAX,
        yields: false,
        called: false,
        counters: Counters { wakes_sent: 0, shootdowns: 0, shootdowns_sent: 0, stops_sent: 0, steals: 0 },
    };

    /// Whether a running thread with an equal behind it will be stopped in time, without the timer being set anew.
    pub fn slice_is_timed(&self) -> bool {
        self.slice_end != u64::MAX && self.armed_until <= self.slice_end
    }
}
