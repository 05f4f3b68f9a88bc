//! Ports, interrupts, device memory, the log.

use crate::harness::{MEMORY, System, boot_handle};
use kernel_abi::KernelError::{
    InvalidAddress, InvalidArgument, InvalidHandle, LargePage, MissingRight, NeedTables, NoTable, Occupied,
    Stale, WrongKind,
};
use kernel_abi::boot::{FRAMES, HARDWARE, LOG, TASK};
use kernel_abi::call::LOG_BYTES;
use kernel_abi::pmap::{DEVICE_PAGES, Mapping, Protection};
use kernel_abi::{FRAME_BYTES, Kind, Rights, SystemCall, USER_END};
use kernel_core::Machine;
use kernel_core::page_table::{DEVICE, walk};

const PORTS: u64 = Kind::IoPorts as u64;
const INTERRUPT: u64 = Kind::Interrupt as u64;
const MEMORY_KIND: u64 = Kind::DeviceMemory as u64;

/// First frame behind RAM.
const DEVICE_FRAME: u64 = crate::harness::FRAMES as u64;

fn mint(kind: u64, first: u64, count: u64, destination: u64) -> [u64; 5] {
    [boot_handle(HARDWARE), kind, first, count, destination]
}

#[test]
fn only_what_is_hardware_is_minted() {
    let mut system = System::new();
    for (kind, first, count) in [
        (PORTS, 0, 0),
        (PORTS, 0, 0x1_0001),
        (PORTS, 0xffff, 2),
        (PORTS, u64::MAX, 1),
        (PORTS, 1, u64::MAX),
        (INTERRUPT, 24, 1),
        (INTERRUPT, 1, 2),
        (INTERRUPT, 1, 0),
        (MEMORY_KIND, DEVICE_FRAME - 1, 1),
        (MEMORY_KIND, (1 << 40) - 1, 2),
        (MEMORY_KIND, u64::MAX, 2),
        (Kind::Frames as u64, 0, 1),
        (Kind::Reply as u64, 0, 1),
        (12, 0, 1),
        (256 + PORTS, 0, 1),
        (u64::MAX, 0, 1),
    ] {
        system.refused(SystemCall::HardwareMint, &mint(kind, first, count, 60), InvalidArgument);
    }
    system.ok(SystemCall::HardwareMint, &mint(PORTS, 0, 0x1_0000, 60));
    system.ok(SystemCall::HardwareMint, &mint(INTERRUPT, 23, 1, 61));
    system.ok(SystemCall::HardwareMint, &mint(MEMORY_KIND, DEVICE_FRAME, (1 << 40) - DEVICE_FRAME, 62));
    system.refused(SystemCall::HardwareMint, &mint(PORTS, 0, 1, 60), Occupied);
    system.refused(SystemCall::HardwareMint, &mint(PORTS, 0, 1, 129), NoTable);
    system.refused(SystemCall::HardwareMint, &[boot_handle(TASK), PORTS, 0, 1, 63], WrongKind);
}

#[test]
fn ports_are_read_and_written_within_their_range() {
    let mut system = System::new();
    system.ok(SystemCall::HardwareMint, &mint(PORTS, 0xfff8, 8, 60));
    assert_eq!(system.ok(SystemCall::PortWrite, &[60, 4, 4, 0xdead_beef]), 0);
    assert_eq!(system.kernel.machine.ports[&0xfffc], 0xdead_beef);
    assert_eq!(system.ok(SystemCall::PortRead, &[60, 4, 4]), 0xdead_beef);
    for (offset, width) in [(8, 1), (7, 2), (5, 4), (0, 0), (0, 3), (0, 8), (u64::MAX, 1), (u64::MAX - 3, 4)]
    {
        system.refused(SystemCall::PortRead, &[60, offset, width], InvalidArgument);
        system.refused(SystemCall::PortWrite, &[60, offset, width, 0], InvalidArgument);
    }
    for (width, value) in [(1, 1 << 8), (2, 1 << 16), (4, 1 << 32), (4, u64::MAX)] {
        system.refused(SystemCall::PortWrite, &[60, 0, width, value], InvalidArgument);
    }
    system.refused(SystemCall::PortRead, &[boot_handle(HARDWARE), 0, 1], WrongKind);
    system.refused(SystemCall::PortRead, &[99, 0, 1], InvalidHandle);
}

#[test]
fn an_interrupt_signals_and_stays_masked_until_acknowledged() {
    let mut system = System::new();
    let notification = system.notification(0b100);
    system.ok(SystemCall::HardwareMint, &mint(INTERRUPT, 9, 1, 60));
    assert!(!system.kernel.machine.unmasked.contains(&9));
    system.ok(SystemCall::InterruptBind, &[60, notification]);
    assert!(system.kernel.machine.unmasked.contains(&9));
    system.kernel.device_interrupt(9);
    system.leave();
    assert!(!system.kernel.machine.unmasked.contains(&9));
    assert_eq!(system.ok(SystemCall::Poll, &[notification]), 0b100);
    system.ok(SystemCall::InterruptAcknowledge, &[60]);
    assert!(system.kernel.machine.unmasked.contains(&9));
    let other = system.notification(0b1000);
    system.ok(SystemCall::InterruptBind, &[60, other]);
    system.kernel.device_interrupt(9);
    system.leave();
    assert_eq!(system.ok(SystemCall::Poll, &[notification]), 0, "binding again replaces");
    assert_eq!(system.ok(SystemCall::Poll, &[other]), 0b1000);
}

