//! Stacked physmems, one and two levels deep, over the simulated kernel: what their children see, what both books say, and
//! that nothing is lost between them.

mod above;
mod level;
mod random;
mod walk;

use crate::support::World;
use crate::support::kernel::RECEIVER;
use containers_api::container::{Allocate, Copy, Deallocate};
use containers_api::contract::{
    ContainerCreate, ContractDestroy, EndpointCreate, NotificationCreate, SpaceCreate, SpaceCreateFor, Split,
};
use containers_api::space::{
    ENTER_PAGES_MAX, Enter, Map, MapProtection, Protect, STOCK_TABLES_MAX, Stock, TableGrow, ThreadCreate,
    USE_PAGES_MAX, Unmap, Unstock, UseClear, UseQuery,
};
use containers_api::{FaultReason, MemoryError, Name};
use kernel_abi::Handle;
use level::{Level, Server};
use physmem_core::badge::Badge;
use physmem_core::pmap::EnterError;
use physmem_core::{FaultAnswer, Handed, Sent};
use std::cell::RefCell;
use std::rc::Rc;

/// Frames of the simulated machine.
const RAM: usize = 900;
/// What the first level's contract is guaranteed.
const GUARANTEE: u64 = 700;
/// Frames of the first and second level.
const FRAMES: (u32, u32) = (600, 420);

type First = Level<World>;
type Second = Level<First>;

fn world() -> (Rc<RefCell<World>>, u64) {
    let mut world = World::new(RAM);
    let root = world.root();
    let contract = world.split(root, GUARANTEE);
    (Rc::new(RefCell::new(world)), contract)
}

fn first() -> (First, u64) {
    let (world, contract) = world();
    (Level::new(world, contract, FRAMES.0), contract)
}

fn name(text: &str) -> Name {
    Name::truncated(text)
}

/// What a child's access comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Touch {
    Byte(u8),
    Ended(FaultReason),
}

/// An address space of a level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Child {
    space: u64,
    task: Handle,
}

impl<S: Server + 'static> Level<S> {
    fn badge<Q>(&mut self, of: u64, request: &Q, sent: &[u64]) -> u64
    where
        Q: kernel_protocol::Request<Error = MemoryError>,
    {
        match self.call(of, request, sent).map(|(_, handed)| handed) {
            Ok(handed) => match handed[..] {
                [Handed::Badge(Badge(badge))] => badge,
                ref other => panic!("{other:?}"),
            },
            Err(error) => panic!("{error:?}"),
        }
    }

    fn ask<Q>(&mut self, of: u64, request: &Q, sent: &[u64]) -> Q::Reply
    where
        Q: kernel_protocol::Request<Error = MemoryError>,
    {
        self.call(of, request, sent).unwrap_or_else(|error| panic!("{error:?}")).0
    }

    fn container(&mut self, contract: u64, pages: u64) -> u64 {
        self.badge(contract, &ContainerCreate { pages }, &[])
    }

    fn split(&mut self, parent: u64, guaranteed: u64) -> u64 {
        self.badge(parent, &Split::new(guaranteed, 0, 0, name("child")), &[])
    }

    fn child(&mut self, contract: u64) -> Child {
        let (_, handed) = self.call(contract, &SpaceCreate { name: name("task") }, &[]).expect("a space");
        match handed[..] {
            [Handed::Handle(task), Handed::Badge(Badge(space))] => Child { space, task },
            ref other => panic!("{other:?}"),
        }
    }

    fn map(&mut self, child: Child, container: u64, address: u64, pages: u64) {
        let protection = MapProtection::WRITE;
        let request = Map { address, pages, first_page: 0, protection, populate: false };
        self.ask(child.space, &request, &[container]);
    }

    /// Reads or writes as a thread of the child does, with its faults served as the server serves them.
    fn touch(&mut self, child: Child, address: u64, write: Option<u8>) -> Touch {
        let task = self.task(child.task);
        for _ in 0..20 {
            let mut found = None;
            self.world(&mut |world| found = world.machine.pmap.access(task, address, write));
            if let Some(byte) = found {
                return Touch::Byte(byte);
            }
            let access = if write.is_some() { 2 } else { 0 };
            let mut answer = self.machine.fault(self.now, child.space, address, access);
            while answer == FaultAnswer::Resolve {
                answer = match self.machine.enter_resolved(child.task, 0) {
                    Ok(()) => FaultAnswer::Retry,
                    Err(EnterError::NeedTables(tables)) => {
                        self.machine.fault_needs_tables(child.space, tables).unwrap_or(FaultAnswer::Resolve)
                    }
                    Err(EnterError::Lost) => FaultAnswer::Raise(FaultReason::Repossessed),
                    Err(error) => panic!("{error:?}"),
                };
            }
            match answer {
                FaultAnswer::Raise(reason) => return Touch::Ended(reason),
                FaultAnswer::Retry => {}
                other => panic!("{other:?}"),
            }
        }
        panic!("the fault at {address:#x} is never resolved");
    }
}

