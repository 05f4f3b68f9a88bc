//! Locks: what each mode takes from whom, and how each way of ending gives it back.

use crate::support::world::Machine;
use crate::support::{Call, Space, Touch, World};
use containers_api::container::{
    Allocate, BreakLocks, Changed, ContainerDestroy, Copy, Deallocate, Grant, Lock, LockChange, LockPass,
    Locked, Resize, Revoke, Seal, Unlock,
};
use containers_api::contract::ContractDestroy;
use containers_api::control::{ControlRights, DmaAuthority};
use containers_api::lock::{LockRelease, LockRuns, Runs};
use containers_api::space::MapProtection;
use containers_api::{ContainerRights, FaultReason, LockMode, MemoryError};
use kernel_protocol::Message;

mod devices;

const BASE: u64 = 0x10_0000;
const GRANTED: u64 = 0x40_0000;
const PAGE: u64 = 4096;
const DEVICE: u64 = 5;

/// An owner with a container that it has filled, and a server with a grant on it.
struct Scene {
    world: World,
    owner: u64,
    container: u64,
    owner_space: Space,
    server: u64,
    grant: u64,
    server_space: Space,
}

impl Scene {
    fn new() -> Scene {
        let mut world = World::new(400);
        let (owner, server) = (world.split(world.root(), 100), world.split(world.root(), 100));
        let container = world.container(owner, 8);
        let (owner_space, server_space) = (world.space(owner), world.space(server));
        world.map(owner_space, container, BASE, 8);
        for page in 0..4 {
            world.write(owner_space, BASE + page * PAGE, page as u8 + 1);
        }
        let grant = world.grant(container, 8, ContainerRights::all() - ContainerRights::GRANT);
        world.map(server_space, grant, GRANTED, 8);
        Scene { world, owner, container, owner_space, server, grant, server_space }
    }

    fn lock(&mut self, mode: LockMode, first_page: u64, pages: u64) -> Locked {
        self.world.ask(self.grant, &Lock { first_page, pages, mode, term_ns: 100 }, &[])
    }

    fn refused(&mut self, mode: LockMode, first_page: u64, pages: u64) -> MemoryError {
        self.world.refusal(self.grant, &Lock { first_page, pages, mode, term_ns: 100 }, &[])
    }

    fn unlock(&mut self, lock: u64, filled_bytes: u64) {
        self.world.ask(self.grant, &Unlock { lock, filled_bytes }, &[]);
        self.world.check();
    }

    fn authority(&mut self, answers: u64) -> u64 {
        self.authority_for(DEVICE, answers)
    }

    fn authority_for(&mut self, device: u64, answers: u64) -> u64 {
        self.world.ask_badge(
            Machine::control_badge(ControlRights::all()).0,
            &DmaAuthority { device },
            &[answers],
        )
    }

    fn pass(&mut self, lock: u64, term_ns: u64) -> u64 {
        self.world.ask_badge(self.grant, &LockPass { lock, mode: LockMode::Dma, term_ns }, &[])
    }

    fn runs(&mut self, passed: u64, authority: u64) -> Vec<u32> {
        let told: Runs = self.world.ask(passed, &LockRuns { first_page: 0, is_read: false }, &[authority]);
        let runs = &told.runs[..told.count];
        runs.iter().flat_map(|run| run.frame..run.frame + run.frames).collect()
    }

    /// A device writes to frames that it was told, whoever has them now.
    fn device_writes(&mut self, frames: &[u32], value: u8) {
        let mut ram = self.world.ram.borrow_mut();
        frames.iter().for_each(|&frame| ram.bytes[frame as usize] = [value; 4096]);
    }
}

