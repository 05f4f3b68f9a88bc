//! Several processors: who is called when, what is stolen, shot down and stopped.

use crate::harness::{ARRAY, MEMORY, Process, System, info};
use kernel_abi::boot;
use kernel_abi::call::ProcessorCounter;
use kernel_abi::task::TaskStatus;
use kernel_abi::{FRAME_BYTES, KernelError, Rights, SystemCall};
use kernel_core::host::HostMachine;
use kernel_core::objects::ThreadState;
use kernel_core::processor::{PROCESSORS_MAX, ProcessorSet};
use kernel_core::{Kernel, Link, Machine};

const SLICE: u64 = 5_100_000;
const FRAMES: u64 = boot::FRAMES.0 as u64;
/// Where a task has the capabilities that a test gives it.
const ENDPOINT: u64 = 1;
const NOTIFICATION: u64 = 2;

/// A machine whose boss rests, and a task with threads of these priorities, spread as the kernel likes.
fn machine(processors: usize, priorities: &[u8]) -> (System, Process, Vec<Link>) {
    let mut system = System::with_processors(processors);
    let process = system.process();
    let threads = priorities.iter().map(|&priority| system.spawn(process, priority).1).collect();
    system.rest();
    settle(&mut system, processors);
    (system, process, threads)
}

/// All calls are answered.
fn settle(system: &mut System, processors: usize) {
    for _ in 0..processors {
        for processor in 0..processors {
            system.answer_call(processor);
        }
    }
}

fn running(system: &mut System, processors: usize) -> Vec<Link> {
    (0..processors).map(|processor| system.on(processor)).collect()
}

fn home(system: &mut System, link: Link) -> usize {
    usize::from(system.thread(link).home)
}

#[test]
fn there_are_as_many_processors_as_the_limit_says() {
    let mut kernel = Kernel::new(HostMachine::new(8));
    for number in 1..PROCESSORS_MAX {
        assert_eq!(kernel.add_processor(), Some(number));
    }
    assert_eq!(kernel.add_processor(), None);
}

#[test]
fn ready_threads_spread_over_idle_processors() {
    let (mut system, _, threads) = machine(3, &[5, 5, 5, 5]);
    let mut all = running(&mut system, 3);
    all.sort();
    assert!(all.iter().all(|link| threads.contains(link)), "{all:?}");
    all.dedup();
    assert_eq!(all.len(), 3);
}

#[test]
fn the_best_threads_run_and_a_better_one_takes_the_place_of_the_lowest() {
    let (mut system, process, threads) = machine(2, &[3, 9, 6]);
    let lowest = home(&mut system, threads[2]);
    assert!(running(&mut system, 2).contains(&threads[1]));
    assert_eq!(system.on(lowest), threads[2]);
    // The thread of the other processor makes one that is better than the lowest, not than itself.
    system.on(1 - lowest);
    let (_, new) = system.spawn(process, 8);
    settle(&mut system, 2);
    let place = home(&mut system, new);
    assert_eq!(system.on(place), new);
    let all = running(&mut system, 2);
    assert!(all.contains(&threads[1]) && all.contains(&new), "{all:?}");
}

#[test]
fn who_ends_makes_room_for_the_best_that_waits_anywhere() {
    let (mut system, _, threads) = machine(2, &[9, 9, 5, 7]);
    assert!(running(&mut system, 2).iter().all(|link| threads[..2].contains(link)));
    for expected in [threads[3], threads[2]] {
        system.on(1);
        system.issue(SystemCall::ThreadExit, &[0]);
        assert_eq!(system.on(1), expected);
    }
    system.issue(SystemCall::ThreadExit, &[0]);
    assert_eq!(system.on(1), Link::NONE, "nothing is left but what runs on the other");
    assert_ne!(system.on(0), Link::NONE);
}

#[test]
fn equals_of_one_processor_take_turns_although_another_one_queued_them() {
    let (mut system, _, threads) = machine(2, &[7, 7, 7]);
    let waiting = threads.iter().copied().find(|&link| system.thread(link).queued).expect("one waits");
    let processor = home(&mut system, waiting);
    system.on(processor);
    assert!(system.kernel.machine.timer() <= system.kernel.machine.time + SLICE);
    assert_eq!(system.pass(SLICE), Some(waiting));
}

