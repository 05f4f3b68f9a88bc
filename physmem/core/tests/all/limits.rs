//! Every named limit is reached, and what is refused there changes nothing.

use crate::support::{Call, Touch, World};
use containers_api::container::{Allocate, ContainerStat, Copy, Grant, Lock, Resize};
use containers_api::contract::{
    ContainerCreate, ContractDestroy, EndpointCreate, NotificationCreate, SpaceCreate, Split,
};
use containers_api::space::{Map, MapProtection, SpaceDestroy, TableGrow, ThreadCreate};
use containers_api::{ContainerRights, FaultReason, LockMode, MemoryError, Name};
use containers_core::record::GENERATION_MAX;
use kernel_abi::Handle;
use kernel_abi::object::{ENDPOINTS_PER_FRAME, NOTIFICATIONS_PER_FRAME, THREADS_PER_FRAME, THREADS_PER_TASK};
use physmem_core::badge::Badge;
use physmem_core::limits::*;

const BASE: u64 = 0x10_0000;
const PAGE: u64 = 4096;

fn map(address: u64, pages: u64) -> Map {
    Map { address, pages, first_page: 0, protection: MapProtection::empty(), populate: false }
}

#[test]
fn container_pages() {
    let mut world = World::new(64);
    world.container(world.root(), CONTAINER_PAGES_MAX);
    let create = |pages| ContainerCreate { pages };
    assert_eq!(world.refusal(world.root(), &create(CONTAINER_PAGES_MAX + 1), &[]), MemoryError::OutOfRange);
    assert_eq!(world.refusal(world.root(), &create(0), &[]), MemoryError::OutOfRange);
    let one = world.container(world.root(), 1);
    world.ask(one, &Resize { pages: CONTAINER_PAGES_MAX }, &[]);
    for pages in [CONTAINER_PAGES_MAX + 1, 0, u64::MAX] {
        assert_eq!(world.refusal(one, &Resize { pages }, &[]), MemoryError::OutOfRange);
    }
    world.check();
}

#[test]
fn pages_of_one_operation() {
    let mut world = World::new(64);
    let one = world.container(world.root(), 1 << 20);
    let two = world.container(world.root(), 1 << 20);
    let pages = OPERATION_PAGES_MAX + 1;
    let allocate = |pages| Allocate { first_page: 0, pages, any_contents: false };
    assert_eq!(world.refusal(one, &allocate(pages), &[]), MemoryError::Limit);
    assert_eq!(world.refusal(one, &allocate(pages - 1), &[]), MemoryError::ContractExhausted);
    let lock = Lock { first_page: 0, pages, mode: LockMode::Stable, term_ns: 1 };
    assert_eq!(world.refusal(one, &lock, &[]), MemoryError::Limit);
    let copy = Copy { source_offset: 0, destination_offset: 0, bytes: pages * PAGE };
    assert_eq!(world.refusal(one, &copy, &[two]), MemoryError::Limit);
    let copy = Copy { bytes: (pages - 1) * PAGE, ..copy };
    assert!(matches!(world.call(one, &copy, &[two]), Call::Reply(..) | Call::Refused(_)));
    world.check();
}

#[test]
fn locks_of_a_container() {
    let mut world = World::new(128);
    let one = world.container(world.root(), LOCKS_PER_CONTAINER + 1);
    let lock = |first_page| Lock { first_page, pages: 1, mode: LockMode::Stable, term_ns: 9 };
    (0..LOCKS_PER_CONTAINER).for_each(|page| drop(world.call(one, &lock(page), &[])));
    assert_eq!(world.ask(one, &ContainerStat {}, &[]).locks, LOCKS_PER_CONTAINER);
    assert_eq!(world.refusal(one, &lock(LOCKS_PER_CONTAINER), &[]), MemoryError::Limit);
    world.check();
    world.machine.advance(10);
    world.ask(one, &lock(0), &[]);
}

#[test]
fn terms_of_locks() {
    let mut world = World::new(64);
    let one = world.container(world.root(), 1);
    let lock = Lock { first_page: 0, pages: 1, mode: LockMode::Stable, term_ns: LOCK_TERM_MAX_NS + 1 };
    assert_eq!(world.ask(one, &lock, &[]).expires, world.now + LOCK_TERM_MAX_NS);
}

#[test]
fn grants_of_a_container_and_their_depth() {
    let mut world = World::new(128);
    let one = world.container(world.root(), 1);
    let request = Grant { first_page: 0, pages: 1, rights: ContainerRights::GRANT, maximum_lock_ns: 1 };
    let mut deepest = one;
    for _ in 0..GRANT_DEPTH_MAX {
        deepest = world.ask_badge(deepest, &request, &[]);
    }
    assert_eq!(world.refusal(deepest, &request, &[]), MemoryError::Limit);
    for _ in GRANT_DEPTH_MAX..GRANTS_PER_CONTAINER {
        world.ask_badge(one, &request, &[]);
    }
    assert_eq!(world.refusal(one, &request, &[]), MemoryError::Limit);
    world.check();
}