#[test]
fn a_fill_lock_shuts_the_owner_out_until_it_ends() {
    let mut scene = Scene::new();
    let locked = scene.lock(LockMode::Fill, 0, 2);
    scene.world.check();
    let Touch::Waits(waiting) = scene.world.touch(scene.owner_space, BASE, None) else {
        panic!("the owner can read under a fill lock");
    };
    assert_eq!(scene.world.read(scene.owner_space, BASE + 2 * PAGE), 3, "beyond the lock nothing changes");
    scene.world.write(scene.server_space, GRANTED, 70);
    scene.world.write(scene.server_space, GRANTED + PAGE, 71);
    scene.world.check();
    scene.unlock(locked.lock, PAGE + 1);
    assert_eq!(scene.world.machine.pmap.answers, [(waiting, 0, vec![])], "the owner's fault is resumed");
    assert_eq!(scene.world.read(scene.owner_space, BASE), 70);
    assert_eq!(scene.world.read(scene.owner_space, BASE + PAGE), 71);
    assert_eq!(scene.world.read(scene.owner_space, BASE + PAGE + 1), 0, "the unfilled tail is zeroed");
    assert_eq!(
        scene.world.touch(scene.server_space, GRANTED, None),
        Touch::Ended(FaultReason::NotLocked),
        "the server's mapping is dead without a lock"
    );
    scene.world.check();
}

#[test]
fn a_stable_lock_keeps_contents_as_they_are() {
    let mut scene = Scene::new();
    let version = scene.world.version(scene.container);
    let locked = scene.lock(LockMode::Stable, 0, 2);
    assert_eq!(locked.version, version);
    assert_eq!(scene.world.read(scene.owner_space, BASE), 1);
    assert_eq!(scene.world.read(scene.server_space, GRANTED), 1);
    assert!(matches!(scene.world.touch(scene.owner_space, BASE, Some(9)), Touch::Waits(_)));
    assert_eq!(
        scene.world.touch(scene.server_space, GRANTED, Some(9)),
        Touch::Ended(FaultReason::Protection),
        "its holder would wait for itself"
    );
    let range = Deallocate { first_page: 1, pages: 1 };
    assert_eq!(scene.world.refusal(scene.container, &range, &[]), MemoryError::Locked);
    assert_eq!(scene.world.refusal(scene.container, &Resize { pages: 1 }, &[]), MemoryError::Locked);
    let other = scene.world.container(scene.owner, 8);
    let copy = Copy { source_offset: 0, destination_offset: 0, bytes: 2 * PAGE };
    assert_eq!(scene.world.refusal(other, &copy, &[scene.container]), MemoryError::Locked);
    assert_eq!(scene.world.ask(scene.container, &copy, &[other]).shared_pages, 2, "reading is allowed");
    assert_eq!(scene.world.version(scene.container), version, "nothing has changed");
    scene.lock(LockMode::Stable, 1, 2);
    assert_eq!(scene.refused(LockMode::Fill, 0, 1), MemoryError::Locked);
    scene.unlock(locked.lock, 0);
    assert_eq!(scene.world.contents(scene.container, 0)[0], 1, "unlocking a stable lock zeroes nothing");
    scene.world.write(scene.owner_space, BASE, 9);
    scene.world.check();
}

#[test]
fn a_lock_expires_at_its_moment_and_not_before() {
    let mut scene = Scene::new();
    let locked = scene.lock(LockMode::Fill, 0, 1);
    assert_eq!(locked.expires, 101);
    assert_eq!(scene.world.machine.next_deadline(), Some(101));
    scene.world.write(scene.server_space, GRANTED, 50);
    scene.world.now = 100;
    scene.world.machine.advance(100);
    assert_eq!(scene.world.read(scene.server_space, GRANTED), 50);
    scene.world.now = 101;
    scene.world.machine.advance(101);
    assert_eq!(scene.world.machine.next_deadline(), None);
    assert_eq!(scene.world.touch(scene.server_space, GRANTED, Some(1)), Touch::Ended(FaultReason::NotLocked));
    let unlock = Unlock { lock: locked.lock, filled_bytes: PAGE };
    assert_eq!(scene.world.refusal(scene.grant, &unlock, &[]), MemoryError::LockGone);
    assert_eq!(scene.world.read(scene.owner_space, BASE), 50);
    scene.world.check();
}

