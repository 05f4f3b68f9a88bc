//! Locks that a device works under: what it may read and write, who answers for its frames, what it keeps when the lock ends.

use super::*;

#[test]
fn a_device_writes_straight_into_frames_that_nobody_zeroed() {
    let mut scene = Scene::new();
    let authority = scene.authority(scene.server);
    scene.world.ask(scene.container, &Deallocate { first_page: 0, pages: 4 }, &[]);
    let before = scene.world.system();
    let locked = scene.lock(LockMode::Dma, 0, 4);
    let passed = scene.pass(locked.lock, 50);
    let frames = scene.runs(passed, authority);
    assert_eq!(frames.len(), 4);
    scene.world.check();
    scene.device_writes(&frames[..2], 60);
    let released = scene.world.ask(passed, &LockRelease { written_bytes: PAGE + 100 }, &[]);
    assert_eq!(released.kept_bytes, PAGE + 100);
    scene.world.check();
    let change = LockChange { lock: locked.lock, mode: LockMode::Stable, filled_bytes: PAGE + 100 };
    scene.world.ask(scene.grant, &change, &[]);
    let after = scene.world.system();
    assert_eq!(after.zeroed, before.zeroed, "no frame is zeroed at hand-over");
    assert_eq!(after.dma_bytes - before.dma_bytes, PAGE + 100);
    assert_eq!(after.moved_bytes, before.moved_bytes);
    assert_eq!(scene.world.read(scene.owner_space, BASE), 60);
    assert_eq!(scene.world.read(scene.owner_space, BASE + PAGE + 99), 60);
    assert_eq!(scene.world.read(scene.owner_space, BASE + PAGE + 100), 0);
    assert_eq!(scene.world.read(scene.server_space, GRANTED + 2 * PAGE), 0);
    scene.unlock(locked.lock, 0);
    assert_eq!(scene.world.stat(scene.server).pinned, 0);
    assert_eq!(scene.world.stat(scene.owner).pinned, 0);
}

#[test]
fn a_device_never_reads_what_others_left_in_frames() {
    let mut scene = Scene::new();
    let authority = scene.authority(scene.server);
    let ask = LockRuns { first_page: 0, is_read: true };
    scene.world.ask(scene.container, &Deallocate { first_page: 0, pages: 4 }, &[]);
    let locked = scene.lock(LockMode::Dma, 0, 4);
    let passed = scene.pass(locked.lock, 50);
    assert_eq!(scene.world.refusal(passed, &ask, &[authority]), MemoryError::NoContents);
    scene.unlock(locked.lock, 0);
    // Under a fill lock its holder has seen the contents, and vouches for them.
    let locked = scene.lock(LockMode::Fill, 0, 4);
    scene.world.write(scene.server_space, GRANTED, 77);
    let passed = scene.pass(locked.lock, 50);
    let told: Runs = scene.world.ask(passed, &ask, &[authority]);
    assert_eq!(scene.world.ram.borrow().bytes[told.runs[0].frame as usize][0], 77);
    scene.world.ask(passed, &LockRelease { written_bytes: 0 }, &[]);
    scene.unlock(locked.lock, 4 * PAGE);
    assert_eq!(scene.world.read(scene.owner_space, BASE), 77, "the contents stay");
}

#[test]
fn what_a_device_only_reads_stays_the_owners_when_the_lock_ends_early() {
    let mut scene = Scene::new();
    let driver = scene.world.split_with(scene.world.root(), 60, 0, 20);
    let (authority, ask) = (scene.authority(driver), LockRuns { first_page: 0, is_read: true });
    for ends_with_its_driver in [false, true] {
        let locked = scene.lock(LockMode::Fill, 0, 2);
        scene.world.write(scene.server_space, GRANTED, 77);
        let passed = scene.pass(locked.lock, 50);
        let old = scene.world.ask(passed, &ask, &[authority]).runs[0].frame as usize;
        if ends_with_its_driver {
            scene.world.ask(driver, &ContractDestroy {}, &[]);
        }
        scene.unlock(locked.lock, 2 * PAGE);
        assert_eq!(scene.world.read(scene.owner_space, BASE), 77, "the contents stay");
        scene.world.write(scene.owner_space, BASE, 78);
        assert_eq!(scene.world.ram.borrow().bytes[old][0], 77, "the device reads what it was given");
        let _ = scene.world.ask(passed, &LockRelease { written_bytes: 0 }, &[]);
    }
}

#[test]
fn what_no_driver_vouches_for_is_zeroed_whatever_the_holder_claims() {
    let mut scene = Scene::new();
    scene.world.ask(scene.container, &Deallocate { first_page: 0, pages: 4 }, &[]);
    let locked = scene.lock(LockMode::Dma, 0, 4);
    scene.unlock(locked.lock, 4 * PAGE);
    (0..4).for_each(|page| assert_eq!(scene.world.contents(scene.container, page), [0; 4096]));
    let locked = scene.lock(LockMode::Dma, 4, 4);
    let passed = scene.pass(locked.lock, 50);
    // Not told the frames, the driver cannot have written.
    scene.world.ask(passed, &LockRelease { written_bytes: 4 * PAGE }, &[]);
    let change = LockChange { lock: locked.lock, mode: LockMode::Stable, filled_bytes: 4 * PAGE };
    scene.world.ask(scene.grant, &change, &[]);
    (4..8).for_each(|page| assert_eq!(scene.world.contents(scene.container, page), [0; 4096]));
    scene.world.check();
}

