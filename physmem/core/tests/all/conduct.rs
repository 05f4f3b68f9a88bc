//! Conduct is judged by processor time: a call's deadline is real time for everybody, but who could not run loses no standing.

use crate::support::{Call, Space, World};
use containers_api::container::Allocate;
use containers_api::contract::{CallStat, CallStatus, ContractStatus};
use kernel_abi::schedule::WHOLE;
use physmem_core::limits::*;

/// What half of a processor comes to in the window.
const HALF_NS: u64 = CONDUCT_WINDOW_NS / 2;

/// A borrower with some tasks, whose extra frames somebody else waits for: it is called when their term is over.
struct Called {
    world: World,
    borrower: u64,
    tasks: Vec<Space>,
    deadline: u64,
}

impl Called {
    fn new(tasks: u32) -> Called {
        Called::working(tasks, 0)
    }

    /// With tasks each of which has worked for so long before.
    fn working(tasks: u32, used: u64) -> Called {
        let mut world = World::new(400);
        let owner = world.split(world.root(), 200);
        let borrower = world.split_with(world.root(), 100, 300, 0);
        let tasks: Vec<_> = (0..tasks).map(|_| world.space(borrower)).collect();
        for space in &tasks {
            world.machine.pmap.tasks.get_mut(&space.task.0).unwrap().used = used;
        }
        let container = world.container(borrower, 400);
        let allocate = |page| Allocate { first_page: page, pages: 1, any_contents: false };
        let full =
            (0..).find(|&page| matches!(world.call(container, &allocate(page), &[]), Call::Refused(_)));
        assert!(full > Some(100), "it holds extra frames");
        let wanted = world.container(owner, 150);
        let all = Allocate { first_page: 0, pages: 150, any_contents: false };
        assert!(matches!(world.call(wanted, &all, &[]), Call::Waits(_)));
        let until = world.now + EXTRA_TERM_NS;
        world.run_until(until);
        let status: CallStatus = world.ask(borrower, &CallStat {}, &[]);
        assert_eq!((status.sequence, status.deadline), (1, until + CALL_GRACE_NS));
        Called { world, borrower, tasks, deadline: until + CALL_GRACE_NS }
    }

    /// From now on a task waits for a processor, has been promised half of one, and has had so much time since the call.
    fn waits(&mut self, index: usize, had: u64) {
        let task = self.world.machine.pmap.tasks.get_mut(&self.tasks[index].task.0).unwrap();
        task.used += had;
        task.share_waiting = WHOLE / 2;
    }

    /// The deadline passes: what is lost then, and what has become of the standing.
    fn miss(mut self) -> ContractStatus {
        self.world.run_until(self.deadline);
        let entry = self.world.stat(self.borrower);
        assert!(entry.seized >= 80, "the deadline is real time: {entry:?}");
        let counters = self.world.machine.counters();
        let excused = u64::from(entry.standing == STANDING_MAX);
        assert_eq!((counters.calls_missed, counters.calls_excused), (1, excused));
        self.world.check();
        entry
    }
}

#[test]
fn who_could_not_run_loses_the_frames_and_no_standing() {
    let mut called = Called::new(1);
    called.waits(0, HALF_NS - 1);
    assert_eq!(called.miss().standing, STANDING_MAX);
}

#[test]
fn who_had_its_share_loses_standing_though_it_wants_more() {
    let mut called = Called::new(1);
    called.waits(0, HALF_NS);
    assert_eq!(called.miss().standing, STANDING_MAX - 1);
}

#[test]
fn who_sleeps_through_a_call_loses_standing() {
    assert_eq!(Called::new(1).miss().standing, STANDING_MAX - 1);
    assert_eq!(Called::new(0).miss().standing, STANDING_MAX - 1, "so does who has no task at all");
}

#[test]
fn what_other_tasks_of_the_contract_had_counts() {
    let mut called = Called::new(2);
    called.waits(0, 0);
    called.world.machine.pmap.tasks.get_mut(&called.tasks[1].task.0).unwrap().used += HALF_NS;
    assert_eq!(called.miss().standing, STANDING_MAX - 1);
}

#[test]
fn time_from_before_the_call_does_not_count() {
    let mut called = Called::working(1, 3 * HALF_NS);
    called.waits(0, HALF_NS - 1);
    assert_eq!(called.miss().standing, STANDING_MAX);
}

#[test]
fn who_has_more_tasks_than_are_looked_at_has_had_its_time() {
    let mut called = Called::new(CONDUCT_TASKS);
    (0..CONDUCT_TASKS as usize).for_each(|index| called.waits(index, 0));
    assert_eq!(called.miss().standing, STANDING_MAX);
    let mut called = Called::new(CONDUCT_TASKS + 1);
    (0..=CONDUCT_TASKS as usize).for_each(|index| called.waits(index, 0));
    assert_eq!(called.miss().standing, STANDING_MAX - 1);
}