#[test]
fn a_term_is_cut_to_what_the_grant_allows() {
    let mut scene = Scene::new();
    let long = Lock { first_page: 0, pages: 1, mode: LockMode::Fill, term_ns: u64::MAX };
    assert_eq!(scene.world.ask(scene.grant, &long, &[]).expires, 1001);
    let nothing = Lock { first_page: 1, pages: 1, mode: LockMode::Fill, term_ns: 0 };
    assert_eq!(scene.world.refusal(scene.grant, &nothing, &[]), MemoryError::OutOfRange);
}

#[test]
fn before_a_fill_lock_a_shared_page_gets_a_frame_of_its_own() {
    let mut scene = Scene::new();
    let other = scene.world.container(scene.owner, 8);
    let copy = Copy { source_offset: 0, destination_offset: 0, bytes: 4 * PAGE };
    scene.world.ask(scene.container, &copy, &[other]);
    let before = scene.world.system();
    let locked = scene.lock(LockMode::Fill, 0, 2);
    assert_eq!(scene.world.system().moved_bytes, before.moved_bytes, "no byte is copied");
    assert_eq!(scene.world.read(scene.server_space, GRANTED), 0, "the old contents are given up");
    scene.world.write(scene.server_space, GRANTED, 80);
    scene.unlock(locked.lock, 1);
    assert_eq!(scene.world.contents(other, 0)[0], 1, "the copy has kept them");
    scene.world.check();
}

#[test]
fn a_lock_is_passed_once_at_a_time_and_only_to_a_device() {
    let mut scene = Scene::new();
    let fill = scene.lock(LockMode::Fill, 0, 2);
    scene.world.write(scene.server_space, GRANTED, 5);
    let as_fill = LockPass { lock: fill.lock, mode: LockMode::Fill, term_ns: 9 };
    assert_eq!(scene.world.refusal(scene.grant, &as_fill, &[]), MemoryError::ModeRaised);
    let never = LockPass { lock: fill.lock, mode: LockMode::Dma, term_ns: 0 };
    assert_eq!(scene.world.refusal(scene.grant, &never, &[]), MemoryError::OutOfRange);
    let passed = scene.pass(fill.lock, 1 << 40);
    scene.world.check();
    assert!(matches!(scene.world.touch(scene.server_space, GRANTED, None), Touch::Waits(_)));
    let again = LockPass { lock: fill.lock, mode: LockMode::Dma, term_ns: 9 };
    assert_eq!(scene.world.refusal(scene.grant, &again, &[]), MemoryError::Locked);
    let change = LockChange { lock: fill.lock, mode: LockMode::Stable, filled_bytes: 0 };
    assert_eq!(scene.world.refusal(scene.grant, &change, &[]), MemoryError::Locked);
    scene.world.ask(passed, &LockRelease { written_bytes: 0 }, &[]);
    assert_eq!(scene.world.read(scene.server_space, GRANTED), 5, "the fill lock goes on");
    scene.unlock(fill.lock, 1);
    let stable = scene.lock(LockMode::Stable, 0, 1);
    let stable = LockPass { lock: stable.lock, mode: LockMode::Dma, term_ns: 9 };
    assert_eq!(scene.world.refusal(scene.grant, &stable, &[]), MemoryError::ModeRaised);
}

