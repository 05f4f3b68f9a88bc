//! Corner cases of the ladder, and its limits: what happens where two things meet.

use crate::support::{Call, Touch, World};
use containers_api::container::*;
use containers_api::contract::*;
use containers_api::control::DmaAuthority;
use containers_api::lock::{LockRelease, LockRuns};
use containers_api::{ContainerRights, FaultReason, LockMode, MemoryError, Name};
use physmem_core::database::State;
use physmem_core::limits::*;

const PAGE: u64 = 4096;
const BASE: u64 = 0x100_0000;

fn allocate(first_page: u64, pages: u64) -> Allocate {
    Allocate { first_page, pages, any_contents: false }
}

fn plain(guaranteed: u64, extra: u64, pins: u64) -> Split {
    Split::new(guaranteed, extra, pins, Name::new("corner").unwrap())
}

#[test]
fn a_contract_that_ends_with_pins_waits_for_the_device() {
    let mut world = World::new(300);
    let (root, control) = (
        world.root(),
        crate::support::world::Machine::control_badge(containers_api::control::ControlRights::all()).0,
    );
    let before = world.free_frames();
    let driver = world.ask_badge(root, &plain(40, 0, 20), &[]);
    let authority = world.ask_badge(control, &DmaAuthority { device: 0 }, &[driver]);
    let term_ns = 10 * CALL_GRACE_NS;
    let client = world.ask_badge(root, &Split { term_ns, ..plain(40, 0, 10) }, &[]);
    let container = world.container(client, 8);
    let grant = Grant { first_page: 0, pages: 8, rights: ContainerRights::all(), maximum_lock_ns: u64::MAX };
    let granted = world.ask_badge(container, &grant, &[]);
    let lock = Lock { first_page: 0, pages: 4, mode: LockMode::Dma, term_ns: u64::MAX };
    let number = world.ask(granted, &lock, &[]).lock;
    let pass = LockPass { lock: number, mode: LockMode::Dma, term_ns: u64::MAX };
    let passed = world.ask_badge(granted, &pass, &[]);
    world.ask(passed, &LockRuns { first_page: 0, is_read: false }, &[authority]);
    let ends = world.stat(client).expires;
    world.run_until(ends);
    assert_eq!(world.refusal(client, &ContractStat {}, &[]), MemoryError::Stale);
    assert_eq!(world.system().quarantined, 4, "the device may be writing to them");
    world.ask(passed, &LockRelease { written_bytes: 0 }, &[]);
    assert_eq!(world.system().quarantined, 0);
    world.ask(driver, &ContractDestroy {}, &[]);
    world.check();
    assert_eq!(world.free_frames(), before);
}

/// Whoever holds a contract below one that is being destroyed could otherwise make new ones faster than they are taken back.
#[test]
fn what_is_below_a_contract_that_ends_cannot_keep_it() {
    let mut world = World::new(400);
    let root = world.root();
    let before = world.free_frames();
    let top = world.split(root, 300);
    let middle = world.split(top, 250);
    let below = world.split(middle, 120);
    for _ in 0..3 * DESTROY_STEPS_AT_ONCE {
        let container = world.container(below, 1);
        world.ask(container, &allocate(0, 1), &[]);
    }
    let destroyed = world.call(top, &ContractDestroy {}, &[]);
    assert!(matches!(destroyed, Call::Waits(_)), "it takes more steps than are done at once: {destroyed:?}");
    let mut steps = 0;
    while world.machine.has_work() {
        for contract in [top, middle, below] {
            assert_eq!(world.refusal(contract, &plain(1, 0, 0), &[]), MemoryError::Stale);
            assert_eq!(world.refusal(contract, &ContainerCreate { pages: 1 }, &[]), MemoryError::Stale);
            assert_eq!(world.refusal(root, &Examine {}, &[contract]), MemoryError::Stale);
        }
        world.machine.work(world.now);
        steps += 1;
        assert!(steps < 10 * DESTROY_STEPS_AT_ONCE, "it does not come to an end");
    }
    world.check();
    assert_eq!(world.free_frames(), before);
}

