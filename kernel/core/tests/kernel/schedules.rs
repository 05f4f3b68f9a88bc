//! Schedules: who gets how much time at which priority, who pays for a call, and what happens when time runs out or its owner dies.

use crate::harness::{CODE, Process, System, boot_handle, info};
use kernel_abi::schedule::{DEPTH_MAX, Figure, NO_SCHEDULE, PERIOD_MAX_NS, PERIOD_MIN_NS, WHOLE};
use kernel_abi::{KernelError, Rights, SystemCall, boot};
use kernel_core::Link;
use kernel_core::objects::{Thread, ThreadState};

const MS: u64 = 1_000_000;
const PERIOD: u64 = 10 * MS;
/// The timing wheel's tick: so much later a period may begin.
const TICK: u64 = 1 << 16;
/// The endpoint in every task of a [`Street`].
const ENDPOINT: u64 = 1;

fn root() -> u64 {
    boot_handle(boot::SCHEDULE)
}

/// A schedule with a budget in each 10 ms, split off a parent; its handle.
fn split(system: &mut System, parent: u64, priority: u64, budget: u64) -> u64 {
    let (handle, _) = system.object(SystemCall::ScheduleCreate, &[]);
    system
        .as_boss(|system| system.ok(SystemCall::ScheduleSplit, &[parent, handle, priority, budget, PERIOD]));
    handle
}

fn figure(system: &mut System, schedule: u64, figure: Figure) -> u64 {
    system.as_boss(|system| system.ok(SystemCall::ScheduleRead, &[schedule, figure as u64]))
}

/// Starts a thread of a task on a schedule.
fn spawn_on(system: &mut System, process: Process, schedule: u64, priority: u64) -> Link {
    let (handle, frame) = system.object(SystemCall::ThreadCreate, &[process.handle]);
    let arguments = [handle, CODE, 0, 0, 0, priority, schedule];
    system.as_boss(|system| system.ok(SystemCall::ThreadStart, &arguments));
    Link::new::<Thread>(frame, 0)
}

/// A client with a budget of 2 ms at priority 8, another one at 6, and a server at 20 with 1 ms of its own, which receives.
struct Street {
    system: System,
    client: Link,
    other: Link,
    server: Link,
    client_time: u64,
    server_time: u64,
    client_task: Process,
    server_task: Process,
}

impl Street {
    fn new(server_schedule: Option<u64>) -> Street {
        let mut system = System::new();
        let client_time = split(&mut system, root(), 8, 2 * MS);
        let other_time = split(&mut system, root(), 6, 2 * MS);
        let server_time = split(&mut system, root(), 20, MS);
        let (client_task, server_task) = (system.process(), system.process());
        let endpoint = system.endpoint();
        system.give(client_task, endpoint, ENDPOINT, Rights::SEND);
        system.give(server_task, endpoint, ENDPOINT, Rights::SEND | Rights::RECEIVE);
        let (schedule, priority) = match server_schedule {
            Some(schedule) => (schedule, 1),
            None => (server_time, 20),
        };
        let server = spawn_on(&mut system, server_task, schedule, priority);
        system.rest();
        assert_eq!(system.current(), server);
        system.issue(SystemCall::Receive, &[ENDPOINT]);
        let client = spawn_on(&mut system, client_task, client_time, 8);
        let other = spawn_on(&mut system, client_task, other_time, 6);
        Street { system, client, other, server, client_time, server_time, client_task, server_task }
    }

    fn call(&mut self, who: Link) -> Option<Link> {
        assert_eq!(self.system.current(), who);
        self.system.issue(SystemCall::Call, &[ENDPOINT, info(0, 0)])
    }

    fn priority(&mut self, link: Link) -> u8 {
        self.system.thread(link).priority
    }
}

#[test]
fn a_budget_that_is_used_up_comes_back_with_the_next_period() {
    let mut system = System::new();
    let (small, large) = (split(&mut system, root(), 9, 2 * MS), split(&mut system, root(), 5, 3 * MS));
    let task = system.process();
    let hog = spawn_on(&mut system, task, small, 9);
    let meek = spawn_on(&mut system, task, large, 5);
    assert_eq!(system.rest(), Some(hog));
    assert_eq!(system.pass(2 * MS - 1), Some(hog), "not yet");
    assert_eq!(system.pass(1), Some(meek), "its budget is used up");
    assert_eq!(system.thread(hog).priority, 1);
    system.pass(3 * MS);
    assert_eq!((system.thread(hog).priority, system.thread(meek).priority), (1, 1));
    assert_eq!(figure(&mut system, small, Figure::Used), 2 * MS);
    assert_eq!(system.pass(5 * MS + TICK), Some(hog));
    assert_eq!(system.thread(hog).priority, 9, "the next period has begun");
    assert_eq!(figure(&mut system, small, Figure::Overruns), 1);
    let in_background = [small, large].map(|schedule| figure(&mut system, schedule, Figure::Background));
    assert!(in_background.iter().sum::<u64>() > 4 * MS, "{in_background:?}");
    assert_eq!(system.pass(2 * MS), Some(meek));
    assert_eq!(system.thread(meek).priority, 5, "it has a new budget, too");
}

