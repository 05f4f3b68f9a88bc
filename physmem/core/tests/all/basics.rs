//! The way a small task lives: a contract, a container, an address space, first touches, copies, and the end.

use crate::support::{Touch, World};
use containers_api::container::{Allocate, ContainerDestroy, Copy, Deallocate, Move, Resize, Seal};
use containers_api::contract::ContractDestroy;
use containers_api::space::{MapProtection, SpaceDestroy};
use containers_api::{FaultReason, MemoryError};
use physmem_core::limits::FAULT_AHEAD_PAGES;

const BASE: u64 = 0x10_0000;

#[test]
fn a_first_touch_finds_zeros_and_is_charged() {
    let mut world = World::new(64);
    let contract = world.split(world.root(), 30);
    let container = world.container(contract, 4);
    let space = world.space(contract);
    world.map(space, container, BASE, 4);
    let (before, _, _) = world.charges(contract);
    assert_eq!(before, 0);
    assert_eq!(world.read(space, BASE + 5), 0);
    world.write(space, BASE + 2 * 4096, 7);
    assert_eq!(world.read(space, BASE + 2 * 4096), 7);
    assert_eq!(world.charges(contract).0, 2);
    world.check();
}

#[test]
fn a_container_that_is_filled_page_by_page_gets_pages_ahead() {
    let mut world = World::new(1024);
    let contract = world.split(world.root(), 900);
    let container = world.container(contract, 64);
    let space = world.space(contract);
    world.map(space, container, BASE, 64);
    let mut present = Vec::new();
    for page in 0..33 {
        world.write(space, BASE + page * 4096, page as u8);
        present.push(world.charges(contract).0);
        world.check();
    }
    // As many again as are there before the page, up to the end of the cluster.
    assert_eq!(present[..9], [1, 3, 3, 7, 7, 7, 7, 15, 15]);
    assert_eq!((present[14], present[15], present[16], present[31], present[32]), (15, 16, 32, 32, 48));
    for page in 33..48 {
        assert_eq!(world.read(space, BASE + page * 4096), 0, "page {page}");
    }
    // Backwards, and far from others: one at a time.
    world.write(space, BASE + 63 * 4096, 1);
    world.write(space, BASE + 62 * 4096, 1);
    assert_eq!(world.charges(contract).0, 50);
}

#[test]
fn who_goes_through_present_pages_in_order_faults_ever_more_rarely() {
    let mut world = World::new(2048);
    let contract = world.split(world.root(), 1500);
    let pages = 1000;
    let container = world.container(contract, pages);
    let space = world.space(contract);
    world.ask(container, &Allocate { first_page: 0, pages, any_contents: false }, &[]);
    world.map(space, container, BASE, pages);
    let mut faults = Vec::new();
    for page in 0..pages {
        let before = world.machine.counters().faults;
        world.read(space, BASE + page * 4096);
        faults.extend((world.machine.counters().faults != before).then_some(page));
    }
    let most = FAULT_AHEAD_PAGES;
    let (ahead, further) = ([0, 16, 16 + 32, 16 + 32 + 64], 16 + 32 + 64 + most);
    assert_eq!(faults[..4], ahead);
    assert!(faults[4..].iter().copied().eq((further..pages).step_by(most as usize)), "{faults:?}");
    // Elsewhere it begins anew: with a cluster around the page.
    world.map(space, container, BASE + 0x1000_0000, pages);
    let other = |page: u64| BASE + 0x1000_0000 + page * 4096;
    for (page, has_faulted) in
        [(500, true), (496, false), (511, false), (495, true), (512, true), (543, true)]
    {
        let before = world.machine.counters().faults;
        world.read(space, other(page));
        assert_eq!(world.machine.counters().faults != before, has_faulted, "page {page}");
    }
    world.check();
}

#[test]
fn no_pages_come_ahead_where_the_guarantee_leaves_little() {
    let mut world = World::new(1024);
    let spare = containers_core::container::AHEAD_SPARE;
    let contract = world.split(world.root(), 3 * spare);
    let container = world.container(contract, 64);
    let space = world.space(contract);
    world.map(space, container, BASE, 64);
    for page in 0..32 {
        world.write(space, BASE + page * 4096, 1);
        let (pages, records, kernel) = world.charges(contract);
        let (ahead, left) = (pages - (page + 1), 3 * spare - (pages + records + kernel));
        assert!(ahead * spare <= left + ahead, "{ahead} pages ahead, {left} frames left");
    }
    world.check();
}

