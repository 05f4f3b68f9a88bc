//! Removing, protecting and querying ranges of pages.

use crate::harness::{ARRAY, FREE_FRAME, MEMORY, MEMORY_PAGES, Process, System, boot_handle};
use kernel_abi::KernelError::{InvalidAddress, InvalidArgument};
use kernel_abi::SystemCall::{PmapProtect, PmapQuery, PmapRemove};
use kernel_abi::boot::FRAMES;
use kernel_abi::pmap::{
    Mapping, Protection, QUERY_CLEAR_REFERENCED, QUERY_DIRTY, QUERY_PAGES, QUERY_PRESENT, QUERY_REFERENCED,
};
use kernel_abi::{FRAME_BYTES, USER_END};
use kernel_core::Link;
use kernel_core::objects::ThreadState;

const ALL_PAGES: u64 = USER_END / FRAME_BYTES;

/// A task with a thread; the boss runs.
fn system_and_task() -> (System, Process, Link) {
    let mut system = System::new();
    let process = system.process();
    let (_, thread) = system.spawn(process, 5);
    (system, process, thread)
}

#[test]
fn removing_uncounts_steps_over_holes_and_shoots_down() {
    let (mut system, process, _) = system_and_task();
    let root = system.task(process.link).root;
    let far = Mapping::new(1 << 39, Protection::empty(), FREE_FRAME, 2);
    assert_eq!(system.enter(process, &[far]), Ok(1));
    let memory = system.frame_at(process.link, MEMORY);
    assert_eq!(system.ranges(PmapRemove, process, &[(MEMORY + FRAME_BYTES, 2)]), Ok(2));
    assert_eq!(system.kernel.machine.shootdowns.last(), Some(&(root, MEMORY + FRAME_BYTES, 2)));
    assert_eq!((system.map_count(memory), system.map_count(memory + 1)), (1, 0));
    assert_eq!(system.ranges(PmapRemove, process, &[(MEMORY + FRAME_BYTES, 2)]), Ok(0), "holes are no error");
    assert_eq!(system.ranges(PmapRemove, process, &[(0, ALL_PAGES)]), Ok(MEMORY_PAGES - 2 + 2));
    assert_eq!(system.map_count(FREE_FRAME), 0);
}

#[test]
fn tables_that_become_empty_go_back_to_the_stock() {
    let (mut system, process, _) = system_and_task();
    let before = system.task(process.link).stock_frames;
    let far = Mapping::new(1 << 39, Protection::empty(), FREE_FRAME, 1);
    assert_eq!(system.enter(process, &[far]), Ok(1));
    assert_eq!(system.task(process.link).stock_frames, before - 3);
    assert_eq!(system.ranges(PmapRemove, process, &[(1 << 39, 1)]), Ok(1));
    assert_eq!(system.task(process.link).stock_frames, before);
    assert_eq!(system.enter(process, &[far]), Ok(1), "and serve again");
    assert_eq!(system.ranges(PmapRemove, process, &[(0, ALL_PAGES)]), Ok(MEMORY_PAGES + 1));
    assert_eq!(system.task(process.link).stock_frames, before + 3, "those of the memory too");
}

#[test]
fn ranges_are_checked_and_nothing_is_done() {
    let (mut system, process, _) = system_and_task();
    for (call, bits) in
        [(PmapRemove, 1), (PmapRemove, 4), (PmapProtect, 4), (PmapProtect, 8), (PmapProtect, 16)]
    {
        let ranges = [(MEMORY, 1), (MEMORY | bits, 1)];
        assert_eq!(system.ranges(call, process, &ranges), Err((InvalidArgument, 0)), "{call:?} {bits}");
    }
    for (address, pages, error) in [
        (MEMORY, u64::MAX, InvalidArgument),
        (MEMORY, ALL_PAGES + 1, InvalidArgument),
        (MEMORY, ALL_PAGES, InvalidAddress),
        (USER_END, 1, InvalidAddress),
        (!0xfff, 1, InvalidAddress),
        (1 << 63, 0, InvalidAddress),
    ] {
        for call in [PmapRemove, PmapProtect] {
            let ranges = [(MEMORY, 1), (address, pages)];
            assert_eq!(system.ranges(call, process, &ranges), Err((error, 0)), "{address:#x} {pages}");
        }
    }
    system.frame_at(process.link, MEMORY);
    assert_eq!(system.ranges(PmapRemove, process, &[(USER_END, 0), (0, 0)]), Ok(0), "nothing is no error");
}