#[test]
fn a_thread_in_the_background_never_delays_one_with_a_budget() {
    let mut street = Street::new(None);
    assert_eq!(street.system.pass(2 * MS), Some(street.other));
    street.system.pass(2 * MS);
    let (client, other) = (street.client, street.other);
    assert_eq!((street.priority(client), street.priority(other)), (1, 1), "it has none left either");
    let task = street.client_task;
    let fresh = split(&mut street.system, root(), 3, MS);
    let low = spawn_on(&mut street.system, task, fresh, 3);
    assert_eq!(street.system.current(), low);
}

#[test]
fn what_is_left_of_a_budget_is_not_saved_up() {
    let mut street = Street::new(None);
    street.system.issue_until(SystemCall::Receive, &[ENDPOINT], 0);
    let (client, other) = (street.client, street.other);
    let wake = street.system.notification(1);
    let task = street.client_task;
    street.system.give(task, wake, 5, Rights::RECEIVE);
    assert_eq!(street.system.current(), client);
    assert_eq!(street.system.issue(SystemCall::Wait, &[5]), Some(other));
    street.system.pass(7 * PERIOD);
    street.system.as_boss(|system| system.ok(SystemCall::Signal, &[wake]));
    assert_eq!(street.system.current(), client);
    street.system.pass(2 * MS);
    assert_eq!(street.priority(client), 1, "one budget, not seven");
}

#[test]
fn no_more_is_split_off_than_there_is() {
    let mut system = System::new();
    let half = split(&mut system, root(), 20, PERIOD / 2);
    let (child, _) = system.object(SystemCall::ScheduleCreate, &[]);
    let mut refused = |parent: u64, child: u64, priority: u64, budget: u64, period: u64, error| {
        system.refused(SystemCall::ScheduleSplit, &[parent, child, priority, budget, period], error);
    };
    use KernelError::{InvalidArgument, OverCommitted, PriorityTooHigh, WrongState};
    refused(half, child, 20, PERIOD / 2 + 1, PERIOD, OverCommitted);
    refused(root(), child, 20, PERIOD / 2 + 11, PERIOD, OverCommitted);
    refused(half, child, 21, MS, PERIOD, PriorityTooHigh);
    refused(half, child, 256, MS, PERIOD, InvalidArgument);
    refused(half, child, 20, 0, PERIOD_MIN_NS - 1, InvalidArgument);
    refused(half, child, 20, 0, PERIOD_MAX_NS + 1, InvalidArgument);
    refused(half, child, 20, PERIOD_MAX_NS + 1, PERIOD_MAX_NS, InvalidArgument);
    refused(half, half, 20, MS, PERIOD, WrongState);
    refused(half, root(), 20, MS, PERIOD, WrongState);
    system.ok(SystemCall::ScheduleSplit, &[half, child, 20, PERIOD / 4, PERIOD]);
    system.refused(SystemCall::ScheduleSplit, &[root(), child, 20, MS, PERIOD], WrongState);
    system.refused(SystemCall::ScheduleSplit, &[root(), half, 20, PERIOD / 5, PERIOD], OverCommitted);
    let whole = WHOLE / 4;
    assert_eq!(system.ok(SystemCall::ScheduleRead, &[half, Figure::Given as u64]), whole);
    assert_eq!(system.ok(SystemCall::ScheduleRead, &[half, Figure::Budget as u64]), PERIOD / 4);
    assert_eq!(system.ok(SystemCall::ScheduleRead, &[child, Figure::Share as u64]), whole);
    // It shrinks, and gives back what it has.
    system.ok(SystemCall::ScheduleSplit, &[half, child, 20, MS, PERIOD]);
    system.ok(SystemCall::ScheduleSplit, &[half, child, 20, 0, PERIOD]);
    assert_eq!(system.ok(SystemCall::ScheduleRead, &[half, Figure::Given as u64]), 0);
    system.refused(SystemCall::ScheduleRead, &[half, 8], InvalidArgument);
}

