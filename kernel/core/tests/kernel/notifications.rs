//! Notifications: bits, who waits, who is bound, timers.

use crate::harness::{System, boot_handle, info};
use crate::pair::{ENDPOINT, Pair};
use kernel_abi::KernelError::{Busy, InvalidHandle, MissingRight, Stale, TimedOut, WrongKind};
use kernel_abi::message::MessageFlags;
use kernel_abi::{MessageInfo, Rights, SystemCall, boot};
use kernel_core::Machine;
use kernel_core::objects::ThreadState;

/// The notification in both tasks of a pair.
const NOTIFICATION: u64 = 30;
/// Its badge.
const BITS: u64 = 0b100;

fn pair_with_notification() -> (Pair, u64) {
    let mut pair = Pair::new();
    let notification = pair.system.notification(BITS);
    for task in [pair.client_task, pair.server_task] {
        pair.system.give(task, notification, NOTIFICATION, Rights::SEND | Rights::RECEIVE);
    }
    (pair, notification)
}

#[test]
fn bits_gather_until_they_are_taken() {
    let mut system = System::new();
    let (one, frame) = system.object(SystemCall::NotificationCreate, &[]);
    assert!(frame > 0);
    for (handle, badge) in [(60, 1), (61, 0b1000)] {
        system.ok(SystemCall::CapabilityMint, &[one, handle, 1, badge]);
        system.ok(SystemCall::Signal, &[handle]);
    }
    system.ok(SystemCall::Signal, &[60]);
    assert_eq!(system.ok(SystemCall::Poll, &[one]), 0b1001);
    assert_eq!(system.ok(SystemCall::Poll, &[one]), 0);
    system.ok(SystemCall::Signal, &[61]);
    assert_eq!(system.ok(SystemCall::Wait, &[one]), 0b1000, "what is there needs no waiting");
    system.ok(SystemCall::Signal, &[one]);
    assert_eq!(system.ok(SystemCall::Poll, &[one]), 0, "a badge of 0 signals nothing");
}

#[test]
fn rights_and_kinds_are_checked() {
    let mut system = System::new();
    let one = system.notification(1);
    system.ok(SystemCall::CapabilityCopy, &[one, 60, u64::from(Rights::SEND.bits())]);
    system.ok(SystemCall::CapabilityCopy, &[one, 61, u64::from(Rights::RECEIVE.bits())]);
    system.refused(SystemCall::Signal, &[61], MissingRight);
    for call in [SystemCall::Wait, SystemCall::Poll, SystemCall::TimerSet, SystemCall::ThreadBind] {
        system.refused(call, &[60, 1, 1], MissingRight);
        system.refused(call, &[boot_handle(boot::ENDPOINT), 1, 1], WrongKind);
        system.refused(call, &[99, 1, 1], InvalidHandle);
    }
}

#[test]
fn who_waits_gets_the_bits_and_a_second_waiter_is_refused() {
    let (mut pair, _) = pair_with_notification();
    pair.run(pair.client);
    pair.system.issue(SystemCall::Wait, &[NOTIFICATION]);
    assert_eq!(pair.system.state(pair.client), ThreadState::Waiting);
    pair.run(pair.other_client);
    pair.system.refused(SystemCall::Wait, &[NOTIFICATION], Busy);
    pair.system.issue(SystemCall::Signal, &[NOTIFICATION]);
    let registers = pair.system.registers(pair.client);
    assert_eq!((registers.rax, registers.rdx), (0, BITS));
    assert_eq!(pair.system.state(pair.client), ThreadState::Ready);
}

