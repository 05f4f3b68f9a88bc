//! What one contract does is nobody else's loss: full of records, out of frames, wrong in every message.

use crate::support::world::Machine;
use crate::support::{Call, Space, Touch, World};
use containers_api::container::{Allocate, Copy, Grant, Lock};
use containers_api::contract::{
    ContainerCreate, ContractDestroy, EndpointCreate, NotificationCreate, SpaceCreate, Split,
};
use containers_api::space::{Map, MapProtection, TableGrow, ThreadCreate};
use containers_api::{ContainerRights, FaultReason, LockMode, MemoryError, Name};
use physmem_core::database::State;
use physmem_core::{Outcome, Sent};

const BASE: u64 = 0x10_0000;
const PAGE: u64 = 4096;

/// A neighbour that has something to lose, and a contract to be filled.
struct Street {
    world: World,
    neighbour: (u64, u64, Space),
    contract: u64,
}

impl Street {
    fn new() -> Street {
        let mut world = World::new(600);
        let neighbour = world.split(world.root(), 40);
        let container = world.container(neighbour, 4);
        let space = world.space(neighbour);
        world.map(space, container, BASE, 4);
        (0..3).for_each(|page| world.write(space, BASE + page * PAGE, 0x77));
        let contract = world.split(world.root(), 60);
        Street { world, neighbour: (neighbour, container, space), contract }
    }

    fn others(&mut self) -> [(u64, u64, u64); 2] {
        [self.neighbour.0, self.world.root()].map(|contract| self.world.charges(contract))
    }

    /// Repeats a request until it is refused; then nobody else must have lost a frame, and everything comes back.
    fn fill(&mut self, mut step: impl FnMut(&mut World, u64, u64) -> Result<(), MemoryError>) -> MemoryError {
        let others = self.others();
        let own = self.world.machine.database().count(State::System);
        let mut count = 0;
        let error = loop {
            match step(&mut self.world, self.contract, count) {
                Ok(()) => count += 1,
                Err(error) => break error,
            }
            assert!(count < 100_000, "it is never refused");
        };
        assert!(count > 3, "refused after {count}: {error:?}");
        self.world.check();
        assert_eq!(self.others(), others, "somebody else has paid");
        assert_eq!(self.world.machine.database().count(State::System), own);
        let space = self.neighbour.2;
        assert_eq!(self.world.read(space, BASE), 0x77);
        self.world.write(space, BASE + 3 * PAGE, 1);
        self.world.ask(self.contract, &ContractDestroy {}, &[]);
        self.world.check();
        error
    }
}

fn refused<R>(call: Call<R>) -> Result<(), MemoryError> {
    match call {
        Call::Reply(..) => Ok(()),
        Call::Refused(refusal) => Err(refusal.error),
        Call::Waits(_) => panic!("nothing to wait for"),
    }
}

#[test]
fn full_of_containers() {
    let end = Street::new()
        .fill(|world, contract, _| refused(world.call(contract, &ContainerCreate { pages: 9 }, &[])));
    assert_eq!(end, MemoryError::NoRecord);
}

#[test]
fn full_of_page_arrays() {
    let mut container = 0;
    let end = Street::new().fill(|world, contract, count| {
        if count == 0 {
            container = world.container(contract, 1 << 36);
        }
        let allocate = Allocate { first_page: count << 20, pages: 1, any_contents: false };
        refused(world.call(container, &allocate, &[]))
    });
    assert!(matches!(end, MemoryError::NoRecord | MemoryError::ContractExhausted));
}