#[test]
fn the_roots_share_is_all_processors() {
    let mut system = System::with_processors(3);
    let share = system.ok(SystemCall::ScheduleRead, &[root(), Figure::Share as u64]);
    assert_eq!(share, 3 * WHOLE);
    let most = split(&mut system, root(), 8, 29 * MS);
    assert_eq!(figure(&mut system, most, Figure::Budget), 29 * MS);
}

#[test]
fn giving_and_taking_makes_no_time() {
    let mut system = System::new();
    let parent = split(&mut system, root(), 9, 4 * MS);
    let task = system.process();
    spawn_on(&mut system, task, 0, 1);
    let (child, frame) = system.object(SystemCall::ScheduleCreate, &[]);
    let mut used = 0;
    for _ in 0..6 {
        system.as_boss(|system| system.ok(SystemCall::ScheduleSplit, &[parent, child, 9, 2 * MS, PERIOD]));
        let hog = spawn_on(&mut system, task, child, 9);
        system.run(hog);
        while system.thread(hog).priority == 9 && used < 20 * MS {
            used += MS / 2;
            system.pass(MS / 2);
        }
        system.issue(SystemCall::ThreadExit, &[0]);
        system.as_boss(|system| system.ok(SystemCall::ScheduleSplit, &[parent, child, 9, 0, PERIOD]));
    }
    assert!(used <= 5 * MS, "{used} ns at the priority out of a budget of 4 ms");
    let frames = boot_handle(boot::FRAMES);
    system.as_boss(|system| system.ok(SystemCall::Reclaim, &[frames, frame.into()]));
}

#[test]
fn splits_are_so_deep_and_no_deeper() {
    let mut system = System::new();
    let mut parent = root();
    for _ in 0..DEPTH_MAX {
        parent = split(&mut system, parent, 20, MS);
    }
    let (child, _) = system.object(SystemCall::ScheduleCreate, &[]);
    let arguments = [parent, child, 1, MS / 2, PERIOD];
    system.refused(SystemCall::ScheduleSplit, &arguments, KernelError::WrongState);
}

#[test]
fn a_thread_is_started_with_at_most_the_priority_of_its_schedule() {
    let mut system = System::new();
    let schedule = split(&mut system, root(), 8, MS);
    let task = system.process();
    let (thread, _) = system.object(SystemCall::ThreadCreate, &[task.handle]);
    let start = |priority, schedule| [thread, CODE, 0, 0, 0, priority, schedule];
    system.refused(SystemCall::ThreadStart, &start(9, schedule), KernelError::PriorityTooHigh);
    system.refused(SystemCall::ThreadStart, &start(2, NO_SCHEDULE), KernelError::PriorityTooHigh);
    system.refused(SystemCall::ThreadStart, &start(2, task.handle), KernelError::WrongKind);
    system.ok(SystemCall::ThreadStart, &start(8, schedule));
}

#[test]
fn a_task_waits_while_a_thread_of_it_could_run_and_does_not() {
    let mut system = System::new();
    let (small, large) = (split(&mut system, root(), 9, 2 * MS), split(&mut system, root(), 5, 5 * MS));
    let (first, second) = (system.process(), system.process());
    let waits = |system: &mut System, process: Process| {
        system.as_boss(|system| system.ok(SystemCall::TaskWaits, &[process.handle]))
    };
    spawn_on(&mut system, first, small, 9);
    assert_eq!(waits(&mut system, second), 0, "it has no thread");
    spawn_on(&mut system, second, large, 5);
    system.rest();
    assert_eq!(waits(&mut system, second), WHOLE / 2, "half of the time is its schedule's");
    let part = split(&mut system, large, 5, 2 * MS);
    spawn_on(&mut system, second, part, 5);
    let given = figure(&mut system, large, Figure::Given);
    assert_eq!(waits(&mut system, second), WHOLE / 2 - given, "what was given away promises it nothing");
    system.as_boss(|system| system.refused(SystemCall::TaskWaits, &[part], KernelError::WrongKind));
}

