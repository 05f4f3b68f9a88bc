//! A driver that ends while its device writes: what the device may keep, until when, and who says that it stopped.

use crate::support::World;
use crate::support::world::Machine;
use containers_api::container::{Allocate, Lock, LockPass, Locked};
use containers_api::contract::ContractDestroy;
use containers_api::control::{ControlRights, DmaAuthority};
use containers_api::dma::QuarantineRelease;
use containers_api::lock::{LockRelease, LockRuns, Runs};
use containers_api::{LockMode, MemoryError};

const DISK: u64 = 1;
const OTHER_DEVICE: u64 = 2;
const PAGES: u64 = 4;

/// An owner, and drivers that come and go.
struct Scene {
    world: World,
    /// Free before there was an owner.
    free: u64,
    owner: u64,
    container: u64,
}

impl Scene {
    fn new() -> Scene {
        let mut world = World::new(400);
        let free = world.free_frames();
        let owner = world.split(world.root(), 100);
        let container = world.container(owner, 4 * PAGES);
        world.ask(container, &Allocate { first_page: 0, pages: 4 * PAGES, any_contents: false }, &[]);
        Scene { world, free, owner, container }
    }

    fn driver(&mut self) -> u64 {
        self.world.split(self.world.root(), 40)
    }

    /// The authority as init makes it: no contract along.
    fn authority(&mut self, device: u64) -> u64 {
        self.world.ask_badge(Machine::control_badge(ControlRights::all()).0, &DmaAuthority { device }, &[])
    }

    /// A device gets the frames of some pages: the passed lock, and the frames.
    fn begin(&mut self, first_page: u64, device: u64, driver: u64) -> (u64, Vec<u32>) {
        let lock = Lock { first_page, pages: PAGES, mode: LockMode::Dma, term_ns: 1000 };
        let Locked { lock, .. } = self.world.ask(self.container, &lock, &[]);
        let pass = LockPass { lock, mode: LockMode::Dma, term_ns: 900 };
        let passed = self.world.ask_badge(self.container, &pass, &[]);
        let authority = self.authority(device);
        let told: Runs =
            self.world.ask(passed, &LockRuns { first_page: 0, is_read: false }, &[authority, driver]);
        (passed, told.runs[..told.count].iter().flat_map(|run| run.frame..run.frame + run.frames).collect())
    }

    fn quarantined(&mut self) -> u64 {
        self.world.check();
        self.world.system().quarantined
    }

    fn release(&mut self, device: u64) -> u64 {
        let authority = self.authority(device);
        let frames = self.world.ask(authority, &QuarantineRelease {}, &[]).frames;
        self.world.check();
        frames
    }
}

#[test]
fn the_next_driver_releases_what_the_last_one_left() {
    let mut scene = Scene::new();
    let guaranteed = scene.world.stat(scene.world.root()).guaranteed;
    let driver = scene.driver();
    let (_, frames) = scene.begin(0, DISK, driver);
    scene.begin(PAGES, DISK, driver);
    scene.world.ask(driver, &ContractDestroy {}, &[]);
    assert_eq!(scene.quarantined(), 2 * PAGES, "the device may still write");
    // The owner's pages are there, and they are others.
    let lock = Lock { first_page: 0, pages: PAGES, mode: LockMode::Dma, term_ns: 1000 };
    assert_eq!(scene.world.refusal(scene.container, &lock, &[]), MemoryError::Locked, "its own lock goes on");
    frames.iter().for_each(|&frame| scene.world.ram.borrow_mut().bytes[frame as usize] = [9; 4096]);
    assert_eq!(scene.world.contents(scene.container, 0), [0; 4096]);
    let next = scene.driver();
    assert_eq!(scene.release(OTHER_DEVICE), 0, "another device that stopped says nothing of this one");
    assert_eq!(scene.release(DISK), PAGES);
    assert_eq!(scene.quarantined(), PAGES, "lock by lock");
    assert_eq!(scene.release(DISK), PAGES);
    assert_eq!((scene.quarantined(), scene.release(DISK)), (0, 0));
    scene.world.ask(next, &ContractDestroy {}, &[]);
    assert_eq!(scene.world.stat(scene.world.root()).guaranteed, guaranteed, "no stub is left");
    scene.world.ask(scene.owner, &ContractDestroy {}, &[]);
    scene.world.check();
    assert_eq!(scene.world.free_frames(), scene.free);
}

#[test]
fn what_a_living_driver_answers_for_is_not_released() {
    let mut scene = Scene::new();
    let (dead, living) = (scene.driver(), scene.driver());
    let (late, _) = scene.begin(0, DISK, living);
    scene.begin(PAGES, DISK, dead);
    scene.world.ask(dead, &ContractDestroy {}, &[]);
    scene.world.now = 2000;
    scene.world.machine.advance(2000);
    assert_eq!(scene.quarantined(), 2 * PAGES, "one by death, one by expiry");
    assert_eq!(scene.release(DISK), PAGES);
    assert_eq!(scene.release(DISK), 0);
    assert_eq!(scene.quarantined(), PAGES, "the living driver's");
    scene.world.ask(late, &LockRelease { written_bytes: 0 }, &[]);
    assert_eq!(scene.quarantined(), 0);
    // What was released by the device is not there to be released by the lock.
    let again = LockRelease { written_bytes: 0 };
    assert_eq!(scene.world.refusal(late, &again, &[]), MemoryError::LockGone);
}

#[test]
fn the_old_lock_says_nothing_after_the_release_and_may_release_before_it() {
    let mut scene = Scene::new();
    let driver = scene.driver();
    let (first, _) = scene.begin(0, DISK, driver);
    let (second, _) = scene.begin(PAGES, DISK, driver);
    scene.world.ask(driver, &ContractDestroy {}, &[]);
    scene.world.ask(second, &LockRelease { written_bytes: 0 }, &[]);
    assert_eq!(scene.release(DISK), PAGES);
    let again = LockRelease { written_bytes: 0 };
    assert_eq!(scene.world.refusal(first, &again, &[]), MemoryError::LockGone);
    assert_eq!(scene.quarantined(), 0);
}

#[test]
fn only_the_authority_of_a_device_releases() {
    let mut scene = Scene::new();
    let driver = scene.driver();
    for wrong in [scene.container, driver, Machine::control_badge(ControlRights::all()).0] {
        assert_eq!(scene.world.refusal(wrong, &QuarantineRelease {}, &[]), MemoryError::Malformed);
    }
    let authority = scene.authority(DISK);
    assert_eq!(
        scene.world.refusal(authority, &LockRuns { first_page: 0, is_read: false }, &[]),
        MemoryError::Malformed
    );
    assert_eq!(scene.release(DISK), 0);
}
