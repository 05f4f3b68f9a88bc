//! Page faults as messages to the pager, and what it may answer.

use crate::harness::{CODE, MEMORY, Process, System, boot_handle, info};
use kernel_abi::KernelError::{NeedTables, NoReply, WrongState};
use kernel_abi::boot::{ENDPOINT, FRAMES};
use kernel_abi::fault::{Access, RESUME};
use kernel_abi::message::MessageFlags;
use kernel_abi::pmap::{Mapping, Protection};
use kernel_abi::task::TaskStatus;
use kernel_abi::{MessageInfo, SystemCall};
use kernel_core::objects::{Task, ThreadState};
use kernel_core::{Kernel, Link, Machine};

/// The reason that the kernel gives when there is no pager to answer.
const PAGER_GONE: u32 = u32::MAX;

/// A system in which a thread of a task has faulted at an address, and the boss has got the message.
fn faulted(address: u64) -> (System, Process, Link) {
    let mut system = System::new();
    let process = system.process();
    let (_, thread) = system.spawn(process, 5);
    system.run(thread);
    let boss = system.boss;
    assert_eq!(system.fault(address, Access::WRITE.bits()), Some(boss));
    (system, process, thread)
}

#[test]
fn a_fault_tells_badge_address_access_and_instruction() {
    let (mut system, process, thread) = faulted(0x7777_0123);
    let registers = system.registers(system.boss);
    assert_eq!((registers.rax, registers.rdi), (0, process.handle));
    assert_eq!(registers.words()[..3], [0x7777_0123, Access::WRITE.bits(), CODE]);
    let expected = MessageInfo::new(0, 3, 0).received(0, MessageFlags::FAULT);
    assert_eq!(MessageInfo(registers.rsi), expected);
    assert_eq!(system.state(thread), ThreadState::AwaitingReply);
}

#[test]
fn an_answered_fault_resumes_the_thread_with_its_registers() {
    let (mut system, _, thread) = faulted(0x7777_0123);
    let before = system.registers(thread);
    system.ok(SystemCall::Reply, &[0, info(RESUME, 0)]);
    system.run(thread);
    assert_eq!(system.registers(thread), before);
}

#[test]
fn any_other_label_ends_the_thread_with_that_reason() {
    let (mut system, process, thread) = faulted(0x7777_0123);
    system.ok(SystemCall::Reply, &[0, info(1234, 0)]);
    assert_eq!(system.state(thread), ThreadState::Ended);
    assert_eq!(system.task_status(process), TaskStatus::Fault(1234));
}

#[test]
fn mappings_ride_on_the_answer() {
    let (mut system, process, thread) = faulted(MEMORY + 0x10_0123);
    let frame = system.frame();
    assert_eq!(system.resolve(MEMORY + 0x10_0123, frame), Some(thread));
    assert_eq!(u64::from(system.frame_at(process.link, MEMORY + 0x10_0000)), frame);
    let boss = system.boss;
    assert_eq!(system.state(boss), ThreadState::Receiving);
}

#[test]
fn an_answer_that_lacks_tables_changes_nothing_and_keeps_the_reply() {
    let (mut system, process, thread) = faulted(0x7000_0000_0000);
    while system.task(process.link).stock_frames > 2 {
        system.ok(SystemCall::PmapUnstock, &[boot_handle(FRAMES), process.handle, crate::harness::ARRAY, 1]);
    }
    let frame = system.frame();
    system.write_mappings(&[Mapping::new(0x7000_0000_0000, Protection::empty(), frame as u32, 1)]);
    let resolve = [boot_handle(ENDPOINT), boot_handle(FRAMES), crate::harness::ARRAY, 1];
    assert_eq!(system.call_with_value(SystemCall::ResolveReceive, &resolve), Err((NeedTables, 1)));
    assert_eq!(system.task(process.link).stock_frames, 2);
    system.write_numbers(crate::harness::ARRAY + 64, &[90]);
    let stock = [boot_handle(FRAMES), process.handle, crate::harness::ARRAY + 64, 1];
    let boss = system.boss;
    assert_eq!(system.current(), boss);
    system.kernel.machine.frame(90).expect("a frame");
    let spare = system.frame() as u32;
    system.write_numbers(crate::harness::ARRAY + 64, &[spare]);
    system.ok(SystemCall::PmapStock, &stock);
    assert_eq!(system.issue(SystemCall::ResolveReceive, &resolve), Some(thread));
}

