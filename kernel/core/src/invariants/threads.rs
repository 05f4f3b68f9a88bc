//! Threads: each is in the one queue that its state says, and in its task's list; deadlines belong to who waits.

use crate::host::HostMachine;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::name::{Link, ObjectName};
use crate::objects::{Endpoint, Notification, Schedule, Task, Thread, ThreadState};
use crate::queue::Queue;
use crate::timer::{LEVELS, SLOTS};
use std::collections::BTreeSet;

/// Threads on which a walk of a queue gives up: there must be a ring in it.
const ENDLESS: usize = 1 << 20;

impl Kernel<HostMachine> {
    pub(super) fn check_threads(&mut self) {
        let queued = self.check_run_queues();
        let waiting = self.check_endpoints();
        assert!(queued.is_disjoint(&waiting), "a thread is in two queues");
        self.check_notifications();
        for (link, thread) in self.live_threads() {
            self.check_thread(link, &thread, &queued, &waiting);
        }
        for (link, task) in self.live_tasks() {
            self.check_task_list(link, &task);
        }
        self.check_timers();
    }

    fn check_queue(&mut self, queue: &Queue, each: impl Fn(Link, &Thread)) -> BTreeSet<Link> {
        let (mut members, mut previous, mut at) = (BTreeSet::new(), Link::NONE, queue.first());
        while at.is_some() {
            let thread = *self.machine.object::<Thread>(at);
            assert_eq!(thread.previous, previous, "backward link of thread {at:?}");
            assert!(members.insert(at) && members.len() < ENDLESS, "thread {at:?} is in a queue twice");
            each(at, &thread);
            (previous, at) = (at, thread.next);
        }
        assert_eq!(queue.last(), previous, "end of a queue");
        members
    }

    fn check_run_queues(&mut self) -> BTreeSet<Link> {
        let (mut queued, mut waiting) = (BTreeSet::new(), 0);
        for processor in 0..self.processor_count {
            let members = self.check_queues_of(processor);
            assert!(queued.is_disjoint(&members), "a thread is in the queues of two processors");
            queued.extend(members);
            waiting |= self.processors[processor].scheduler.occupied;
        }
        assert_eq!(self.waiting, waiting, "note of all run queues");
        let mut running = BTreeSet::new();
        for processor in 0..self.processor_count {
            let current = self.processors[processor].scheduler.current;
            assert!(
                !queued.contains(&current),
                "the thread that processor {processor} runs is in a run queue"
            );
            assert!(current.is_none() || running.insert(current), "thread {current:?} runs twice");
            self.check_processor(processor, current, &queued);
        }
        queued
    }

    fn check_queues_of(&mut self, processor: usize) -> BTreeSet<Link> {
        let scheduler = &self.processors[processor].scheduler;
        let (queues, handoff, occupied) = (scheduler.queues, scheduler.handoff, scheduler.occupied);
        assert!(handoff.is_none(), "a thread that was woken is forgotten");
        let mut queued = BTreeSet::new();
        for (priority, queue) in queues.iter().enumerate() {
            let members = self.check_queue(queue, |link, thread| {
                assert_eq!(usize::from(thread.priority), priority, "priority of thread {link:?}");
                assert_eq!(usize::from(thread.home), processor, "home of thread {link:?}");
                let ready = thread.queued && thread.state == ThreadState::Ready;
                assert!(ready, "thread {link:?} in a run queue");
            });
            assert_eq!(occupied >> priority & 1 == 1, !members.is_empty(), "note of run queue {priority}");
            queued.extend(members);
        }
        queued
    }