#[test]
fn the_caller_pays_for_its_call_and_nothing_is_billed_twice() {
    let mut street = Street::new(None);
    let (client_time, server_time) = (street.client_time, street.server_time);
    assert_eq!(street.call(street.client), Some(street.server));
    assert_eq!(street.priority(street.server), 20, "its own is higher");
    street.system.pass(MS);
    assert_eq!(street.system.issue(SystemCall::ReplyReceive, &[ENDPOINT, info(0, 0)]), Some(street.client));
    street.system.pass(MS / 4);
    let system = &mut street.system;
    assert_eq!(figure(system, client_time, Figure::Used), 5 * MS / 4);
    assert_eq!(figure(system, server_time, Figure::Used), 0);
    let (client, server) = (street.client_task.handle, street.server_task.handle);
    assert_eq!(system.as_boss(|system| system.ok(SystemCall::TaskTime, &[client])), 5 * MS / 4);
    assert_eq!(system.as_boss(|system| system.ok(SystemCall::TaskTime, &[server])), 0);
}

#[test]
fn a_server_is_as_urgent_as_its_caller_until_it_receives_next() {
    let mut street = Street::new(None);
    let task = street.client_task;
    let urgent_time = split(&mut street.system, root(), 25, 2 * MS);
    let urgent = spawn_on(&mut street.system, task, urgent_time, 25);
    assert_eq!(street.call(urgent), Some(street.server));
    assert_eq!(street.priority(street.server), 25);
    street.system.issue(SystemCall::SaveReply, &[20]);
    assert_eq!(street.priority(street.server), 25, "the reply is saved, the call goes on");
    assert_eq!(street.system.issue(SystemCall::Receive, &[ENDPOINT]), Some(street.client));
    assert_eq!(street.priority(street.server), 20, "it has received");
}

#[test]
fn a_server_whose_callers_time_runs_out_goes_on_at_its_own_cost_and_the_caller_pays_later() {
    let mut street = Street::new(None);
    let (client_time, server_time) = (street.client_time, street.server_time);
    assert_eq!(street.call(street.client), Some(street.server));
    assert_eq!(street.system.pass(2 * MS), Some(street.server), "it has 1 ms of its own");
    assert_eq!(street.priority(street.server), 20);
    street.system.pass(MS / 2);
    assert_eq!(figure(&mut street.system, server_time, Figure::Used), MS / 2);
    assert_eq!(figure(&mut street.system, client_time, Figure::Used), 5 * MS / 2);
    street.system.issue(SystemCall::ReplyReceive, &[ENDPOINT, info(0, 0)]);
    assert_eq!(street.system.current(), street.other, "the client is in the background");
    street.system.issue(SystemCall::ThreadExit, &[0]);
    assert_eq!(street.system.current(), street.client);
    street.system.pass(8 * MS);
    assert_eq!(street.priority(street.client), 8);
    assert_eq!(street.system.pass(3 * MS / 2 - TICK), Some(street.client));
    assert_eq!(street.priority(street.client), 8);
    street.system.pass(TICK);
    assert_eq!(street.priority(street.client), 1, "half a millisecond of the period was spent before");
}

#[test]
fn a_server_without_time_of_its_own_fails_the_call_that_runs_dry() {
    for is_saved in [false, true] {
        let mut street = Street::new(Some(NO_SCHEDULE));
        assert_eq!(street.call(street.client), Some(street.server));
        assert_eq!(street.priority(street.server), 8);
        if is_saved {
            street.system.issue(SystemCall::SaveReply, &[20]);
        }
        assert_eq!(street.system.pass(2 * MS), Some(street.other));
        let client = street.client;
        assert_eq!(street.system.status(client), Err(KernelError::OutOfTime));
        assert_eq!(street.system.state(client), ThreadState::Ready);
        let server = street.server;
        assert_eq!((street.priority(client), street.priority(server)), (1, 1));
        // Once the other one is done the client runs, in the background, then the server, which owes nothing.
        street.system.issue(SystemCall::ThreadExit, &[0]);
        street.system.run(street.server);
        if is_saved {
            street.system.refused(SystemCall::Reply, &[20, info(0, 0)], KernelError::Stale);
        } else {
            street.system.refused(SystemCall::Reply, &[0, info(0, 0)], KernelError::NoReply);
        }
    }
}