#[test]
fn mappings_of_a_container_and_of_a_space() {
    let mut world = World::new(512);
    let space = world.space(world.root());
    let mut address = BASE;
    for _ in 0..MAPPINGS_PER_SPACE / MAPPINGS_PER_CONTAINER {
        let one = world.container(world.root(), 1);
        for _ in 0..MAPPINGS_PER_CONTAINER {
            world.ask(space.badge, &map(address, 1), &[one]);
            address += 2 * PAGE;
        }
        let other = world.space(world.root());
        assert_eq!(world.refusal(other.badge, &map(address, 1), &[one]), MemoryError::Limit);
    }
    let one = world.container(world.root(), 1);
    assert_eq!(world.refusal(space.badge, &map(address, 1), &[one]), MemoryError::Limit);
    world.check();
}

#[test]
fn holders_of_a_frame() {
    let mut world = World::new(FRAME_HOLDERS_MAX as usize + 700);
    let one = world.container(world.root(), 1);
    world.ask(one, &Allocate { first_page: 0, pages: 1, any_contents: false }, &[]);
    world.fill(one, 0, 42);
    let many = world.container(world.root(), u64::from(FRAME_HOLDERS_MAX));
    let copy = |page| Copy { source_offset: 0, destination_offset: page * PAGE, bytes: PAGE };
    for page in 0..u64::from(FRAME_HOLDERS_MAX) - 1 {
        assert_eq!(world.ask(one, &copy(page), &[many]).moved_bytes, 0);
    }
    let last = u64::from(FRAME_HOLDERS_MAX) - 1;
    let copied = world.ask(one, &copy(last), &[many]);
    assert_eq!((copied.moved_bytes, copied.shared_pages), (PAGE, 0), "beyond the limit bytes are copied");
    assert_eq!(world.contents(many, last), [42; 4096]);
    world.check();
}

#[test]
fn depth_of_contracts() {
    let mut world = World::new(128);
    let mut here = world.root();
    for depth in 0..CONTRACT_DEPTH_MAX {
        here = world.split(here, 80 - depth * 2);
    }
    let split = Split::new(1, 0, 0, Name::new("x").unwrap());
    assert_eq!(world.refusal(here, &split, &[]), MemoryError::Limit);
    world.check();
}

#[test]
fn principals_are_never_used_again() {
    let handles = (Handle(24), Handle(60));
    let mut world = World::begin(64, 0, |_, _| {}, handles, PRINCIPAL_MAX - 1);
    let last = world.split(world.root(), 5);
    assert_eq!(world.stat(last).principal, PRINCIPAL_MAX);
    world.ask(last, &ContractDestroy {}, &[]);
    let split = Split::new(1, 0, 0, Name::new("x").unwrap());
    assert_eq!(world.refusal(world.root(), &split, &[]), MemoryError::Limit);
}

#[test]
fn generations_of_a_record_are_never_used_again() {
    let prepare = |database: &mut physmem_core::FrameDatabase<'static>, frame| {
        database.set_generation(frame, GENERATION_MAX - 2);
    };
    let mut world = World::begin(64, 0, prepare, (Handle(24), Handle(60)), 1);
    let mut badges = Vec::new();
    // Each frame serves a few times and is retired; then the next one is used, until all are.
    loop {
        match world.call(world.root(), &ContainerCreate { pages: 1 }, &[]) {
            Call::Reply(_, handed) => {
                let physmem_core::Handed::Badge(Badge(badge)) = handed[0] else { panic!() };
                assert!(!badges.contains(&badge), "a name is used again");
                badges.push(badge);
                world.ask(badge, &containers_api::container::ContainerDestroy {}, &[]);
            }
            other => {
                assert!(matches!(other, Call::Refused(refusal) if refusal.error == MemoryError::NoRecord));
                break;
            }
        }
    }
    assert!(badges.len() > 100, "{}", badges.len());
    for badge in badges {
        assert_eq!(world.refusal(badge, &ContainerStat {}, &[]), MemoryError::Stale);
    }
    world.check();
}

#[test]
fn containers_of_a_contract() {
    let mut world = World::new(4300);
    for _ in 0..CONTAINERS_PER_CONTRACT {
        assert!(matches!(world.call(world.root(), &ContainerCreate { pages: 1 }, &[]), Call::Reply(..)));
    }
    assert_eq!(world.refusal(world.root(), &ContainerCreate { pages: 1 }, &[]), MemoryError::Limit);
}

