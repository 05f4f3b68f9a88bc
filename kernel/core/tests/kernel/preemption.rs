//! Long calls stop when an interrupt waits, say how far they have come, and lose nothing when they are called again.

use crate::harness::{ARRAY, FREE_FRAME, MEMORY_PAGES, Process, System, boot_handle};
use crate::pair::Pair;
use kernel_abi::KernelError::{Occupied, PeerDied, Preempted, Stale};
use kernel_abi::SystemCall::{FrameCopy, FrameZero, PmapProtect, PmapRemove, PmapUnstock, Reclaim};
use kernel_abi::boot::FRAMES;
use kernel_abi::pmap::{Mapping, Protection};
use kernel_abi::{FRAME_BYTES, SystemCall, USER_END};
use kernel_core::objects::ThreadState;

/// Where the tests map many pages.
const PLACE: u64 = 1 << 30;

/// An interrupt always waits.
fn always(system: &mut System) {
    system.kernel.machine.pending = vec![true; 1 << 16];
}

fn never(system: &mut System) {
    system.kernel.machine.pending.clear();
}

/// Calls again with the rest of the items until it is done. How often it was stopped.
fn carry_through(system: &mut System, items: &[u64], words: usize, call: SystemCall, handles: &[u64]) -> u64 {
    let (mut done, mut stops) = (0, 0);
    loop {
        always(system);
        let rest = &items[done * words..];
        system.poke_words(system.boss_task.link, ARRAY, rest);
        let mut arguments = handles.to_vec();
        arguments.extend([ARRAY, (rest.len() / words) as u64]);
        let result = system.call_with_value(call, &arguments);
        never(system);
        match result {
            Ok(_) => return stops,
            Err((Preempted, value)) => {
                done += value as usize;
                stops += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
        assert!(stops < 1000, "no headway");
    }
}

fn mapping_words(mappings: &[Mapping]) -> Vec<u64> {
    mappings
        .iter()
        .flat_map(|mapping| [mapping.address, u64::from(mapping.frame) | u64::from(mapping.frames) << 32])
        .collect()
}

/// A task with many pages; and how many.
fn task_with_pages(system: &mut System) -> (Process, u64) {
    let process = system.process();
    let one = Mapping::new(PLACE, Protection::WRITE, FREE_FRAME, 700);
    let other = Mapping::new(PLACE + (1 << 21), Protection::WRITE, FREE_FRAME, 300);
    assert_eq!(system.enter(process, &[one, other]), Ok(2));
    (process, 512 + 300)
}

#[test]
fn entering_comes_through_item_by_item_and_within_items() {
    let mut system = System::new();
    let process = system.process();
    let items = [
        Mapping::new(PLACE, Protection::WRITE, FREE_FRAME, 500),
        Mapping::new(PLACE + (4 << 20), Protection::WRITE, FREE_FRAME, 3),
        Mapping::new(PLACE + (6 << 20), Protection::WRITE, FREE_FRAME, 200),
    ];
    let handles = [boot_handle(FRAMES), process.handle];
    let stops = carry_through(&mut system, &mapping_words(&items), 2, SystemCall::PmapEnter, &handles);
    assert!((7..=12).contains(&stops), "{stops}");
    assert_eq!(system.map_count(FREE_FRAME), 3);
    assert_eq!(system.map_count(FREE_FRAME + 499), 1);
    assert_eq!(system.map_count(FREE_FRAME + 199), 2);
}

#[test]
fn large_pages_are_entered_one_at_a_time() {
    let mut system = System::new();
    let process = system.process();
    let items = [Mapping::new(PLACE, Protection::SUPERPAGE, 1024, 2)];
    let handles = [boot_handle(FRAMES), process.handle];
    assert_eq!(carry_through(&mut system, &mapping_words(&items), 2, SystemCall::PmapEnter, &handles), 1);
    assert_eq!((system.map_count(1024), system.map_count(2047)), (1, 1));
}

#[test]
fn removing_everything_comes_through() {
    let mut system = System::new();
    let (process, pages) = task_with_pages(&mut system);
    let before = system.task(process.link).stock_frames;
    let handles = [boot_handle(FRAMES), process.handle];
    let stops = carry_through(&mut system, &[0, USER_END / FRAME_BYTES], 2, PmapRemove, &handles);
    assert!(stops >= pages / 64 - 3, "{stops}");
    assert_eq!(system.map_count(FREE_FRAME), 0);
    assert!(system.task(process.link).stock_frames > before);
}

#[test]
fn protecting_everything_comes_through() {
    let mut system = System::new();
    let (process, pages) = task_with_pages(&mut system);
    let handles = [boot_handle(FRAMES), process.handle];
    let stops = carry_through(&mut system, &[0, USER_END / FRAME_BYTES], 2, PmapProtect, &handles);
    assert!(stops >= pages / 64 - 3, "{stops}");
    assert_eq!(system.ranges(PmapProtect, process, &[(0, USER_END / FRAME_BYTES)]), Ok(pages + MEMORY_PAGES));
}

#[test]
fn what_a_stopped_call_has_changed_is_shot_down() {
    let mut system = System::new();
    let boss = system.boss_task;
    assert_eq!(system.enter(boss, &[Mapping::new(PLACE, Protection::WRITE, FREE_FRAME, 200)]), Ok(1));
    for page in 0..200 {
        system.kernel.machine.touch(PLACE + page * FRAME_BYTES, true).expect("mapped");
    }
    // The harness checks after each call that the processor remembers nothing that is gone.
    let handles = [boot_handle(FRAMES), boss.handle];
    carry_through(&mut system, &[PLACE, 200], 2, PmapProtect, &handles);
    carry_through(&mut system, &[PLACE, 200], 2, PmapRemove, &handles);
}

#[test]
fn zeroing_and_copying_come_through() {
    let mut system = System::new();
    for frame in 0..20 {
        system.kernel.machine.contents(FREE_FRAME + frame).fill(7);
    }
    let items: Vec<u64> = (0..20).map(|frame| u64::from(FREE_FRAME + frame) | 4096 << 48).collect();
    assert_eq!(carry_through(&mut system, &items, 1, FrameZero, &[boot_handle(FRAMES)]), 2);
    assert!((0..20).all(|frame| system.kernel.machine.contents(FREE_FRAME + frame)[4095] == 0));
    system.kernel.machine.contents(FREE_FRAME).fill(9);
    let items: Vec<u64> = (1..20)
        .flat_map(|frame| [u64::from(FREE_FRAME) | u64::from(FREE_FRAME + frame) << 32, 4096 << 32])
        .collect();
    assert_eq!(carry_through(&mut system, &items, 2, FrameCopy, &[boot_handle(FRAMES)]), 2);
    assert!((0..20).all(|frame| system.kernel.machine.contents(FREE_FRAME + frame)[4095] == 9));
}

#[test]
fn no_table_is_lost_when_taking_them_is_stopped() {
    let mut system = System::new();
    let (process, _) = task_with_pages(&mut system);
    let large = Mapping::new(PLACE + (1 << 27), Protection::SUPERPAGE, 1024, 2);
    assert_eq!(system.enter(process, &[large]), Ok(1));
    system.ok(SystemCall::TaskKill, &[process.handle, 0]);
    let mut taken = Vec::new();
    loop {
        always(&mut system);
        let result = system.call_with_value(PmapUnstock, &[boot_handle(FRAMES), process.handle, ARRAY, 64]);
        never(&mut system);
        let count = result.unwrap_or_else(|(error, value)| {
            assert_eq!(error, Preempted);
            value
        });
        for index in 0..count {
            taken
                .push((system.peek(system.boss_task.link, ARRAY + index / 2 * 8) >> (index % 2 * 32)) as u32);
        }
        if result == Ok(0) {
            break;
        }
    }
    // The harness stocked eight, and the top one.
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), 9);
    assert_eq!(system.map_count(FREE_FRAME), 0);
    assert_eq!(system.map_count(1500), 0);
}