#[test]
fn an_interrupt_that_nobody_wants_stays_masked() {
    let mut system = System::new();
    let (notification, frame) = system.object(SystemCall::NotificationCreate, &[]);
    system.ok(SystemCall::HardwareMint, &mint(INTERRUPT, 9, 1, 60));
    system.ok(SystemCall::InterruptBind, &[60, notification]);
    system.ok(SystemCall::Reclaim, &[boot_handle(FRAMES), frame.into()]);
    for line in [9, 10] {
        system.kernel.device_interrupt(line);
        system.leave();
        assert!(!system.kernel.machine.unmasked.contains(&line));
    }
    system.refused(SystemCall::InterruptBind, &[60, notification], Stale);
    system.refused(SystemCall::InterruptBind, &[notification, notification], WrongKind);
    let silent = system.notification(1);
    system.ok(SystemCall::CapabilityCopy, &[silent, 61, u64::from(Rights::RECEIVE.bits())]);
    system.refused(SystemCall::InterruptBind, &[60, 61], MissingRight);
}

#[test]
fn device_memory_is_mapped_uncached_uncounted_and_within_its_range() {
    let mut system = System::new();
    let process = system.process();
    system.ok(SystemCall::HardwareMint, &mint(MEMORY_KIND, DEVICE_FRAME, 16, 60));
    let place = MEMORY + 0x10_0000;
    let enter = |address, first, pages| [boot_handle(FRAMES), process.handle, 60, address, first, pages];
    for (address, first, pages, error) in [
        (place, 0, 0, InvalidArgument),
        (place, 0, 17, InvalidArgument),
        (place, 16, 1, InvalidArgument),
        (place, u64::MAX, 1, InvalidArgument),
        (place, 1, u64::MAX, InvalidArgument),
        (place + 8, 0, 1, InvalidArgument),
        (USER_END, 0, 1, InvalidAddress),
        (USER_END - FRAME_BYTES, 0, 2, InvalidAddress),
    ] {
        system.refused(SystemCall::PmapEnterDevice, &enter(address, first, pages), error);
    }
    assert_eq!(system.ok(SystemCall::PmapEnterDevice, &enter(place, 3, 2)), 2);
    let root = system.task(process.link).root;
    let entry = walk(&mut system.kernel.machine, root, place + FRAME_BYTES, 1).entry;
    assert_eq!(entry & 0xf_ffff_f000, (DEVICE_FRAME + 4) << 12);
    assert_eq!(
        entry & (DEVICE | 0x1f),
        DEVICE | 0x1f,
        "present, writable, user, written through, not cached"
    );
    assert_eq!(system.ranges(SystemCall::PmapProtect, process, &[(place, 2)]), Ok(2));
    // RAM over a device and a device over RAM.
    let frame = system.frame() as u32;
    assert_eq!(system.enter(process, &[Mapping::new(place, Protection::WRITE, frame, 1)]), Ok(1));
    assert_eq!(system.map_count(frame), 1);
    system.ok(SystemCall::PmapEnterDevice, &enter(place, 0, 1));
    assert_eq!(system.map_count(frame), 0);
    assert_eq!(system.ranges(SystemCall::PmapRemove, process, &[(place, 2)]), Ok(2));
}

#[test]
fn device_memory_needs_tables_before_anything_changes() {
    let mut system = System::new();
    let process = system.process();
    system.ok(SystemCall::HardwareMint, &mint(MEMORY_KIND, DEVICE_FRAME, 1 << 30, 60));
    let enter = |address, pages| [boot_handle(FRAMES), process.handle, 60, address, 0, pages];
    let stock = u64::from(system.task(process.link).stock_frames);
    system.refused(SystemCall::PmapEnterDevice, &enter(1 << 39, DEVICE_PAGES + 1), InvalidArgument);
    let result = system.call_with_value(SystemCall::PmapEnterDevice, &enter(1 << 39, DEVICE_PAGES));
    assert_eq!(result, Err((NeedTables, 2 + 8 - stock)));
    assert_eq!(u64::from(system.task(process.link).stock_frames), stock);
    system.stock(process, (2 + 8 - stock) as usize);
    system.ok(SystemCall::PmapEnterDevice, &enter(1 << 39, DEVICE_PAGES));
    system.stock(process, 2);
    let large = Mapping::new(1 << 30, Protection::SUPERPAGE, 1024, 1);
    assert_eq!(system.enter(process, &[large]), Ok(1));
    system.refused(SystemCall::PmapEnterDevice, &enter(1 << 30, 1), LargePage);
}

#[test]
fn the_log_takes_a_line_of_bounded_length() {
    let mut system = System::new();
    system.poke(system.boss_task.link, MEMORY + 4090, b"a line over two pages");
    system.ok(SystemCall::LogWrite, &[boot_handle(LOG), MEMORY + 4090, 21]);
    assert_eq!(system.kernel.machine.logged, b"a line over two pages");
    system.ok(SystemCall::LogWrite, &[boot_handle(LOG), MEMORY, 0]);
    system.ok(SystemCall::LogWrite, &[boot_handle(LOG), MEMORY, LOG_BYTES]);
    system.refused(SystemCall::LogWrite, &[boot_handle(LOG), MEMORY, LOG_BYTES + 1], InvalidArgument);
    system.refused(SystemCall::LogWrite, &[boot_handle(LOG), USER_END - 1, 2], InvalidAddress);
    system.refused(SystemCall::LogWrite, &[boot_handle(LOG), u64::MAX, 2], InvalidAddress);
    system.refused(SystemCall::LogWrite, &[boot_handle(TASK), MEMORY, 1], WrongKind);
    assert_eq!(system.kernel.machine.frame(0).map(|entry| entry.map_count()), Some(0));
}
