//! Which thread runs where: the way out of the kernel, wake-ups across processors, slices and the timer.
//!
//! Each processor has run queues of its own; a thread stands in one of them at most, that of its home. Priorities hold over
//! all processors: whoever leaves the kernel takes the best thread that waits anywhere, and whoever puts a thread into a
//! queue calls a processor that runs something lower. So when nobody is on the way, no thread waits while a lower one
//! runs or a processor idles. Among equals, those of one processor take turns; nobody evens out queues of busy processors.
//!
//! A thread that is woken goes, in this order: on the processor that woke it, if that has nothing better to do (so a
//! call and its reply stay where they are); to its home, if it would run there at once; to an idle processor; to the
//! one that runs the lowest thread; into the queue of its home.
//!
//! The timing wheel belongs to all. One processor, the timekeeper, has its timer set no later than the wheel's next event;
//! the others' timers are for their own slices. Whoever finds the event uncovered on the way out becomes the timekeeper.

use crate::accounts::Bill;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::name::Link;
use crate::objects::{Task, Thread, ThreadState};
use crate::processor::ProcessorSet;
use crate::scheduler::{Choice, SLICE_NS};

/// Steps that the timing wheel takes in one kernel entry, so that an entry stays bounded; the rest follow at once in the next.
const TIMER_STEPS_PER_ENTRY: u32 = 64;

/// Threads that are found to be less urgent than was thought in one kernel entry.
pub(crate) const DEMOTIONS_PER_ENTRY: u32 = 32;

/// Rank of a processor that has nothing to run; otherwise the rank is a priority.
const IDLE: i32 = -1;

impl<M: Machine> Kernel<M> {
    /// Takes the timer's interrupt.
    pub fn timer_interrupt(&mut self) {
        self.processors[self.here].armed_until = u64::MAX;
        let current = self.current();
        if current.is_none() {
            return;
        }
        let now = self.machine.now();
        if now >= self.processors[self.here].exhausted_at {
            self.settle();
        }
        if now < self.processors[self.here].slice_end {
            return;
        }
        let priority = self.machine.object::<Thread>(current).priority;
        let processor = &mut self.processors[self.here];
        if processor.scheduler.has_rival(priority) {
            processor.slice_end = u64::MAX;
            processor.yields = true;
        }
    }

    /// Lets the current thread fall behind its equals.
    pub(crate) fn yield_now(&mut self) {
        self.processors[self.here].yields = true;
    }

    /// Ends a kernel entry: fires what is due, chooses the thread that runs next and makes its address space active.
    /// `None`: wait for an interrupt.
    pub fn leave(&mut self) -> Option<Link> {
        self.fire_timers();
        self.processors[self.here].called = false;
        let mut demotions = DEMOTIONS_PER_ENTRY;
        loop {
            let running = self.current();
            let next = self.choose();
            if next.is_none() {
                self.bill(Bill::NONE);
                self.drop_address_space();
                self.arm_timer(None);
                self.trace_switch(Link::NONE);
                return None;
            }
            if !self.admit(next) {
                demotions -= 1;
                if demotions != 0 {
                    self.fall_back(next, next == running);
                    continue;
                }
                self.look_again_at_once(next);
            }
            if self.switch_to(next) {
                let priority = self.machine.object::<Thread>(next).priority;
                self.arm_timer(Some(priority));
                self.trace_switch(next);
                return Some(next);
            }
        }
    }

    /// A thread that was chosen is less urgent than it was thought to be: it waits behind its new equals.
    fn fall_back(&mut self, link: Link, was_running: bool) {
        if was_running {
            self.processors[self.here].yields = true;
        } else {
            self.processors[self.here].scheduler.current = Link::NONE;
            self.queue_up(link, false);
        }
    }

    /// There may be better ones than this thread, but looking for them has taken long: it runs as if it were the best, and the
    /// timer interrupts it before it has done anything.
    fn look_again_at_once(&mut self, link: Link) {
        let processor = &mut self.processors[self.here];
        processor.exhausted_at = 0;
        let best = u8::try_from(processor.scheduler.best_queued()).unwrap_or(0);
        let thread = self.machine.object::<Thread>(link);
        thread.priority = thread.priority.max(best);
    }

    /// Chooses the next thread, makes it the current one, and finds places for those that could run but do not.
    fn choose(&mut self) -> Link {
        let (here, current) = (self.here, self.current());
        let runnable =
            current.is_some() && self.machine.object::<Thread>(current).state == ThreadState::Ready;
        let yields = core::mem::replace(&mut self.processors[here].yields, false);
        let scheduler = &mut self.processors[here].scheduler;
        let Choice { next, displaced, passed_over } = scheduler.choose(&mut self.machine, runnable, yields);
        scheduler.current = next;
        self.note_waiting();
        let better = if self.processor_count == 1 { Link::NONE } else { self.steal(next) };
        if better.is_some() {
            self.processors[here].scheduler.current = better;
            if next.is_some() {
                self.queue_up(next, true);
            }
        }
        if passed_over.is_some() {
            self.queue_up(passed_over, false);
        }
        if displaced.is_some() {
            self.queue_up(displaced, !yields);
        }
        if self.processor_count > 1 {
            self.hand_on();
        }
        self.current()
    }