#[test]
fn a_frame_that_is_seized_from_one_holder_stays_with_the_others() {
    let mut world = World::new(300);
    let root = world.root();
    let (reader, writer) = (world.split_with(root, 60, 0, 0), world.ask_badge(root, &plain(60, 0, 0), &[]));
    let (original, copy) = (world.container(writer, 30), world.container(reader, 30));
    world.ask(original, &allocate(0, 30), &[]);
    (0..30).for_each(|page| world.fill(original, page, 9));
    world.ask(original, &Copy { source_offset: 0, destination_offset: 0, bytes: 30 * PAGE }, &[copy]);
    let free = world.free_frames();
    let status = world.stat(writer);
    let guaranteed = status.guaranteed - status.records - status.kernel;
    world.ask(root, &TakeBack { guaranteed, pin_limit: 0 }, &[writer]);
    let until = world.now + CALL_GRACE_NS;
    world.run_until(until);
    assert_eq!(world.stat(writer).pages, 0);
    assert_eq!(world.free_frames(), free, "nothing is gained until the last holder lets go");
    assert!((0..30).all(|page| world.contents(copy, page) == [9; 4096]));
    world.ask(copy, &Deallocate { first_page: 0, pages: 30 }, &[]);
    assert!(world.free_frames() >= free + 30);
    world.check();
}

#[test]
fn a_change_between_two_looks_is_told_by_the_version() {
    let mut world = World::new(200);
    let contract = world.split(world.root(), 80);
    let (space, container) = (world.space(contract), world.container(contract, 8));
    world.map(space, container, BASE, 8);
    world.read(space, BASE);
    let mut version = world.version(container);
    let mut must_grow = |world: &mut World, what: &str| {
        let now = world.version(container);
        assert!(now > version, "{what}");
        version = now;
    };
    world.write(space, BASE, 1);
    must_grow(&mut world, "a writable page was entered by a fault");
    // The page is writable: what is written now is not told, unless the mapping is taken away between.
    let lock = Lock { first_page: 0, pages: 8, mode: LockMode::Stable, term_ns: 1000 };
    let locked = world.ask(container, &lock, &[]);
    let at_lock = world.version(container);
    let unlocked = world.ask(container, &Unlock { lock: locked.lock, filled_bytes: 0 }, &[]);
    assert_eq!(unlocked.version, at_lock, "nothing changed under the lock");
    world.write(space, BASE, 2);
    must_grow(&mut world, "the lock took the right to write away, so the next write is told");
    world.ask(container, &Deallocate { first_page: 0, pages: 1 }, &[]);
    must_grow(&mut world, "a page went");
}

#[test]
fn the_limits_of_a_split_are_kept() {
    let mut world = World::new(200);
    let root = world.root();
    let split = plain(10, 10, 0);
    for bad in [
        Split { extra_term_ns: EXTRA_TERM_MIN_NS - 1, ..split },
        Split { extra_term_ns: EXTRA_TERM_MAX_NS + 1, ..split },
        Split { weight: WEIGHT_MAX + 1, ..split },
        Split { term_ns: CONTRACT_TERM_MIN_NS - 1, ..split },
        Split { term_ns: CONTRACT_TERM_MAX_NS + 1, ..split },
    ] {
        assert_eq!(world.refusal(root, &bad, &[]), MemoryError::OutOfRange, "{bad:?}");
    }
    assert_eq!(world.refusal(root, &Split { swap_limit: 1, ..split }, &[]), MemoryError::NoPager);
    for good in [
        Split { extra_term_ns: EXTRA_TERM_MIN_NS, ..split },
        Split { extra_term_ns: EXTRA_TERM_MAX_NS, ..split },
        Split { weight: WEIGHT_MAX, ..split },
        Split { term_ns: CONTRACT_TERM_MIN_NS, ..split },
        Split { term_ns: CONTRACT_TERM_MAX_NS, ..split },
    ] {
        world.ask_badge(root, &good, &[]);
    }
    world.check();
}

