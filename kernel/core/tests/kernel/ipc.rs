//! Calls, replies and receives: order, words, deadlines, and who learns of whose end.

use crate::harness::{MEMORY, info};
use crate::pair::{BADGE, ENDPOINT, Pair, SAVED};
use kernel_abi::KernelError::{
    InvalidArgument, MessageTooLong, MissingRight, NoBuffer, NoReply, PeerDied, Stale, TimedOut, WrongKind,
};
use kernel_abi::capability::Rights;
use kernel_abi::message::{MESSAGE_WORDS, REGISTER_WORDS};
use kernel_abi::{MessageInfo, SystemCall};
use kernel_core::objects::ThreadState;

#[test]
fn a_call_to_a_waiting_server_hands_over_at_once_and_back() {
    let mut pair = Pair::new();
    assert_eq!(pair.call(pair.client, &[11, 12]), Some(pair.server));
    let registers = pair.system.registers(pair.server);
    assert_eq!((registers.rax, registers.rdi), (0, BADGE));
    assert_eq!(registers.words()[..2], [11, 12]);
    assert_eq!(pair.info(pair.server), MessageInfo::new(7, 2, 0));
    assert_eq!(pair.system.state(pair.client), ThreadState::AwaitingReply);
    // The client is of lower priority than the server, but nobody else can run.
    pair.system.issue(SystemCall::ReplyReceive, &[ENDPOINT, info(9, 3), 21, 22, 23]);
    let registers = pair.system.registers(pair.client);
    assert_eq!((registers.rax, registers.rdi, registers.words()[..3].to_vec()), (0, 0, vec![21, 22, 23]));
    assert_eq!(pair.info(pair.client), MessageInfo::new(9, 3, 0));
    assert_eq!(pair.system.state(pair.server), ThreadState::Receiving);
}

#[test]
fn callers_that_come_first_wait_in_order() {
    let mut pair = Pair::new();
    pair.call_received();
    // The server is busy and sleeps; both clients come meanwhile.
    pair.system.issue(SystemCall::SaveReply, &[SAVED]);
    let (clients, server) = ([pair.client, pair.other_client], pair.server);
    assert_eq!(pair.system.issue(SystemCall::Reply, &[SAVED, info(0, 0)]), Some(server));
    pair.park();
    for (number, client) in clients.into_iter().enumerate() {
        pair.call(client, &[number as u64]);
        assert_eq!(pair.system.state(client), ThreadState::Sending);
    }
    pair.unpark();
    for number in 0..2 {
        pair.receive();
        assert_eq!(pair.system.registers(server).rdx, number);
        pair.system.ok(SystemCall::Reply, &[0, info(0, 0)]);
    }
}

#[test]
fn messages_of_every_length_arrive_whole_both_ways() {
    for count in 0..=MESSAGE_WORDS {
        let mut pair = Pair::new();
        let words: Vec<u64> = (0..count as u64).map(|word| 1000 + word).collect();
        let (inline, rest) = words.split_at(count.min(REGISTER_WORDS));
        pair.run(pair.client);
        let (client_task, server_task) = (pair.client_task.link, pair.server_task.link);
        pair.system.poke_words(client_task, MEMORY, rest);
        let mut arguments = vec![ENDPOINT, info(1, count)];
        arguments.extend_from_slice(inline);
        assert_eq!(pair.system.issue(SystemCall::Call, &arguments), Some(pair.server));
        assert_eq!(pair.info(pair.server).words(), count);
        assert_eq!(pair.system.registers(pair.server).words()[..inline.len()], *inline);
        for (index, &word) in rest.iter().enumerate() {
            assert_eq!(pair.system.peek(server_task, MEMORY + index as u64 * 8), word);
        }
        let reply: Vec<u64> = rest.iter().map(|word| word * 2).collect();
        pair.system.poke_words(server_task, MEMORY, &reply);
        let mut arguments = vec![ENDPOINT, info(2, count)];
        arguments.extend_from_slice(inline);
        pair.system.issue(SystemCall::ReplyReceive, &arguments);
        pair.run(pair.client);
        for (index, &word) in reply.iter().enumerate() {
            assert_eq!(pair.system.peek(client_task, MEMORY + index as u64 * 8), word);
        }
    }
}