#[test]
fn a_wait_gives_up_at_its_deadline() {
    let (mut pair, _) = pair_with_notification();
    pair.run(pair.client);
    pair.system.issue_until(SystemCall::Wait, &[NOTIFICATION], 1 << 20);
    pair.run(pair.other_client);
    pair.system.pass(1 << 21);
    assert_eq!(pair.system.status(pair.client), Err(TimedOut));
    pair.run(pair.client);
    pair.system.issue_until(SystemCall::Wait, &[NOTIFICATION], 1 << 20);
    assert_eq!(pair.system.status(pair.client), Err(TimedOut), "it has passed already");
    pair.system.ok(SystemCall::Signal, &[NOTIFICATION]);
    pair.system.issue_until(SystemCall::Wait, &[NOTIFICATION], 1 << 20);
    assert_eq!(pair.system.status(pair.client), Ok(()), "bits that are there are taken all the same");
}

#[test]
fn a_receive_answers_for_the_bound_notification() {
    let (mut pair, _) = pair_with_notification();
    pair.call_received();
    pair.system.ok(SystemCall::ThreadBind, &[NOTIFICATION]);
    pair.system.issue(SystemCall::ReplyReceive, &[ENDPOINT, info(0, 0)]);
    pair.run(pair.client);
    assert_eq!(pair.system.issue(SystemCall::Signal, &[NOTIFICATION]), Some(pair.server));
    let registers = pair.system.registers(pair.server);
    assert_eq!((registers.rax, registers.rdi, registers.rdx), (0, 0, BITS));
    let expected = MessageInfo::new(0, 1, 0).received(0, MessageFlags::NOTIFICATION);
    assert_eq!(pair.info(pair.server), expected);
    pair.system.refused(SystemCall::Reply, &[0, info(0, 0)], kernel_abi::KernelError::NoReply);
    // Signalled while it does something else: the next receive has it, before any caller.
    pair.system.ok(SystemCall::Signal, &[NOTIFICATION]);
    pair.park();
    pair.call(pair.client, &[1]);
    pair.unpark();
    pair.receive();
    assert_eq!(pair.info(pair.server), expected);
    pair.receive();
    assert_eq!(pair.info(pair.server), MessageInfo::new(7, 1, 0));
}

#[test]
fn a_notification_is_bound_to_one_thread_and_a_thread_to_one_notification() {
    let (mut pair, _) = pair_with_notification();
    let second = pair.system.notification(1);
    pair.system.give(pair.client_task, second, 31, Rights::RECEIVE);
    pair.run(pair.client);
    pair.system.ok(SystemCall::ThreadBind, &[NOTIFICATION]);
    pair.system.ok(SystemCall::ThreadBind, &[NOTIFICATION]);
    pair.run(pair.other_client);
    pair.system.refused(SystemCall::ThreadBind, &[NOTIFICATION], Busy);
    pair.run(pair.client);
    pair.system.ok(SystemCall::ThreadBind, &[31]);
    pair.run(pair.other_client);
    pair.system.ok(SystemCall::ThreadBind, &[NOTIFICATION]);
    pair.run(pair.client);
    pair.system.ok(SystemCall::ThreadBind, &[0]);
    pair.system.ok(SystemCall::ThreadBind, &[0]);
    pair.run(pair.other_client);
    pair.system.ok(SystemCall::ThreadBind, &[31]);
    pair.system.issue(SystemCall::ThreadExit, &[0]);
    pair.run(pair.client);
    pair.system.ok(SystemCall::ThreadBind, &[31]);
}

#[test]
fn a_thread_that_waits_goes_before_the_one_that_is_bound() {
    let (mut pair, _) = pair_with_notification();
    pair.call_received();
    pair.system.ok(SystemCall::ThreadBind, &[NOTIFICATION]);
    pair.system.issue(SystemCall::ReplyReceive, &[ENDPOINT, info(0, 0)]);
    pair.run(pair.client);
    pair.system.issue(SystemCall::Wait, &[NOTIFICATION]);
    pair.run(pair.other_client);
    pair.system.issue(SystemCall::Signal, &[NOTIFICATION]);
    assert_eq!(pair.system.state(pair.server), ThreadState::Receiving);
    assert_eq!(pair.system.registers(pair.client).rdx, BITS);
}