#[test]
fn modes_only_go_down() {
    let mut scene = Scene::new();
    let stable = scene.lock(LockMode::Stable, 0, 1).lock;
    let fill = scene.lock(LockMode::Fill, 1, 3).lock;
    for (lock, mode) in [(stable, LockMode::Fill), (stable, LockMode::Dma), (fill, LockMode::Dma)] {
        let change = LockChange { lock, mode, filled_bytes: 0 };
        assert_eq!(scene.world.refusal(scene.grant, &change, &[]), MemoryError::ModeRaised);
    }
    scene.world.write(scene.server_space, GRANTED + PAGE, 40);
    scene.world.write(scene.server_space, GRANTED + PAGE + 1, 41);
    let pages = scene.world.charges(scene.owner).0;
    let change = LockChange { lock: fill, mode: LockMode::Stable, filled_bytes: 1 };
    scene.world.ask(scene.grant, &change, &[]);
    scene.world.check();
    assert_eq!(
        scene.world.charges(scene.owner).0,
        pages - 2,
        "pages that nothing was filled into are given up"
    );
    assert_eq!(scene.world.read(scene.owner_space, BASE + PAGE), 40);
    assert_eq!(scene.world.read(scene.owner_space, BASE + PAGE + 1), 0);
    assert_eq!(scene.world.read(scene.server_space, GRANTED + 2 * PAGE), 0, "and read as zeros");
    let too_far = Unlock { lock: fill, filled_bytes: 3 * PAGE + 1 };
    assert_eq!(scene.world.refusal(scene.grant, &too_far, &[]), MemoryError::OutOfRange);
    scene.unlock(fill, 0);
}

#[test]
fn a_revoke_waits_for_locks_and_lets_no_new_ones_in() {
    let mut scene = Scene::new();
    let locked = scene.lock(LockMode::Fill, 0, 1);
    let wait = Revoke { break_locks: false };
    let Call::Waits(handle) = scene.world.call(scene.container, &wait, &[scene.grant]) else {
        panic!("the revoke does not wait");
    };
    assert_eq!(scene.refused(LockMode::Stable, 4, 1), MemoryError::RevokePending);
    assert_eq!(scene.world.refusal(scene.container, &wait, &[scene.grant]), MemoryError::RevokePending);
    let change = LockChange { lock: locked.lock, mode: LockMode::Stable, filled_bytes: 5 };
    scene.world.ask(scene.grant, &change, &[]);
    scene.world.check();
    scene.world.ask(scene.grant, &Unlock { lock: locked.lock, filled_bytes: 0 }, &[]);
    let (reply, label, words) = scene.world.machine.pmap.answers.last().unwrap().clone();
    assert_eq!((reply, label), (handle, 0));
    assert_eq!(Changed::decode(&words).unwrap().version, scene.world.version(scene.container));
    assert_eq!(scene.refused(LockMode::Stable, 4, 1), MemoryError::Stale);
    assert_eq!(
        scene.world.touch(scene.server_space, GRANTED, None),
        Touch::Ended(FaultReason::NotMapped),
        "its mappings are gone with it"
    );
    scene.world.check();
}

#[test]
fn a_revoke_ends_at_the_latest_when_the_lock_expires_and_at_once_by_breaking() {
    for by_break in [false, true] {
        let mut scene = Scene::new();
        let again = ContainerRights::LOCK | ContainerRights::FILL;
        let outer = scene.world.grant(scene.container, 8, again | ContainerRights::GRANT);
        let inner = scene.world.grant(outer, 4, again);
        let lock = Lock { first_page: 0, pages: 4, mode: LockMode::Fill, term_ns: 100 };
        scene.world.ask(inner, &lock, &[]);
        let wait = Revoke { break_locks: false };
        assert!(matches!(scene.world.call(scene.container, &wait, &[outer]), Call::Waits(_)));
        assert_eq!(scene.world.refusal(inner, &lock, &[]), MemoryError::RevokePending);
        if by_break {
            scene.world.ask(scene.container, &Revoke { break_locks: true }, &[outer]);
        } else {
            scene.world.machine.advance(101);
        }
        assert_eq!(scene.world.machine.pmap.answers.len(), 1, "who waited is answered");
        assert_eq!(scene.world.refusal(inner, &lock, &[]), MemoryError::Stale, "what is below goes too");
        scene.world.check();
    }
}