#[test]
fn full_of_grants_and_locks() {
    let mut container = 0;
    let grant = Grant { first_page: 0, pages: 1, rights: ContainerRights::LOCK, maximum_lock_ns: 9 };
    let end = Street::new().fill(|world, contract, count| {
        if count % 256 == 0 {
            container = world.container(contract, 1);
        }
        refused(world.call(container, &grant, &[]))
    });
    assert_eq!(end, MemoryError::NoRecord);
    let end = Street::new().fill(|world, contract, count| {
        if count % 64 == 0 {
            let Call::Reply(..) = world.call(contract, &ContainerCreate { pages: 64 }, &[]) else {
                return Err(MemoryError::NoRecord);
            };
            container = world.container(contract, 64);
        }
        let lock = Lock { first_page: count % 64, pages: 1, mode: LockMode::Stable, term_ns: 9 };
        refused(world.call(container, &lock, &[]))
    });
    assert_eq!(end, MemoryError::NoRecord);
}

#[test]
fn full_of_mappings() {
    let mut places = (0, 0);
    let end = Street::new().fill(|world, contract, count| {
        if count == 0 {
            places.0 = world.space(contract).badge;
        }
        if count % 1024 == 0 {
            places.1 = world.container(contract, 1);
        }
        let address = BASE + count * 2 * PAGE;
        let protection = MapProtection::empty();
        let map = Map { address, pages: 1, first_page: 0, protection, populate: false };
        refused(world.call(places.0, &map, &[places.1]))
    });
    assert!(matches!(end, MemoryError::NoRecord));
}

#[test]
fn full_of_tasks_threads_and_objects() {
    let name = Name::new("x").unwrap();
    let end =
        Street::new().fill(|world, contract, _| refused(world.call(contract, &SpaceCreate { name }, &[])));
    assert!(matches!(end, MemoryError::NoRecord | MemoryError::ContractExhausted));
    Street::new().fill(|world, contract, _| refused(world.call(contract, &EndpointCreate {}, &[])));
    Street::new().fill(|world, contract, _| refused(world.call(contract, &NotificationCreate {}, &[])));
    let mut space = 0;
    Street::new().fill(|world, contract, count| {
        if count == 0 {
            space = world.space(contract).badge;
        }
        refused(world.call(space, &ThreadCreate {}, &[]))
    });
    Street::new().fill(|world, contract, count| {
        if count == 0 {
            space = world.space(contract).badge;
        }
        refused(world.call(space, &TableGrow {}, &[]))
    });
}

