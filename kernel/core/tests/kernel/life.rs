//! Tasks and threads: how they start, how they end, and who is told.

use crate::harness::{CODE, Process, System, boot_handle};
use crate::pair::Pair;
use kernel_abi::KernelError::{
    Busy, InvalidAddress, InvalidArgument, MissingRight, PriorityTooHigh, Stale, WrongKind, WrongState,
};
use kernel_abi::boot::{FRAMES, THREAD};
use kernel_abi::object::THREADS_PER_TASK;
use kernel_abi::task::TaskStatus;
use kernel_abi::{Rights, SystemCall, USER_END};
use kernel_core::Link;
use kernel_core::objects::{Thread, ThreadState};

fn start(thread: u64, instruction: u64, stack: u64, priority: u64) -> [u64; 6] {
    [thread, instruction, stack, 3, 4, priority]
}

#[test]
fn a_started_thread_has_its_arguments_and_interrupts_on() {
    let mut system = System::new();
    let process = system.process();
    let (thread, frame) = system.object(SystemCall::ThreadCreate, &[process.handle]);
    system.ok(SystemCall::ThreadStart, &start(thread, CODE, USER_END, 3));
    let context = system.registers(Link::new::<Thread>(frame, 0));
    assert_eq!((context.rip, context.rsp, context.rdi, context.rsi), (CODE, USER_END, 3, 4));
    assert_eq!(context.rflags, 0x202);
}

#[test]
fn starting_is_checked() {
    let mut system = System::new();
    let process = system.process();
    let (thread, _) = system.object(SystemCall::ThreadCreate, &[process.handle]);
    for (arguments, error) in [
        (start(thread, USER_END, 0, 3), InvalidAddress),
        (start(thread, 1 << 63, 0, 3), InvalidAddress),
        (start(thread, CODE, USER_END + 1, 3), InvalidAddress),
        (start(thread, CODE, 0, 256), InvalidArgument),
        (start(thread, CODE, 0, u64::MAX), InvalidArgument),
        (start(thread, CODE, 0, 32), PriorityTooHigh),
        (start(process.handle, CODE, 0, 3), WrongKind),
        (start(boot_handle(THREAD), CODE, 0, 3), WrongState),
    ] {
        system.refused(SystemCall::ThreadStart, &arguments, error);
    }
    system.ok(SystemCall::CapabilityCopy, &[thread, 60, u64::from(Rights::TRANSFER.bits())]);
    system.refused(SystemCall::ThreadStart, &start(60, CODE, 0, 3), MissingRight);
    system.ok(SystemCall::ThreadStart, &start(thread, CODE, 0, 3));
    system.refused(SystemCall::ThreadStart, &start(thread, CODE, 0, 3), WrongState);
}

#[test]
fn nobody_starts_a_thread_above_himself() {
    let mut pair = Pair::new();
    let (thread, _) = pair.system.as_boss(|system| {
        let process = system.boss_task;
        system.object(SystemCall::ThreadCreate, &[process.handle])
    });
    pair.system.give(pair.client_task, thread, 30, Rights::CONFIGURE);
    pair.run(pair.client);
    pair.system.refused(SystemCall::ThreadStart, &start(30, CODE, 0, 6), PriorityTooHigh);
    pair.system.issue(SystemCall::ThreadStart, &start(30, CODE, 0, 5));
    assert_eq!(pair.system.status(pair.client), Ok(()));
}

#[test]
fn a_task_exits_with_all_its_threads() {
    let mut pair = Pair::new();
    pair.run(pair.client);
    pair.system.issue(SystemCall::TaskExit, &[42]);
    assert_eq!(pair.system.task_status(pair.client_task), TaskStatus::Exited(42));
    assert_eq!(pair.system.state(pair.client), ThreadState::Ended);
    assert_eq!(pair.system.state(pair.other_client), ThreadState::Ended);
}

#[test]
fn the_last_thread_to_end_gives_the_task_its_status() {
    let mut pair = Pair::new();
    pair.run(pair.client);
    pair.system.issue(SystemCall::ThreadExit, &[1]);
    assert_eq!(pair.system.task_status(pair.client_task), TaskStatus::Alive);
    pair.run(pair.other_client);
    pair.system.issue(SystemCall::ThreadExit, &[2]);
    assert_eq!(pair.system.task_status(pair.client_task), TaskStatus::Exited(2));
}

#[test]
fn an_exception_ends_its_thread_alone() {
    let mut pair = Pair::new();
    pair.run(pair.client);
    pair.system.kernel.exception(6);
    pair.system.leave();
    assert_eq!(pair.system.state(pair.client), ThreadState::Ended);
    pair.run(pair.other_client);
    pair.system.kernel.exception(13);
    pair.system.leave();
    assert_eq!(pair.system.task_status(pair.client_task), TaskStatus::Exception(13));
}

#[test]
fn killing_ends_a_task_in_whatever_state_its_threads_are() {
    let mut pair = Pair::new();
    // The client awaits a reply, the other client runs, and a third has not started.
    pair.call_received();
    pair.system.park_boss_object(SystemCall::ThreadCreate, pair.client_task.handle);
    pair.system.as_boss(|system| {
        system.refused(SystemCall::TaskKill, &[pair.client_task.handle, 1 << 32], InvalidArgument);
        system.ok(SystemCall::TaskKill, &[pair.client_task.handle, 9]);
        system.ok(SystemCall::TaskKill, &[pair.client_task.handle, 10]);
        let status = system.ok(SystemCall::TaskStatus, &[pair.client_task.handle]);
        assert_eq!(TaskStatus::decode(status), Some(TaskStatus::Killed(9)), "the first status stays");
    });
    assert_eq!(pair.system.task(pair.client_task.link).thread_count, 0);
}