#[test]
fn spaces_of_a_contract_and_handles_of_physmem() {
    let mut world = World::new(600);
    let create = SpaceCreate { name: Name::new("x").unwrap() };
    let spaces: Vec<_> = (0..SPACES_PER_CONTRACT).map(|_| world.space(world.root())).collect();
    assert_eq!(world.refusal(world.root(), &create, &[]), MemoryError::Limit);
    world.check();
    spaces.iter().for_each(|space| drop(world.call(space.badge, &SpaceDestroy {}, &[])));
    world.check();
    assert_eq!(world.stat(world.root()).kernel, 0);
    let mut few = World::with_handles(64, 3);
    for _ in 0..3 {
        few.space(few.root());
    }
    assert_eq!(few.refusal(few.root(), &create, &[]), MemoryError::Limit);
    few.check();
}

#[test]
fn waiters_of_a_contract_and_of_physmem() {
    let mut world = World::new(128);
    let one = world.container(world.root(), 2);
    let space = world.space(world.root());
    world.map(space, one, BASE, 2);
    let grant = world.grant(one, 1, ContainerRights::LOCK | ContainerRights::FILL);
    world.ask(grant, &Lock { first_page: 0, pages: 1, mode: LockMode::Fill, term_ns: 9 }, &[]);
    for _ in 0..WAITERS_PER_CONTRACT {
        assert!(matches!(world.touch(space, BASE, None), Touch::Waits(_)));
    }
    assert_eq!(world.touch(space, BASE, None), Touch::Ended(FaultReason::TooManyWaiters));
    world.check();
    world.machine.advance(100);
    assert_eq!(world.machine.pmap.answers.len() as u64, WAITERS_PER_CONTRACT);
    assert_eq!(world.read(space, BASE), 0);
    let mut few = World::with_handles(64, 1);
    let one = few.container(few.root(), 1);
    let space = few.space(few.root());
    few.map(space, one, BASE, 1);
    let grant = few.grant(one, 1, ContainerRights::LOCK | ContainerRights::FILL);
    few.ask(grant, &Lock { first_page: 0, pages: 1, mode: LockMode::Fill, term_ns: 9 }, &[]);
    let answer = few.machine.fault(few.now, space.badge, BASE, 0);
    assert_eq!(answer, physmem_core::FaultAnswer::Retry, "without a handle the thread tries again");
}

#[test]
fn objects_of_a_frame() {
    let mut world = World::new(128);
    let contract = world.split(world.root(), 100);
    for _ in 0..ENDPOINTS_PER_FRAME {
        assert!(matches!(world.call(contract, &EndpointCreate {}, &[]), Call::Reply(..)));
    }
    assert_eq!(world.charges(contract).2, 1);
    world.call(contract, &EndpointCreate {}, &[]);
    assert_eq!(world.charges(contract).2, 2);
    for _ in 0..NOTIFICATIONS_PER_FRAME {
        assert!(matches!(world.call(contract, &NotificationCreate {}, &[]), Call::Reply(..)));
    }
    assert_eq!(world.charges(contract).2, 3);
    let space = world.space(contract);
    let before = world.charges(contract).2;
    for _ in 0..THREADS_PER_TASK {
        assert!(matches!(world.call(space.badge, &ThreadCreate {}, &[]), Call::Reply(..)));
    }
    assert_eq!(world.charges(contract).2 - before, u64::from(THREADS_PER_TASK / THREADS_PER_FRAME));
    assert_eq!(world.refusal(space.badge, &ThreadCreate {}, &[]), MemoryError::Limit);
    let mut rooms = 1;
    let end = loop {
        match world.call(space.badge, &TableGrow {}, &[]) {
            Call::Reply(room, _) => {
                assert_eq!((room.first, room.handles), (rooms * 128 + 1, 127));
                rooms += 1;
            }
            end => break end,
        }
    };
    assert_eq!(rooms, kernel_abi::capability::CAPABILITY_FRAMES_PER_TASK);
    assert!(matches!(end, Call::Refused(refusal) if refusal.error == MemoryError::Limit));
    world.check();
    world.ask(contract, &ContractDestroy {}, &[]);
    world.check();
}

#[test]
fn bookkeeping_stays_within_twenty_eight_bytes_a_frame_and_eight_a_page() {
    for megabytes in [64, 128, 512, 4096, 65_536] {
        let frames = megabytes * 256;
        let own = physmem_core::machine::bookkeeping_bytes(frames);
        // Page arrays: eight bytes a page, and a sixty-fourth of that for each level above the leaves.
        let pages = 2 * frames;
        let arrays = pages * 8 + pages * 8 / 63;
        assert!(own + arrays <= 28 * frames + 8 * pages, "{megabytes} MiB: {own} + {arrays}");
    }
    assert_eq!(physmem_core::database::ENTRY_BYTES, 16);
}