    /// One processor: what it runs is what it has active, and nothing better waits unless somebody is on the way to it.
    fn check_processor(&mut self, processor: usize, current: Link, queued: &BTreeSet<Link>) {
        let (task, called) = (self.processors[processor].active_task, self.processors[processor].called);
        let active = self.machine.active_root(processor);
        let rank = if current.is_none() {
            assert_eq!((task, active), (Link::NONE, 0), "processor {processor} idles in an address space");
            -1
        } else {
            let thread = *self.machine.object::<Thread>(current);
            assert_eq!(
                thread.state,
                ThreadState::Ready,
                "state of the thread that processor {processor} runs"
            );
            assert_eq!(
                usize::from(thread.home),
                processor,
                "home of the thread that processor {processor} runs"
            );
            assert_eq!(task, thread.task.link, "active task of processor {processor}");
            let root = self.machine.object::<Task>(task).root;
            assert_eq!(active, root, "active address space of processor {processor}");
            i32::from(thread.priority)
        };
        assert!(
            !called || self.machine.is_called(processor),
            "processor {processor} waits for a call that was not made"
        );
        let better =
            queued.iter().filter(|&&link| self.machine.object::<Thread>(link).priority as i32 > rank);
        let (better, count) = (better.count(), self.processor_count);
        let coming = self.processors[..count].iter().filter(|processor| processor.called).count();
        let is_settled = called || better <= coming;
        assert!(
            is_settled,
            "processor {processor} runs at {rank}, {better} better threads wait, {coming} come"
        );
    }

    fn check_endpoints(&mut self) -> BTreeSet<Link> {
        let mut waiting = BTreeSet::new();
        for (place, endpoint) in self.all::<Endpoint>() {
            let both = !endpoint.has_no_senders() && !endpoint.receivers.is_empty();
            assert!(!both, "callers and receivers wait for each other at {place:?}");
            for (queue, state, is_fault) in [
                (endpoint.senders, ThreadState::Sending, false),
                (endpoint.faulters, ThreadState::Sending, true),
                (endpoint.receivers, ThreadState::Receiving, false),
            ] {
                let members = self.check_queue(&queue, |link, thread| {
                    assert_eq!((thread.state, thread.waits_for), (state, place), "thread {link:?}");
                    assert_eq!(thread.is_fault, is_fault, "thread {link:?}");
                });
                waiting.extend(members);
            }
        }
        waiting
    }

    fn check_notifications(&mut self) {
        for (place, notification) in self.all::<Notification>() {
            if notification.waiter.is_some() {
                let thread = *self.machine.object::<Thread>(notification.waiter);
                assert_eq!(
                    (thread.state, thread.waits_for),
                    (ThreadState::Waiting, place),
                    "who waits at {place:?}"
                );
                assert_eq!(notification.bits, 0, "bits wait although somebody waits for them at {place:?}");
            }
            if !notification.bound.is_none() {
                let thread = *self.machine.object::<Thread>(notification.bound.link);
                let name = self.name_of::<Notification>(place);
                assert_eq!(thread.bound, name, "who is bound to {place:?}");
                let deaf = thread.state == ThreadState::Receiving && notification.bits != 0;
                assert!(!deaf, "a bound thread receives although bits wait at {place:?}");
            }
            assert!(
                notification.live || !notification.timer.is_set(),
                "timer of no notification at {place:?}"
            );
        }
    }