/// A server and a client of one task, on two processors.
fn server_and_client() -> (System, Process, Link, Link) {
    let mut system = System::with_processors(2);
    let endpoint = system.endpoint();
    let process = system.process();
    system.give(process, endpoint, ENDPOINT, Rights::SEND | Rights::RECEIVE);
    let server = system.spawn(process, 6).1;
    let client = system.spawn(process, 6).1;
    system.rest();
    settle(&mut system, 2);
    (system, process, server, client)
}

#[test]
fn a_call_and_its_reply_stay_on_the_callers_processor() {
    let (mut system, _, server, client) = server_and_client();
    let at_first = home(&mut system, server);
    system.on(at_first);
    system.issue(SystemCall::Receive, &[ENDPOINT]);
    assert_eq!(system.on(at_first), Link::NONE);
    let caller = 1 - at_first;
    assert_eq!(system.on(caller), client);
    for _ in 0..3 {
        assert_eq!(system.issue(SystemCall::Call, &[ENDPOINT, info(1, 0)]), Some(server));
        assert_eq!(home(&mut system, server), caller, "the server has come to its caller");
        assert!(!system.kernel.machine.is_called(at_first), "nobody is called for a handover");
        assert_eq!(system.issue(SystemCall::ReplyReceive, &[ENDPOINT, info(0, 0)]), Some(client));
    }
}

#[test]
fn a_signal_wakes_an_idle_processor_by_a_call() {
    let mut system = System::with_processors(2);
    let notification = system.notification(1);
    let process = system.process();
    system.give(process, notification, NOTIFICATION, Rights::SEND | Rights::RECEIVE);
    let (waiter, signaller) = (system.spawn(process, 6).1, system.spawn(process, 6).1);
    system.rest();
    settle(&mut system, 2);
    let (there, here) = (home(&mut system, waiter), home(&mut system, signaller));
    for _ in 0..4 {
        system.on(there);
        system.issue(SystemCall::Wait, &[NOTIFICATION]);
        assert_eq!(system.on(there), Link::NONE);
        system.on(here);
        assert_eq!(system.issue(SystemCall::Signal, &[NOTIFICATION]), Some(signaller), "it goes on");
        assert!(system.kernel.machine.is_called(there));
        assert_eq!(system.answer_call(there), waiter);
    }
}

/// The boss maps a page in a task that runs on both processors; each uses it.
fn page_on_both() -> (System, Process, u64) {
    let (mut system, process, _) = machine(2, &[5, 5]);
    let address = MEMORY + FRAME_BYTES;
    for processor in 0..2 {
        system.on(processor);
        assert_eq!(system.kernel.machine.touch(address, true), Ok(()));
    }
    (system, process, address)
}

fn remove(system: &mut System, process: Process, address: u64) {
    system.on(0);
    system.as_boss(|system| {
        let boss = system.boss_task.link;
        system.poke_words(boss, ARRAY, &[address, 1]);
        system.ok(SystemCall::PmapRemove, &[FRAMES, process.handle, ARRAY, 1]);
    });
}

#[test]
fn what_is_removed_is_forgotten_by_every_processor_when_the_call_returns() {
    let (mut system, process, address) = page_on_both();
    remove(&mut system, process, address);
    for processor in 0..2 {
        system.answer_call(processor);
        assert!(system.kernel.machine.touch(address, false).is_err(), "processor {processor}");
    }
}

/// The deliberate bug: it must be found by what looks for it.
#[test]
#[should_panic(expected = "processor 1 remembers")]
fn a_forgotten_shootdown_is_found() {
    let (mut system, process, address) = page_on_both();
    let mut deaf = ProcessorSet::EMPTY;
    deaf.insert(1);
    system.kernel.machine.deaf = deaf;
    remove(&mut system, process, address);
}

#[test]
fn cleared_bits_are_set_again_by_the_next_access_of_any_processor() {
    let (mut system, process, address) = page_on_both();
    system.on(0);
    let query = [FRAMES, process.handle, address, 1, ARRAY, 1];
    system.as_boss(|system| system.ok(SystemCall::PmapQuery, &query));
    system.on(1);
    assert_eq!(system.kernel.machine.touch(address, true), Ok(()));
    system.kernel.check();
    system.on(0);
    system.as_boss(|system| {
        system.ok(SystemCall::PmapQuery, &query);
        let mut bits = [0];
        system.kernel.machine.read_user(ARRAY, &mut bits).expect("the boss has it");
        assert_ne!(bits[0] & kernel_abi::pmap::QUERY_DIRTY, 0, "the write of processor 1 is missed");
    });
}

