//! Capabilities within a table and from task to task.

use crate::harness::{System, boot_handle};
use kernel_abi::KernelError::{
    InvalidArgument, InvalidHandle, MissingRight, NoTable, Occupied, Stale, WrongKind, WrongState,
};
use kernel_abi::boot::{ENDPOINT, FRAMES, TASK};
use kernel_abi::capability::{CAPABILITIES_PER_TASK, Kind, Rights};
use kernel_abi::{KernelError, SystemCall};

const SEND: u64 = Rights::SEND.bits() as u64;
const RECEIVE: u64 = Rights::RECEIVE.bits() as u64;
const MINT: u64 = Rights::MINT.bits() as u64;
const TRANSFER: u64 = Rights::TRANSFER.bits() as u64;

/// Kind and rights of an entry of the current task.
fn identify(system: &mut System, handle: u64) -> Result<(Kind, u64), KernelError> {
    let value = system.call(SystemCall::CapabilityIdentify, &[handle])?;
    Ok((Kind::from_number(value as u8).expect("a kind"), value >> 16))
}

#[test]
fn a_copy_has_the_rights_asked_for_and_no_more() {
    let mut system = System::new();
    let endpoint = system.endpoint();
    system.ok(SystemCall::CapabilityCopy, &[endpoint, 50, SEND | TRANSFER]);
    assert_eq!(identify(&mut system, 50), Ok((Kind::Endpoint, SEND | TRANSFER)));
    system.refused(SystemCall::CapabilityCopy, &[50, 51, SEND | RECEIVE], MissingRight);
    system.ok(SystemCall::CapabilityCopy, &[50, 51, 0]);
    assert_eq!(identify(&mut system, 51), Ok((Kind::Endpoint, 0)));
    system.refused(SystemCall::Call, &[51, 0], MissingRight);
}

#[test]
fn rights_that_mean_nothing_are_refused() {
    let mut system = System::new();
    let endpoint = system.endpoint();
    for rights in [1 << 4, 1 << 7, 1 << 15, 1 << 16, u64::MAX] {
        system.refused(SystemCall::CapabilityCopy, &[endpoint, 50, rights], InvalidArgument);
        system.refused(SystemCall::CapabilityMint, &[endpoint, 50, rights, 1], InvalidArgument);
    }
}

#[test]
fn destinations_are_checked() {
    let mut system = System::new();
    let endpoint = system.endpoint();
    for (destination, error) in [
        (0, InvalidHandle),
        (128, InvalidHandle),
        (129, NoTable),
        (u64::from(CAPABILITIES_PER_TASK) - 1, NoTable),
        (u64::from(CAPABILITIES_PER_TASK) + 1, InvalidHandle),
        (1 << 32 | 50, InvalidHandle),
        (u64::MAX, InvalidHandle),
        (endpoint, Occupied),
        (boot_handle(TASK), Occupied),
    ] {
        system.refused(SystemCall::CapabilityCopy, &[endpoint, destination, SEND], error);
        system.refused(SystemCall::CapabilityMint, &[endpoint, destination, SEND, 9], error);
        system.refused(SystemCall::CapabilityMove, &[endpoint, destination], error);
    }
}

#[test]
fn sources_are_checked() {
    let mut system = System::new();
    for source in [0, 50, 128, 129, 4096, 1 << 32 | 1, u64::MAX] {
        system.refused(SystemCall::CapabilityCopy, &[source, 51, 0], InvalidHandle);
        system.refused(SystemCall::CapabilityMint, &[source, 51, 0, 0], InvalidHandle);
        system.refused(SystemCall::CapabilityMove, &[source, 51], InvalidHandle);
        system.refused(SystemCall::CapabilityIdentify, &[source], InvalidHandle);
    }
    for source in [0, 128, 129, 4096, u64::MAX] {
        system.refused(SystemCall::CapabilityDrop, &[source], InvalidHandle);
    }
}

#[test]
fn a_second_table_frame_adds_handles_and_keeps_its_first_entry() {
    let mut system = System::new();
    let (endpoint, frame) = (system.endpoint(), system.frame());
    let first = system.ok(SystemCall::CapabilityTableAdd, &[boot_handle(FRAMES), boot_handle(TASK), frame]);
    assert_eq!(first, 129);
    for handle in [129, 255] {
        system.ok(SystemCall::CapabilityCopy, &[endpoint, handle, SEND]);
        assert_eq!(identify(&mut system, handle), Ok((Kind::Endpoint, SEND)));
    }
    for handle in [128, 256] {
        system.refused(SystemCall::CapabilityCopy, &[endpoint, handle, SEND], InvalidHandle);
        system.refused(SystemCall::CapabilityDrop, &[handle], InvalidHandle);
    }
}

#[test]
fn a_table_has_32_frames_at_most() {
    let mut system = System::new();
    let add = |system: &mut System, frame: u64| {
        system.call(SystemCall::CapabilityTableAdd, &[boot_handle(FRAMES), boot_handle(TASK), frame])
    };
    for count in 1..32 {
        let frame = system.frame();
        assert_eq!(add(&mut system, frame), Ok(count * 128 + 1));
    }
    let frame = system.frame();
    assert_eq!(add(&mut system, frame), Err(KernelError::Busy));
    let endpoint = system.endpoint();
    system.ok(SystemCall::CapabilityCopy, &[endpoint, u64::from(CAPABILITIES_PER_TASK) - 1, SEND]);
}