#[test]
fn an_overdue_device_keeps_its_frames_and_the_owner_gets_others() {
    for end in ["expiry", "break", "unlock", "revoke", "destroy"] {
        let mut scene = Scene::new();
        let driver = scene.world.split(scene.world.root(), 40);
        let authority = scene.authority(driver);
        let locked = scene.lock(LockMode::Dma, 0, 4);
        let passed = scene.pass(locked.lock, 50);
        let frames = scene.runs(passed, authority);
        match end {
            "expiry" => {
                scene.world.now = 51;
                scene.world.machine.advance(51);
            }
            "break" => {
                let broken = scene.world.ask(scene.container, &BreakLocks { first_page: 2, pages: 1 }, &[]);
                assert_eq!((broken.locks, broken.quarantined), (1, 4));
            }
            "unlock" => scene.unlock(locked.lock, 4 * PAGE),
            "revoke" => {
                scene.world.ask(scene.container, &Revoke { break_locks: true }, &[scene.grant]);
            }
            _ => {
                scene.world.ask(scene.owner, &ContractDestroy {}, &[]);
            }
        }
        scene.world.check();
        assert_eq!(scene.world.system().quarantined, 4, "{end}");
        scene.device_writes(&frames, 99);
        if end == "break" {
            assert_eq!(scene.world.read(scene.owner_space, BASE), 0, "the owner has other frames");
        }
        assert_eq!(scene.world.stat(driver).pinned, 4, "the driver answers for them");
        let released = scene.world.ask(passed, &LockRelease { written_bytes: 4 * PAGE }, &[]);
        assert_eq!(released.kept_bytes, 0, "the driver is told that what the device wrote is nowhere");
        assert_eq!(scene.world.system().quarantined, 0, "{end}");
        assert_eq!(scene.world.stat(driver).pinned, 0);
        scene.world.check();
        let again = LockRelease { written_bytes: 0 };
        assert_eq!(scene.world.refusal(passed, &again, &[]), MemoryError::LockGone, "{end}");
    }
}

#[test]
fn a_driver_that_is_destroyed_leaves_the_quarantine_behind() {
    let mut scene = Scene::new();
    let outer = scene.world.split(scene.world.root(), 60);
    let driver = scene.world.split(outer, 40);
    let authority = scene.authority(driver);
    let locked = scene.lock(LockMode::Dma, 0, 4);
    let passed = scene.pass(locked.lock, 50);
    let frames = scene.runs(passed, authority);
    let before = scene.world.stat(scene.world.root()).guaranteed;
    scene.world.ask(outer, &ContractDestroy {}, &[]);
    scene.world.check();
    assert_eq!(scene.world.system().quarantined, 4);
    let back = scene.world.stat(scene.world.root()).guaranteed - before;
    assert!((60 - 8..60).contains(&back), "all but the quarantine is back: {back}");
    scene.device_writes(&frames, 99);
    scene.world.ask(passed, &LockRelease { written_bytes: 0 }, &[]);
    scene.world.check();
    assert_eq!(scene.world.stat(scene.world.root()).guaranteed - before, 60, "now everything is");
    assert_eq!(
        scene.world.refusal(passed, &LockRuns { first_page: 0, is_read: false }, &[authority]),
        MemoryError::Stale
    );
}

#[test]
fn a_device_is_told_frames_only_with_authority_and_within_its_contract() {
    let mut scene = Scene::new();
    let locked = scene.lock(LockMode::Dma, 0, 8);
    let passed = scene.pass(locked.lock, 50);
    let ask = LockRuns { first_page: 0, is_read: false };
    assert_eq!(scene.world.refusal(passed, &ask, &[]), MemoryError::WrongObject);
    assert_eq!(scene.world.refusal(passed, &ask, &[scene.owner]), MemoryError::NotTrusted);
    let poor = scene.world.split_with(scene.world.root(), 40, 0, 7);
    let authority = scene.authority(poor);
    assert_eq!(scene.world.refusal(passed, &ask, &[authority]), MemoryError::PinLimit);
    let authority = scene.authority(scene.server);
    assert_eq!(
        scene.world.refusal(passed, &LockRuns { first_page: 8, is_read: false }, &[authority]),
        MemoryError::OutOfRange
    );
    assert_eq!(scene.runs(passed, authority).len(), 8);
    let only_look = Machine::control_badge(ControlRights::empty()).0;
    assert_eq!(
        scene.world.refusal(only_look, &DmaAuthority { device: DEVICE }, &[]),
        MemoryError::MissingRight
    );
    let all = Machine::control_badge(ControlRights::all()).0;
    assert_eq!(scene.world.refusal(all, &DmaAuthority { device: 256 }, &[]), MemoryError::OutOfRange);
    scene.world.check();
}
