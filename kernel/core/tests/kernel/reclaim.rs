//! Taking kernel frames back, whatever is going on in them.

use crate::harness::{ARRAY, MEMORY, System, boot_handle, info};
use crate::pair::{ENDPOINT, Pair, SAVED};
use kernel_abi::KernelError::{Busy, InvalidArgument, PeerDied, Stale, WrongFrame, WrongKind};
use kernel_abi::boot::FRAMES;
use kernel_abi::task::TaskStatus;
use kernel_abi::{Rights, SystemCall};
use kernel_core::frame_table::FrameKind;
use kernel_core::objects::{Thread, ThreadState};

/// Reason in the status of a task whose last thread's frame was taken.
const RECLAIMED: u32 = u32::MAX;

fn reclaim(system: &mut System, frame: u32) {
    system.as_boss(|system| system.ok(SystemCall::Reclaim, &[boot_handle(FRAMES), frame.into()]));
    assert_eq!(system.kind(frame), FrameKind::Plain);
}

/// Frame of the pair's endpoint.
fn endpoint_frame(pair: &mut Pair) -> u32 {
    pair.system.thread(pair.server).waits_for.frame()
}

#[test]
fn what_is_no_kernel_frame_is_refused() {
    let mut system = System::new();
    let end = u64::from(system.kernel.machine.frames());
    let frames = boot_handle(FRAMES);
    for (frame, error) in [
        (0, WrongFrame),
        (16, WrongFrame),
        (1024, WrongFrame),
        (end, InvalidArgument),
        (u64::MAX, InvalidArgument),
        (1, Busy),
        (2, Busy),
        (5, Busy),
        (6, Busy),
    ] {
        system.refused(SystemCall::Reclaim, &[frames, frame], error);
    }
    system.refused(SystemCall::Reclaim, &[boot_handle(kernel_abi::boot::TASK), 3], WrongKind);
}

#[test]
fn callers_and_receivers_at_an_endpoint_are_sent_away() {
    let mut pair = Pair::new();
    let frame = endpoint_frame(&mut pair);
    pair.call_received();
    pair.system.ok(SystemCall::Reply, &[0, info(0, 0)]);
    pair.park();
    for client in [pair.client, pair.other_client] {
        pair.call(client, &[1]);
    }
    reclaim(&mut pair.system, frame);
    for client in [pair.client, pair.other_client] {
        assert_eq!(pair.system.status(client), Err(PeerDied));
        assert_eq!(pair.system.state(client), ThreadState::Ready);
    }
    let mut pair = Pair::new();
    let frame = endpoint_frame(&mut pair);
    reclaim(&mut pair.system, frame);
    assert_eq!(pair.system.status(pair.server), Err(Stale));
}

#[test]
fn a_call_that_was_received_outlives_its_endpoint() {
    let mut pair = Pair::new();
    let frame = endpoint_frame(&mut pair);
    pair.call_received();
    reclaim(&mut pair.system, frame);
    pair.run(pair.server);
    pair.system.ok(SystemCall::Reply, &[0, info(0, 1), 5]);
    assert_eq!(pair.system.status(pair.client), Ok(()));
    pair.system.refused(SystemCall::Receive, &[ENDPOINT], Stale);
}

#[test]
fn threads_are_stopped_in_every_state() {
    // Running below the boss.
    let mut pair = Pair::new();
    pair.run(pair.client);
    reclaim(&mut pair.system, pair.client.frame());
    assert_ne!(pair.system.current(), pair.client);
    // Sending.
    let mut pair = Pair::new();
    pair.call_received();
    pair.system.ok(SystemCall::Reply, &[0, info(0, 0)]);
    pair.park();
    pair.call(pair.client, &[1]);
    reclaim(&mut pair.system, pair.client.frame());
    pair.unpark();
    pair.receive();
    assert_eq!(pair.system.state(pair.server), ThreadState::Receiving, "the message is gone with its sender");
    // Awaiting a reply, with a deadline.
    let mut pair = Pair::new();
    pair.call_until(pair.client, &[1], 1 << 20);
    reclaim(&mut pair.system, pair.client.frame());
    pair.run(pair.server);
    pair.system.refused(SystemCall::Reply, &[0, info(0, 0)], Stale);
    pair.system.pass(1 << 21);
    // Receiving, waiting, created.
    let mut pair = Pair::new();
    reclaim(&mut pair.system, pair.server.frame());
    let mut pair = Pair::new();
    pair.call_received();
    pair.park();
    reclaim(&mut pair.system, pair.server.frame());
    let (_, frame) = pair.system.object(SystemCall::ThreadCreate, &[pair.client_task.handle]);
    reclaim(&mut pair.system, frame);
    assert_eq!(pair.system.task(pair.client_task.link).thread_count, 2);
}