#[test]
fn full_of_page_tables() {
    let mut space = None;
    let end = Street::new().fill(|world, contract, count| {
        if count == 0 {
            let container = world.container(contract, 1 << 30);
            let made = world.space(contract);
            world.map(made, container, 0x100_0000_0000, 1 << 30);
            space = Some(made);
        }
        match world.touch(space.expect("made first"), 0x100_0000_0000 + (count << 30), Some(1)) {
            Touch::Ended(FaultReason::ContractExhausted | FaultReason::NoRecord) => {
                Err(MemoryError::ContractExhausted)
            }
            Touch::Byte(_) => Ok(()),
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(end, MemoryError::ContractExhausted);
}

#[test]
fn full_of_children() {
    let name = Name::new("x").unwrap();
    let split = Split::new(0, 0, 0, name);
    let end = Street::new().fill(|world, contract, _| refused(world.call(contract, &split, &[])));
    assert_eq!(end, MemoryError::NoRecord);
}

#[test]
fn nothing_of_a_principal_is_left_for_the_next() {
    let mut world = World::new(100);
    for round in 0..4 {
        let contract = world.split(world.root(), 80);
        let container = world.container(contract, 64);
        let any_contents = round % 2 == 0;
        world.ask(container, &Allocate { first_page: 0, pages: 60, any_contents }, &[]);
        for page in 0..60 {
            assert_eq!(world.contents(container, page), [0; 4096], "round {round}");
            world.fill(container, page, 0x55);
        }
        world.ask(contract, &ContractDestroy {}, &[]);
    }
}

#[test]
fn zeroing_is_skipped_only_within_a_principal_that_asks_for_it() {
    let mut world = World::new(100);
    let contract = world.split(world.root(), 40);
    let container = world.container(contract, 8);
    let allocate = |any_contents| Allocate { first_page: 0, pages: 4, any_contents };
    let drop_all = containers_api::container::Deallocate { first_page: 0, pages: 4 };
    world.ask(container, &allocate(true), &[]);
    (0..4).for_each(|page| assert_eq!(world.contents(container, page), [0; 4096]));
    (0..4).for_each(|page| world.fill(container, page, 9));
    world.ask(container, &drop_all, &[]);
    let before = world.system();
    world.ask(container, &allocate(true), &[]);
    let after = world.system();
    assert_eq!((after.zeroed - before.zeroed, after.zeroing_skipped - before.zeroing_skipped), (0, 4));
    (0..4).for_each(|page| assert_eq!(world.contents(container, page), [9; 4096], "its own, as it was"));
    world.ask(container, &drop_all, &[]);
    world.ask(container, &allocate(false), &[]);
    (0..4).for_each(|page| assert_eq!(world.contents(container, page), [0; 4096]));
}

#[test]
fn frames_that_several_held_are_nobodys_own() {
    let mut world = World::new(100);
    let (one, two) = (world.split(world.root(), 30), world.split(world.root(), 30));
    let (source, target) = (world.container(one, 4), world.container(two, 4));
    world.ask(source, &Allocate { first_page: 0, pages: 1, any_contents: false }, &[]);
    let copy = Copy { source_offset: 0, destination_offset: 0, bytes: PAGE };
    world.ask(source, &copy, &[target]);
    let drop_one = containers_api::container::Deallocate { first_page: 0, pages: 1 };
    world.ask(source, &drop_one, &[]);
    // The second contract is alone with the frame now, writes its secret and gives the frame up.
    world.fill(target, 0, 0x33);
    world.ask(target, &drop_one, &[]);
    for container in [source, target] {
        world.ask(container, &Allocate { first_page: 1, pages: 2, any_contents: true }, &[]);
        (1..3).for_each(|page| assert_eq!(world.contents(container, page), [0; 4096]));
    }
}

#[test]
fn what_was_moved_is_the_takers() {
    let mut world = World::new(100);
    let (one, two) = (world.split(world.root(), 30), world.split(world.root(), 30));
    let (source, target) = (world.container(one, 4), world.container(two, 4));
    world.ask(source, &Allocate { first_page: 0, pages: 1, any_contents: false }, &[]);
    let moving = containers_api::container::Move { first_page: 0, destination_page: 0, pages: 1 };
    world.ask(source, &moving, &[target]);
    world.fill(target, 0, 0x44);
    world.ask(target, &containers_api::container::Deallocate { first_page: 0, pages: 1 }, &[]);
    world.ask(source, &Allocate { first_page: 1, pages: 2, any_contents: true }, &[]);
    (1..3).for_each(|page| assert_eq!(world.contents(source, page), [0; 4096]));
}

#[test]
fn what_cannot_be_taken_back_at_once_fits_inside_the_guarantee() {
    let mut world = World::with_extra(200, 60);
    let contract = world.split_with(world.root(), 6, 50, 2);
    let name = Name::new("x").unwrap();
    let refusal = loop {
        match world.call(contract, &SpaceCreate { name }, &[]) {
            Call::Reply(..) => {}
            Call::Refused(refusal) => break refusal.error,
            Call::Waits(_) => panic!(),
        }
    };
    assert_eq!(refusal, MemoryError::ContractExhausted);
    world.check();
    let pages = world.split_with(world.root(), 6, 50, 6);
    let container = world.container(pages, 64);
    world.ask(container, &Allocate { first_page: 0, pages: 40, any_contents: false }, &[]);
    let lock = |pages| Lock { first_page: 0, pages, mode: LockMode::Dma, term_ns: 9 };
    assert_eq!(world.refusal(container, &lock(6), &[]), MemoryError::PinLimit, "records take a part of it");
    world.ask(container, &lock(3), &[]);
    world.check();
}

#[test]
fn frames_zeroed_in_advance_are_taken_first() {
    let mut world = World::new(100);
    while world.machine.wants_idle() {
        assert!(world.machine.idle(), "it wants idle time and does nothing with it");
    }
    assert!(!world.machine.idle(), "it has something to do and does not want idle time");
    let before = world.system();
    assert!(before.free_zero > 50);
    world.check();
    let container = world.container(world.root(), 8);
    world.ask(container, &Allocate { first_page: 0, pages: 8, any_contents: false }, &[]);
    let after = world.system();
    assert_eq!((after.pre_zeroed - before.pre_zeroed, after.zeroed - before.zeroed), (8, 0));
    world.check();
}

#[test]
fn extra_frames_are_given_out_of_what_nobody_uses() {
    let mut world = World::with_extra(100, 20);
    let (one, two) = (world.split_with(world.root(), 20, 15, 0), world.split_with(world.root(), 20, 15, 0));
    let hungry = |world: &mut World, contract| {
        let container = world.container(contract, 64);
        let mut page = 0;
        loop {
            let allocate = Allocate { first_page: page, pages: 1, any_contents: false };
            match world.call(container, &allocate, &[]) {
                Call::Reply(..) => page += 1,
                other => {
                    assert!(
                        matches!(other, Call::Refused(refusal) if refusal.error == MemoryError::ContractExhausted)
                    );
                    return world.stat(contract).extra;
                }
            }
        }
    };
    assert_eq!(hungry(&mut world, one), 15, "its own limit");
    assert_eq!(hungry(&mut world, two), 15, "and so has the other, out of what the root does not use");
    world.check();
    world.ask(one, &ContractDestroy {}, &[]);
    world.check();
}

#[test]
fn admission_refuses_what_cannot_be_kept() {
    let mut world = World::new(100);
    let contract = world.split_with(world.root(), 20, 0, 4);
    let name = Name::new("x").unwrap();
    let container = world.container(contract, 64);
    world.ask(container, &Allocate { first_page: 0, pages: 10, any_contents: false }, &[]);
    let split = |guaranteed, extra_limit, pin_limit| Split::new(guaranteed, extra_limit, pin_limit, name);
    for bad in [
        split(21, 0, 0),
        split(15, 0, 0),
        split(u64::MAX, 0, 0),
        split(2, 1, 0),
        split(2, 0, 3),
        split(5, 0, 5),
    ] {
        assert_eq!(world.refusal(contract, &bad, &[]), MemoryError::NotAdmitted, "{bad:?}");
    }
    let lock = Lock { first_page: 0, pages: 3, mode: LockMode::Dma, term_ns: 9 };
    world.ask(container, &lock, &[]);
    assert_eq!(world.refusal(contract, &split(4, 0, 2), &[]), MemoryError::NotAdmitted, "pins are in use");
    world.machine.advance(100);
    let child = world.ask_badge(contract, &split(4, 0, 4), &[]);
    world.check();
    assert_eq!(world.stat(contract).handed_on, 4);
    world.ask(child, &ContractDestroy {}, &[]);
    assert_eq!(world.stat(contract).guaranteed, 20);
    world.check();
}

#[test]
fn nonsense_is_refused_and_changes_nothing() {
    let mut street = Street::new();
    let world = &mut street.world;
    let container = world.container(street.contract, 8);
    let space = world.space(street.contract);
    let grant = world.grant(container, 4, ContainerRights::all());
    let mut random = 99u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let root = world.root();
    let good = [street.contract, container, space.badge, grant, Machine::control_badge(false).0, root];
    for round in 0..60_000u64 {
        let mut badge = good[next() as usize % 5];
        if next() % 4 == 0 {
            badge ^= 1 << (next() % 64);
        }
        let pick =
            |value: u64| [0, 1, 2, 8, 4096, BASE, u64::MAX, 1 << 63, value, value % 16][value as usize % 10];
        let words: Vec<u64> = (0..next() % 7).map(|_| pick(next())).collect();
        let sent: Vec<Sent> =
            (0..next() % 3)
                .map(|_| {
                    if next() % 5 == 0 { Sent::Badge(next()) } else { Sent::Badge(good[next() as usize % 6]) }
                })
                .collect();
        world.now += next() % 3;
        match world.raw(badge, (next() % 72) as u32, &words, &sent) {
            Outcome::Later(handle) => assert!(world.machine.pmap.handles.insert(handle.0)),
            Outcome::Answered(answer) => {
                assert!(
                    answer.label == 0 || MemoryError::ALL.iter().any(|&error| error as u32 == answer.label)
                );
            }
        }
        if round % 500 == 0 {
            world.check();
        }
    }
    world.check();
    assert_eq!(world.read(street.neighbour.2, BASE), 0x77);
}

/// A life with everything in it; whatever is refused is left out.
fn life(world: &mut World, guaranteed: u64) {
    let badge = |call: Call<kernel_protocol::Empty>| match call {
        Call::Reply(_, handed) => handed.iter().rev().find_map(|handed| match handed {
            physmem_core::Handed::Badge(badge) => Some(badge.0),
            physmem_core::Handed::Handle(_) => None,
        }),
        _ => None,
    };
    let name = Name::new("x").unwrap();
    let split = Split::new(guaranteed, 0, guaranteed / 3, name);
    let Some(contract) = badge(world.call(world.root(), &split, &[])) else { return };
    let containers = [5, 5000].map(|pages| badge(world.call(contract, &ContainerCreate { pages }, &[])));
    let space = badge(world.call(contract, &SpaceCreate { name }, &[]));
    for container in containers.into_iter().flatten() {
        world.call(container, &Allocate { first_page: 0, pages: 3, any_contents: false }, &[]);
        world.call(container, &Allocate { first_page: 4, pages: 1, any_contents: true }, &[]);
        let grant = Grant { first_page: 0, pages: 4, rights: ContainerRights::all(), maximum_lock_ns: 9 };
        if let Some(grant) = badge(world.call(container, &grant, &[])) {
            let lock = Lock { first_page: 0, pages: 2, mode: LockMode::Fill, term_ns: 9 };
            world.call(grant, &lock, &[]);
        }
        if let Some(space) = space {
            let protection = MapProtection::WRITE;
            let map = Map { address: BASE, pages: 4, first_page: 0, protection, populate: true };
            world.call(space, &map, &[container]);
            world.call(space, &containers_api::space::Unmap { address: BASE + PAGE, pages: 1 }, &[]);
        }
    }
    if let [Some(one), Some(two)] = containers {
        let copy = Copy { source_offset: 10, destination_offset: 4096 * 4500 + 10, bytes: 3 * PAGE };
        world.call(one, &copy, &[two]);
    }
    world.check();
    world.now += 100;
    world.machine.advance(world.now);
    world.ask(contract, &ContractDestroy {}, &[]);
}

#[test]
fn whichever_record_frame_cannot_be_had_nothing_is_lost() {
    let mut failures = 0;
    for nth in 0..40 {
        let mut world = World::new(200);
        life(&mut world, 60);
        let free = world.free_frames();
        world.ram.borrow_mut().openings = nth;
        life(&mut world, 60);
        failures += u64::from(world.ram.borrow().openings == 0);
        world.ram.borrow_mut().openings = u64::MAX;
        world.check();
        assert_eq!(world.free_frames(), free, "failure {nth}");
    }
    assert!((3..40).contains(&failures), "{failures}");
}

#[test]
fn whichever_frame_a_contract_cannot_pay_nothing_is_lost() {
    let mut world = World::new(200);
    life(&mut world, 60);
    let free = world.free_frames();
    for guaranteed in 0..60 {
        life(&mut world, guaranteed);
        world.check();
        assert_eq!(world.free_frames(), free, "{guaranteed} frames");
    }
}
