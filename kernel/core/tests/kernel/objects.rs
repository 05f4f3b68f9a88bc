//! Making kernel objects, and names of what is no more.

use crate::harness::{FREE_FRAME, System, boot_handle};
use kernel_abi::KernelError::{
    InvalidArgument, InvalidHandle, MissingRight, NoTable, Occupied, Retired, Stale, WrongFrame, WrongKind,
    WrongState,
};
use kernel_abi::boot::{ENDPOINT, FRAMES, TASK};
use kernel_abi::object::{ENDPOINTS_PER_FRAME, NOTIFICATIONS_PER_FRAME, TASKS_PER_FRAME, THREADS_PER_FRAME};
use kernel_abi::{Rights, SystemCall};
use kernel_core::frame_table::FrameKind;
use kernel_core::objects::{Thread, ThreadState};
use kernel_core::{Link, Machine};

/// The calls that make objects, with what they need besides frame, slot and destination, and slots in a frame.
fn makers(system: &mut System) -> Vec<(SystemCall, Vec<u64>, u32)> {
    let root = system.frame();
    vec![
        (SystemCall::EndpointCreate, vec![], ENDPOINTS_PER_FRAME),
        (SystemCall::NotificationCreate, vec![], NOTIFICATIONS_PER_FRAME),
        (SystemCall::TaskCreate, vec![root, boot_handle(ENDPOINT), 0], TASKS_PER_FRAME),
        (SystemCall::ThreadCreate, vec![boot_handle(TASK)], THREADS_PER_FRAME),
    ]
}

fn arguments(frame: u64, slot: u64, destination: u64, more: &[u64]) -> Vec<u64> {
    let mut arguments = vec![boot_handle(FRAMES), frame, slot, destination];
    arguments.extend_from_slice(more);
    arguments
}

#[test]
fn frames_slots_and_destinations_are_checked() {
    let mut system = System::new();
    let end = u64::from(system.kernel.machine.frames());
    for (call, more, slots) in makers(&mut system) {
        let frame = system.frame();
        for (frame, slot, destination, error) in [
            (frame, u64::from(slots), 90, InvalidArgument),
            (frame, u64::MAX, 90, InvalidArgument),
            (end, 0, 90, InvalidArgument),
            (1 << 32 | frame, 0, 90, InvalidArgument),
            (0, 0, 90, WrongFrame),
            (16, 0, 90, WrongFrame),
            (5, 0, 90, WrongFrame),
            (6, 0, 90, WrongFrame),
            (frame, 0, 0, InvalidHandle),
            (frame, 0, 128, InvalidHandle),
            (frame, 0, 129, NoTable),
            (frame, 0, boot_handle(TASK), Occupied),
        ] {
            system.refused(call, &arguments(frame, slot, destination, &more), error);
        }
        assert_eq!(
            system.kind(frame as u32),
            FrameKind::Plain,
            "{call:?} has taken a frame although it was refused"
        );
        let mut wrong = arguments(frame, 0, 90, &more);
        wrong[0] = boot_handle(TASK);
        system.refused(call, &wrong, WrongKind);
        system.ok(call, &arguments(frame, u64::from(slots) - 1, 90, &more));
        system.refused(call, &arguments(frame, u64::from(slots) - 1, 91, &more), Occupied);
        system.ok(SystemCall::CapabilityDrop, &[90]);
    }
}

#[test]
fn a_frame_holds_objects_of_one_kind() {
    let mut system = System::new();
    let frame = system.frame();
    system.ok(SystemCall::EndpointCreate, &arguments(frame, 0, 90, &[]));
    system.refused(SystemCall::NotificationCreate, &arguments(frame, 1, 91, &[]), WrongFrame);
    system.ok(SystemCall::EndpointCreate, &arguments(frame, 1, 91, &[]));
    assert_eq!(system.kind(frame as u32), FrameKind::Endpoint);
}

