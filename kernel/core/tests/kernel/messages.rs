//! What messages carry besides words: capabilities, where they land, and buffers whose pages are absent.

use crate::harness::{MEMORY, System, boot_handle, info, info_with};
use crate::pair::{BADGE, ENDPOINT, Pair, SAVED};
use kernel_abi::KernelError::{self, InvalidHandle, MissingRight, NoTable, PeerDied};
use kernel_abi::message::{BUFFER_BADGES_OFFSET, MessageFlags};
use kernel_abi::{Kind, MessageInfo, Rights, SystemCall, boot};
use kernel_core::objects::{Capability, Task, ThreadState};
use kernel_core::{Link, Machine};

/// First handle of everybody's receive window.
const WINDOW: u64 = 40;
/// An entry of the client with a notification that it may pass on.
const GIFT: u64 = 10;

/// A pair whose client holds a notification to pass on.
fn pair_with_gift() -> Pair {
    let mut pair = Pair::new();
    let notification = pair.system.notification(0x6f);
    pair.system.give(pair.client_task, notification, GIFT, Rights::SEND | Rights::TRANSFER);
    pair.run(pair.client);
    pair
}

/// The client calls with these capabilities.
fn call_with(pair: &mut Pair, handles: &[u32]) {
    pair.run(pair.client);
    pair.system.put_handles(handles);
    pair.system.issue(SystemCall::Call, &[ENDPOINT, info_with(1, 0, handles.len())]);
}

/// Kind of an entry of the current thread's task.
fn kind(system: &mut System, handle: u64) -> Result<Kind, KernelError> {
    let value = system.call(SystemCall::CapabilityIdentify, &[handle])?;
    Ok(Kind::from_number(value as u8).expect("a kind"))
}

#[test]
fn capabilities_land_in_the_window_with_the_rights_they_had() {
    let mut pair = pair_with_gift();
    call_with(&mut pair, &[GIFT as u32, GIFT as u32]);
    assert_eq!(pair.info(pair.server), MessageInfo::new(1, 0, 2));
    for handle in [WINDOW, WINDOW + 1] {
        let value = pair.system.ok(SystemCall::CapabilityIdentify, &[handle]);
        let rights = u64::from((Rights::SEND | Rights::TRANSFER).bits());
        assert_eq!(value, Kind::Notification as u64 | rights << 16);
    }
    pair.system.refused(SystemCall::CapabilityIdentify, &[WINDOW + 2], InvalidHandle);
    pair.run(pair.server);
    pair.system.issue(SystemCall::ReplyReceive, &[ENDPOINT, info(0, 0)]);
    pair.run(pair.client);
    assert_eq!(kind(&mut pair.system, GIFT), Ok(Kind::Notification), "what is sent is a copy");
}

#[test]
fn a_capability_to_the_receivers_endpoint_comes_as_its_badge() {
    let mut pair = pair_with_gift();
    call_with(&mut pair, &[GIFT as u32, ENDPOINT as u32]);
    let server = pair.server;
    assert_eq!(pair.info(server), MessageInfo::new(1, 0, 2).received(0b10, MessageFlags::empty()));
    let task = pair.server_task.link;
    assert_eq!(pair.system.peek(task, MEMORY + BUFFER_BADGES_OFFSET as u64 + 8), BADGE);
    assert_eq!(kind(&mut pair.system, WINDOW), Ok(Kind::Notification));
    assert_eq!(kind(&mut pair.system, WINDOW + 1), Err(InvalidHandle));
}

#[test]
fn a_reply_carries_capabilities_as_they_are() {
    let mut pair = Pair::new();
    pair.call_received();
    pair.system.put_handles(&[ENDPOINT as u32]);
    pair.system.issue(SystemCall::ReplyReceive, &[ENDPOINT, info_with(0, 0, 1)]);
    pair.run(pair.client);
    assert_eq!(pair.info(pair.client), MessageInfo::new(0, 0, 1));
    assert_eq!(kind(&mut pair.system, WINDOW), Ok(Kind::Endpoint));
}

