//! Random operations by owners, a server, a driver and its device against a model that knows contents only: a
//! container is a list of pages, an absent page is zeros. After every operation the contents agree and the laws hold.
//!
//! The model does not know frames, sharing or charges. What it predicts: contents, which locks stand in the way of
//! what, versions that grow. A refusal for want of frames is accepted, if nothing changed.

use crate::support::world::Machine;
use crate::support::{Call, Space, Touch, World};
use containers_api::container::*;
use containers_api::contract::ContractDestroy;
use containers_api::control::{ControlRights, DmaAuthority};
use containers_api::lock::{LockRelease, LockRuns};
use containers_api::space::{Map, MapProtection, SpaceDestroy, Unmap};
use containers_api::{ContainerRights, FaultReason, LockMode, MemoryError};
use kernel_protocol::{Refusal, Request};

const PAGE: u64 = 4096;
const PAGES: u64 = 10;
const ROOM: u64 = 0x100_0000;

mod locks;
mod memory;

type Page = [u8; 4096];
const ZEROS: Page = [0; 4096];

/// Random numbers that a seed repeats.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn byte(&mut self) -> u8 {
        1 + self.below(255) as u8
    }
}

/// A lock, as its holder knows it.
#[derive(Clone, Copy, Debug)]
struct ModelLock {
    number: u64,
    first: u64,
    pages: u64,
    mode: LockMode,
    expires: u64,
    passed: Option<Passed>,
}

/// What a driver holds.
#[derive(Clone, Copy, Debug)]
struct Passed {
    badge: u64,
    expires: u64,
    told: bool,
    written: u64,
    value: u8,
}

/// A container with its only grant.
struct Model {
    badge: u64,
    owner: usize,
    grant: u64,
    pages: Vec<Page>,
    locks: Vec<ModelLock>,
    sealed: bool,
    version: u64,
}

/// Somebody with a contract and a task.
struct Party {
    contract: u64,
    space: Space,
}

struct Run {
    world: World,
    random: Random,
    parties: Vec<Party>,
    containers: Vec<Model>,
    authority: u64,
    /// Locks told to the device that have ended: it goes on writing.
    overdue: Vec<(u64, Vec<u32>)>,
    frames: Vec<(u64, Vec<u32>)>,
    /// Copies made and devices released.
    count: u64,
}

const OWNERS: usize = 3;
const SERVER: usize = 2;

fn address(container: usize) -> u64 {
    0x100_0000 + container as u64 * ROOM
}

/// Where the owner has mapped its container once more, read-only.
fn alias(container: usize) -> u64 {
    0x6000_0000 + container as u64 * ROOM
}

fn granted(container: usize) -> u64 {
    0x8000_0000 + container as u64 * ROOM
}