#[test]
fn roots_and_pagers_of_tasks_are_checked() {
    let mut system = System::new();
    let (frame, root) = (system.frame(), system.frame());
    system.ok(SystemCall::CapabilityCopy, &[boot_handle(ENDPOINT), 60, u64::from(Rights::RECEIVE.bits())]);
    let (gone, gone_frame) = system.object(SystemCall::EndpointCreate, &[]);
    system.ok(SystemCall::Reclaim, &[boot_handle(FRAMES), gone_frame.into()]);
    let endpoint = boot_handle(ENDPOINT);
    for (root, endpoint, error) in [
        (frame, endpoint, InvalidArgument),
        (0, endpoint, WrongFrame),
        (6, endpoint, WrongFrame),
        (16, endpoint, WrongFrame),
        (1 << 30, endpoint, InvalidArgument),
        (root, 60, MissingRight),
        (root, boot_handle(TASK), WrongKind),
        (root, 99, InvalidHandle),
        (root, gone, Stale),
    ] {
        system.refused(SystemCall::TaskCreate, &arguments(frame, 0, 90, &[root, endpoint, 0]), error);
    }
    assert_eq!((system.kind(frame as u32), system.kind(root as u32)), (FrameKind::Plain, FrameKind::Plain));
    system.ok(SystemCall::TaskCreate, &arguments(frame, 0, 90, &[root, endpoint, 0]));
    system.refused(SystemCall::TaskCreate, &arguments(frame, 1, 91, &[root, endpoint, 0]), WrongFrame);
}

#[test]
fn a_thread_needs_a_live_task_to_configure() {
    let mut system = System::new();
    let process = system.process();
    let frame = system.frame();
    system.ok(SystemCall::CapabilityCopy, &[process.handle, 60, u64::from(Rights::KILL.bits())]);
    system.refused(SystemCall::ThreadCreate, &arguments(frame, 0, 90, &[60]), MissingRight);
    system.ok(SystemCall::TaskKill, &[60, 0]);
    system.refused(SystemCall::ThreadCreate, &arguments(frame, 0, 90, &[process.handle]), WrongState);
    assert_eq!(system.kind(frame as u32), FrameKind::Plain);
}

#[test]
fn the_slot_of_an_ended_thread_serves_again_and_its_old_name_does_not() {
    let mut system = System::new();
    let process = system.process();
    let (first, thread) = system.spawn(process, 5);
    let (keeper, _) = system.spawn(process, 5);
    assert_ne!(first, keeper);
    system.run(thread);
    system.issue(SystemCall::ThreadExit, &[0]);
    system.as_boss(|system| {
        let reused = arguments(thread.frame().into(), 0, 90, &[process.handle]);
        system.ok(SystemCall::ThreadCreate, &reused);
        system.refused(SystemCall::ThreadStart, &[first, 0x1000, 0, 0, 0, 1], Stale);
        system.ok(SystemCall::ThreadStart, &[90, 0x1000, 0, 0, 0, 1]);
    });
    assert_eq!(system.state(thread), ThreadState::Ready);
}

#[test]
fn a_slot_whose_generation_would_wrap_is_retired() {
    let mut system = System::new();
    let process = system.process();
    let (_, thread) = system.spawn(process, 5);
    system.ok(SystemCall::TaskKill, &[process.handle, 0]);
    system.kernel.machine.object::<Thread>(thread).generation = u32::MAX;
    let frame = u64::from(thread.frame());
    system.refused(SystemCall::ThreadCreate, &arguments(frame, 0, 90, &[boot_handle(TASK)]), Retired);
    system.ok(SystemCall::ThreadCreate, &arguments(frame, 1, 90, &[boot_handle(TASK)]));
}

#[test]
fn names_die_with_their_frame_even_if_it_holds_the_like_again() {
    let mut system = System::new();
    let frame = u64::from(FREE_FRAME);
    for round in 0..3 {
        let handle = 90 + round;
        system.ok(SystemCall::EndpointCreate, &arguments(frame, 0, handle, &[]));
        for old in 90..handle {
            system.refused(SystemCall::Call, &[old, 0], Stale);
        }
        let generation = system.kernel.machine.frame(FREE_FRAME).expect("a frame").generation();
        assert_eq!(u64::from(generation), round);
        system.ok(SystemCall::Reclaim, &[boot_handle(FRAMES), frame]);
    }
    system.ok(SystemCall::NotificationCreate, &arguments(frame, 0, 95, &[]));
    system.refused(SystemCall::Call, &[90, 0], Stale);
    let _ = Link::NONE;
}
