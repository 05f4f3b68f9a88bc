//! Entering mappings: what is checked, what is counted, what is shot down.

use crate::harness::{ARRAY, FREE_FRAME, MEMORY, Process, System, boot_handle};
use kernel_abi::KernelError::{
    InvalidAddress, InvalidArgument, InvalidHandle, MapCountFull, NeedTables, Stale, WrongFrame, WrongKind,
    WrongState,
};
use kernel_abi::boot::{FRAMES, TASK};
use kernel_abi::pmap::{BATCH_FRAMES, BATCH_ITEMS, Mapping, Protection};
use kernel_abi::{FRAME_BYTES, SystemCall, USER_END};
use kernel_core::Machine;
use kernel_core::frame_table::{FrameKind, MAP_COUNT_MAX};
use kernel_core::page_table::{ACCESSED, DIRTY, walk};

/// Bytes that one page table, one directory and one directory of directories cover.
const TABLE: u64 = 2 << 20;
const DIRECTORY: u64 = 1 << 30;
const UPPER: u64 = 1 << 39;

fn page(address: u64, frame: u32) -> Mapping {
    Mapping::new(address, Protection::WRITE, frame, 1)
}

/// A task, and how much is in its stock.
fn system_and_task() -> (System, Process, u64) {
    let mut system = System::new();
    let process = system.process();
    let stock = u64::from(system.task(process.link).stock_frames);
    (system, process, stock)
}

#[test]
fn successive_frames_are_mapped_at_successive_pages() {
    let (mut system, process, _) = system_and_task();
    let item = Mapping::new(MEMORY + 0x10_0000, Protection::EXECUTE, FREE_FRAME, 5);
    assert_eq!(system.enter(process, &[item]), Ok(1));
    for beyond in 0..5 {
        let address = MEMORY + 0x10_0000 + u64::from(beyond) * FRAME_BYTES;
        assert_eq!(system.frame_at(process.link, address), FREE_FRAME + beyond);
        assert_eq!(system.map_count(FREE_FRAME + beyond), 1);
    }
}

#[test]
fn items_are_checked_and_nothing_is_entered() {
    let (mut system, process, _) = system_and_task();
    let end = system.kernel.machine.frames();
    let good = page(MEMORY + 0x10_0000, FREE_FRAME);
    let bits = |bits: u64| Mapping { address: MEMORY | bits, frame: FREE_FRAME, frames: 1 };
    for (bad, error) in [
        (Mapping { frames: 0, ..good }, InvalidArgument),
        (bits(1 << 5), InvalidArgument),
        (Mapping { frames: 2, ..bits(Protection::CLEAR.bits()) }, InvalidArgument),
        (bits((Protection::CLEAR | Protection::SUPERPAGE).bits()), InvalidArgument),
        (bits(1 << 11), InvalidArgument),
        (bits(Protection::DEVICE.bits()), InvalidArgument),
        (page(USER_END, FREE_FRAME), InvalidAddress),
        (Mapping { frames: 2, ..page(USER_END - FRAME_BYTES, FREE_FRAME) }, InvalidAddress),
        (page(1 << 47, FREE_FRAME), InvalidAddress),
        (page(!0xfff, FREE_FRAME), InvalidAddress),
        (Mapping { frames: u32::MAX, ..good }, InvalidArgument),
        (page(MEMORY, end), InvalidArgument),
        (page(MEMORY, u32::MAX), InvalidArgument),
        (Mapping { frame: end - 1, frames: 2, ..good }, InvalidArgument),
        (page(MEMORY, 0), WrongFrame),
        (page(MEMORY, 1), WrongFrame),
        (page(MEMORY, 6), WrongFrame),
    ] {
        assert_eq!(system.enter(process, &[good, bad]), Err((error, 0)), "{bad:x?}");
        assert_eq!(system.map_count(FREE_FRAME), 0);
    }
}

#[test]
fn a_frame_can_be_cleared_as_it_is_entered_and_only_where_nobody_maps_it() {
    let (mut system, process, _) = system_and_task();
    let clear = |address, frame| Mapping::new(address, Protection::CLEAR, frame, 1);
    system.kernel.machine.contents(FREE_FRAME).fill(7);
    let address = MEMORY + 0x10_0000;
    assert_eq!(system.enter(process, &[clear(address, FREE_FRAME)]), Ok(1));
    assert!(system.kernel.machine.contents(FREE_FRAME).iter().all(|&byte| byte == 0));
    system.kernel.machine.contents(FREE_FRAME).fill(7);
    let again = clear(address + FRAME_BYTES, FREE_FRAME);
    assert_eq!(system.enter(process, &[again]), Err((WrongFrame, 0)));
    // A batch that names a frame twice finds it mapped by its own first item.
    let twice = [clear(address, FREE_FRAME + 1), clear(address + FRAME_BYTES, FREE_FRAME + 1)];
    assert_eq!(system.enter(process, &twice), Err((WrongFrame, 1)));
    assert!(system.kernel.machine.contents(FREE_FRAME).iter().all(|&byte| byte == 7));
    assert_eq!(system.map_count(FREE_FRAME + 1), 1);
}