/// How a container can be mapped.
fn protection_of(model: &Model) -> MapProtection {
    if model.sealed { MapProtection::empty() } else { MapProtection::WRITE }
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut world = World::with_extra(420, 30);
        let driver = world.split(world.root(), 60);
        let authority = world.ask_badge(
            Machine::control_badge(ControlRights::all()).0,
            &DmaAuthority { device: 0 },
            &[driver],
        );
        let mut run = Run {
            world,
            random: Random(seed),
            parties: Vec::new(),
            containers: Vec::new(),
            authority,
            overdue: Vec::new(),
            frames: Vec::new(),
            count: 0,
        };
        for _ in 0..OWNERS {
            let party = run.new_party();
            run.parties.push(party);
        }
        for index in 0..2 * OWNERS {
            let model = run.new_container(index / 2, index);
            run.containers.push(model);
        }
        run
    }

    fn new_party(&mut self) -> Party {
        let (guaranteed, extra) = (60 + self.random.below(20), self.random.below(10));
        let contract = self.world.split_with(self.world.root(), guaranteed, extra, 20);
        Party { contract, space: self.world.space(contract) }
    }

    fn new_container(&mut self, owner: usize, index: usize) -> Model {
        let badge = self.world.container(self.parties[owner].contract, PAGES);
        let mut model = Model {
            badge,
            owner,
            grant: 0,
            pages: vec![ZEROS; PAGES as usize],
            locks: Vec::new(),
            sealed: false,
            version: 0,
        };
        let space = self.parties[owner].space;
        self.world.map(space, badge, address(index), PAGES);
        self.world.map_at(space, badge, alias(index), 0, PAGES, MapProtection::empty());
        self.regrant(&mut model, index);
        model
    }

    fn regrant(&mut self, model: &mut Model, index: usize) {
        let rights = ContainerRights::all() - ContainerRights::GRANT;
        model.grant = self.world.grant(model.badge, PAGES, rights);
        let space = self.parties[SERVER].space;
        self.world.ask(space.badge, &Unmap { address: granted(index), pages: PAGES }, &[]);
        let protection = protection_of(model);
        self.world.map_at(space, model.grant, granted(index), 0, PAGES, protection);
    }

    fn range(&mut self) -> (u64, u64) {
        let first = self.random.below(PAGES);
        (first, 1 + self.random.below(PAGES - first))
    }

    /// Whether a lock stands in the way of somebody; `by_grant`: through the container's grant.
    fn blocked(&self, index: usize, first: u64, pages: u64, change: bool, by_grant: bool) -> bool {
        self.containers[index].locks.iter().any(|lock| {
            let overlaps = lock.first < first + pages && first < lock.first + lock.pages;
            let mode = if lock.passed.is_some() { LockMode::Dma } else { lock.mode };
            overlaps
                && match mode {
                    LockMode::Dma => true,
                    LockMode::Fill => !by_grant,
                    LockMode::Stable => change,
                }
        })
    }

    /// A request whose refusal must be `expected`, if there is one to expect.
    fn ask<Q>(
        &mut self,
        badge: u64,
        request: &Q,
        sent: &[u64],
        expected: Option<MemoryError>,
    ) -> Option<Q::Reply>
    where
        Q: Request<Error = MemoryError> + std::fmt::Debug,
        Q::Reply: std::fmt::Debug,
    {
        match self.world.call(badge, request, sent) {
            Call::Reply(reply, _) => {
                assert_eq!(expected, None, "{request:?} should be refused");
                Some(reply)
            }
            Call::Refused(Refusal { error, .. }) => {
                let scarce = [
                    MemoryError::ContractExhausted,
                    MemoryError::NoRecord,
                    MemoryError::PinLimit,
                    MemoryError::NotAdmitted,
                ];
                assert!(expected == Some(error) || scarce.contains(&error), "{request:?}: {error:?}");
                None
            }
            Call::Waits(_) => panic!("{request:?} waits"),
        }
    }

    /// The container has been changed: its version tells.
    fn must_bump(&mut self, index: usize) {
        let version = self.world.version(self.containers[index].badge);
        assert!(version > self.containers[index].version, "a change without a new version");
    }

    fn expected(&self, index: usize, blocked: bool) -> Option<MemoryError> {
        if self.containers[index].sealed {
            Some(MemoryError::Sealed)
        } else {
            blocked.then_some(MemoryError::Locked)
        }
    }

    /// Takes the contents that pages have now into the model, if each is one that it may have.
    fn accept(&mut self, index: usize, first: u64, pages: u64, allowed: impl Fn(&Page, &Page) -> bool) {
        for page in first..first + pages {
            if self.is_raw(index, page) {
                self.containers[index].pages[page as usize] = ZEROS;
                continue;
            }
            let now = self.world.contents(self.containers[index].badge, page);
            let old = &mut self.containers[index].pages[page as usize];
            assert!(allowed(old, &now), "page {page} of container {index} has contents from elsewhere");
            *old = now;
        }
    }

    fn is_raw(&self, index: usize, page: u64) -> bool {
        let container = self.world.container_name(self.containers[index].badge);
        containers_core::pages::entry(&self.world.machine, container, page).is_raw()
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..30 => self.touch(),
            30..38 => self.change_range(),
            38..54 => self.copy(),
            54..58 => self.move_pages(),
            58..68 => self.lock(),
            68..74 => self.unlock(),
            74..80 => self.pass(),
            80..88 => self.drive(),
            88..91 => self.pass_time(),
            91..94 => self.break_or_revoke(),
            94..97 => self.remap(),
            97 => drop(self.world.machine.idle()),
            98 => self.replace_container(),
            _ => match self.random.below(6) {
                0 => self.replace_party(),
                1 => self.seal(),
                _ => self.restart_task(),
            },
        }
    }

    fn compare(&mut self) {
        for index in 0..self.containers.len() {
            for page in 0..PAGES {
                let told = self.containers[index].locks.iter().any(|lock| {
                    let covers = page >= lock.first && page < lock.first + lock.pages;
                    covers && lock.passed.is_some_and(|passed| passed.told)
                });
                if !told && !self.is_raw(index, page) {
                    let model = &self.containers[index];
                    let now = self.world.contents(model.badge, page);
                    assert!(now == model.pages[page as usize], "page {page} of container {index}");
                }
            }
            let version = self.world.version(self.containers[index].badge);
            assert!(version >= self.containers[index].version, "a version goes back");
            self.containers[index].version = version;
        }
    }
}

/// Returns how many copies succeeded and how many devices let go.
fn run(seed: u64, steps: u64) -> u64 {
    println!("seed {seed}");
    let mut run = Run::new(seed);
    for step in 0..steps {
        println!("step {step}");
        run.step();
        run.world.check();
        run.compare();
    }
    run.count
}

#[test]
fn random_operations_agree_with_the_model() {
    let counts = (0..30).map(|seed| run(seed, 1000));
    let total: u64 = counts.sum();
    assert!(total > 2000, "most operations are refused: {total}");
}