    fn check_thread(
        &mut self,
        link: Link,
        thread: &Thread,
        queued: &BTreeSet<Link>,
        waiting: &BTreeSet<Link>,
    ) {
        use ThreadState::{AwaitingReply, Created, Empty, Ended, Ready, Receiving, Sending, Waiting};
        assert_eq!(thread.queued, queued.contains(&link), "thread {link:?} and its run queue");
        match thread.state {
            Ready => assert!(
                thread.queued || self.processors.iter().any(|processor| processor.scheduler.current == link),
                "thread {link:?} is forgotten"
            ),
            Sending | Receiving => assert!(waiting.contains(&link), "thread {link:?} waits in no queue"),
            Waiting => {
                let waiter = self.machine.object::<Notification>(thread.waits_for).waiter;
                assert_eq!(waiter, link, "thread {link:?} waits unknown to the notification");
            }
            Created | AwaitingReply => {}
            Empty | Ended => unreachable!("left out"),
        }
        let waits = matches!(thread.state, Sending | Receiving | Waiting);
        assert_eq!(waits, thread.waits_for.is_some(), "what thread {link:?} waits for ({:?})", thread.state);
        let may_expire = waits || thread.state == AwaitingReply;
        assert!(may_expire || !thread.timer.is_set(), "deadline of thread {link:?}, which does not wait");
        let task = *self.machine.object::<Task>(thread.task.link);
        assert_eq!(self.name_of::<Task>(thread.task.link), thread.task, "task of thread {link:?}");
        assert!(task.is_alive(), "thread {link:?} outlives its task");
        if let ObjectName { link: bound, .. } = thread.bound
            && bound.is_some()
        {
            let name = self.name_of::<Thread>(link);
            assert_eq!(self.machine.object::<Notification>(bound).bound, name, "binding of thread {link:?}");
        }
    }

    fn check_task_list(&mut self, link: Link, task: &Task) {
        let (mut members, mut previous, mut at) = (BTreeSet::new(), Link::NONE, task.threads);
        while at.is_some() {
            let thread = *self.machine.object::<Thread>(at);
            assert_eq!(thread.task_previous, previous, "backward link of thread {at:?} in task {link:?}");
            assert_eq!(thread.task.link, link, "task of thread {at:?}");
            assert!(members.insert(at), "thread {at:?} is in its task's list twice");
            (previous, at) = (at, thread.task_next);
        }
        let threads = self.live_threads();
        let of_task = threads.into_iter().filter(|(_, thread)| thread.task.link == link);
        let expected: BTreeSet<Link> = of_task.map(|(link, _)| link).collect();
        assert_eq!(members, expected, "list of threads of task {link:?}");
        assert_eq!(task.thread_count as usize, expected.len(), "count of threads of task {link:?}");
    }

    fn check_timers(&mut self) {
        let mut listed = BTreeSet::new();
        for level in 0..LEVELS {
            let is_occupied = self.timers.occupied[level] != 0;
            assert_eq!(self.timers.levels >> level & 1 == 1, is_occupied, "note of level {level}");
            for slot in 0..SLOTS {
                let (mut previous, mut at) = (Link::NONE, self.timers.heads[level][slot]);
                assert_eq!(
                    self.timers.occupied[level] >> slot & 1 == 1,
                    at.is_some(),
                    "note of slot {level}:{slot}"
                );
                while at.is_some() {
                    let node = *crate::timer::node(&mut self.machine, at);
                    assert_eq!(usize::from(node.place), level * SLOTS + slot, "place of timer {at:?}");
                    assert_eq!(node.previous, previous, "backward link of timer {at:?}");
                    assert!(listed.insert(at), "timer {at:?} is listed twice");
                    (previous, at) = (at, node.next);
                }
            }
        }
        let threads = self.all::<Thread>().into_iter().filter(|(_, thread)| thread.timer.is_set());
        let mut set: BTreeSet<Link> = threads.map(|(link, _)| link).collect();
        let notifications = self.all::<Notification>().into_iter().filter(|(_, entry)| entry.timer.is_set());
        set.extend(notifications.map(|(link, _)| link));
        let schedules = self.all::<Schedule>().into_iter().filter(|(_, entry)| entry.timer.is_set());
        set.extend(schedules.map(|(link, _)| link));
        assert_eq!(listed, set, "deadlines");
        let earliest =
            set.iter().map(|&link| crate::timer::node(&mut self.machine, link).deadline_tick).min();
        let latest_look =
            earliest.map_or(u64::MAX, |tick| (tick.max(self.timers.tick)) << crate::timer::TICK_SHIFT);
        assert!(self.timers.next_event() <= latest_look, "a deadline would be missed");
        let armed = self.processors[self.timekeeper].armed_until;
        assert!(armed <= self.timers.next_event(), "no processor's timer comes in time for a deadline");
    }
}