#[test]
fn the_frame_of_a_tasks_last_thread_takes_the_task_along() {
    let mut pair = Pair::new();
    pair.call_received();
    reclaim(&mut pair.system, pair.server.frame());
    assert_eq!(pair.system.task_status(pair.server_task), TaskStatus::Killed(RECLAIMED));
    assert_eq!(pair.system.status(pair.client), Err(PeerDied), "the call that it owed a reply");
}

#[test]
fn the_frame_of_the_running_thread_is_refused_with_nothing_changed() {
    let mut system = System::new();
    let process = system.process();
    let arguments = [boot_handle(FRAMES), 2, 3, 90, process.handle];
    // A thread in the boss's own frame, in front of it or behind.
    system.ok(SystemCall::ThreadCreate, &arguments);
    system.ok(SystemCall::ThreadStart, &[90, 0x1000, 0, 0, 0, 3]);
    system.refused(SystemCall::Reclaim, &[boot_handle(FRAMES), 2], Busy);
    assert_eq!(system.task(process.link).thread_count, 1);
    assert_eq!(system.state(kernel_core::Link::new::<Thread>(2, 3)), ThreadState::Ready);
}

#[test]
fn a_task_goes_in_order_tables_first() {
    let mut system = System::new();
    let process = system.process();
    let (_, thread) = system.spawn(process, 5);
    let table = system.task(process.link).table[0];
    let frames = boot_handle(FRAMES);
    system.refused(SystemCall::Reclaim, &[frames, table.into()], Busy);
    system.refused(SystemCall::Reclaim, &[frames, process.frame.into()], Busy);
    system.ok(SystemCall::TaskKill, &[process.handle, 0]);
    system.refused(SystemCall::Reclaim, &[frames, process.frame.into()], Busy);
    while system.ok(SystemCall::PmapUnstock, &[frames, process.handle, ARRAY, 100]) != 0 {}
    system.refused(SystemCall::Reclaim, &[frames, process.frame.into()], Busy);
    system.ok(SystemCall::Reclaim, &[frames, table.into()]);
    system.ok(SystemCall::Reclaim, &[frames, process.frame.into()]);
    // The thread's frame may come last as well as first.
    system.ok(SystemCall::Reclaim, &[frames, thread.frame().into()]);
    for frame in [table, process.frame, thread.frame()] {
        assert_eq!(system.kind(frame), FrameKind::Plain);
    }
}

#[test]
fn a_frame_of_tasks_stays_as_long_as_one_of_them_lives() {
    let mut system = System::new();
    let process = system.process();
    let root = system.frame();
    let arguments =
        [boot_handle(FRAMES), process.frame.into(), 1, 90, root, boot_handle(kernel_abi::boot::ENDPOINT), 0];
    system.ok(SystemCall::TaskCreate, &arguments);
    let tables = system.task(process.link).table;
    system.ok(SystemCall::TaskKill, &[process.handle, 0]);
    while system.ok(SystemCall::PmapUnstock, &[boot_handle(FRAMES), process.handle, ARRAY, 100]) != 0 {}
    system.ok(SystemCall::Reclaim, &[boot_handle(FRAMES), tables[0].into()]);
    system.refused(SystemCall::Reclaim, &[boot_handle(FRAMES), process.frame.into()], Busy);
    assert_eq!(
        system.ok(SystemCall::TaskStatus, &[process.handle]) as u32,
        2,
        "its status can still be read"
    );
}

#[test]
fn replies_in_a_dead_tasks_table_are_dropped_at_its_end() {
    let mut pair = Pair::new();
    pair.call_received();
    pair.system.ok(SystemCall::SaveReply, &[SAVED]);
    pair.system.give(pair.server_task, pair.server_task.handle, 30, Rights::KILL);
    pair.run(pair.server);
    pair.system.issue(SystemCall::TaskKill, &[30, 0]);
    assert_eq!(pair.system.status(pair.client), Err(PeerDied));
    pair.system.dismantle(pair.server_task);
}

#[test]
fn everything_comes_back() {
    let mut pair = Pair::new();
    let before = System::new().count(FrameKind::Plain);
    let frame = endpoint_frame(&mut pair);
    pair.call_received();
    pair.system.ok(SystemCall::SaveReply, &[SAVED]);
    pair.receive();
    pair.call(pair.other_client, &[1]);
    for process in [pair.client_task, pair.server_task] {
        pair.system.dismantle(process);
    }
    for frame in [pair.client.frame(), pair.other_client.frame(), pair.server.frame(), frame] {
        reclaim(&mut pair.system, frame);
    }
    assert_eq!(pair.system.count(FrameKind::Plain), before);
    assert!(pair.system.frame_at(pair.system.boss_task.link, MEMORY) > 0);
}