#[test]
fn a_timer_signals_once_and_can_be_replaced_and_disarmed() {
    let (mut pair, _) = pair_with_notification();
    pair.run(pair.client);
    let now = |pair: &Pair| pair.system.kernel.machine.time;
    pair.system.ok(SystemCall::TimerSet, &[NOTIFICATION, 1 << 20, 0x50]);
    pair.system.pass((1 << 20) - 1);
    assert_eq!(pair.system.ok(SystemCall::Poll, &[NOTIFICATION]), 0);
    pair.system.pass(1 << 17);
    assert_eq!(pair.system.ok(SystemCall::Poll, &[NOTIFICATION]), 0x50);
    pair.system.pass(1 << 25);
    assert_eq!(pair.system.ok(SystemCall::Poll, &[NOTIFICATION]), 0);
    let soon = now(&pair) + (1 << 20);
    pair.system.ok(SystemCall::TimerSet, &[NOTIFICATION, soon, 1]);
    pair.system.ok(SystemCall::TimerSet, &[NOTIFICATION, soon + (1 << 20), 2]);
    pair.system.pass((1 << 20) + (1 << 17));
    assert_eq!(pair.system.ok(SystemCall::Poll, &[NOTIFICATION]), 0);
    pair.system.ok(SystemCall::TimerSet, &[NOTIFICATION, 0, 0]);
    pair.system.pass(1 << 25);
    assert_eq!(pair.system.ok(SystemCall::Poll, &[NOTIFICATION]), 0);
    pair.system.ok(SystemCall::TimerSet, &[NOTIFICATION, 1, 4]);
    assert_eq!(pair.system.ok(SystemCall::Poll, &[NOTIFICATION]), 4, "a time in the past is now");
    pair.system.ok(SystemCall::TimerSet, &[NOTIFICATION, u64::MAX, 4]);
    pair.system.pass(1 << 40);
    assert_eq!(pair.system.ok(SystemCall::Poll, &[NOTIFICATION]), 0);
}

#[test]
fn a_timer_wakes_who_waits_from_an_idle_machine() {
    let (mut pair, _) = pair_with_notification();
    pair.run(pair.client);
    pair.system.ok(SystemCall::TimerSet, &[NOTIFICATION, 1 << 20, 3]);
    pair.system.issue(SystemCall::Wait, &[NOTIFICATION]);
    pair.system.issue(SystemCall::ThreadExit, &[0]);
    assert_eq!(pair.system.current(), kernel_core::Link::NONE);
    assert!(pair.system.kernel.machine.timer() >= 1 << 20 && pair.system.kernel.machine.timer() < 1 << 21);
    assert_eq!(pair.system.pass(1 << 21), Some(pair.client));
    assert_eq!(pair.system.registers(pair.client).rdx, 3);
}

#[test]
fn reclaim_wakes_the_waiter_unbinds_and_disarms() {
    let (mut pair, notification) = pair_with_notification();
    pair.run(pair.client);
    pair.system.ok(SystemCall::ThreadBind, &[NOTIFICATION]);
    pair.system.ok(SystemCall::TimerSet, &[NOTIFICATION, 1 << 20, 3]);
    pair.system.issue(SystemCall::Wait, &[NOTIFICATION]);
    let frame = pair.system.thread(pair.client).waits_for.frame();
    pair.system.as_boss(|system| {
        system.ok(SystemCall::Reclaim, &[boot_handle(boot::FRAMES), frame.into()]);
        system.refused(SystemCall::Signal, &[notification], Stale);
    });
    assert_eq!(pair.system.status(pair.client), Err(Stale));
    pair.run(pair.client);
    pair.system.pass(1 << 21);
    pair.system.refused(SystemCall::Poll, &[NOTIFICATION], Stale);
    assert_eq!(pair.system.kernel.machine.frame(frame).map(|entry| entry.generation()), Some(1));
}
