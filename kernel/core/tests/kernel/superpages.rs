//! Pages of 2 MiB: aligned, counted at each of their frames, and never changed in part.

use crate::harness::{MEMORY, Process, System, boot_handle};
use kernel_abi::KernelError::{InvalidArgument, LargePage, WrongFrame};
use kernel_abi::SystemCall::{PmapProtect, PmapQuery, PmapRemove};
use kernel_abi::boot::FRAMES;
use kernel_abi::pmap::{Mapping, Protection, QUERY_DIRTY, QUERY_PRESENT, QUERY_REFERENCED};
use kernel_abi::{FRAME_BYTES, SystemCall};

/// Bytes of a large page.
const LARGE: u64 = 2 << 20;
/// Where the tests map them.
const PLACE: u64 = 1 << 30;
/// First frame of one.
const FRAME: u32 = 1024;

fn large(address: u64, frame: u32, pages: u32) -> Mapping {
    Mapping::new(address, Protection::SUPERPAGE | Protection::WRITE, frame, pages)
}

fn small(address: u64, frame: u32, pages: u32) -> Mapping {
    Mapping::new(address, Protection::WRITE, frame, pages)
}

/// A task with a large page.
fn with_large_page() -> (System, Process) {
    let mut system = System::new();
    let process = system.process();
    assert_eq!(system.enter(process, &[large(PLACE, FRAME, 1)]), Ok(1));
    (system, process)
}

#[test]
fn every_frame_of_a_large_page_is_mapped_and_counted() {
    let (mut system, process) = with_large_page();
    for beyond in [0, 1, 511] {
        assert_eq!(system.frame_at(process.link, PLACE + u64::from(beyond) * FRAME_BYTES), FRAME + beyond);
        assert_eq!(system.map_count(FRAME + beyond), 1);
    }
    assert_eq!(system.ranges(PmapRemove, process, &[(PLACE, 512)]), Ok(512));
    assert_eq!((system.map_count(FRAME), system.map_count(FRAME + 511)), (0, 0));
}

#[test]
fn no_frame_of_a_large_page_becomes_a_kernel_frame() {
    let (mut system, _) = with_large_page();
    for beyond in [0, 1, 511] {
        let arguments = [boot_handle(FRAMES), u64::from(FRAME + beyond), 0, 90];
        system.refused(SystemCall::EndpointCreate, &arguments, WrongFrame);
    }
}

#[test]
fn no_kernel_frame_is_mapped_by_a_large_page() {
    let mut system = System::new();
    let process = system.process();
    for beyond in [0, 1, 511] {
        let frame = u64::from(FRAME + beyond);
        system.ok(SystemCall::EndpointCreate, &[boot_handle(FRAMES), frame, 0, 90]);
        assert_eq!(system.enter(process, &[large(PLACE, FRAME, 1)]), Err((WrongFrame, 0)));
        system.ok(SystemCall::Reclaim, &[boot_handle(FRAMES), frame]);
        system.ok(SystemCall::CapabilityDrop, &[90]);
    }
    assert_eq!(system.enter(process, &[large(0, 0, 1)]), Err((WrongFrame, 0)), "frame 0 is never plain");
}

#[test]
fn alignment_is_checked() {
    let mut system = System::new();
    let process = system.process();
    for item in [
        large(PLACE + FRAME_BYTES, FRAME, 1),
        large(PLACE, FRAME + 1, 1),
        large(PLACE, 2048, 1),
        large(PLACE, FRAME, 3),
    ] {
        assert_eq!(system.enter(process, &[item]), Err((InvalidArgument, 0)), "{item:x?}");
    }
    assert_eq!(system.enter(process, &[large(PLACE, FRAME, 2)]), Ok(1));
}

#[test]
fn a_large_page_replaces_a_large_page() {
    let (mut system, process) = with_large_page();
    system.kernel.machine.shootdowns.clear();
    assert_eq!(system.enter(process, &[large(PLACE, FRAME + 512, 1)]), Ok(1));
    assert_eq!((system.map_count(FRAME + 3), system.map_count(FRAME + 515)), (0, 1));
    let root = system.task(process.link).root;
    assert_eq!(system.kernel.machine.shootdowns, [(root, PLACE, 512)]);
}

