//! Calls and replies that could go straight from one thread to the other but for one thing.

use crate::harness::{System, boot_handle, info};
use crate::pair::{ENDPOINT, Pair};
use kernel_abi::KernelError::{MissingRight, Stale};
use kernel_abi::boot;
use kernel_abi::fault::RESUME;
use kernel_abi::message::MessageFlags;
use kernel_abi::{MessageInfo, Rights, SystemCall};
use kernel_core::objects::ThreadState;

#[test]
fn a_call_without_the_right_is_refused_though_the_server_waits() {
    let mut pair = Pair::new();
    pair.run(pair.client);
    pair.system.ok(SystemCall::CapabilityCopy, &[ENDPOINT, 30, u64::from(Rights::TRANSFER.bits())]);
    pair.system.refused(SystemCall::Call, &[30, info(1, 1)], MissingRight);
    assert_eq!(pair.system.state(pair.server), ThreadState::Receiving);
}

#[test]
fn a_reply_and_receive_without_the_right_is_refused_and_keeps_the_reply() {
    let mut pair = Pair::new();
    pair.call_received();
    pair.system.ok(SystemCall::CapabilityCopy, &[ENDPOINT, 30, u64::from(Rights::SEND.bits())]);
    pair.system.refused(SystemCall::ReplyReceive, &[30, info(1, 1)], MissingRight);
    assert_eq!(pair.system.state(pair.client), ThreadState::AwaitingReply);
    pair.system.ok(SystemCall::Reply, &[0, info(0, 0)]);
}

#[test]
fn a_call_by_an_old_name_is_stale_though_a_server_waits_in_the_same_slot() {
    let mut system = System::new();
    let (old, frame) = system.object(SystemCall::EndpointCreate, &[]);
    let frames = boot_handle(boot::FRAMES);
    system.ok(SystemCall::Reclaim, &[frames, frame.into()]);
    system.ok(SystemCall::EndpointCreate, &[frames, frame.into(), 0, 90]);
    let (client_task, server_task) = (system.process(), system.process());
    system.give(client_task, old, 1, Rights::SEND);
    system.give(server_task, 90, 1, Rights::RECEIVE);
    let (_, client) = system.spawn(client_task, 5);
    let (_, server) = system.spawn(server_task, 5);
    system.run(server);
    system.issue(SystemCall::Receive, &[1]);
    system.run(client);
    system.refused(SystemCall::Call, &[1, info(1, 1)], Stale);
    assert_eq!(system.state(server), ThreadState::Receiving);
}

#[test]
fn a_fault_answered_by_reply_and_receive_is_no_message() {
    let mut system = System::new();
    let process = system.process();
    let (_, thread) = system.spawn(process, 5);
    system.run(thread);
    let before = system.registers(thread);
    system.fault(0x7777_0000, 0);
    let words = [boot_handle(boot::ENDPOINT), info(RESUME, 2), 66, 67];
    assert_eq!(system.issue(SystemCall::ReplyReceive, &words), Some(thread));
    assert_eq!(system.registers(thread), before);
    system.fault(0x7777_0000, 0);
    let words = [boot_handle(boot::ENDPOINT), info(5, 2), 66, 67];
    assert_eq!(system.issue(SystemCall::ReplyReceive, &words), None);
    assert_eq!(system.state(thread), ThreadState::Ended);
}

#[test]
fn a_receive_after_a_reply_sees_the_bound_notification_first() {
    let mut pair = Pair::new();
    let notification = pair.system.notification(0b100);
    pair.system.give(pair.server_task, notification, 30, Rights::SEND | Rights::RECEIVE);
    pair.call_received();
    pair.system.ok(SystemCall::ThreadBind, &[30]);
    pair.system.ok(SystemCall::Signal, &[30]);
    let server = pair.server;
    assert_eq!(pair.system.issue(SystemCall::ReplyReceive, &[ENDPOINT, info(0, 1), 8]), Some(server));
    assert_eq!(pair.info(server), MessageInfo::new(0, 1, 0).received(0, MessageFlags::NOTIFICATION));
    assert_eq!(pair.system.registers(server).rdx, 0b100);
    assert_eq!(pair.system.registers(pair.client).rdx, 8, "the reply was sent");
}

#[test]
fn a_receive_after_a_reply_takes_the_caller_that_waits() {
    let mut pair = Pair::new();
    pair.call_received();
    let server = pair.server;
    pair.system.ok(SystemCall::Reply, &[0, info(0, 0)]);
    pair.park();
    for (word, client) in [(50, pair.client), (51, pair.other_client)] {
        pair.call(client, &[word]);
    }
    pair.unpark();
    pair.receive();
    assert_eq!(pair.system.issue(SystemCall::ReplyReceive, &[ENDPOINT, info(0, 0)]), Some(server));
    assert_eq!(pair.system.registers(server).rdx, 51);
    assert_eq!(pair.system.status(pair.client), Ok(()));
}

#[test]
fn a_call_to_a_lower_server_is_served_at_the_priority_of_the_caller() {
    let mut pair = Pair::new();
    let task = pair.client_task;
    pair.run(pair.client);
    let (_, caller) = pair.system.spawn(task, 20);
    let (_, between) = pair.system.spawn(task, 10);
    assert_eq!(pair.system.current(), caller);
    assert_eq!(pair.system.issue(SystemCall::Call, &[ENDPOINT, info(0, 0)]), Some(pair.server));
    assert_eq!(pair.system.thread(pair.server).priority, 20);
    assert_eq!(pair.system.issue(SystemCall::ReplyReceive, &[ENDPOINT, info(0, 0)]), Some(caller));
    assert_eq!(pair.system.thread(pair.server).priority, 6, "what was lent has returned");
    pair.system.issue(SystemCall::ThreadExit, &[0]);
    assert_eq!(pair.system.current(), between);
}

#[test]
fn deadlines_end_with_the_wait_that_they_are_for() {
    let mut pair = Pair::new();
    let (client, server) = (pair.client, pair.server);
    pair.call_until(client, &[1], 1 << 20);
    pair.system.issue(SystemCall::ReplyReceive, &[ENDPOINT, info(0, 0)]);
    assert!(!pair.system.thread(client).timer.is_set());
    pair.call_received();
    pair.system.issue_until(SystemCall::ReplyReceive, &[ENDPOINT, info(0, 0)], 1 << 20);
    pair.call_received();
    assert!(!pair.system.thread(server).timer.is_set());
}

#[test]
fn each_call_has_a_number_of_its_own() {
    let mut pair = Pair::new();
    let mut numbers = Vec::new();
    for _ in 0..3 {
        pair.call_received();
        numbers.push(pair.system.thread(pair.server).reply.sequence);
        pair.system.issue(SystemCall::ReplyReceive, &[ENDPOINT, info(0, 0)]);
        pair.run(pair.client);
    }
    numbers.dedup();
    assert_eq!(numbers.len(), 3);
}