#[test]
fn an_idle_processor_has_no_address_space_to_shoot_down() {
    let (mut system, process, threads) = machine(2, &[5]);
    let idle = 1 - home(&mut system, threads[0]);
    assert_eq!(system.kernel.machine.active_root(idle), 0);
    system.on(1 - idle);
    assert_eq!(system.task(process.link).status, TaskStatus::Alive);
}

#[test]
fn a_task_that_is_killed_is_stopped_on_every_processor_first() {
    let (mut system, process, threads) = machine(3, &[5, 5]);
    let places = [home(&mut system, threads[0]), home(&mut system, threads[1])];
    system.on(3 - places[0] - places[1]);
    system.as_boss(|system| {
        system.ok(SystemCall::TaskKill, &[process.handle, 0]);
        for place in places {
            assert_eq!(system.kernel.machine.active_root(place), 0, "processor {place} still runs it");
        }
    });
    // Their own entries, under way meanwhile, come to nothing.
    for place in places {
        assert_eq!(system.on(place), Link::NONE);
        system.kernel.system_call();
        system.kernel.page_fault(0, 0);
        system.kernel.exception(6);
        system.leave();
    }
    system.on(3 - places[0] - places[1]);
    system.dismantle(process);
}

#[test]
fn a_thread_that_runs_elsewhere_is_stopped_before_its_frame_is_reclaimed() {
    let (mut system, _, threads) = machine(2, &[5, 5]);
    let victim = threads[0];
    let place = home(&mut system, victim);
    system.on(1 - place);
    system.as_boss(|system| {
        system.ok(SystemCall::Reclaim, &[FRAMES, victim.frame().into()]);
    });
    assert_eq!(system.on(place), Link::NONE);
    assert_eq!(system.kernel.machine.active_root(place), 0);
}

#[test]
fn somebodys_timer_comes_for_every_deadline() {
    let mut system = System::with_processors(2);
    let notification = system.notification(1);
    let process = system.process();
    system.give(process, notification, NOTIFICATION, Rights::SEND | Rights::RECEIVE);
    let (sleeper, other) = (system.spawn(process, 6).1, system.spawn(process, 6).1);
    system.rest();
    settle(&mut system, 2);
    let (here, there) = (home(&mut system, sleeper), home(&mut system, other));
    // A far deadline, kept by the one; then a near one, set by the other.
    system.on(there);
    system.issue_until(SystemCall::Wait, &[NOTIFICATION], 1 << 40);
    system.on(here);
    assert_eq!(system.on(here), sleeper);
    let deadline = system.kernel.machine.time + (1 << 22);
    system.ok(SystemCall::TimerSet, &[NOTIFICATION, deadline, 1]);
    let mut earliest = u64::MAX;
    for processor in 0..2 {
        system.on(processor);
        earliest = earliest.min(system.kernel.machine.timer());
    }
    assert!(earliest <= deadline + (1 << 16), "{earliest} is too late");
    system.kernel.machine.time = deadline + (1 << 17);
    for processor in 0..2 {
        system.on(processor);
        if system.kernel.machine.timer_fires() {
            system.kernel.timer_interrupt();
            system.leave();
        }
    }
    settle(&mut system, 2);
    assert_eq!(system.state(other), ThreadState::Ready, "the timer has woken it");
}

#[test]
fn what_processors_did_for_each_other_is_counted() {
    let (mut system, process, address) = page_on_both();
    let before = system.kernel.counters(0).expect("there is one");
    remove(&mut system, process, address);
    let after = system.kernel.counters(0).expect("there is one");
    assert_eq!(after.shootdowns, before.shootdowns + 1);
    assert_eq!(after.shootdowns_sent, before.shootdowns_sent + 1, "one interrupt for the other processor");
    assert_eq!(system.kernel.counters(2), None);
    let log = u64::from(boot::LOG.0);
    system.as_boss(|system| {
        let sent = system.ok(SystemCall::ProcessorCount, &[log, 0, ProcessorCounter::ShootdownsSent as u64]);
        assert_eq!(sent, after.shootdowns_sent);
        let beyond = ProcessorCounter::ALL.len() as u64;
        for (processor, counter) in [(2, 0), (0, beyond), (u64::MAX, 0), (0, u64::MAX)] {
            let arguments = [log, processor, counter];
            system.refused(SystemCall::ProcessorCount, &arguments, KernelError::InvalidArgument);
        }
        system.refused(SystemCall::ProcessorCount, &[FRAMES, 0, 0], KernelError::WrongKind);
    });
}
