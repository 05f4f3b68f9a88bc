//! Which thread runs next: strict priorities, round robin among equals.
//!
//! The thread that an operation wakes is kept aside ([`Scheduler::handoff`]), so that a call to a waiting server
//! and its reply never touch a run queue. There is one scheduler a processor; what they do for each other is in
//! [`crate::dispatch`].

use crate::machine::Machine;
use crate::name::Link;
use crate::objects::Thread;
use crate::queue::Queue;
use kernel_abi::PRIORITY_MAX;

pub(crate) const PRIORITIES: usize = PRIORITY_MAX as usize + 1;

/// Longest time a thread runs while an equal waits, in nanoseconds.
pub const SLICE_NS: u64 = 5_000_000;

/// What a processor does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Choice {
    /// The thread that runs; none: nothing to run.
    pub next: Link,
    /// The thread that ran and could go on, but does not.
    pub displaced: Link,
    /// The thread that was woken, where it does not run.
    pub passed_over: Link,
}

/// Run queues of one processor.
pub struct Scheduler {
    /// The thread that runs; none while idle.
    pub current: Link,
    pub(crate) handoff: Link,
    pub(crate) occupied: u32,
    pub(crate) queues: [Queue; PRIORITIES],
}

impl Scheduler {
    /// Nothing to run.
    pub const EMPTY: Scheduler = Scheduler {
        current: Link::NONE,
        handoff: Link::NONE,
        occupied: 0,
        queues: [Queue::EMPTY; PRIORITIES],
    };

    /// Forgets a thread that stands in a queue and is to run no more.
    pub fn remove(&mut self, machine: &mut impl Machine, link: Link) {
        let thread = machine.object::<Thread>(link);
        thread.queued = false;
        let priority = usize::from(thread.priority);
        self.queues[priority].remove(machine, link);
        self.note_empty(priority);
    }

    /// Chooses among the current thread (if `runnable`), the one woken last and the queues. The current thread goes on
    /// among equals, unless it `yields`.
    pub fn choose(&mut self, machine: &mut impl Machine, runnable: bool, yields: bool) -> Choice {
        let current = if runnable { self.current } else { Link::NONE };
        let woken = core::mem::replace(&mut self.handoff, Link::NONE);
        let mut choice = Choice { next: current, displaced: Link::NONE, passed_over: Link::NONE };
        if current.is_some() && woken.is_none() && self.occupied == 0 {
            return choice;
        }
        let rank = |machine: &mut _, link: Link| {
            if link.is_none() { -1 } else { i32::from(Machine::object::<Thread>(machine, link).priority) }
        };
        let current_key = 4 * rank(machine, current) + if yields { 0 } else { 3 };
        let queued_rank = self.best_queued();
        let (woken_key, queued_key) = (4 * rank(machine, woken) + 2, 4 * queued_rank + 1);
        let best = current_key.max(woken_key).max(queued_key);
        if best < 0 {
            return choice;
        }
        if best != current_key {
            choice.displaced = current;
        }
        if best != woken_key {
            choice.passed_over = woken;
        }
        choice.next = if best == current_key {
            current
        } else if best == woken_key {
            woken
        } else {
            self.dequeue(machine, queued_rank as usize)
        };
        choice
    }

    /// Priority of the best thread in the queues; -1: they are empty.
    pub fn best_queued(&self) -> i32 {
        31 - self.occupied.leading_zeros() as i32
    }

    /// Whether an equal or better thread waits behind one of this priority.
    pub fn has_rival(&self, priority: u8) -> bool {
        self.occupied >> priority != 0
    }

    /// Puts a thread into the queue of its priority.
    pub fn enqueue(&mut self, machine: &mut impl Machine, link: Link, front: bool) {
        let thread = machine.object::<Thread>(link);
        thread.queued = true;
        let priority = usize::from(thread.priority);
        self.occupied |= 1 << priority;
        if front {
            self.queues[priority].push_front(machine, link);
        } else {
            self.queues[priority].push(machine, link);
        }
    }

    /// Takes the first thread of a priority, of which there is one.
    pub fn dequeue(&mut self, machine: &mut impl Machine, priority: usize) -> Link {
        let link = self.queues[priority].pop(machine);
        machine.object::<Thread>(link).queued = false;
        self.note_empty(priority);
        link
    }

    fn note_empty(&mut self, priority: usize) {
        if self.queues[priority].is_empty() {
            self.occupied &= !(1 << priority);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame_table::FrameKind;
    use crate::host::HostMachine;

    fn threads(priorities: &[u8]) -> (HostMachine, std::vec::Vec<Link>) {
        let mut machine = HostMachine::new(64);
        let links: std::vec::Vec<_> =
            (0..priorities.len() as u32).map(|n| Link::new::<Thread>(1 + n, 0)).collect();
        for (&link, &priority) in links.iter().zip(priorities) {
            machine.frame(link.frame()).unwrap().take_for(FrameKind::Thread);
            machine.format::<Thread>(link.frame());
            machine.object::<Thread>(link).priority = priority;
        }
        (machine, links)
    }

    /// What a processor alone in its machine does with a choice.
    fn run_next(scheduler: &mut Scheduler, machine: &mut HostMachine, runnable: bool, yields: bool) -> Link {
        let choice = scheduler.choose(machine, runnable, yields);
        if choice.passed_over.is_some() {
            scheduler.enqueue(machine, choice.passed_over, false);
        }
        if choice.displaced.is_some() {
            scheduler.enqueue(machine, choice.displaced, !yields);
        }
        scheduler.current = choice.next;
        choice.next
    }

    #[test]
    fn the_highest_priority_runs_and_equals_take_turns() {
        let (mut machine, links) = threads(&[3, 5, 5, 1]);
        let mut scheduler = Scheduler::EMPTY;
        for &link in &links {
            scheduler.enqueue(&mut machine, link, false);
        }
        let order: std::vec::Vec<_> =
            (0..4).map(|_| run_next(&mut scheduler, &mut machine, true, true)).collect();
        assert_eq!(order, [links[1], links[2], links[1], links[2]]);
        scheduler.remove(&mut machine, links[1]);
        assert_eq!(run_next(&mut scheduler, &mut machine, false, false), links[0]);
        assert_eq!(run_next(&mut scheduler, &mut machine, false, false), links[3]);
        assert_eq!(run_next(&mut scheduler, &mut machine, false, false), Link::NONE);
    }

    #[test]
    fn the_woken_thread_preempts_only_if_it_is_better() {
        let (mut machine, links) = threads(&[4, 4, 6]);
        let mut scheduler = Scheduler { current: links[0], handoff: links[1], ..Scheduler::EMPTY };
        let choice = scheduler.choose(&mut machine, true, false);
        let expected = Choice { next: links[0], displaced: Link::NONE, passed_over: links[1] };
        assert_eq!(choice, expected, "an equal does not preempt");
        scheduler.handoff = links[2];
        let choice = scheduler.choose(&mut machine, true, false);
        assert_eq!(choice, Choice { next: links[2], displaced: links[0], passed_over: Link::NONE });
    }

    #[test]
    fn the_preempted_thread_is_first_among_its_equals() {
        let (mut machine, links) = threads(&[4, 4, 6]);
        let mut scheduler = Scheduler { current: links[0], handoff: links[2], ..Scheduler::EMPTY };
        scheduler.enqueue(&mut machine, links[1], false);
        assert_eq!(run_next(&mut scheduler, &mut machine, true, false), links[2]);
        assert_eq!(run_next(&mut scheduler, &mut machine, false, false), links[0]);
    }
}