#[test]
fn a_child_with_too_many_containers_is_not_merged() {
    let mut world = World::new(700);
    let root = world.root();
    let child = world.split_with(root, 300, 0, 0);
    for _ in 0..=MERGE_OBJECTS_MAX {
        world.container(child, 1);
    }
    assert_eq!(world.refusal(root, &Merge {}, &[child]), MemoryError::Limit);
    world.check();
}

#[test]
fn callers_beyond_the_limit_are_told_to_come_again_and_nobody_fails() {
    let mut world = World::new(400);
    let (root, owner) = (world.root(), world.split_with(world.root(), 200, 0, 0));
    let borrower = world.split_with(root, 20, 380, 0);
    let container = world.container(borrower, 400);
    let wanted: Vec<u64> = (0..WAITERS_PER_CONTRACT + 4).map(|_| world.container(owner, 8)).collect();
    let mut page = 0;
    while let Call::Reply(..) = world.call(container, &allocate(page, 1), &[]) {
        page += 1;
    }
    let (mut waiting, mut again) = (0, 0);
    for &one in &wanted {
        match world.call(one, &allocate(0, 4), &[]) {
            Call::Waits(_) => waiting += 1,
            Call::Refused(refusal) if refusal.error == MemoryError::Again => again += 1,
            Call::Reply(..) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(waiting, WAITERS_PER_CONTRACT);
    assert!(again >= 1);
    let until = world.now + EXTRA_TERM_NS + CALL_GRACE_NS;
    world.run_until(until);
    assert_eq!(world.machine.revocation_status().waiting, 0);
}

/// A container with so many pages, filled in parts.
fn large(world: &mut World, contract: u64, pages: u64) -> u64 {
    let container = world.container(contract, pages);
    let mut first = 0;
    while first < pages {
        let part = OPERATION_PAGES_MAX.min(pages - first);
        world.ask(container, &allocate(first, part), &[]);
        first += part;
    }
    container
}

#[test]
fn a_large_container_goes_in_steps_even_if_its_contract_goes_meanwhile() {
    for with_contract in [false, true] {
        let mut world = World::new(5000);
        let contract = world.split(world.root(), 4200);
        let container = large(&mut world, contract, 4000);
        let Call::Waits(handle) = world.call(container, &ContainerDestroy {}, &[]) else {
            panic!("it was done at once")
        };
        assert_eq!(world.refusal(container, &ContainerStat {}, &[]), MemoryError::Stale);
        world.machine.work(world.now);
        world.check();
        if with_contract {
            world.ask(contract, &ContractDestroy {}, &[]);
        }
        while world.machine.has_work() {
            world.machine.work(world.now);
            world.check();
        }
        assert!(world.machine.pmap.answers.iter().any(|answer| answer.0 == handle && answer.1 == 0));
        world.check();
    }
}

#[test]
fn a_large_address_space_goes_in_steps() {
    let mut world = World::new(5000);
    let contract = world.split_with(world.root(), 4200, 0, 0);
    let (space, container) = (world.space(contract), world.container(contract, 8));
    let other = world.container(contract, 8);
    for index in 0..1800 {
        let from = if index % 2 == 0 { container } else { other };
        if index < 2 * MAPPINGS_PER_CONTAINER - 2 {
            world.map(space, from, BASE + index * 0x20_0000, 1);
            world.read(space, BASE + index * 0x20_0000);
        }
    }
    let destroy = containers_api::space::SpaceDestroy {};
    let Call::Waits(handle) = world.call(space.badge, &destroy, &[]) else { panic!("it was done at once") };
    assert_eq!(world.refusal(space.badge, &destroy, &[]), MemoryError::Stale);
    while world.machine.has_work() {
        world.machine.work(world.now);
        world.check();
    }
    assert!(world.machine.pmap.answers.iter().any(|answer| answer.0 == handle && answer.1 == 0));
    assert_eq!(world.stat(contract).kernel, 0, "all page tables came back");
}

#[test]
fn no_more_is_taken_away_or_entered_at_once_than_others_can_wait_for() {
    let mut world = World::new(5000);
    let contract = world.split(world.root(), 4200);
    let container = large(&mut world, contract, OPERATION_PAGES_MAX + 100);
    let all = Deallocate { first_page: 0, pages: OPERATION_PAGES_MAX + 100 };
    assert_eq!(world.refusal(container, &all, &[]), MemoryError::Limit);
    assert_eq!(world.refusal(container, &Resize { pages: 1 }, &[]), MemoryError::Limit);
    // Room without pages costs nothing, however large.
    let sparse = world.container(contract, CONTAINER_PAGES_MAX);
    world.ask(sparse, &allocate(CONTAINER_PAGES_MAX - 1, 1), &[]);
    let space = world.space(contract);
    let map = |container_pages, address| containers_api::space::Map {
        address,
        pages: container_pages,
        first_page: 0,
        protection: containers_api::space::MapProtection::WRITE,
        populate: true,
    };
    let pages = (kernel_abi::USER_END - BASE) / PAGE / 2;
    let calls = world.machine.pmap.calls;
    world.ask(space.badge, &map(pages, BASE + PAGE * pages), &[sparse]);
    assert!(world.machine.pmap.calls - calls < 10, "holes are not looked at one by one");
    world.ask(space.badge, &map(OPERATION_PAGES_MAX + 100, BASE), &[container]);
    let entered = world.machine.pmap.tasks[&space.task.0].pages.len() as u64;
    assert!((POPULATE_PAGES_MAX..=POPULATE_PAGES_MAX + 1).contains(&entered), "{entered}");
    world.ask(container, &Deallocate { pages: OPERATION_PAGES_MAX, ..all }, &[]);
    world.ask(container, &Resize { pages: 1 }, &[]);
    world.check();
}

#[test]
fn what_one_call_asked_for_is_seized_without_a_second_one() {
    let mut world = World::new(1000);
    let root = world.root();
    let child = world.split_with(root, 600, 0, 0);
    let container = large(&mut world, child, 500);
    let status = world.stat(child);
    let kept = status.records + status.kernel;
    world.ask(root, &TakeBack { guaranteed: status.guaranteed - kept, pin_limit: 0 }, &[child]);
    let until = world.now + CALL_GRACE_NS;
    world.run_until(until);
    assert_eq!(world.stat(child).pages, 0, "more than one step takes, all at the deadline");
    assert_eq!(world.ask(child, &CallStat {}, &[]).sequence, 1);
    let status: ContainerStatus = world.ask(container, &ContainerStat {}, &[]);
    assert_eq!(status.lost, 500);
}

#[test]
fn a_page_whose_tables_cannot_be_paid_is_clear_all_the_same() {
    let mut world = World::new(300);
    let contract = world.split(world.root(), 60);
    let (space, other) = (world.space(contract), world.container(contract, 60));
    let wanted = world.container(contract, 1);
    // No page table leads there yet, and none is left to be paid when the page is.
    world.map(space, wanted, 0x4000_0000, 1);
    for first_page in 0..60 {
        let status = world.stat(contract);
        if status.pages + status.records + status.kernel + 1 == status.guaranteed {
            break;
        }
        world.ask(other, &Allocate { first_page, pages: 1, any_contents: false }, &[]);
    }
    for frame in 0..300 {
        if world.machine.database().state(frame) == State::FreeDirty {
            world.ram.borrow_mut().bytes[frame as usize] = [0xaa; 4096];
        }
    }
    assert_eq!(world.touch(space, 0x4000_0000, Some(1)), Touch::Ended(FaultReason::ContractExhausted));
    assert_eq!(world.contents(wanted, 0), [0; 4096], "the page shows what was left over");
    world.check();
}