/// One child that does a bit of everything; its contents are looked at.
fn works<S: Server + 'static>(level: &mut Level<S>, contract: u64) {
    let child = level.child(contract);
    let (one, two) = (level.container(contract, 40), level.container(contract, 40));
    level.map(child, one, 0x10_0000, 40);
    level.map(child, two, 0x4000_0000, 40);
    for page in 0..40 {
        assert_eq!(level.touch(child, 0x10_0000 + page * 4096, None), Touch::Byte(0), "page {page}");
        level.touch(child, 0x10_0000 + page * 4096, Some(page as u8 + 1));
    }
    let bytes = 20 * 4096 + 100;
    level.ask(one, &Copy { source_offset: 0, destination_offset: 0, bytes }, &[two]);
    level.touch(child, 0x10_0000, Some(99));
    for page in 0..20 {
        let found = level.touch(child, 0x4000_0000 + page * 4096, None);
        assert_eq!(found, Touch::Byte(page as u8 + 1), "a copy keeps what was there");
    }
    assert_eq!(level.touch(child, 0x4000_0000 + 20 * 4096 + 99, None), Touch::Byte(0));
    level.ask(one, &Deallocate { first_page: 3, pages: 2 }, &[]);
    assert_eq!(level.touch(child, 0x10_3000, None), Touch::Byte(0), "what was given up reads as zeros");
    level.ask(
        child.space,
        &Protect { address: 0x10_0000, pages: 3, protection: MapProtection::empty() },
        &[],
    );
    assert_eq!(level.touch(child, 0x10_0000, Some(1)), Touch::Ended(FaultReason::Protection));
    level.ask(child.space, &Unmap { address: 0x10_1000, pages: 1 }, &[]);
    assert_eq!(level.touch(child, 0x10_1000, None), Touch::Ended(FaultReason::NotMapped));
    for _ in 0..12 {
        level.ask(child.space, &ThreadCreate {}, &[]);
    }
    level.ask(child.space, &TableGrow {}, &[]);
    level.ask(contract, &EndpointCreate {}, &[]);
    level.ask(contract, &NotificationCreate {}, &[]);
}

#[test]
fn a_child_of_a_stacked_physmem_has_what_any_child_has() {
    let (mut level, _) = first();
    let root = level.root();
    let contract = level.split(root, 200);
    works(&mut level, contract);
    walk::check(&mut level);
}

#[test]
fn nothing_is_left_at_the_parent_when_a_stacked_contract_ends() {
    let (empty, contract) = world();
    empty.borrow_mut().ask(contract, &ContractDestroy {}, &[]);
    let free = empty.borrow().free_frames();
    let (mut level, above) = first();
    let root = level.root();
    let charged = |level: &mut First| {
        let status = level.server.borrow_mut().stat(above);
        status.pages + status.kernel
    };
    let before = charged(&mut level);
    for _ in 0..5 {
        let contract = level.split(root, 250);
        works(&mut level, contract);
        assert!(charged(&mut level) <= before, "a kernel object costs a page that was given up for it");
        walk::check(&mut level);
        level.ask(contract, &ContractDestroy {}, &[]);
        walk::check(&mut level);
        assert_eq!(charged(&mut level), before);
    }
    let world = level.server.clone();
    world.borrow_mut().ask(above, &ContractDestroy {}, &[]);
    world.borrow().check();
    assert_eq!(world.borrow().free_frames(), free, "all frames are back");
}

/// More than half of all frames are written to, so that the next contract gets some of them.
#[test]
fn no_byte_of_one_stacked_contract_is_seen_by_another() {
    const MANY: u64 = 400;
    let (mut level, _) = first();
    let root = level.root();
    for round in 0..3 {
        let contract = level.split(root, 500);
        let child = level.child(contract);
        let container = level.container(contract, MANY);
        level.map(child, container, 0x10_0000, MANY);
        for page in 0..MANY {
            let address = 0x10_0000 + page * 4096 + 77;
            assert_eq!(level.touch(child, address, None), Touch::Byte(0), "round {round}, page {page}");
            level.touch(child, address, Some(0x5e));
        }
        level.ask(contract, &ContractDestroy {}, &[]);
    }
    walk::check(&mut level);
}

#[test]
fn two_levels_deep_it_is_the_same() {
    let (level, above) = first();
    let level = Rc::new(RefCell::new(level));
    let contract = {
        let mut level = level.borrow_mut();
        let root = level.root();
        level.split(root, 560)
    };
    let mut second: Second = Level::new(level.clone(), contract, FRAMES.1);
    let root = second.root();
    for _ in 0..2 {
        let inner = second.split(root, 250);
        works(&mut second, inner);
        walk::check(&mut second);
        walk::check(&mut level.borrow_mut());
        second.ask(inner, &ContractDestroy {}, &[]);
        walk::check(&mut second);
    }
    level.borrow_mut().ask(contract, &ContractDestroy {}, &[]);
    walk::check(&mut level.borrow_mut());
    let world = level.borrow().server.clone();
    let status = world.borrow_mut().stat(above);
    assert_eq!(status.pages, u64::from(FRAMES.0) + 1, "all that was given up is back");
}