    /// Gives threads that wait here to processors that run lower ones: they were meant to run here, and something better
    /// has come between. Every thread given away raises what its processor does, so each gets one at most.
    fn hand_on(&mut self) {
        for _ in 1..self.processor_count {
            let best = self.processors[self.here].scheduler.best_queued();
            let (here, count) = (self.here, self.processor_count);
            let others = (0..count).filter(|&processor| processor != here);
            if best < 0 || others.map(|processor| self.busy_with(processor)).min() >= Some(best) {
                return;
            }
            let link = self.processors[self.here].scheduler.dequeue(&mut self.machine, best as usize);
            self.note_waiting();
            self.queue_up(link, false);
        }
    }

    /// Takes a thread that is better than the one chosen here out of another processor's queue.
    fn steal(&mut self, chosen: Link) -> Link {
        let mut best = self.rank_of(chosen);
        // Most often nothing better waits anywhere.
        if u64::from(self.waiting) >> (best + 1) == 0 {
            return Link::NONE;
        }
        let mut victim = None;
        for processor in 0..self.processor_count {
            let rank = self.processors[processor].scheduler.best_queued();
            if processor != self.here && rank > best {
                (best, victim) = (rank, Some(processor));
            }
        }
        let Some(victim) = victim else { return Link::NONE };
        let link = self.processors[victim].scheduler.dequeue(&mut self.machine, best as usize);
        self.processors[self.here].counters.steals += 1;
        self.note_waiting();
        link
    }

    /// Makes a thread's address space active and finishes what it waited for. False: it cannot run now after all.
    fn switch_to(&mut self, link: Link) -> bool {
        let task = self.machine.object::<Thread>(link).task.link;
        if task != self.processors[self.here].active_task {
            self.switches += 1;
            let object = self.machine.object::<Task>(task);
            object.last_run = self.switches;
            let root = object.root;
            self.machine.activate(root);
            self.processors[self.here].active_task = task;
        }
        let thread = self.machine.object::<Thread>(link);
        thread.home = self.here as u8;
        let (unfinished, base) = (thread.unfinished, thread.context.fs_base);
        self.machine.set_local_base(base);
        !unfinished || self.finish_waiting(link)
    }

    /// Leaves the active address space for the kernel's own. An idle processor does so, so that nobody has to wake it to
    /// change or end an address space.
    pub(crate) fn drop_address_space(&mut self) {
        let active = &mut self.processors[self.here].active_task;
        if core::mem::replace(active, Link::NONE).is_some() {
            self.machine.activate(0);
        }
    }

    fn fire_timers(&mut self) {
        // Reading the clock is not free: only when something can be due.
        if self.timers.next_event() == u64::MAX {
            return;
        }
        let now = self.machine.now();
        if now < self.timers.next_event() {
            return;
        }
        let mut steps = TIMER_STEPS_PER_ENTRY;
        while let Some(link) = self.timers.expire(&mut self.machine, now, &mut steps) {
            self.expired(link);
        }
    }

    /// Has the timer fire for the end of a slice where an equal waits, and for the next deadline unless another processor's
    /// timer does. Arming again only ever brings the interrupt forward: one that comes for nothing does no harm.
    pub(crate) fn arm_timer(&mut self, running: Option<u8>) {
        let event = self.timers.next_event();
        let keeper = self.timekeeper;
        let is_covered = keeper != self.here && self.processors[keeper].armed_until <= event;
        let mut wanted = u64::MAX;
        if !is_covered {
            (self.timekeeper, wanted) = (self.here, event);
        }
        let processor = &mut self.processors[self.here];
        if running.is_some() {
            wanted = wanted.min(processor.exhausted_at);
        }
        if running.is_some_and(|priority| processor.scheduler.has_rival(priority)) {
            // A slice goes on when a better thread has run in between, or those who never let it end would starve equals.
            if processor.slice_end == u64::MAX {
                processor.slice_end = self.machine.now().saturating_add(SLICE_NS);
            }
            wanted = wanted.min(processor.slice_end);
        }
        if wanted < processor.armed_until {
            processor.armed_until = wanted;
            self.machine.set_timer(wanted);
        }
    }

    /// Makes a blocked thread run again.
    pub(crate) fn make_ready(&mut self, link: Link) {
        self.machine.object::<Thread>(link).state = ThreadState::Ready;
        if link == self.current() {
            return;
        }
        let scheduler = &mut self.processors[self.here].scheduler;
        if scheduler.handoff.is_none() {
            scheduler.handoff = link;
        } else {
            self.queue_up(link, false);
        }
    }