#[test]
fn capabilities_that_may_not_go_are_refused_before_anything_is_sent() {
    let mut pair = pair_with_gift();
    pair.system.ok(SystemCall::CapabilityCopy, &[GIFT, 11, u64::from(Rights::SEND.bits())]);
    for (handles, error) in [([GIFT as u32, 11], MissingRight), ([GIFT as u32, 12], InvalidHandle)] {
        pair.system.put_handles(&handles);
        pair.system.refused(SystemCall::Call, &[ENDPOINT, info_with(1, 0, 2)], error);
    }
    assert_eq!(pair.system.state(pair.server), ThreadState::Receiving);
}

#[test]
fn what_changed_while_the_message_waited_arrives_empty() {
    for replaced in [false, true] {
        let mut pair = pair_with_gift();
        pair.call_received();
        pair.system.ok(SystemCall::Reply, &[0, info(0, 0)]);
        pair.park();
        call_with(&mut pair, &[GIFT as u32]);
        assert_eq!(pair.system.state(pair.client), ThreadState::Sending);
        pair.run(pair.other_client);
        if replaced {
            // In its place lies one that may not be passed on.
            pair.system.ok(SystemCall::CapabilityCopy, &[GIFT, 11, u64::from(Rights::SEND.bits())]);
            pair.system.ok(SystemCall::CapabilityDrop, &[GIFT]);
            pair.system.ok(SystemCall::CapabilityMove, &[11, GIFT]);
        } else {
            pair.system.ok(SystemCall::CapabilityDrop, &[GIFT]);
        }
        pair.unpark();
        pair.receive();
        assert_eq!(pair.info(pair.server).capabilities(), 1);
        assert_eq!(kind(&mut pair.system, WINDOW), Err(InvalidHandle), "replaced: {replaced}");
    }
}

#[test]
fn the_window_is_emptied_at_the_next_receive_but_for_what_was_moved_out() {
    let mut pair = pair_with_gift();
    call_with(&mut pair, &[GIFT as u32, GIFT as u32]);
    pair.system.ok(SystemCall::CapabilityMove, &[WINDOW, 60]);
    pair.receive();
    pair.call_received();
    assert_eq!(kind(&mut pair.system, WINDOW + 1), Err(InvalidHandle));
    assert_eq!(kind(&mut pair.system, 60), Ok(Kind::Notification));
}

#[test]
fn nothing_is_left_in_the_window_of_a_server_that_has_answered() {
    let mut pair = pair_with_gift();
    call_with(&mut pair, &[GIFT as u32]);
    pair.run(pair.server);
    pair.system.issue(SystemCall::ReplyReceive, &[ENDPOINT, info(0, 0)]);
    assert_eq!(pair.system.state(pair.server), ThreadState::Receiving);
    let machine = &mut pair.system.kernel.machine;
    let table = machine.object::<Task>(pair.server_task.link).table[0];
    let left = machine.object::<Capability>(Link::new::<Capability>(table, WINDOW as u32));
    assert_eq!(left.kind, Kind::Null);
}

#[test]
fn the_window_can_be_turned_off_and_its_contents_go() {
    let mut pair = pair_with_gift();
    call_with(&mut pair, &[GIFT as u32]);
    pair.system.buffer(MEMORY, 0);
    assert_eq!(kind(&mut pair.system, WINDOW), Err(InvalidHandle));
    pair.receive();
    call_with(&mut pair, &[GIFT as u32]);
    assert_eq!(pair.info(pair.server).capabilities(), 0, "without a window none arrive");
}

#[test]
fn the_parts_of_a_window_that_do_not_exist_lose_capabilities() {
    let mut pair = pair_with_gift();
    pair.call_received();
    pair.system.buffer(MEMORY, 126);
    pair.receive();
    call_with(&mut pair, &[GIFT as u32; 4]);
    assert_eq!(pair.info(pair.server).capabilities(), 4);
    for (handle, expected) in [
        (126, Ok(Kind::Notification)),
        (127, Ok(Kind::Notification)),
        (128, Err(InvalidHandle)),
        (129, Err(InvalidHandle)),
    ] {
        assert_eq!(kind(&mut pair.system, handle), expected);
    }
    pair.receive();
    pair.call_received();
    assert_eq!(kind(&mut pair.system, 127), Err(InvalidHandle));
}