#[test]
fn a_page_that_the_parent_took_is_lost_and_never_zeros() {
    let (mut level, _) = first();
    let root = level.root();
    let child = level.child(root);
    let container = level.container(root, 4);
    level.map(child, container, 0x10_0000, 4);
    level.touch(child, 0x10_0000, Some(7));
    level.touch(child, 0x10_1000, Some(8));
    let frame = walk::frame(&level, container, 0);
    let bank = level.banks[0];
    let first_page = u64::from(frame);
    level.server.borrow_mut().ask(bank, &Deallocate { first_page, pages: 1 }, &[]);
    assert_eq!(level.touch(child, 0x10_0000, None), Touch::Ended(FaultReason::Repossessed));
    assert_eq!(level.touch(child, 0x10_1000, None), Touch::Byte(8));
    level.ask(container, &Deallocate { first_page: 0, pages: 1 }, &[]);
    level.ask(container, &Allocate { first_page: 0, pages: 1, any_contents: false }, &[]);
    assert_eq!(level.touch(child, 0x10_0000, None), Touch::Byte(0), "given up, it is good again");
}

#[test]
fn a_copy_of_a_lost_page_is_lost_too() {
    let (mut level, _) = first();
    let root = level.root();
    let child = level.child(root);
    let (one, two) = (level.container(root, 1), level.container(root, 1));
    level.map(child, one, 0x10_0000, 1);
    level.map(child, two, 0x20_0000, 1);
    level.touch(child, 0x10_0000, Some(7));
    level.ask(one, &Copy { source_offset: 0, destination_offset: 0, bytes: 4096 }, &[two]);
    let frame = u64::from(walk::frame(&level, one, 0));
    let bank = level.banks[0];
    level.server.borrow_mut().ask(bank, &Deallocate { first_page: frame, pages: 1 }, &[]);
    assert_eq!(level.touch(child, 0x20_0000, Some(1)), Touch::Ended(FaultReason::Repossessed));
}

#[test]
fn faults_go_only_to_an_endpoint_at_which_the_maker_receives() {
    let mut world = World::new(100);
    let root = world.root();
    let request = SpaceCreateFor { fault_badge: 5, name: name("task") };
    let mut words = [0; 16];
    let used = kernel_protocol::Message::encode(&request, &mut words);
    let label = <SpaceCreateFor as kernel_protocol::Request>::LABEL;
    let mut create = |sent: Handle| match world.raw(root, label, &words[..used], &[Sent::Handle(sent)]) {
        physmem_core::Outcome::Answered(answer) => answer.label,
        other => panic!("{other:?}"),
    };
    assert_eq!(create(Handle(17)), kernel_protocol::ErrorCode::code(MemoryError::WrongObject));
    assert_eq!(create(RECEIVER), 0);
}

#[test]
fn requests_for_a_stacked_physmem_are_bounded() {
    let mut world = World::new(400);
    let root = world.root();
    let space = world.space(root);
    let container = world.container(root, 64);
    world.ask(container, &Allocate { first_page: 0, pages: 32, any_contents: false }, &[]);
    let enter =
        |first_page, pages| Enter { address: 0x10_0000, pages, first_page, protection: MapProtection::WRITE };
    let pages = ENTER_PAGES_MAX;
    assert_eq!(world.refusal(space.badge, &enter(0, pages + 1), &[container]), MemoryError::Limit);
    assert_eq!(world.refusal(space.badge, &enter(0, pages), &[container]), MemoryError::NeedTables);
    let refused = world.refusal(space.badge, &Stock { tables: STOCK_TABLES_MAX + 1 }, &[]);
    assert_eq!(refused, MemoryError::OutOfRange);
    assert_eq!(world.refusal(space.badge, &Stock { tables: 0 }, &[]), MemoryError::OutOfRange);
    world.ask(space.badge, &Stock { tables: STOCK_TABLES_MAX }, &[]);
    world.ask(space.badge, &enter(0, pages), &[container]);
    world.ask(space.badge, &enter(pages, pages), &[container]);
    assert_eq!(
        world.refusal(space.badge, &enter(30, 4), &[container]),
        MemoryError::Lost,
        "a page without a frame"
    );
    world.check();
    let query = |pages| UseQuery { address: 0x10_0000, pages, clear: UseClear::Nothing };
    assert_eq!(world.refusal(space.badge, &query(USE_PAGES_MAX + 1), &[]), MemoryError::Limit);
    assert_eq!(
        world.ask(space.badge, &query(USE_PAGES_MAX), &[]).pages.as_slice().len(),
        USE_PAGES_MAX as usize
    );
    world.ask(space.badge, &Unmap { address: 0x10_0000, pages: 2 * pages }, &[]);
    let mut returned = 0;
    while let tables @ 1.. = world.ask(space.badge, &Unstock {}, &[]).tables {
        returned += tables;
    }
    assert!(returned >= STOCK_TABLES_MAX, "nothing is mapped any more, so all tables come back");
    world.check();
}