#[test]
fn a_protection_holds_at_once_and_can_be_given_back() {
    let (mut system, process, thread) = system_and_task();
    system.run(thread);
    system.kernel.machine.touch(MEMORY, true).expect("it is writable");
    system.as_boss(|system| assert_eq!(system.ranges(PmapProtect, process, &[(MEMORY, 1)]), Ok(1)));
    assert!(system.kernel.machine.touch(MEMORY, true).is_err());
    system.kernel.machine.touch(MEMORY, false).expect("it is readable");
    system.kernel.machine.touch(MEMORY + FRAME_BYTES, true).expect("the next page is as it was");
    system.as_boss(|system| {
        assert_eq!(system.ranges(PmapProtect, process, &[(MEMORY | 1, 1 << 20)]), Ok(MEMORY_PAGES));
    });
    system.kernel.machine.touch(MEMORY, true).expect("it is writable");
}

#[test]
fn removing_from_the_active_space_is_complete_when_the_call_returns() {
    let (mut system, process, _) = system_and_task();
    assert!(process.handle > 0);
    let boss = system.boss_task;
    let last = MEMORY + (MEMORY_PAGES - 1) * FRAME_BYTES;
    system.kernel.machine.touch(last, true).expect("it is mapped");
    assert_eq!(system.ranges(PmapRemove, boss, &[(last, 1)]), Ok(1));
    assert!(system.kernel.machine.touch(last, false).is_err());
}

/// Has the boss query a task's memory. One byte a page.
fn query(system: &mut System, process: Process, address: u64, pages: u64, clear: u64) -> Vec<u8> {
    let output = ARRAY + 0x1000;
    system.as_boss(|system| {
        let arguments = [boot_handle(FRAMES), process.handle, address, pages, output, clear];
        assert_eq!(system.ok(PmapQuery, &arguments), pages);
    });
    let words: Vec<u64> =
        (0..pages.div_ceil(8)).map(|word| system.peek(system.boss_task.link, output + word * 8)).collect();
    words.into_iter().flat_map(u64::to_le_bytes).take(pages as usize).collect()
}

#[test]
fn a_query_tells_what_was_used_and_clears_it_if_asked() {
    let (mut system, process, thread) = system_and_task();
    let (used, written) = (QUERY_PRESENT | QUERY_REFERENCED, QUERY_PRESENT | QUERY_REFERENCED | QUERY_DIRTY);
    system.run(thread);
    system.kernel.machine.touch(MEMORY, false).expect("mapped");
    system.kernel.machine.touch(MEMORY + 2 * FRAME_BYTES, true).expect("mapped");
    let expected = [0, used, QUERY_PRESENT, written];
    for clear in [0, 1] {
        assert_eq!(query(&mut system, process, MEMORY - FRAME_BYTES, 4, clear), expected);
    }
    assert_eq!(query(&mut system, process, MEMORY, 3, 0), [QUERY_PRESENT; 3]);
    system.run(thread);
    system.kernel.machine.touch(MEMORY, true).expect("mapped");
    assert_eq!(query(&mut system, process, MEMORY, 1, 0), [written], "and what comes afterwards is seen");
}

#[test]
fn a_query_can_forget_references_and_keep_what_was_written() {
    let (mut system, process, thread) = system_and_task();
    system.run(thread);
    system.kernel.machine.touch(MEMORY, true).expect("mapped");
    system.kernel.machine.touch(MEMORY + FRAME_BYTES, false).expect("mapped");
    let (used, written) = (QUERY_PRESENT | QUERY_REFERENCED, QUERY_PRESENT | QUERY_REFERENCED | QUERY_DIRTY);
    assert_eq!(query(&mut system, process, MEMORY, 2, QUERY_CLEAR_REFERENCED), [written, used]);
    assert_eq!(query(&mut system, process, MEMORY, 2, 0), [QUERY_PRESENT | QUERY_DIRTY, QUERY_PRESENT]);
}