#[test]
fn the_death_of_the_caller_ends_what_it_lent() {
    let kill = |street: &mut Street| {
        let task = street.client_task.handle;
        street.system.as_boss(|system| system.ok(SystemCall::TaskKill, &[task, 0]));
    };
    // While the server works for it.
    let mut street = Street::new(None);
    street.call(street.client);
    street.system.pass(MS / 2);
    kill(&mut street);
    assert_eq!((street.system.current(), street.priority(street.server)), (street.server, 20));
    street.system.pass(MS / 2);
    assert_eq!(figure(&mut street.system, street.server_time, Figure::Used), MS / 2);
    // When the reply was saved.
    let mut street = Street::new(None);
    street.call(street.client);
    street.system.issue(SystemCall::SaveReply, &[20]);
    kill(&mut street);
    street.system.pass(MS / 2);
    assert_eq!(figure(&mut street.system, street.server_time, Figure::Used), MS / 2);
    // When its time was used up, and the server had fallen back.
    let mut street = Street::new(None);
    street.call(street.client);
    street.system.pass(2 * MS);
    kill(&mut street);
    street.system.pass(MS / 4);
    assert_eq!(figure(&mut street.system, street.server_time, Figure::Used), MS / 4);
    assert_eq!(figure(&mut street.system, street.client_time, Figure::Used), 2 * MS);
    // While it waits in the background for the next period, and while it waits to be received.
    let mut street = Street::new(None);
    street.system.pass(2 * MS);
    kill(&mut street);
    street.system.pass(PERIOD);
    let mut street = Street::new(None);
    street.call(street.client);
    street.system.issue(SystemCall::SaveReply, &[20]);
    kill(&mut street);
    assert_eq!(street.system.issue(SystemCall::Receive, &[ENDPOINT]), None);
}

#[test]
fn a_server_that_dies_gives_its_callers_time_back() {
    let mut street = Street::new(None);
    street.call(street.client);
    street.system.pass(MS);
    let server = street.server_task.handle;
    street.system.as_boss(|system| system.ok(SystemCall::TaskKill, &[server, 0]));
    assert_eq!(street.system.current(), street.client);
    assert_eq!(street.system.status(street.client), Err(KernelError::PeerDied));
    street.system.pass(MS - 1);
    assert_eq!(street.priority(street.client), 8);
    street.system.pass(1);
    assert_eq!(street.priority(street.client), 1);
}

#[test]
fn who_waits_at_the_endpoint_helps_a_server_without_time() {
    let mut street = Street::new(None);
    street.call(street.client);
    // The client's 2 ms, then the server's own 1 ms.
    assert_eq!(street.system.pass(2 * MS), Some(street.server));
    assert_eq!(street.system.pass(MS), Some(street.other));
    assert_eq!(street.priority(street.server), 1);
    assert_eq!(street.call(street.other), Some(street.server), "the other one's call waits for it");
    assert_eq!(street.priority(street.server), 6);
    street.system.pass(MS / 2);
    assert_eq!(street.system.issue(SystemCall::ReplyReceive, &[ENDPOINT, info(0, 0)]), Some(street.server));
    assert_eq!(street.priority(street.server), 6, "now it works for the other one");
}

#[test]
fn a_server_in_a_call_of_its_own_passes_urgency_on() {
    let mut street = Street::new(None);
    let driver_time = split(&mut street.system, root(), 4, MS);
    let driver_task = street.system.process();
    let endpoint = street.system.endpoint();
    let (server_task, task) = (street.server_task, street.client_task);
    street.system.give(server_task, endpoint, 2, Rights::SEND);
    street.system.give(driver_task, endpoint, ENDPOINT, Rights::RECEIVE);
    let driver = spawn_on(&mut street.system, driver_task, driver_time, 4);
    street.system.run(street.client);
    // The driver gets to receive while nobody else wants to run.
    let (client, other, server) = (street.client, street.other, street.server);
    street.system.issue(SystemCall::Call, &[ENDPOINT, info(0, 0)]);
    street.system.issue(SystemCall::Call, &[2, info(0, 0)]);
    assert_eq!(street.system.current(), other, "the driver has not received yet");
    street.call(other);
    assert_eq!(street.system.current(), driver);
    assert_eq!(street.system.issue(SystemCall::Receive, &[ENDPOINT]), Some(driver));
    assert_eq!(street.priority(driver), 20, "it works for the server, which works for the client");
    let urgent_time = split(&mut street.system, root(), 25, MS);
    let urgent = spawn_on(&mut street.system, task, urgent_time, 25);
    assert_eq!(street.call(urgent), Some(driver));
    assert_eq!((street.priority(server), street.priority(driver)), (25, 25));
    assert_eq!(street.system.state(client), ThreadState::AwaitingReply);
}