#[test]
fn pages_of_the_other_size_are_in_the_way() {
    let (mut system, process) = with_large_page();
    for item in
        [small(PLACE, 800, 1), small(PLACE + LARGE - FRAME_BYTES, 800, 1), small(PLACE - FRAME_BYTES, 800, 2)]
    {
        assert_eq!(system.enter(process, &[item]), Err((LargePage, 0)), "{item:x?}");
    }
    assert_eq!(system.map_count(800), 0);
    assert_eq!(system.enter(process, &[small(PLACE + LARGE, 800, 1)]), Ok(1));
    for item in [large(PLACE + LARGE, FRAME + 512, 1), large(PLACE, FRAME, 2)] {
        assert_eq!(system.enter(process, &[item]), Err((LargePage, 0)), "{item:x?}");
    }
    assert_eq!(system.ranges(PmapRemove, process, &[(PLACE + LARGE, 1)]), Ok(1));
    assert_eq!(system.enter(process, &[large(PLACE + LARGE, FRAME + 512, 1)]), Ok(1));
}

#[test]
fn a_batch_of_both_sizes_ascends() {
    let mut system = System::new();
    let process = system.process();
    for items in [
        [large(PLACE, FRAME, 1), small(PLACE + FRAME_BYTES, 800, 1)],
        [small(PLACE + FRAME_BYTES, 800, 1), large(PLACE, FRAME, 1)],
        [large(PLACE + LARGE, FRAME, 1), small(PLACE, 800, 1)],
    ] {
        assert_eq!(system.enter(process, &items), Err((InvalidArgument, 0)), "{items:x?}");
    }
    assert_eq!(system.enter(process, &[small(PLACE, 800, 3), large(PLACE + LARGE, FRAME, 1)]), Ok(2));
    assert_eq!(system.enter(process, &[small(PLACE + 3 * LARGE, 800, 1), small(PLACE, 801, 1)]), Ok(2));
}

#[test]
fn a_part_is_neither_removed_nor_protected() {
    let (mut system, process) = with_large_page();
    for (start, pages) in [(0, 1), (0, 511), (1, 511), (511, 2), (511, 1)] {
        for call in [PmapRemove, PmapProtect] {
            let range = (PLACE + start * FRAME_BYTES, pages);
            assert_eq!(
                system.ranges(call, process, &[(MEMORY, 1), range]),
                Err((LargePage, 0)),
                "{range:x?}"
            );
        }
    }
    system.frame_at(process.link, MEMORY);
    assert_eq!(system.ranges(PmapProtect, process, &[(PLACE, 512)]), Ok(512));
    assert_eq!(system.ranges(PmapRemove, process, &[(PLACE - FRAME_BYTES, 514)]), Ok(512));
}

#[test]
fn a_query_tells_the_same_of_all_its_pages() {
    let (mut system, process) = with_large_page();
    let (_, thread) = system.spawn(process, 5);
    system.run(thread);
    system.kernel.machine.touch(PLACE + 7 * FRAME_BYTES, true).expect("it is mapped");
    let output = crate::harness::ARRAY + 0x1000;
    let used = u64::from_le_bytes([QUERY_PRESENT | QUERY_REFERENCED | QUERY_DIRTY; 8]);
    system.as_boss(|system| {
        let query =
            |address, pages, clear| [boot_handle(FRAMES), process.handle, address, pages, output, clear];
        system.refused(PmapQuery, &query(PLACE, 8, 1), LargePage);
        system.ok(PmapQuery, &query(PLACE + 0x10_0000, 8, 0));
        assert_eq!(system.peek(system.boss_task.link, output), used);
        system.ok(PmapQuery, &query(PLACE, 512, 1));
        for at in [0, 504] {
            assert_eq!(system.peek(system.boss_task.link, output + at), used);
        }
        system.ok(PmapQuery, &query(PLACE, 8, 0));
        assert_eq!(system.peek(system.boss_task.link, output), u64::from_le_bytes([QUERY_PRESENT; 8]));
    });
}

#[test]
fn a_dead_task_gives_its_large_pages_up() {
    let (mut system, process) = with_large_page();
    system.dismantle(process);
    assert_eq!((system.map_count(FRAME), system.map_count(FRAME + 511)), (0, 0));
}