#[test]
fn registers_beyond_the_message_are_nobody_elses_to_see() {
    let mut pair = Pair::new();
    pair.run(pair.client);
    let secret = [ENDPOINT, info(7, 2), 1, 2, 3, 4, 5, 6, 7, 8];
    assert_eq!(pair.system.issue(SystemCall::Call, &secret), Some(pair.server));
    assert_eq!(pair.system.registers(pair.server).words(), [1, 2, 0, 0, 0, 0, 0, 0]);
    pair.system.issue(SystemCall::ReplyReceive, &[ENDPOINT, info(7, 0), 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(pair.system.registers(pair.client).words(), [0; 8]);
}

#[test]
fn descriptors_are_checked_before_anything_is_sent() {
    let mut pair = Pair::new();
    pair.run(pair.client);
    for (info, error) in [
        (65, MessageTooLong),
        (127, MessageTooLong),
        (5 << 8, MessageTooLong),
        (1 << 7, InvalidArgument),
        (1 << 12, InvalidArgument),
        (1 << 16, InvalidArgument),
        (1 << 31, InvalidArgument),
    ] {
        pair.system.refused(SystemCall::Call, &[ENDPOINT, info], error);
    }
    pair.call_received();
    for info in [65, 5 << 8] {
        pair.system.refused(SystemCall::Reply, &[0, info], MessageTooLong);
        pair.system.refused(SystemCall::ReplyReceive, &[ENDPOINT, info], MessageTooLong);
    }
    assert_eq!(pair.system.state(pair.client), ThreadState::AwaitingReply, "the caller keeps waiting");
    pair.system.ok(SystemCall::Reply, &[0, info(0, 0)]);
}

#[test]
fn a_long_message_needs_the_senders_buffer() {
    let mut pair = Pair::new();
    pair.run(pair.client);
    pair.system.buffer(0, 0);
    pair.system.refused(SystemCall::Call, &[ENDPOINT, info(0, 9)], NoBuffer);
    pair.system.refused(SystemCall::Call, &[ENDPOINT, MessageInfo::new(0, 0, 1).0], NoBuffer);
    assert_eq!(pair.system.issue(SystemCall::Call, &[ENDPOINT, info(0, 8)]), Some(pair.server));
}

#[test]
fn a_receiver_without_a_buffer_gets_what_fits_its_registers() {
    let mut pair = Pair::new();
    pair.run(pair.client);
    let server = pair.server;
    pair.system.kernel.machine.time = 1;
    pair.call_received();
    pair.system.buffer(0, 0);
    pair.system.issue(SystemCall::ReplyReceive, &[ENDPOINT, info(0, 0)]);
    pair.run(pair.client);
    pair.system.issue(SystemCall::Call, &[ENDPOINT, info(3, 64), 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(pair.info(server), MessageInfo::new(3, 8, 0));
    assert_eq!(pair.system.registers(server).words(), [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn rights_and_kinds_are_checked() {
    let mut pair = Pair::new();
    pair.run(pair.client);
    pair.system.refused(SystemCall::Receive, &[ENDPOINT], MissingRight);
    pair.system.refused(SystemCall::ReplyReceive, &[ENDPOINT, 0], MissingRight);
    pair.system.refused(SystemCall::Reply, &[ENDPOINT, 0], WrongKind);
    pair.system.refused(SystemCall::Reply, &[0, 0], NoReply);
    pair.system.refused(SystemCall::SaveReply, &[SAVED], NoReply);
    let boss = pair.system.boss;
    pair.run(pair.other_client);
    pair.system.as_boss(|system| {
        assert_eq!(system.current(), boss);
        system.refused(SystemCall::Call, &[u64::from(kernel_abi::boot::TASK.0), 0], WrongKind);
    });
}

#[test]
fn a_reply_can_be_saved_once_and_sent_once() {
    let mut pair = Pair::new();
    pair.call_received();
    pair.system.ok(SystemCall::SaveReply, &[SAVED]);
    pair.system.refused(SystemCall::SaveReply, &[SAVED + 1], NoReply);
    pair.system.refused(SystemCall::Reply, &[0, info(0, 0)], NoReply);
    pair.system.ok(SystemCall::Reply, &[SAVED, info(4, 1), 44]);
    pair.system.refused(SystemCall::Reply, &[SAVED, info(4, 1), 44], kernel_abi::KernelError::InvalidHandle);
    pair.receive();
    let registers = pair.system.registers(pair.client);
    assert_eq!((registers.rax, registers.rdx), (0, 44));
}

#[test]
fn a_saved_reply_is_sent_later_while_others_are_served() {
    let mut pair = Pair::new();
    pair.call_received();
    pair.system.ok(SystemCall::SaveReply, &[SAVED]);
    pair.receive();
    assert_eq!(pair.call(pair.other_client, &[2]), Some(pair.server));
    assert_eq!(pair.system.registers(pair.server).rdx, 2);
    pair.system.ok(SystemCall::Reply, &[SAVED, info(0, 1), 100]);
    pair.system.ok(SystemCall::Reply, &[0, info(0, 1), 200]);
    assert_eq!(pair.system.registers(pair.client).rdx, 100);
    assert_eq!(pair.system.registers(pair.other_client).rdx, 200);
}

#[test]
fn save_reply_checks_its_destination_and_keeps_the_reply() {
    let mut pair = Pair::new();
    pair.call_received();
    pair.system.refused(SystemCall::SaveReply, &[ENDPOINT], kernel_abi::KernelError::Occupied);
    pair.system.refused(SystemCall::SaveReply, &[129], kernel_abi::KernelError::NoTable);
    pair.system.refused(SystemCall::SaveReply, &[0], kernel_abi::KernelError::InvalidHandle);
    pair.system.ok(SystemCall::Reply, &[0, info(0, 0)]);
}

#[test]
fn a_reply_is_never_copied() {
    let mut pair = Pair::new();
    pair.call_received();
    pair.system.ok(SystemCall::SaveReply, &[SAVED]);
    let transfer = u64::from(Rights::TRANSFER.bits());
    pair.system.refused(SystemCall::CapabilityCopy, &[SAVED, 21, transfer], WrongKind);
    pair.system.refused(SystemCall::CapabilityMint, &[SAVED, 21, transfer, 0], WrongKind);
    pair.system.ok(SystemCall::CapabilityMove, &[SAVED, 21]);
    pair.system.ok(SystemCall::Reply, &[21, info(0, 0)]);
}

#[test]
fn dropping_a_reply_fails_the_call() {
    let mut pair = Pair::new();
    pair.call_received();
    pair.system.ok(SystemCall::SaveReply, &[SAVED]);
    pair.system.ok(SystemCall::CapabilityDrop, &[SAVED]);
    assert_eq!(pair.system.status(pair.client), Err(PeerDied));
    pair.receive();
    pair.call_received();
    pair.receive();
    assert_eq!(
        pair.system.status(pair.client),
        Err(PeerDied),
        "receiving drops what was neither sent nor saved"
    );
}

#[test]
fn the_end_of_who_holds_the_reply_fails_the_call() {
    for saved in [false, true] {
        let mut pair = Pair::new();
        pair.call_received();
        if saved {
            pair.system.ok(SystemCall::SaveReply, &[SAVED]);
        }
        pair.system.issue(SystemCall::TaskExit, &[3]);
        assert_eq!(pair.system.status(pair.client), Err(PeerDied), "saved: {saved}");
        assert_eq!(pair.system.state(pair.client), ThreadState::Ready);
    }
}

#[test]
fn a_reply_to_a_caller_that_is_gone_is_stale_and_used_up() {
    let mut pair = Pair::new();
    pair.call_received();
    pair.system.ok(SystemCall::SaveReply, &[SAVED]);
    pair.system.as_boss(|system| system.ok(SystemCall::TaskKill, &[pair.client_task.handle, 0]));
    pair.system.refused(SystemCall::Reply, &[SAVED, info(0, 0)], Stale);
    pair.system.refused(SystemCall::Reply, &[SAVED, info(0, 0)], kernel_abi::KernelError::InvalidHandle);
}

#[test]
fn a_call_gives_up_at_its_deadline_wherever_it_stands() {
    let mut pair = Pair::new();
    // Received, not answered.
    assert_eq!(pair.call_until(pair.client, &[1], 1_000_000), Some(pair.server));
    pair.system.pass(900_000);
    assert_eq!(pair.system.state(pair.client), ThreadState::AwaitingReply, "not early");
    pair.system.pass(200_000);
    assert_eq!(pair.system.status(pair.client), Err(TimedOut));
    pair.system.refused(SystemCall::Reply, &[0, info(0, 0)], Stale);
    // Not even received.
    pair.park();
    let deadline = pair.system.kernel.machine.time + 1_000_000;
    pair.call_until(pair.client, &[1], deadline);
    assert_eq!(pair.system.state(pair.client), ThreadState::Sending);
    pair.system.pass(1_100_000);
    assert_eq!(pair.system.status(pair.client), Err(TimedOut));
    pair.unpark();
    pair.receive();
    assert_eq!(pair.system.state(pair.server), ThreadState::Receiving, "the message is withdrawn");
}

#[test]
fn a_stale_reply_does_not_answer_the_next_call() {
    let mut pair = Pair::new();
    assert_eq!(pair.call_until(pair.client, &[1], 1_000_000), Some(pair.server));
    pair.system.ok(SystemCall::SaveReply, &[SAVED]);
    pair.receive();
    pair.system.pass(2_000_000);
    assert_eq!(pair.call(pair.client, &[2]), Some(pair.server));
    pair.system.refused(SystemCall::Reply, &[SAVED, info(0, 1), 666], Stale);
    assert_eq!(pair.system.state(pair.client), ThreadState::AwaitingReply);
    pair.system.ok(SystemCall::Reply, &[0, info(0, 1), 5]);
    assert_eq!(pair.system.registers(pair.client).rdx, 5);
}

#[test]
fn deadlines_that_have_passed_are_refused_and_zero_is_never() {
    let mut pair = Pair::new();
    pair.system.kernel.machine.time = 1000;
    pair.call_until(pair.client, &[1], 1000);
    assert_eq!(pair.system.status(pair.client), Err(TimedOut));
    assert_eq!(pair.call_until(pair.client, &[1], u64::MAX), Some(pair.server));
    pair.system.issue_until(SystemCall::ReplyReceive, &[ENDPOINT, info(0, 0)], u64::MAX);
    pair.system.pass(1 << 57);
    assert_eq!(pair.system.state(pair.server), ThreadState::Receiving);
}

#[test]
fn a_receive_gives_up_at_its_deadline() {
    let mut pair = Pair::new();
    pair.call_received();
    pair.system.issue_until(SystemCall::ReplyReceive, &[ENDPOINT, info(0, 0)], 5_000_000);
    assert_eq!(pair.system.state(pair.server), ThreadState::Receiving);
    pair.system.pass(6_000_000);
    assert_eq!(pair.system.status(pair.server), Err(TimedOut));
    assert_eq!(pair.system.current(), pair.server);
}

#[test]
fn a_receive_that_is_late_sends_its_reply_and_takes_what_waits() {
    let mut pair = Pair::new();
    pair.system.kernel.machine.time = 1000;
    pair.call_received();
    let late = |pair: &mut Pair| {
        pair.system.issue_until(SystemCall::ReplyReceive, &[ENDPOINT, info(5, 0)], 900);
    };
    late(&mut pair);
    assert_eq!(pair.system.status(pair.server), Err(TimedOut));
    assert_eq!(pair.system.status(pair.client), Ok(()));
    assert_eq!(pair.info(pair.client).label(), 5, "the reply was sent");
    pair.park();
    pair.call(pair.client, &[77]);
    pair.unpark();
    pair.system.issue_until(SystemCall::Receive, &[ENDPOINT], 900);
    assert_eq!(pair.system.status(pair.server), Ok(()), "a message that waits needs no waiting");
    assert_eq!(pair.system.registers(pair.server).rdx, 77);
}