#[test]
fn a_schedule_that_ends_leaves_its_threads_in_the_background_and_gives_its_share_back() {
    let mut system = System::new();
    let parent = split(&mut system, root(), 9, 4 * MS);
    let (child, frame) = system.object(SystemCall::ScheduleCreate, &[]);
    let grandchild = {
        system.ok(SystemCall::ScheduleSplit, &[parent, child, 9, 2 * MS, PERIOD]);
        split(&mut system, child, 9, MS)
    };
    let task = system.process();
    let (orphan, below) = (spawn_on(&mut system, task, child, 9), spawn_on(&mut system, task, grandchild, 7));
    assert_eq!(system.rest(), Some(orphan));
    system.as_boss(|system| system.ok(SystemCall::Reclaim, &[boot_handle(boot::FRAMES), frame.into()]));
    assert_eq!(figure(&mut system, parent, Figure::Given), 0);
    assert_eq!(system.current(), below, "it may use up the period");
    assert_eq!(system.thread(orphan).priority, 1);
    for _ in 0..4 {
        system.pass(PERIOD + TICK);
    }
    assert_eq!(system.thread(below).priority, 1, "there are no new periods without a parent");
    assert_eq!(figure(&mut system, grandchild, Figure::Budget), 0);
}

#[test]
fn many_threads_run_dry_and_come_back_a_few_in_each_entry() {
    let mut system = System::new();
    let schedule = split(&mut system, root(), 9, MS);
    let task = system.process();
    let threads: Vec<Link> = (0..48).map(|_| spawn_on(&mut system, task, schedule, 9)).collect();
    let meek_time = split(&mut system, root(), 3, 6 * MS);
    let meek = spawn_on(&mut system, task, meek_time, 3);
    system.rest();
    let first = system.pass(MS);
    assert_ne!(first, Some(meek), "there are more than are demoted in one entry");
    assert!(system.kernel.machine.timer() <= system.kernel.machine.time, "the next one comes at once");
    assert_eq!(system.pass(0), Some(meek));
    assert!(threads.iter().all(|&thread| system.thread(thread).priority == 1));
    system.pass(9 * MS + TICK);
    let back = |system: &mut System| threads.iter().filter(|&&thread| system.thread(thread).own == 9).count();
    let at_once = back(&mut system);
    assert!((1..threads.len()).contains(&at_once), "{at_once} came back in one entry");
    for _ in 0..4 {
        system.pass(TICK);
    }
    assert_eq!(back(&mut system), threads.len());
}

#[test]
fn the_clock_of_a_call_is_not_read() {
    let mut street = Street::new(None);
    for _ in 0..3 {
        let timer = street.system.kernel.machine.timer();
        street.call(street.client);
        street.system.issue(SystemCall::ReplyReceive, &[ENDPOINT, info(0, 0)]);
        assert_eq!(street.system.kernel.machine.timer(), timer, "a call and its reply bill nobody else");
    }
}

#[test]
fn a_deadline_is_kept_by_who_has_time_whatever_hogs_there_are() {
    let mut street = Street::new(None);
    let task = street.client_task;
    let hog_time = split(&mut street.system, root(), 8, 4 * MS);
    for _ in 0..8 {
        spawn_on(&mut street.system, task, hog_time, 8);
    }
    let deadline = 3 * PERIOD;
    street.system.run(street.client);
    street.system.issue_until(SystemCall::Call, &[ENDPOINT, info(0, 0)], deadline);
    let client = street.client;
    street.system.issue(SystemCall::SaveReply, &[20]);
    street.system.issue(SystemCall::Receive, &[ENDPOINT]);
    // The timer fires whenever it wants to; the server's slack is the hogs'.
    while street.system.kernel.machine.time < deadline + TICK {
        street.system.pass(MS / 4);
    }
    assert_eq!(street.system.status(client), Err(KernelError::TimedOut));
    // It shares its priority with hogs whose budget is 4 ms of each period: it runs within that.
    let mut waited = 0;
    while street.system.current() != client {
        street.system.pass(MS / 4);
        waited += MS / 4;
        assert!(waited <= 4 * MS + MS / 4, "hogs delay it for {waited} ns");
    }
}

#[test]
fn threads_that_share_a_schedule_take_turns_over_periods() {
    let mut system = System::new();
    let schedule = split(&mut system, root(), 9, 2 * MS);
    let task = system.process();
    let threads: Vec<Link> = (0..7).map(|_| spawn_on(&mut system, task, schedule, 9)).collect();
    system.rest();
    let mut turns = [0; 7];
    for _ in 0..2000 {
        let current = system.pass(MS / 4).expect("somebody runs");
        turns[threads.iter().position(|&thread| thread == current).expect("one of them")] += 1;
    }
    assert!(turns.iter().all(|&turns| turns > 100), "{turns:?}");
}