#[test]
fn reclaiming_an_endpoint_sends_callers_away_one_by_one_and_lets_nobody_come() {
    let mut pair = Pair::new();
    let frame = u64::from(pair.system.thread(pair.server).waits_for.frame());
    pair.call_received();
    pair.park();
    pair.call(pair.other_client, &[1]);
    let (_, third) = pair.system.spawn(pair.client_task, 5);
    pair.call(third, &[1]);
    pair.system.as_boss(|system| {
        always(system);
        assert_eq!(system.call(Reclaim, &[boot_handle(FRAMES), frame]), Err(Preempted));
        never(system);
        system.refused(SystemCall::EndpointCreate, &[boot_handle(FRAMES), frame, 0, 119], Occupied);
    });
    assert_eq!(pair.system.status(pair.other_client), Err(PeerDied));
    assert_eq!(pair.system.state(third), ThreadState::Sending);
    pair.run(pair.other_client);
    pair.system.refused(SystemCall::Call, &[crate::pair::ENDPOINT, 0], Stale);
    pair.system.as_boss(|system| assert_eq!(system.call(Reclaim, &[boot_handle(FRAMES), frame]), Ok(0)));
    assert_eq!(pair.system.status(third), Err(PeerDied));
    assert_eq!(pair.system.state(pair.client), ThreadState::AwaitingReply);
}
