//! Who runs: priorities, direct handover, slices, yielding.

use crate::harness::{Process, System, info};
use crate::pair::{ENDPOINT, Pair};
use kernel_abi::SystemCall;
use kernel_core::Link;
use kernel_core::objects::ThreadState;

/// A slice and a bit.
const SLICE: u64 = 5_100_000;

/// A system with threads of these priorities in one task; the boss rests.
fn threads(priorities: &[u8]) -> (System, Vec<Link>) {
    let mut system = System::new();
    let process = system.process();
    let threads = priorities.iter().map(|&priority| system.spawn(process, priority).1).collect();
    system.rest();
    (system, threads)
}

#[test]
fn the_best_runs_and_equals_run_in_order_of_coming() {
    let (mut system, threads) = threads(&[4, 7, 7, 5]);
    for expected in [1, 2, 3, 0] {
        assert_eq!(system.current(), threads[expected]);
        system.issue(SystemCall::ThreadExit, &[0]);
    }
    assert_eq!(system.current(), Link::NONE);
}

#[test]
fn yield_lets_equals_run_and_nobody_lower() {
    let (mut system, threads) = threads(&[7, 7, 5]);
    for turn in 0..6 {
        assert_eq!(system.current(), threads[turn % 2]);
        system.issue(SystemCall::Yield, &[]);
    }
}

#[test]
fn the_slice_ends_where_an_equal_waits() {
    let (mut system, threads) = threads(&[7, 7, 5]);
    assert!(system.kernel.machine.timer() <= SLICE);
    assert_eq!(system.pass(1_000_000), Some(threads[0]), "not yet");
    assert_eq!(system.pass(SLICE), Some(threads[1]));
    assert_eq!(system.pass(SLICE), Some(threads[0]));
}

#[test]
fn without_an_equal_no_timer_runs() {
    let (mut system, threads) = threads(&[7, 5]);
    assert_eq!(system.kernel.machine.timer(), u64::MAX);
    assert_eq!(system.pass(10 * SLICE), Some(threads[0]));
}

#[test]
fn a_far_deadline_does_not_put_the_slice_off() {
    let (mut system, threads) = threads(&[7]);
    let process = system.thread(threads[0]).task.link;
    system.as_boss(|system| {
        let notification = system.notification(1);
        system.ok(SystemCall::TimerSet, &[notification, 1 << 50, 1]);
    });
    let boss_task = system.boss_task;
    assert_ne!(process, boss_task.link);
    let (_, rival) = system.spawn(boss_task, 7);
    assert_eq!(system.current(), threads[0]);
    assert_eq!(system.pass(SLICE), Some(rival));
}

#[test]
fn a_better_thread_that_comes_and_goes_does_not_keep_equals_from_taking_turns() {
    let (mut system, threads) = threads(&[7, 7]);
    let mut turns = [0, 0];
    for _ in 0..200 {
        // The boss is woken more often than slices end.
        system.as_boss(|_| ());
        let current = system.pass(SLICE / 5).expect("somebody runs");
        turns[usize::from(current == threads[1])] += 1;
    }
    assert!(turns.iter().all(|&turns| turns > 60), "{turns:?}");
}

#[test]
fn a_slice_that_ends_while_a_better_thread_runs_has_ended() {
    let (mut system, threads) = threads(&[7, 7]);
    for turn in 1..6 {
        system.as_boss(|system| system.pass(SLICE));
        assert_eq!(system.pass(0), Some(threads[turn % 2]));
    }
}

#[test]
fn a_server_that_a_call_hands_over_to_shares_with_its_equals() {
    let mut pair = Pair::new();
    let task = pair.client_task;
    pair.run(pair.other_client);
    pair.system.issue(SystemCall::ThreadExit, &[0]);
    pair.system.pass(2 * SLICE);
    let (_, better) = pair.system.spawn(task, 20);
    let (_, rival) = pair.system.spawn(task, 20);
    assert_eq!(pair.system.current(), better);
    assert_eq!(pair.system.issue(SystemCall::Call, &[ENDPOINT, info(0, 0)]), Some(pair.server));
    assert_eq!(pair.system.pass(SLICE), Some(rival));
}

#[test]
fn a_timer_interrupt_for_nothing_changes_nothing() {
    let (mut system, threads) = threads(&[7, 7]);
    system.kernel.timer_interrupt();
    assert_eq!(system.leave(), Some(threads[0]));
    assert_eq!(system.pass(SLICE), Some(threads[1]), "and the slice still ends");
}

#[test]
fn who_is_preempted_goes_on_before_its_equals() {
    let (mut system, threads) = threads(&[7, 7]);
    system.as_boss(|system| assert_eq!(system.current(), system.boss));
    assert_eq!(system.current(), threads[0]);
}

#[test]
fn a_call_and_its_reply_touch_no_run_queue() {
    let mut pair = Pair::new();
    for _ in 0..3 {
        pair.call_received();
        for thread in [pair.client, pair.server] {
            assert!(!pair.system.thread(thread).queued);
        }
        pair.system.issue(SystemCall::ReplyReceive, &[ENDPOINT, info(0, 0)]);
        // The client is in front of its equal, to which it never gave way.
        pair.run(pair.client);
    }
}

#[test]
fn a_woken_equal_waits_and_a_woken_better_one_runs() {
    let mut pair = Pair::new();
    let server = pair.server;
    assert_eq!(pair.call(pair.client, &[]), Some(server));
    // A reply wakes the client, which is lower: the server goes on.
    assert_eq!(pair.system.issue(SystemCall::Reply, &[0, info(0, 0)]), Some(server));
    assert_eq!(pair.system.state(pair.client), ThreadState::Ready);
}

#[test]
fn it_is_told_which_address_space_ran_last() {
    let mut system = System::new();
    let processes = [system.process(), system.process(), system.process()];
    let run = |system: &mut System, process: Process| system.ok(SystemCall::TaskRun, &[process.handle]);
    assert_eq!(processes.map(|process| run(&mut system, process)), [0; 3], "none has run");
    let (_, first) = system.spawn(processes[0], 5);
    let (_, second) = system.spawn(processes[1], 5);
    for (order, is_second_later) in [([first, second], true), ([second, first], false)] {
        order.iter().for_each(|&thread| system.run(thread));
        let runs = system.as_boss(|system| processes.map(|process| run(system, process)));
        assert_eq!(runs[1] > runs[0], is_second_later, "{runs:?}");
        assert!(runs[0] != runs[1] && runs[2] == 0, "{runs:?}");
    }
}

#[test]
fn the_address_space_that_is_active_runs_now() {
    let mut pair = Pair::new();
    let (client, server) = (pair.client_task, pair.server_task);
    let before = pair.system.as_boss(|system| system.ok(SystemCall::TaskRun, &[server.handle]));
    pair.call(pair.client, &[]);
    let after = pair.system.as_boss(|system| system.ok(SystemCall::TaskRun, &[server.handle]));
    assert!(after > before, "the fast path says so too: {before} {after}");
    let boss = pair.system.boss_task;
    let runs = pair
        .system
        .as_boss(|system| [boss, client].map(|process| system.ok(SystemCall::TaskRun, &[process.handle])));
    assert!(runs[0] > runs[1], "{runs:?}");
}