#[test]
fn what_is_cleared_is_noticed_again_in_the_active_space() {
    let mut system = System::new();
    let boss = system.boss_task;
    system.kernel.machine.touch(MEMORY, true).expect("mapped");
    // The harness checks after each call that the processor does not remember the page as written already.
    query(&mut system, boss, MEMORY, 4, 1);
    let root = system.task(boss.link).root;
    assert!(system.kernel.machine.shootdowns.contains(&(root, MEMORY, 1)));
}

#[test]
fn query_arguments_are_checked() {
    let (mut system, process, _) = system_and_task();
    let frames = boot_handle(FRAMES);
    for (address, pages, output, clear, error) in [
        (MEMORY, QUERY_PAGES + 1, ARRAY, 0, InvalidArgument),
        (MEMORY, u64::MAX, ARRAY, 0, InvalidArgument),
        (MEMORY, 1, ARRAY, 3, InvalidArgument),
        (MEMORY + 8, 1, ARRAY, 0, InvalidArgument),
        (USER_END, 1, ARRAY, 0, InvalidAddress),
        (MEMORY, 1, USER_END, 0, InvalidAddress),
        (MEMORY, 1, u64::MAX, 0, InvalidAddress),
    ] {
        system.refused(PmapQuery, &[frames, process.handle, address, pages, output, clear], error);
    }
    assert_eq!(system.call(PmapQuery, &[frames, process.handle, MEMORY, 0, ARRAY, 1]), Ok(0));
}

/// A second task with authority over frames, whose thread faults like any other; the first, which has been written.
fn deputy() -> (System, Process, Process, Link) {
    let (mut system, process, thread) = system_and_task();
    let deputy = system.process();
    let transfer = kernel_abi::Rights::TRANSFER;
    system.give(deputy, boot_handle(FRAMES), 1, transfer);
    system.give(deputy, process.handle, 2, transfer);
    let (_, deputy_thread) = system.spawn(deputy, 5);
    system.run(thread);
    for page in 0..3 {
        system.kernel.machine.touch(MEMORY + page * FRAME_BYTES, true).expect("mapped");
    }
    (system, process, deputy, deputy_thread)
}

#[test]
fn a_query_whose_output_is_absent_forgets_nothing() {
    let (mut system, process, deputy, thread) = deputy();
    // The output's second page is absent.
    let output = MEMORY + 5 * FRAME_BYTES - 1;
    let frame = system.frame_at(deputy.link, MEMORY + 5 * FRAME_BYTES);
    system.unmap(deputy, MEMORY + 5 * FRAME_BYTES, 1);
    system.run(thread);
    let boss = system.boss;
    assert_eq!(system.issue(PmapQuery, &[1, 2, MEMORY, 3, output, 1]), Some(boss));
    let written = QUERY_PRESENT | QUERY_REFERENCED | QUERY_DIRTY;
    assert_eq!(query(&mut system, process, MEMORY, 3, 0), [written; 3]);
    let address = system.thread(thread).fault_address;
    assert_eq!(system.resolve(address, frame.into()), Some(thread));
    system.kernel.system_call();
    assert_eq!(system.leave(), Some(thread));
    assert_eq!(system.status(thread), Ok(()));
    assert_eq!(system.peek(deputy.link, MEMORY + 5 * FRAME_BYTES) as u16, u16::from_le_bytes([written; 2]));
    assert_eq!(query(&mut system, process, MEMORY, 3, 0), [QUERY_PRESENT; 3]);
}

#[test]
fn an_array_that_is_absent_is_the_callers_fault_and_nothing_is_done() {
    for call in [PmapRemove, PmapProtect] {
        let (mut system, process, deputy, thread) = deputy();
        let at = MEMORY + 5 * FRAME_BYTES - 16;
        system.poke_words(deputy.link, at, &[MEMORY, 1]);
        system.unmap(deputy, MEMORY + 5 * FRAME_BYTES, 1);
        system.run(thread);
        assert_eq!(system.issue(call, &[1, 2, at, 2]), Some(system.boss));
        assert_eq!(system.state(thread), ThreadState::AwaitingReply);
        system.run(system.boss);
        system.frame_at(process.link, MEMORY);
    }
}