#[test]
fn buffers_and_windows_are_checked() {
    let mut pair = Pair::new();
    pair.run(pair.client);
    for address in
        [MEMORY + 4, MEMORY + 4096 - 488, kernel_abi::USER_END - 8, kernel_abi::USER_END, u64::MAX - 7]
    {
        pair.system.refused(SystemCall::ThreadBuffer, &[address, 0], KernelError::InvalidAddress);
    }
    for window in [4097, u64::from(u32::MAX), 1 << 32] {
        pair.system.refused(SystemCall::ThreadBuffer, &[MEMORY, window], InvalidHandle);
    }
    for window in [128, 4093, 4095, 4096] {
        pair.system.ok(SystemCall::ThreadBuffer, &[MEMORY, window]);
    }
}

#[test]
fn a_receiver_without_a_buffer_gets_its_own_endpoint_as_a_capability() {
    let mut pair = Pair::new();
    pair.call_received();
    pair.system.buffer(0, WINDOW);
    pair.receive();
    call_with(&mut pair, &[ENDPOINT as u32]);
    assert_eq!(pair.info(pair.server), MessageInfo::new(1, 0, 1));
    assert_eq!(kind(&mut pair.system, WINDOW), Ok(Kind::Endpoint));
}

/// A pair whose server has saved the client's reply, and may call the boss.
fn pair_with_saved_reply() -> Pair {
    let mut pair = Pair::new();
    pair.system.give(pair.server_task, boot_handle(boot::ENDPOINT), 2, Rights::SEND);
    pair.call_received();
    pair.system.ok(SystemCall::SaveReply, &[SAVED]);
    pair
}

#[test]
fn a_reply_is_moved_by_a_message() {
    let mut pair = pair_with_saved_reply();
    pair.system.put_handles(&[SAVED as u32, SAVED as u32]);
    let boss = pair.system.boss;
    assert_eq!(pair.system.issue(SystemCall::Call, &[2, info_with(0, 0, 2)]), Some(boss));
    assert_eq!(kind(&mut pair.system, 120), Ok(Kind::Reply));
    assert_eq!(kind(&mut pair.system, 121), Err(InvalidHandle), "named twice it comes once");
    pair.system.ok(SystemCall::Reply, &[120, info(0, 1), 17]);
    pair.system.ok(SystemCall::Reply, &[0, info(0, 0)]);
    assert_eq!(pair.system.registers(pair.client).rdx, 17);
    pair.run(pair.server);
    assert_eq!(kind(&mut pair.system, SAVED), Err(InvalidHandle));
}

#[test]
fn a_reply_left_in_the_window_fails_its_call() {
    let mut pair = pair_with_saved_reply();
    pair.system.put_handles(&[SAVED as u32]);
    pair.system.issue(SystemCall::Call, &[2, info_with(0, 0, 1)]);
    pair.system.issue(SystemCall::ReplyReceive, &[boot_handle(boot::ENDPOINT), info(0, 0)]);
    assert_eq!(pair.system.status(pair.client), Err(PeerDied));
}

#[test]
fn a_reply_that_finds_no_entry_stays_with_its_sender() {
    let mut pair = pair_with_saved_reply();
    pair.system.as_boss(|system| system.buffer(MEMORY, 128));
    pair.run(pair.server);
    pair.system.put_handles(&[SAVED as u32]);
    pair.system.issue(SystemCall::Call, &[2, info_with(0, 0, 1)]);
    pair.system.issue(SystemCall::ReplyReceive, &[boot_handle(boot::ENDPOINT), info(0, 0)]);
    pair.run(pair.server);
    assert_eq!(kind(&mut pair.system, SAVED), Ok(Kind::Reply));
    pair.system.ok(SystemCall::Reply, &[SAVED, info(0, 0)]);
}

#[test]
fn a_capability_that_lands_on_a_saved_reply_fails_its_call() {
    let mut pair = pair_with_gift();
    pair.call_received();
    pair.system.ok(SystemCall::SaveReply, &[WINDOW]);
    pair.receive();
    pair.run(pair.other_client);
    pair.system.put_handles(&[GIFT as u32]);
    pair.system.issue(SystemCall::Call, &[ENDPOINT, info_with(1, 0, 1)]);
    assert_eq!(pair.system.status(pair.client), Err(PeerDied));
    assert_eq!(kind(&mut pair.system, WINDOW), Ok(Kind::Notification));
}