#[test]
fn killing_needs_the_right() {
    let mut system = System::new();
    let process = system.process();
    system.ok(SystemCall::CapabilityCopy, &[process.handle, 60, u64::from(Rights::CONFIGURE.bits())]);
    system.refused(SystemCall::TaskKill, &[60, 0], MissingRight);
    system.refused(SystemCall::TaskStatus, &[60], MissingRight);
    system.ok(SystemCall::CapabilityCopy, &[process.handle, 61, u64::from(Rights::KILL.bits())]);
    let notification = system.notification(1);
    system.refused(SystemCall::TaskDeathNotice, &[61, notification], MissingRight);
    system.ok(SystemCall::TaskKill, &[61, 0]);
}

#[test]
fn a_task_that_kills_itself_stops_at_once() {
    let mut pair = Pair::new();
    let task = pair.client_task;
    pair.system.give(task, task.handle, 30, Rights::KILL);
    pair.run(pair.client);
    pair.system.issue(SystemCall::TaskKill, &[30, 5]);
    assert_eq!(pair.system.task_status(task), TaskStatus::Killed(5));
    assert_ne!(pair.system.current(), pair.client);
}

#[test]
fn the_end_is_told_to_who_asked() {
    let mut system = System::new();
    let process = system.process();
    let notification = system.notification(0b10);
    system.ok(SystemCall::TaskDeathNotice, &[process.handle, notification]);
    assert_eq!(system.ok(SystemCall::Poll, &[notification]), 0);
    system.ok(SystemCall::TaskKill, &[process.handle, 0]);
    assert_eq!(system.ok(SystemCall::Poll, &[notification]), 0b10);
    let late = system.notification(0b100);
    system.ok(SystemCall::TaskDeathNotice, &[process.handle, late]);
    assert_eq!(system.ok(SystemCall::Poll, &[late]), 0b100, "at once if it has ended");
}

#[test]
fn a_death_notice_to_a_notification_that_is_gone_harms_nobody() {
    let mut system = System::new();
    let process = system.process();
    let (notification, frame) = system.object(SystemCall::NotificationCreate, &[]);
    system.ok(SystemCall::CapabilityMint, &[notification, 60, 1, 1]);
    system.ok(SystemCall::TaskDeathNotice, &[process.handle, 60]);
    system.ok(SystemCall::Reclaim, &[boot_handle(FRAMES), frame.into()]);
    system.refused(SystemCall::TaskDeathNotice, &[process.handle, 60], Stale);
    system.ok(SystemCall::TaskKill, &[process.handle, 0]);
}

#[test]
fn a_task_has_64_threads_at_most() {
    let mut system = System::new();
    let process = system.process();
    let mut frame = 0;
    for count in 0..=u64::from(THREADS_PER_TASK) {
        if count.is_multiple_of(4) {
            frame = system.frame();
        }
        let arguments = [boot_handle(FRAMES), frame, count % 4, 90, process.handle];
        if count == u64::from(THREADS_PER_TASK) {
            system.refused(SystemCall::ThreadCreate, &arguments, Busy);
        } else {
            system.ok(SystemCall::ThreadCreate, &arguments);
            system.ok(SystemCall::CapabilityDrop, &[90]);
        }
    }
    system.ok(SystemCall::TaskKill, &[process.handle, 0]);
    assert_eq!(system.task(process.link).thread_count, 0);
    let arguments = [boot_handle(FRAMES), frame, 0, 90, process.handle];
    system.refused(SystemCall::ThreadCreate, &arguments, WrongState);
}

#[test]
fn local_bases_lie_in_user_memory() {
    let mut system = System::new();
    for (address, result) in [(0, Ok(0)), (USER_END, Ok(0)), (USER_END + 1, Err(InvalidAddress))] {
        assert_eq!(system.call(SystemCall::ThreadLocalBase, &[address]), result);
    }
}

#[test]
fn the_end_of_the_first_task_is_told_to_the_machine() {
    let mut system = System::new();
    system.issue(SystemCall::TaskExit, &[7]);
    assert_eq!(system.kernel.machine.ended, Some(TaskStatus::Exited(7)));
}

#[test]
fn calls_that_do_not_exist_are_refused() {
    let mut system = System::new();
    for number in [11, 15, 58, 74, 255, 256, u64::MAX] {
        let boss = system.boss;
        kernel_core::Machine::object::<kernel_core::objects::Thread>(&mut system.kernel.machine, boss)
            .context
            .rax = number;
        system.kernel.system_call();
        system.leave();
        assert_eq!(system.status(boss), Err(kernel_abi::KernelError::InvalidCall));
    }
}

impl System {
    /// An object made by the boss for a task, whoever runs.
    fn park_boss_object(&mut self, call: SystemCall, task: u64) -> u64 {
        self.object(call, &[task]).0
    }
}

#[test]
fn a_task_without_threads_is_alive_until_killed() {
    let mut system = System::new();
    let process: Process = system.process();
    assert_eq!(system.task_status(process), TaskStatus::Alive);
    system.dismantle(process);
    system.refused(SystemCall::TaskStatus, &[process.handle], Stale);
    system.refused(SystemCall::TaskKill, &[process.handle, 0], Stale);
}