    /// Puts the thread that was woken after the choice was made into a queue.
    pub(crate) fn queue_woken(&mut self) {
        let woken = core::mem::replace(&mut self.processors[self.here].scheduler.handoff, Link::NONE);
        if woken.is_some() {
            self.queue_up(woken, false);
        }
    }

    /// Puts a thread that can run, and does not run here, into a queue, and calls the processor if it must look.
    pub(crate) fn queue_up(&mut self, link: Link, front: bool) {
        let to = if self.processor_count == 1 { 0 } else { self.processor_for(link) };
        let thread = self.machine.object::<Thread>(link);
        thread.home = to as u8;
        let priority = thread.priority;
        let is_here = to == self.here;
        self.processors[to].scheduler.enqueue(&mut self.machine, link, front && is_here);
        if !front {
            self.fall_behind(link);
        }
        self.waiting |= 1 << priority;
        // An equal is a reason too: the other one's slice must end.
        let running = self.processors[to].scheduler.current;
        if !is_here && i32::from(priority) >= self.rank_of(running) {
            self.call_processor(to);
        }
    }

    /// Gives a thread another priority, wherever it is.
    pub(crate) fn change_priority(&mut self, link: Link, priority: u8) {
        let Thread { priority: old, queued, home, .. } = *self.machine.object::<Thread>(link);
        if priority == old {
            return;
        }
        if queued {
            self.processors[usize::from(home)].scheduler.remove(&mut self.machine, link);
            self.note_waiting();
        }
        self.machine.object::<Thread>(link).priority = priority;
        if queued {
            self.queue_up(link, false);
        }
    }

    fn processor_for(&mut self, link: Link) -> usize {
        let Thread { home, priority, .. } = *self.machine.object::<Thread>(link);
        let (home, rank) = (usize::from(home), i32::from(priority));
        // One that was called comes for another thread.
        if !self.processors[home].called && self.busy_with(home) < rank {
            return home;
        }
        let (mut lowest, mut place) = (rank, home);
        for processor in 0..self.processor_count {
            let busy = self.busy_with(processor);
            if busy < lowest {
                (lowest, place) = (busy, processor);
            }
        }
        place
    }

    fn rank_of(&mut self, link: Link) -> i32 {
        if link.is_none() { IDLE } else { i32::from(self.machine.object::<Thread>(link).priority) }
    }

    /// Rank of what a processor runs, or will as soon as it comes to look.
    fn busy_with(&mut self, processor: usize) -> i32 {
        let scheduler = &self.processors[processor].scheduler;
        let (current, handoff, queued) = (scheduler.current, scheduler.handoff, scheduler.best_queued());
        let runs = current.is_some() && self.machine.object::<Thread>(current).state == ThreadState::Ready;
        let running = if runs { self.rank_of(current) } else { IDLE };
        running.max(self.rank_of(handoff)).max(queued)
    }

    fn call_processor(&mut self, processor: usize) {
        if !core::mem::replace(&mut self.processors[processor].called, true) {
            self.processors[self.here].counters.wakes_sent += 1;
            self.machine.call_processor(processor);
        }
    }

    fn note_waiting(&mut self) {
        if self.processor_count == 1 {
            self.waiting = self.processors[0].scheduler.occupied;
            return;
        }
        let processors = &self.processors[..self.processor_count];
        self.waiting = processors.iter().fold(0, |all, processor| all | processor.scheduler.occupied);
    }

    /// Takes a thread that is to run no more away from the processors: out of a queue, or from under another processor. When
    /// this returns no processor runs it, and none but this one has its address space active for its sake.
    pub(crate) fn take_off(&mut self, link: Link) {
        let home = usize::from(self.machine.object::<Thread>(link).home);
        if home != self.here && self.processors[home].scheduler.current == link {
            let there = &mut self.processors[home];
            (there.scheduler.current, there.active_task, there.called) = (Link::NONE, Link::NONE, true);
            self.processors[self.here].counters.stops_sent += 1;
            self.machine.stop_processor(home);
            return;
        }
        let scheduler = &mut self.processors[self.here].scheduler;
        if scheduler.handoff == link {
            scheduler.handoff = Link::NONE;
        } else if self.machine.object::<Thread>(link).queued {
            self.processors[home].scheduler.remove(&mut self.machine, link);
            self.note_waiting();
        }
    }

    /// The processors that may remember translations of a task.
    pub(crate) fn processors_with(&self, task: Link) -> ProcessorSet {
        let mut found = ProcessorSet::EMPTY;
        for (number, processor) in self.processors[..self.processor_count].iter().enumerate() {
            if processor.active_task == task {
                found.insert(number);
            }
        }
        found
    }
}