#[test]
fn resolving_needs_a_fault_to_resolve() {
    let mut pair = crate::pair::Pair::new();
    let resolve = [boot_handle(ENDPOINT), boot_handle(FRAMES), crate::harness::ARRAY, 0];
    pair.run(pair.client);
    pair.system.as_boss(|system| system.refused(SystemCall::ResolveReceive, &resolve, NoReply));
    let boss = pair.system.boss;
    pair.system.give(pair.client_task, boot_handle(ENDPOINT), 9, kernel_abi::Rights::SEND);
    pair.run(pair.client);
    assert_eq!(pair.system.issue(SystemCall::Call, &[9, 0]), Some(boss));
    pair.system.refused(SystemCall::ResolveReceive, &resolve, WrongState);
    pair.system.ok(SystemCall::Reply, &[0, info(0, 0)]);
}

#[test]
fn resolving_for_a_task_that_is_gone_receives_all_the_same() {
    let (mut system, process, thread) = faulted(0x7777_0123);
    system.ok(SystemCall::TaskKill, &[process.handle, 1]);
    assert_eq!(system.state(thread), ThreadState::Ended);
    let frame = system.frame();
    assert_eq!(system.resolve(0x7777_0000, frame), None);
    let boss = system.boss;
    assert_eq!(system.state(boss), ThreadState::Receiving);
    assert_eq!(system.kernel.machine.frame(frame as u32).map(|entry| entry.map_count()), Some(0));
}

#[test]
fn a_saved_fault_can_be_answered_later_and_dropping_it_ends_the_thread() {
    for dropped in [false, true] {
        let (mut system, process, thread) = faulted(0x7777_0123);
        system.ok(SystemCall::SaveReply, &[60]);
        if dropped {
            system.ok(SystemCall::CapabilityDrop, &[60]);
            system.rest();
            assert_eq!(system.task_status(process), TaskStatus::Fault(PAGER_GONE));
        } else {
            system.ok(SystemCall::Reply, &[60, info(RESUME, 0)]);
            system.run(thread);
        }
    }
}

#[test]
fn receiving_again_without_an_answer_ends_the_thread() {
    let (mut system, process, _) = faulted(0x7777_0123);
    assert_eq!(system.rest(), None);
    assert_eq!(system.task_status(process), TaskStatus::Fault(PAGER_GONE));
}

#[test]
fn a_fault_without_a_pager_ends_the_thread() {
    let mut system = System::new();
    system.fault(0x1234_5000, 0);
    assert_eq!(system.kernel.machine.ended, Some(TaskStatus::Fault(PAGER_GONE)));
}

/// A task whose faults go to an endpoint of its own: its handle, the endpoint's frame, and two threads.
fn task_with_pager(system: &mut System) -> (Process, u32, Vec<Link>) {
    let (endpoint, endpoint_frame) = system.object(SystemCall::EndpointCreate, &[]);
    let root = system.frame();
    let (handle, frame) = system.object(SystemCall::TaskCreate, &[root, endpoint, 5]);
    let process = Process { handle, link: Link::new::<Task>(frame, 0), frame };
    let threads = (0..2).map(|_| system.spawn(process, 5).1).collect();
    (process, endpoint_frame, threads)
}

#[test]
fn reclaiming_the_endpoint_at_which_faults_wait_ends_their_threads() {
    let mut system = System::new();
    let (process, endpoint, threads) = task_with_pager(&mut system);
    for &thread in &threads {
        system.run(thread);
        system.fault(0x5000, 0);
        assert_eq!(system.state(thread), ThreadState::Sending);
    }
    system.as_boss(|system| system.ok(SystemCall::Reclaim, &[boot_handle(FRAMES), endpoint.into()]));
    assert_eq!(
        threads.iter().map(|&thread| system.state(thread)).collect::<Vec<_>>(),
        [ThreadState::Ended; 2]
    );
    assert_eq!(system.task_status(process), TaskStatus::Fault(PAGER_GONE));
}