#[test]
fn a_grant_can_be_revoked_only_from_where_it_was_made() {
    let mut scene = Scene::new();
    let outer = scene.world.grant(scene.container, 8, ContainerRights::MAP | ContainerRights::GRANT);
    let inner = scene.world.grant(outer, 8, ContainerRights::MAP);
    let other = scene.world.container(scene.owner, 8);
    let revoke = Revoke { break_locks: true };
    assert_eq!(scene.world.refusal(other, &revoke, &[inner]), MemoryError::WrongObject);
    assert_eq!(scene.world.refusal(outer, &revoke, &[outer]), MemoryError::WrongObject);
    assert_eq!(scene.world.refusal(outer, &revoke, &[scene.grant]), MemoryError::WrongObject);
    assert_eq!(scene.world.refusal(inner, &revoke, &[inner]), MemoryError::MissingRight);
    assert_eq!(scene.world.refusal(outer, &revoke, &[]), MemoryError::WrongObject);
    scene.world.ask(outer, &revoke, &[inner]);
    assert_eq!(scene.world.refusal(outer, &revoke, &[inner]), MemoryError::Stale);
    scene.world.check();
}

#[test]
fn a_lock_belongs_to_the_grant_it_was_taken_through() {
    let mut scene = Scene::new();
    let locked = scene.lock(LockMode::Fill, 0, 1);
    let other = scene.world.grant(scene.container, 8, ContainerRights::all());
    for number in [locked.lock, 0, 1, u64::MAX, locked.lock + 1] {
        let unlock = Unlock { lock: number, filled_bytes: 0 };
        assert_eq!(scene.world.refusal(other, &unlock, &[]), MemoryError::LockGone);
        assert_eq!(scene.world.refusal(scene.container, &unlock, &[]), MemoryError::LockGone);
    }
    scene.unlock(locked.lock, 0);
}

#[test]
fn what_is_locked_cannot_be_sealed_or_locked_again() {
    let mut scene = Scene::new();
    scene.lock(LockMode::Fill, 0, 2);
    assert_eq!(scene.refused(LockMode::Fill, 1, 1), MemoryError::Locked);
    assert_eq!(scene.refused(LockMode::Stable, 1, 1), MemoryError::Locked);
    assert_eq!(scene.world.refusal(scene.container, &Seal {}, &[]), MemoryError::Locked);
    let allocate = Allocate { first_page: 0, pages: 8, any_contents: false };
    assert_eq!(scene.world.refusal(scene.container, &allocate, &[]), MemoryError::Locked);
    scene.world.ask(scene.container, &BreakLocks { first_page: 0, pages: 8 }, &[]);
    scene.world.ask(scene.container, &Seal {}, &[]);
    assert_eq!(scene.refused(LockMode::Fill, 1, 1), MemoryError::Sealed);
    scene.lock(LockMode::Stable, 1, 1);
    scene.world.check();
}

#[test]
fn a_dma_lock_that_does_not_fit_the_pin_limit_changes_nothing() {
    let mut scene = Scene::new();
    let contract = scene.world.split_with(scene.world.root(), 40, 0, 3);
    let container = scene.world.container(contract, 8);
    let lock = |pages| Lock { first_page: 0, pages, mode: LockMode::Dma, term_ns: 9 };
    assert_eq!(scene.world.refusal(container, &lock(4), &[]), MemoryError::PinLimit);
    assert_eq!(scene.world.charges(contract).0, 0);
    scene.world.ask(container, &lock(3), &[]);
    assert_eq!(scene.world.stat(contract).pinned, 3);
    scene.world.check();
    scene.world.machine.advance(10);
    assert_eq!(scene.world.stat(contract).pinned, 0);
}

