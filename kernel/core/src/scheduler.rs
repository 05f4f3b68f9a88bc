//! Which thread runs next: strict priorities, round robin among equals.
//!
//! The thread that an operation wakes is kept aside ([`Scheduler::handoff`]), so that a call to a waiting server
//! and its reply never touch a run queue. There is one scheduler a processor.

use crate::machine::Machine;
use crate::name::Link;
use crate::objects::Thread;
use crate::queue::Queue;
use kernel_abi::PRIORITY_MAX;

pub(crate) const PRIORITIES: usize = PRIORITY_MAX as usize + 1;

/// Longest time a thread runs while an equal waits, in nanoseconds.
pub const SLICE_NS: u64 = 5_000_000;

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

    /// Notes that a thread, which is not the current one, can run.
    pub fn wake(&mut self, machine: &mut impl Machine, link: Link) {
        if self.handoff.is_none() {
            self.handoff = link;
        } else {
            self.enqueue(machine, link, false);
        }
    }

    /// Forgets a thread that was woken and is to run no more.
    pub fn remove(&mut self, machine: &mut impl Machine, link: Link) {
        if self.handoff == link {
            self.handoff = Link::NONE;
        } else if machine.object::<Thread>(link).queued {
            let thread = machine.object::<Thread>(link);
            thread.queued = false;
            let priority = usize::from(thread.priority);
            self.queues[priority].remove(machine, link);
            self.note_empty(priority);
        }
    }

    /// Chooses among the current thread (if `runnable`), the one woken last and the queues. The current thread goes on
    /// among equals, unless it `yields`. The loser goes back to the queues.
    pub fn choose(&mut self, machine: &mut impl Machine, runnable: bool, yields: bool) -> Link {
        let current = if runnable { self.current } else { Link::NONE };
        let woken = core::mem::replace(&mut self.handoff, Link::NONE);
        if current.is_some() && woken.is_none() && self.occupied == 0 {
            return current;
        }
        let rank = |machine: &mut _, link: Link| {
            if link.is_none() { -1 } else { i32::from(Machine::object::<Thread>(machine, link).priority) }
        };
        let current_rank = rank(machine, current);
        let woken_rank = rank(machine, woken);
        let queued_rank = 31 - self.occupied.leading_zeros() as i32;
        let current_key = 4 * current_rank + if yields { 0 } else { 3 };
        let (woken_key, queued_key) = (4 * woken_rank + 2, 4 * queued_rank + 1);
        let best = current_key.max(woken_key).max(queued_key);
        if best < 0 {
            return Link::NONE;
        }
        if woken.is_some() && best != woken_key {
            self.enqueue(machine, woken, false);
        }
        if current.is_some() && best != current_key {
            self.enqueue(machine, current, !yields);
        }
        if best == current_key {
            current
        } else if best == woken_key {
            woken
        } else {
            self.dequeue(machine, queued_rank as usize)
        }
    }

    /// Whether a thread of this priority that is woken by one that goes to wait runs next.
    pub fn allows_handoff(&self, priority: u8) -> bool {
        self.handoff.is_none() && self.occupied >> priority <= 1
    }

    /// Whether an equal or better thread waits behind one of this priority.
    pub fn has_rival(&self, priority: u8) -> bool {
        self.occupied >> priority != 0
    }

    fn enqueue(&mut self, machine: &mut impl Machine, link: Link, front: bool) {
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

    fn dequeue(&mut self, machine: &mut impl Machine, priority: usize) -> Link {
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
        let links: std::vec::Vec<_> = (0..priorities.len() as u32).map(|n| Link::new(1 + n, 0)).collect();
        for (&link, &priority) in links.iter().zip(priorities) {
            machine.frame(link.frame()).unwrap().take_for(FrameKind::Thread);
            machine.format::<Thread>(link.frame());
            machine.object::<Thread>(link).priority = priority;
        }
        (machine, links)
    }

    #[test]
    fn the_highest_priority_runs_and_equals_take_turns() {
        let (mut machine, links) = threads(&[3, 5, 5, 1]);
        let mut scheduler = Scheduler::EMPTY;
        for &link in &links {
            scheduler.wake(&mut machine, link);
        }
        let mut order = std::vec::Vec::new();
        for _ in 0..4 {
            scheduler.current = scheduler.choose(&mut machine, true, true);
            order.push(scheduler.current);
        }
        assert_eq!(order, [links[1], links[2], links[1], links[2]]);
        scheduler.remove(&mut machine, links[1]);
        assert_eq!(scheduler.choose(&mut machine, false, false), links[0]);
        scheduler.current = Link::NONE;
        assert_eq!(scheduler.choose(&mut machine, false, false), links[3]);
        assert_eq!(scheduler.choose(&mut machine, false, false), Link::NONE);
    }

    #[test]
    fn the_woken_thread_preempts_only_if_it_is_better() {
        let (mut machine, links) = threads(&[4, 4, 6]);
        let mut scheduler = Scheduler { current: links[0], ..Scheduler::EMPTY };
        scheduler.wake(&mut machine, links[1]);
        assert_eq!(scheduler.choose(&mut machine, true, false), links[0], "an equal does not preempt");
        scheduler.wake(&mut machine, links[2]);
        assert_eq!(scheduler.choose(&mut machine, true, false), links[2]);
        scheduler.current = links[2];
        assert_eq!(scheduler.choose(&mut machine, false, false), links[0], "the preempted one is first");
    }
}