#[test]
fn table_frames_are_checked() {
    let mut system = System::new();
    let add = |frames, task, frame| [frames, task, frame];
    let (frames, task) = (boot_handle(FRAMES), boot_handle(TASK));
    let plain = system.frame();
    system.refused(SystemCall::CapabilityTableAdd, &add(task, task, plain), WrongKind);
    system.refused(SystemCall::CapabilityTableAdd, &add(frames, frames, plain), WrongKind);
    for (frame, error) in [
        (0, KernelError::WrongFrame),
        (1, KernelError::WrongFrame),
        (16, KernelError::WrongFrame),
        (1 << 20, InvalidArgument),
        (u64::MAX, InvalidArgument),
    ] {
        system.refused(SystemCall::CapabilityTableAdd, &add(frames, task, frame), error);
    }
}

#[test]
fn a_minted_copy_carries_its_badge_and_mints_only_if_asked() {
    let mut system = System::new();
    let endpoint = system.endpoint();
    system.ok(SystemCall::CapabilityMint, &[endpoint, 50, SEND, 77]);
    system.refused(SystemCall::CapabilityMint, &[50, 51, SEND, 78], MissingRight);
    system.ok(SystemCall::CapabilityMint, &[endpoint, 51, SEND | MINT, 78]);
    system.ok(SystemCall::CapabilityMint, &[51, 52, SEND, 79]);
    system.refused(SystemCall::CapabilityMint, &[51, 53, SEND | RECEIVE, 79], MissingRight);
    for handle in [TASK, FRAMES] {
        system.refused(SystemCall::CapabilityMint, &[boot_handle(handle), 53, 0, 1], WrongKind);
    }
}

#[test]
fn a_move_empties_its_source_and_refuses_itself() {
    let mut system = System::new();
    let endpoint = system.endpoint();
    system.refused(SystemCall::CapabilityMove, &[endpoint, endpoint], Occupied);
    system.ok(SystemCall::CapabilityMove, &[endpoint, 50]);
    assert_eq!(identify(&mut system, endpoint), Err(InvalidHandle));
    assert_eq!(identify(&mut system, 50).map(|(kind, _)| kind), Ok(Kind::Endpoint));
}

#[test]
fn a_drop_empties_and_an_empty_entry_is_no_error() {
    let mut system = System::new();
    let endpoint = system.endpoint();
    system.ok(SystemCall::CapabilityDrop, &[endpoint]);
    assert_eq!(identify(&mut system, endpoint), Err(InvalidHandle));
    system.ok(SystemCall::CapabilityDrop, &[endpoint]);
}

#[test]
fn install_needs_the_right_to_configure_and_the_right_to_transfer() {
    let mut system = System::new();
    let (process, endpoint) = (system.process(), system.endpoint());
    let configure = u64::from(Rights::CONFIGURE.bits());
    system.ok(SystemCall::TaskInstall, &[process.handle, endpoint, 5, SEND]);
    system.refused(SystemCall::TaskInstall, &[process.handle, endpoint, 5, SEND], Occupied);
    system.refused(SystemCall::TaskInstall, &[process.handle, endpoint, 129, SEND], NoTable);
    system.refused(SystemCall::TaskInstall, &[process.handle, endpoint, 0, SEND], InvalidHandle);
    system.refused(SystemCall::TaskInstall, &[process.handle, endpoint, 6, 1 << 9], InvalidArgument);
    system.refused(SystemCall::TaskInstall, &[endpoint, endpoint, 6, SEND], WrongKind);
    system.ok(SystemCall::CapabilityCopy, &[process.handle, 60, u64::from(Rights::KILL.bits())]);
    system.refused(SystemCall::TaskInstall, &[60, endpoint, 6, SEND], MissingRight);
    system.ok(SystemCall::CapabilityCopy, &[process.handle, 61, configure]);
    system.ok(SystemCall::TaskInstall, &[61, endpoint, 6, SEND]);
    system.ok(SystemCall::CapabilityCopy, &[endpoint, 62, SEND]);
    system.refused(SystemCall::TaskInstall, &[61, 62, 7, SEND], MissingRight);
}

#[test]
fn a_task_installs_into_itself_like_a_copy() {
    let mut system = System::new();
    let endpoint = system.endpoint();
    system.ok(SystemCall::TaskInstall, &[boot_handle(TASK), endpoint, 50, SEND]);
    assert_eq!(identify(&mut system, 50), Ok((Kind::Endpoint, SEND)));
    system.refused(SystemCall::TaskInstall, &[boot_handle(TASK), endpoint, endpoint, SEND], Occupied);
}

#[test]
fn nothing_is_installed_in_a_task_that_has_ended_or_is_gone() {
    let mut system = System::new();
    let (process, endpoint) = (system.process(), system.endpoint());
    system.ok(SystemCall::TaskKill, &[process.handle, 3]);
    system.refused(SystemCall::TaskInstall, &[process.handle, endpoint, 5, SEND], WrongState);
    system.dismantle(process);
    system.refused(SystemCall::TaskInstall, &[process.handle, endpoint, 5, SEND], Stale);
}

#[test]
fn a_capability_to_an_object_that_is_gone_is_still_an_entry() {
    let mut system = System::new();
    let (endpoint, frame) = system.object(SystemCall::EndpointCreate, &[]);
    system.ok(SystemCall::Reclaim, &[boot_handle(FRAMES), frame.into()]);
    assert_eq!(identify(&mut system, endpoint).map(|(kind, _)| kind), Ok(Kind::Endpoint));
    system.ok(SystemCall::CapabilityCopy, &[endpoint, 50, SEND]);
    system.refused(SystemCall::Call, &[50, 0], Stale);
    system.refused(SystemCall::Receive, &[endpoint], Stale);
    system.refused(SystemCall::ReplyReceive, &[endpoint, 0], Stale);
    assert_eq!(system.call(SystemCall::CapabilityDrop, &[boot_handle(ENDPOINT)]), Ok(0));
}