#[test]
fn a_fault_to_an_endpoint_that_is_gone_ends_the_thread() {
    let mut system = System::new();
    let (process, endpoint, threads) = task_with_pager(&mut system);
    system.ok(SystemCall::Reclaim, &[boot_handle(FRAMES), endpoint.into()]);
    for &thread in &threads {
        assert_eq!(system.task_status(process), TaskStatus::Alive);
        system.run(thread);
        system.fault(0x5000, 0);
    }
    assert_eq!(system.task_status(process), TaskStatus::Fault(PAGER_GONE));
}

#[test]
fn pagers_that_page_each_other_end_in_turn_not_in_one_another() {
    // Each thread has received the fault of the one before and has then faulted itself.
    let mut system = System::new();
    let mut endpoint = boot_handle(ENDPOINT);
    let mut processes = Vec::new();
    let mut last = None;
    for _ in 0..12 {
        let root = system.frame();
        let (handle, frame) =
            system.as_boss(|system| system.object(SystemCall::TaskCreate, &[root, endpoint, 5]));
        let process = Process { handle, link: Link::new::<Task>(frame, 0), frame };
        let table = system.frame();
        system.as_boss(|system| {
            system.ok(SystemCall::CapabilityTableAdd, &[boot_handle(FRAMES), handle, table])
        });
        endpoint = system.as_boss(System::endpoint);
        system.give(process, endpoint, 1, kernel_abi::Rights::RECEIVE);
        processes.push((process, system.spawn(process, 5).1));
    }
    for &(_, thread) in processes.iter().rev() {
        if let Some(faulting) = last {
            system.run(thread);
            system.issue(SystemCall::Receive, &[1]);
            assert_eq!(system.state(faulting), ThreadState::AwaitingReply);
        }
        system.run(thread);
        system.fault(0x5000, 0);
        last = Some(thread);
    }
    // The boss has the last fault; it refuses, and all end, one after the other.
    system.ok(SystemCall::Reply, &[0, info(9, 0)]);
    assert_eq!(system.task_status(processes[0].0), TaskStatus::Fault(9));
    assert_eq!(system.task_status(processes[11].0), TaskStatus::Alive, "not yet: each in its own turn");
    assert_eq!(system.rest(), None);
    for (process, _) in &processes[1..] {
        assert_eq!(system.task_status(*process), TaskStatus::Fault(PAGER_GONE));
    }
}

#[test]
fn the_kernel_can_say_what_it_is_doing() {
    let (mut system, _, _) = faulted(0x7777_0123);
    let mut text = String::new();
    Kernel::describe(&mut system.kernel, &mut text);
    assert!(text.contains("thread 0x2:0 of task 0x1:0"), "{text}");
}

#[test]
fn faults_are_received_before_calls_but_not_for_ever() {
    use kernel_abi::capability::Rights;
    use kernel_core::objects::FAULTS_PER_CALL;
    let mut system = System::new();
    let endpoint = system.endpoint();
    let process = system.process_with_pager(endpoint);
    system.give(process, endpoint, 1, Rights::SEND);
    let (_, caller) = system.spawn(process, 5);
    system.run(caller);
    system.issue(SystemCall::Call, &[1, info(7, 0)]);
    let faults = FAULTS_PER_CALL + 2;
    for _ in 0..faults {
        let (_, thread) = system.spawn(process, 5);
        system.run(thread);
        system.fault(0x7777_0000, 0);
    }
    let boss = system.boss;
    let mut order = Vec::new();
    for _ in 0..=faults {
        system.as_boss(|system| {
            system.issue(SystemCall::Receive, &[endpoint]);
            let message = MessageInfo(system.registers(boss).rsi);
            order.push(message.flags().contains(MessageFlags::FAULT));
            let saved = system.handle();
            system.ok(SystemCall::SaveReply, &[saved]);
        });
    }
    let calls: Vec<usize> = (0..order.len()).filter(|&at| !order[at]).collect();
    assert_eq!(
        calls,
        [FAULTS_PER_CALL as usize],
        "the call, which came first, waits for so many faults and no more"
    );
}