#[test]
fn a_call_needs_authority_a_live_task_and_an_array() {
    let (mut system, process, _) = system_and_task();
    let frames = boot_handle(FRAMES);
    for call in [SystemCall::PmapEnter, SystemCall::PmapRemove, SystemCall::PmapProtect] {
        system.refused(call, &[process.handle, process.handle, ARRAY, 0], WrongKind);
        system.refused(call, &[frames, frames, ARRAY, 0], WrongKind);
        system.refused(call, &[frames, 99, ARRAY, 0], InvalidHandle);
        system.refused(call, &[frames, process.handle, ARRAY, BATCH_ITEMS as u64 + 1], InvalidArgument);
        system.refused(call, &[frames, process.handle, ARRAY, 1 << 60], InvalidArgument);
        system.refused(call, &[frames, process.handle, ARRAY + 4, 1], InvalidAddress);
        system.refused(call, &[frames, process.handle, USER_END - 8, 1], InvalidAddress);
        system.refused(call, &[frames, process.handle, u64::MAX - 7, 1], InvalidAddress);
        assert_eq!(system.call(call, &[frames, process.handle, ARRAY, 0]), Ok(0));
    }
    system.ok(SystemCall::TaskKill, &[process.handle, 0]);
    system.refused(SystemCall::PmapEnter, &[frames, process.handle, ARRAY, 0], WrongState);
    system.refused(SystemCall::PmapRemove, &[frames, process.handle, ARRAY, 0], WrongState);
    system.dismantle(process);
    system.refused(SystemCall::PmapEnter, &[frames, process.handle, ARRAY, 0], Stale);
}

#[test]
fn a_batch_has_a_gigabyte_at_most() {
    let (mut system, process, _) = system_and_task();
    let item = Mapping::new(MEMORY, Protection::empty(), FREE_FRAME, 512);
    let over = Mapping::new(MEMORY, Protection::empty(), FREE_FRAME, 1);
    let mut items = vec![item; (BATCH_FRAMES / 512) as usize - 1];
    assert_eq!(items.len() + 1, BATCH_ITEMS);
    items.push(Mapping { frames: 513, ..item });
    assert_eq!(system.enter(process, &items), Err((InvalidArgument, 0)));
    assert_eq!(system.enter(process, &[over]), Ok(1));
}

#[test]
fn missing_tables_are_counted_exactly_and_nothing_changes() {
    let places: [(&[u64], u64); 7] = [
        (&[MEMORY], 0),
        (&[TABLE], 0),
        (&[2 * TABLE + FRAME_BYTES, 3 * TABLE], 1),
        (&[DIRECTORY], 2),
        (&[DIRECTORY, DIRECTORY + FRAME_BYTES, DIRECTORY + TABLE, 2 * DIRECTORY], 5),
        (&[UPPER - FRAME_BYTES, UPPER], 5),
        (&[UPPER, 2 * UPPER, 3 * UPPER, 3 * UPPER + TABLE], 10),
    ];
    for (addresses, needed) in places {
        let (mut system, process, stock) = system_and_task();
        let frames = boot_handle(FRAMES);
        // MEMORY's own tables are there; so is the one that TABLE would need only if it is the same.
        let needed = if addresses == [TABLE] { 1 } else { needed };
        assert_eq!(system.ok(SystemCall::PmapUnstock, &[frames, process.handle, ARRAY, stock]), stock);
        let items: Vec<Mapping> = addresses.iter().map(|&address| page(address, FREE_FRAME)).collect();
        if needed == 0 {
            assert_eq!(system.enter(process, &items), Ok(1));
            continue;
        }
        assert_eq!(system.enter(process, &items), Err((NeedTables, needed)), "{addresses:x?}");
        if needed > 1 {
            system.stock(process, needed as usize - 1);
            assert_eq!(system.enter(process, &items), Err((NeedTables, 1)), "{addresses:x?}");
        }
        assert_eq!(system.map_count(FREE_FRAME), 0);
        system.stock(process, 1);
        assert_eq!(system.enter(process, &items), Ok(items.len() as u64));
        assert_eq!(system.task(process.link).stock_frames, 0);
    }
}

#[test]
fn more_missing_tables_than_one_would_think_are_counted_too() {
    let (mut system, process, stock) = system_and_task();
    let items: Vec<Mapping> = (1..=100).map(|upper| page(upper * UPPER, FREE_FRAME)).collect();
    assert_eq!(system.enter(process, &items), Err((NeedTables, 300 - stock)));
    system.stock(process, 60);
    assert_eq!(system.enter(process, &items), Err((NeedTables, 240 - stock)));
    assert_eq!(system.map_count(FREE_FRAME), 0);
}