#[test]
fn an_absent_page_of_the_senders_buffer_is_the_senders_fault_and_the_call_is_made_again() {
    let mut pair = pair_with_gift();
    let frame = pair.system.frame_at(pair.client_task.link, MEMORY);
    pair.system.unmap(pair.client_task, MEMORY, 1);
    pair.run(pair.client);
    let before = pair.system.registers(pair.client);
    let boss = pair.system.boss;
    assert_eq!(pair.system.issue(SystemCall::Call, &[ENDPOINT, info_with(1, 9, 1), 5]), Some(boss));
    let registers = pair.system.registers(boss);
    assert_eq!(registers.rdi, pair.client_task.handle);
    assert_eq!(registers.rsi >> 16 & 0xff, u64::from(MessageFlags::FAULT.bits()));
    assert_eq!(registers.rdx & !0xfff, MEMORY);
    assert_eq!(pair.system.state(pair.server), ThreadState::Receiving, "nothing was sent");
    pair.system.resolve(registers.rdx, frame.into());
    let after = pair.system.registers(pair.client);
    assert_eq!(pair.system.current(), pair.client);
    assert_eq!((after.rip, after.rax), (before.rip.wrapping_sub(2), SystemCall::Call as u64));
    // The processor runs the instruction again.
    pair.system.put_handles(&[GIFT as u32]);
    pair.system.kernel.system_call();
    assert_eq!(pair.system.leave(), Some(pair.server));
    assert_eq!(pair.info(pair.server), MessageInfo::new(1, 9, 1));
}

#[test]
fn an_absent_page_of_the_receivers_buffer_is_the_receivers_fault_and_the_message_waits() {
    let mut pair = Pair::new();
    let frame = pair.system.frame_at(pair.server_task.link, MEMORY);
    pair.system.unmap(pair.server_task, MEMORY, 1);
    pair.run(pair.client);
    pair.system.poke_words(pair.client_task.link, MEMORY, &[88, 99]);
    let boss = pair.system.boss;
    assert_eq!(pair.system.issue(SystemCall::Call, &[ENDPOINT, info(1, 10), 5]), Some(boss));
    assert_eq!(pair.system.registers(boss).rdi, pair.server_task.handle);
    assert_eq!(pair.system.state(pair.client), ThreadState::AwaitingReply, "the sender is not concerned");
    assert_eq!(pair.system.resolve(MEMORY, frame.into()), Some(pair.server));
    assert_eq!(pair.info(pair.server), MessageInfo::new(1, 10, 0));
    assert_eq!(pair.system.registers(pair.server).rdx, 5);
    assert_eq!(pair.system.peek(pair.server_task.link, MEMORY + 8), 99);
    pair.system.ok(SystemCall::Reply, &[0, info(0, 0)]);
}

#[test]
fn a_read_only_buffer_is_a_fault_too() {
    let mut pair = Pair::new();
    pair.system.as_boss(|system| {
        system.poke_words(system.boss_task.link, crate::harness::ARRAY, &[MEMORY, 1]);
        let (frames, task) = (boot_handle(boot::FRAMES), pair.server_task.handle);
        system.ok(SystemCall::PmapProtect, &[frames, task, crate::harness::ARRAY, 1]);
    });
    pair.run(pair.client);
    let boss = pair.system.boss;
    assert_eq!(pair.system.issue(SystemCall::Call, &[ENDPOINT, info(1, 10)]), Some(boss));
    assert_eq!(pair.system.registers(boss).r10, 3, "present, write");
}

#[test]
fn saving_over_the_window_or_outside_the_table_is_refused() {
    let mut pair = pair_with_gift();
    call_with(&mut pair, &[GIFT as u32]);
    pair.system.refused(SystemCall::SaveReply, &[WINDOW], KernelError::Occupied);
    pair.system.refused(SystemCall::SaveReply, &[4000], NoTable);
}