#[test]
fn a_container_can_be_destroyed_under_every_lock() {
    for mode in [LockMode::Fill, LockMode::Stable, LockMode::Dma] {
        let mut scene = Scene::new();
        let locked = scene.lock(mode, 0, 4);
        let waits = scene.world.touch(scene.owner_space, BASE, Some(1));
        assert!(matches!(waits, Touch::Waits(_)));
        scene.world.ask(scene.container, &ContainerDestroy {}, &[]);
        scene.world.check();
        assert_eq!(scene.world.machine.next_deadline(), None);
        assert_eq!(scene.world.machine.pmap.answers.len(), 1, "the waiting fault is tried again");
        let unlock = Unlock { lock: locked.lock, filled_bytes: 0 };
        assert_eq!(scene.world.refusal(scene.grant, &unlock, &[]), MemoryError::Stale);
    }
}

#[test]
fn a_task_that_ends_while_it_waits_is_forgotten() {
    let mut scene = Scene::new();
    let locked = scene.lock(LockMode::Fill, 0, 4);
    assert!(matches!(scene.world.touch(scene.owner_space, BASE, None), Touch::Waits(_)));
    scene.world.ask(scene.owner_space.badge, &containers_api::space::SpaceDestroy {}, &[]);
    scene.unlock(locked.lock, 0);
    assert_eq!(scene.world.machine.pmap.answers, []);
}

#[test]
fn locks_need_their_rights() {
    let mut scene = Scene::new();
    let lock = |mode| Lock { first_page: 0, pages: 1, mode, term_ns: 9 };
    let only_lock = scene.world.grant(scene.container, 8, ContainerRights::LOCK);
    assert_eq!(scene.world.refusal(only_lock, &lock(LockMode::Fill), &[]), MemoryError::MissingRight);
    assert_eq!(scene.world.refusal(only_lock, &lock(LockMode::Dma), &[]), MemoryError::MissingRight);
    scene.world.ask(only_lock, &lock(LockMode::Stable), &[]);
    let only_map = scene.world.grant(scene.container, 8, ContainerRights::MAP);
    assert_eq!(scene.world.refusal(only_map, &lock(LockMode::Stable), &[]), MemoryError::MissingRight);
    let breaking = BreakLocks { first_page: 0, pages: 1 };
    assert_eq!(scene.world.refusal(only_map, &breaking, &[]), MemoryError::MissingRight);
    // A grant without LOCK is plain shared memory.
    let shared = 0x80_0000;
    scene.world.map_at(scene.server_space, only_map, shared, 1, 1, MapProtection::empty());
    assert_eq!(scene.world.read(scene.server_space, shared), 2);
    scene.world.check();
}

#[test]
fn what_is_locked_is_not_cut_off_not_even_by_who_locked_it() {
    let mut scene = Scene::new();
    let request = Lock { first_page: 4, pages: 4, mode: LockMode::Fill, term_ns: 100 };
    let locked = scene.world.ask(scene.container, &request, &[]);
    assert_eq!(scene.world.refusal(scene.container, &Resize { pages: 5 }, &[]), MemoryError::Locked);
    scene.world.ask(scene.container, &Resize { pages: 9 }, &[]);
    let pass = LockPass { lock: locked.lock, mode: LockMode::Dma, term_ns: 50 };
    scene.world.ask_badge(scene.container, &pass, &[]);
    scene.world.check();
}

#[test]
fn a_grant_without_lock_time_locks_nothing() {
    let mut scene = Scene::new();
    let rights = ContainerRights::LOCK | ContainerRights::FILL;
    let request = Grant { first_page: 0, pages: 8, rights, maximum_lock_ns: 0 };
    let grant = scene.world.ask_badge(scene.container, &request, &[]);
    let lock = Lock { first_page: 0, pages: 1, mode: LockMode::Stable, term_ns: 100 };
    assert_eq!(scene.world.refusal(grant, &lock, &[]), MemoryError::OutOfRange);
}