#[test]
fn pages_ahead_are_taken_from_the_guarantee_alone() {
    let mut world = World::new(128);
    let contract = world.split(world.root(), 30);
    let container = world.container(contract, 64);
    let space = world.space(contract);
    world.map(space, container, BASE, 64);
    let mut page = 0;
    while matches!(world.touch(space, BASE + page * 4096, Some(1)), Touch::Byte(1)) {
        page += 1;
    }
    let (pages, records, kernel) = world.charges(contract);
    assert_eq!((pages, pages + records + kernel), (page, 30), "all of it is used before one is refused");
    world.check();
}

#[test]
fn everything_comes_back_when_a_contract_ends() {
    let mut world = World::new(128);
    let outer = world.split(world.root(), 100);
    // One frame of records stays with a contract that has had any.
    let first = world.split(outer, 10);
    world.ask(first, &ContractDestroy {}, &[]);
    let free = world.free_frames();
    let contract = world.split(outer, 80);
    let other = world.split(contract, 20);
    for owner in [contract, other] {
        let container = world.container(owner, 8);
        let space = world.space(owner);
        world.map(space, container, BASE, 8);
        (0..5).for_each(|page| world.write(space, BASE + page * 4096, 1));
    }
    world.check();
    assert!(world.free_frames() < free);
    world.ask(contract, &ContractDestroy {}, &[]);
    world.check();
    assert_eq!(world.free_frames(), free);
    assert_eq!(world.refusal(contract, &ContractDestroy {}, &[]), MemoryError::Stale);
    assert_eq!(world.refusal(other, &ContractDestroy {}, &[]), MemoryError::Stale);
}

#[test]
fn a_copy_shares_frames_until_somebody_writes() {
    let mut world = World::new(64);
    let contract = world.split(world.root(), 40);
    let (one, two) = (world.container(contract, 4), world.container(contract, 4));
    let space = world.space(contract);
    world.map(space, one, BASE, 4);
    world.map(space, two, BASE + 0x10000, 4);
    world.write(space, BASE, 1);
    world.write(space, BASE + 4096, 2);
    let free = world.free_frames();
    let copy = Copy { source_offset: 0, destination_offset: 0, bytes: 4 * 4096 };
    let copied = world.ask(one, &copy, &[two]);
    assert_eq!((copied.moved_bytes, copied.shared_pages), (0, 4));
    // A node of the page array may have been needed, no frame for a page.
    assert!(free - world.free_frames() <= 1);
    world.check();
    assert_eq!(world.read(space, BASE + 0x10000), 1);
    world.write(space, BASE, 9);
    world.write(space, BASE + 0x11000, 8);
    assert_eq!(world.read(space, BASE + 0x10000), 1);
    assert_eq!(world.read(space, BASE + 4096), 2);
    assert_eq!(world.read(space, BASE + 0x11000), 8);
    assert_eq!(world.read(space, BASE + 0x12000), 0);
    world.check();
}

#[test]
fn edges_are_moved_and_whole_pages_are_shared() {
    let mut world = World::new(64);
    let (one, two) = (world.container(world.root(), 4), world.container(world.root(), 4));
    world.ask(one, &Allocate { first_page: 0, pages: 4, any_contents: false }, &[]);
    (0..4).for_each(|page| world.fill(one, page, page as u8 + 1));
    let copy = Copy { source_offset: 100, destination_offset: 100, bytes: 2 * 4096 };
    let copied = world.ask(one, &copy, &[two]);
    assert_eq!((copied.moved_bytes, copied.shared_pages), (4096, 1));
    assert_eq!((world.contents(two, 0)[99], world.contents(two, 0)[100]), (0, 1));
    assert_eq!(world.contents(two, 1), [2; 4096]);
    assert_eq!((world.contents(two, 2)[99], world.contents(two, 2)[100]), (3, 0));
    let skewed = Copy { source_offset: 0, destination_offset: 4096 * 3 + 1, bytes: 4095 };
    let copied = world.ask(one, &skewed, &[two]);
    assert_eq!((copied.moved_bytes, copied.shared_pages), (4095, 0));
    assert_eq!((world.contents(two, 3)[0], world.contents(two, 3)[1]), (0, 1));
    world.check();
}

#[test]
fn moving_bills_the_taker() {
    let mut world = World::new(96);
    let (giver, taker) = (world.split(world.root(), 20), world.split(world.root(), 20));
    let (one, two) = (world.container(giver, 4), world.container(taker, 4));
    world.ask(one, &Allocate { first_page: 0, pages: 3, any_contents: false }, &[]);
    world.fill(one, 1, 5);
    world.ask(two, &Allocate { first_page: 0, pages: 2, any_contents: false }, &[]);
    world.ask(one, &Move { first_page: 0, destination_page: 0, pages: 4 }, &[two]);
    assert_eq!((world.charges(giver).0, world.charges(taker).0), (0, 3));
    assert_eq!(world.contents(two, 1), [5; 4096]);
    world.check();
}