#[test]
fn items_out_of_order_may_ask_for_too_much_but_never_fail_half_way() {
    let (mut system, process, _) = system_and_task();
    let items = [page(UPPER, FREE_FRAME), page(2 * UPPER, FREE_FRAME), page(UPPER + FRAME_BYTES, FREE_FRAME)];
    match system.enter(process, &items) {
        Ok(3) => {}
        Err((NeedTables, missing)) => {
            assert_eq!(system.map_count(FREE_FRAME), 0);
            system.stock(process, missing as usize);
            assert_eq!(system.enter(process, &items), Ok(3));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn replacing_moves_the_count_and_shoots_down() {
    let (mut system, process, _) = system_and_task();
    let root = system.task(process.link).root;
    let address = MEMORY + 0x10_0000;
    assert_eq!(system.enter(process, &[page(address, FREE_FRAME)]), Ok(1));
    assert_eq!(system.kernel.machine.shootdowns, [], "what was absent is in no processor's memory");
    assert_eq!(system.enter(process, &[page(address, FREE_FRAME + 1)]), Ok(1));
    assert_eq!((system.map_count(FREE_FRAME), system.map_count(FREE_FRAME + 1)), (0, 1));
    assert_eq!(system.kernel.machine.shootdowns, [(root, address, 1)]);
    assert_eq!(system.enter(process, &[page(address, FREE_FRAME + 1)]), Ok(1));
    assert_eq!(system.map_count(FREE_FRAME + 1), 1);
}

#[test]
fn a_frame_is_counted_once_for_each_mapping() {
    let (mut system, process, _) = system_and_task();
    let items: Vec<Mapping> =
        (0..40).map(|index| page(MEMORY + 0x10_0000 + index * FRAME_BYTES, FREE_FRAME)).collect();
    assert_eq!(system.enter(process, &items), Ok(40));
    assert_eq!(system.map_count(FREE_FRAME), 40);
}

#[test]
fn a_full_count_refuses_and_nothing_is_entered() {
    let (mut system, process, _) = system_and_task();
    for _ in 0..MAP_COUNT_MAX {
        system.kernel.machine.frame(FREE_FRAME).expect("a frame").add_mapping();
    }
    system.write_mappings(&[page(MEMORY + 0x10_0000, FREE_FRAME + 1), page(MEMORY, FREE_FRAME)]);
    let arguments = [boot_handle(FRAMES), process.handle, ARRAY, 2];
    // The invariants cannot hold with a count that is made up.
    let boss = system.boss;
    system.issue_unchecked(SystemCall::PmapEnter, &arguments, 0);
    assert_eq!(system.status(boss), Err(MapCountFull));
    assert_eq!(system.map_count(FREE_FRAME + 1), 0);
    for _ in 0..2 {
        system.kernel.machine.frame(FREE_FRAME).expect("a frame").remove_mapping();
    }
    // Room for two, and the batch wants three.
    let items = [0, 1, 2].map(|index| page(MEMORY + 0x10_0000 + index * FRAME_BYTES, FREE_FRAME));
    system.write_mappings(&items);
    system.issue_unchecked(SystemCall::PmapEnter, &[boot_handle(FRAMES), process.handle, ARRAY, 3], 0);
    assert_eq!((system.status(boss), system.registers(boss).rdx), (Err(MapCountFull), 2));
    assert_eq!(system.map_count(FREE_FRAME), MAP_COUNT_MAX);
}

#[test]
fn a_new_protection_keeps_what_is_known_of_the_pages_use() {
    let (mut system, process, _) = system_and_task();
    let (_, thread) = system.spawn(process, 5);
    system.run(thread);
    system.kernel.machine.touch(MEMORY, true).expect("it is mapped");
    let frame = system.frame_at(process.link, MEMORY);
    let root = system.task(process.link).root;
    system.as_boss(|system| {
        let read_only = Mapping::new(MEMORY, Protection::empty(), frame, 1);
        assert_eq!(system.enter(process, &[read_only]), Ok(1));
        let entry = walk(&mut system.kernel.machine, root, MEMORY, 1).entry;
        assert_eq!(entry & (ACCESSED | DIRTY), ACCESSED | DIRTY);
        let other = Mapping::new(MEMORY, Protection::empty(), FREE_FRAME, 1);
        assert_eq!(system.enter(process, &[other]), Ok(1));
        let entry = walk(&mut system.kernel.machine, root, MEMORY, 1).entry;
        assert_eq!(entry & (ACCESSED | DIRTY), 0, "of another frame nothing is known");
    });
}

#[test]
fn the_callers_own_space_can_change_under_its_array() {
    let mut system = System::new();
    let boss = system.boss_task;
    assert_eq!(boss.handle, boot_handle(TASK));
    // The array's own page is replaced by the batch that it holds.
    let items = [page(ARRAY, FREE_FRAME), page(MEMORY + 0x10_0000, FREE_FRAME + 1)];
    assert_eq!(system.enter(boss, &items), Ok(2));
    assert_eq!(system.map_count(FREE_FRAME + 1), 1);
    assert_eq!(system.kind(FREE_FRAME), FrameKind::Plain);
}