#[test]
fn sizes_and_frames_can_be_given_up() {
    let mut world = World::new(64);
    let contract = world.split(world.root(), 30);
    let container = world.container(contract, 4);
    let space = world.space(contract);
    world.map(space, container, BASE, 4);
    (0..4).for_each(|page| world.write(space, BASE + page * 4096, 3));
    world.ask(container, &Deallocate { first_page: 0, pages: 1 }, &[]);
    assert_eq!(world.read(space, BASE), 0);
    world.ask(container, &Resize { pages: 2 }, &[]);
    assert_eq!(world.touch(space, BASE + 2 * 4096, None), Touch::Ended(FaultReason::BeyondEnd));
    world.ask(container, &Resize { pages: 1 << 20 }, &[]);
    assert_eq!(world.read(space, BASE + 2 * 4096), 0, "what was cut off is not back");
    assert_eq!(world.read(space, BASE + 4096), 3);
    world.check();
}

#[test]
fn a_sealed_container_can_be_read_and_nothing_else() {
    let mut world = World::new(64);
    let contract = world.split(world.root(), 30);
    let container = world.container(contract, 4);
    let space = world.space(contract);
    world.map(space, container, BASE, 4);
    world.write(space, BASE, 3);
    world.ask(container, &Seal {}, &[]);
    assert_eq!(world.read(space, BASE), 3);
    assert_eq!(world.touch(space, BASE, Some(4)), Touch::Ended(FaultReason::Sealed));
    let range = Deallocate { first_page: 0, pages: 1 };
    assert_eq!(world.refusal(container, &range, &[]), MemoryError::Sealed);
    assert_eq!(world.refusal(container, &Resize { pages: 9 }, &[]), MemoryError::Sealed);
    world.check();
}

#[test]
fn faults_outside_of_what_is_mapped_end_the_thread() {
    let mut world = World::new(64);
    let contract = world.split(world.root(), 30);
    let container = world.container(contract, 4);
    let space = world.space(contract);
    world.map_at(space, container, BASE, 0, 4, MapProtection::EXECUTE);
    assert_eq!(world.touch(space, BASE - 1, None), Touch::Ended(FaultReason::NotMapped));
    assert_eq!(world.touch(space, BASE + 4 * 4096, None), Touch::Ended(FaultReason::NotMapped));
    assert_eq!(world.touch(space, BASE, Some(1)), Touch::Ended(FaultReason::Protection));
    assert_eq!(world.read(space, BASE), 0);
    world.check();
}

#[test]
fn a_contract_that_is_exhausted_says_so() {
    let mut world = World::new(96);
    let contract = world.split(world.root(), 12);
    let container = world.container(contract, 64);
    let space = world.space(contract);
    world.map(space, container, BASE, 64);
    let mut page = 0;
    let end = loop {
        match world.touch(space, BASE + page * 4096, Some(1)) {
            Touch::Byte(_) => page += 1,
            end => break end,
        }
    };
    assert_eq!(end, Touch::Ended(FaultReason::ContractExhausted));
    let status = world.stat(contract);
    assert_eq!(status.pages + status.records + status.kernel, 12);
    world.check();
    let allocate = Allocate { first_page: 0, pages: 64, any_contents: false };
    assert_eq!(world.refusal(container, &allocate, &[]), MemoryError::ContractExhausted);
    assert_eq!(world.charges(contract).0, page);
}

#[test]
fn containers_and_spaces_end_by_themselves_too() {
    let mut world = World::new(128);
    let contract = world.split(world.root(), 60);
    let container = world.container(contract, 4);
    let space = world.space(contract);
    world.map(space, container, BASE, 4);
    world.write(space, BASE, 1);
    world.ask(container, &ContainerDestroy {}, &[]);
    assert_eq!(world.touch(space, BASE, None), Touch::Ended(FaultReason::NotMapped));
    world.check();
    world.ask(space.badge, &SpaceDestroy {}, &[]);
    world.check();
    let status = world.stat(contract);
    assert_eq!((status.pages, status.kernel), (0, 0));
    assert!(status.records <= 3, "one empty frame of each size may stay");
}

#[test]
fn a_copy_of_no_bytes_is_no_range_and_charges_nothing() {
    let mut world = World::new(128);
    let contract = world.split(world.root(), 60);
    let container = world.container(contract, 8);
    for (source_offset, destination_offset) in [(0, 4096), (100, 5000), (5000, 100), (5000, 9096)] {
        let nothing = Copy { source_offset, destination_offset, bytes: 0 };
        assert_eq!(world.refusal(container, &nothing, &[container]), MemoryError::OutOfRange);
        world.check();
    }
    assert_eq!(world.charges(contract).0, 0);
}
