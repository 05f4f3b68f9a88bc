//! Random operations by owners, a server, a driver and its device against a model that knows contents only: a
//! container is a list of pages, an absent page is zeros. After every operation the contents agree and the laws hold.
//!
//! The model does not know frames, sharing or charges. What it predicts: contents, which locks stand in the way of
//! what, versions that grow. A refusal for want of frames is accepted, if nothing changed.

use crate::support::world::Machine;
use crate::support::{Call, Space, Touch, World};
use containers_api::container::*;
use containers_api::contract::ContractDestroy;
use containers_api::control::DmaAuthority;
use containers_api::lock::{LockRelease, LockRuns};
use containers_api::space::{Map, MapProtection, SpaceDestroy, Unmap};
use containers_api::{ContainerRights, FaultReason, LockMode, MemoryError};
use kernel_protocol::{Refusal, Request};

const PAGE: u64 = 4096;
const PAGES: u64 = 10;
const ROOM: u64 = 0x100_0000;

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
        let authority = world.ask_badge(Machine::control_badge(true).0, &DmaAuthority {}, &[driver]);
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

    fn touch(&mut self) {
        let index = self.random.below(self.containers.len() as u64) as usize;
        let by_grant = self.random.below(3) == 0;
        let page = self.random.below(PAGES);
        let offset = [0, 4095, self.random.below(4096)][self.random.below(3) as usize];
        let write = (self.random.below(2) == 0).then(|| self.random.byte());
        let place = page * PAGE + offset;
        let (space, at) = if by_grant {
            (self.parties[SERVER].space, granted(index) + place)
        } else if write.is_none() && self.random.below(3) == 0 {
            (self.parties[self.containers[index].owner].space, alias(index) + place)
        } else {
            (self.parties[self.containers[index].owner].space, address(index) + place)
        };
        let could = self.world.machine.pmap.is_writable(space.task, at);
        let touched = self.world.touch(space, at, write);
        if write.is_some() && !could && matches!(touched, Touch::Byte(_)) {
            self.must_bump(index);
        }
        let held = self.containers[index]
            .locks
            .iter()
            .any(|lock| page >= lock.first && page < lock.first + lock.pages);
        let sealed = self.containers[index].sealed && write.is_some();
        let blocked = self.blocked(index, page, 1, write.is_some(), by_grant);
        match touched {
            Touch::Byte(value) => {
                assert!(!blocked && !sealed && (held || !by_grant), "{at:#x} could be touched ({write:?})");
                let byte = &mut self.containers[index].pages[page as usize][offset as usize];
                *byte = write.unwrap_or(*byte);
                assert_eq!(value, *byte, "page {page} of container {index}");
            }
            Touch::Waits(_) => assert!(blocked && !sealed, "{at:#x} waits for nothing"),
            Touch::Ended(FaultReason::NotLocked) => assert!(by_grant && !held),
            Touch::Ended(FaultReason::Protection) => {
                assert!(by_grant && blocked || sealed, "its own stable lock");
            }
            Touch::Ended(FaultReason::Sealed) => assert!(sealed),
            Touch::Ended(FaultReason::TooManyWaiters) => assert!(blocked),
            Touch::Ended(FaultReason::ContractExhausted | FaultReason::NoRecord) => {}
            Touch::Ended(reason) => panic!("{at:#x}: {reason:?}"),
        }
    }

    fn change_range(&mut self) {
        let index = self.random.below(self.containers.len() as u64) as usize;
        let (first_page, pages) = self.range();
        let by_grant = self.random.below(4) == 0;
        let badge = if by_grant { self.containers[index].grant } else { self.containers[index].badge };
        let expected = self.expected(index, self.blocked(index, first_page, pages, true, by_grant));
        if self.random.below(2) == 0 {
            let allocate = Allocate { first_page, pages, any_contents: false };
            if self.ask(badge, &allocate, &[], expected).is_some() {
                self.must_bump(index);
            }
        } else if self.ask(badge, &Deallocate { first_page, pages }, &[], expected).is_some() {
            self.must_bump(index);
            self.containers[index].pages[first_page as usize..(first_page + pages) as usize].fill(ZEROS);
        }
    }

    fn copy(&mut self) {
        let count = self.containers.len() as u64;
        let (from, to) = (self.random.below(count) as usize, self.random.below(count) as usize);
        let whole = self.random.below(2) == 0;
        let bytes = 1 + self.random.below(4 * PAGE);
        let unit = if whole { PAGE } else { 1 };
        let bytes = if whole { bytes.div_ceil(PAGE) * PAGE } else { bytes };
        let mut source_offset = self.random.below(PAGES * PAGE - bytes + 1) / unit * unit;
        let mut destination_offset = self.random.below(PAGES * PAGE - bytes + 1) / unit * unit;
        if !whole && self.random.below(2) == 0 {
            let shift = self.random.below(PAGE);
            source_offset = (source_offset / PAGE * PAGE + shift).min(PAGES * PAGE - bytes);
            destination_offset =
                (destination_offset / PAGE * PAGE + source_offset % PAGE).min(PAGES * PAGE - bytes);
        }
        let by_grant = self.random.below(3) == 0;
        let pages = |offset: u64| (offset / PAGE, (offset + bytes).div_ceil(PAGE) - offset / PAGE);
        let ((first, span), (to_first, to_span)) = (pages(source_offset), pages(destination_offset));
        let overlap = from == to && first < to_first + to_span && to_first < first + span;
        let blocked = self.blocked(from, first, span, false, by_grant)
            || self.blocked(to, to_first, to_span, true, by_grant);
        let expected = self.expected(to, blocked).or(overlap.then_some(MemoryError::OutOfRange));
        let badge = |model: &Model| if by_grant { model.grant } else { model.badge };
        let (source, destination) = (badge(&self.containers[from]), badge(&self.containers[to]));
        let request = Copy { source_offset, destination_offset, bytes };
        let Some(copied) = self.ask(source, &request, &[destination], expected) else { return };
        self.must_bump(to);
        self.count += 1;
        if whole {
            assert_eq!(
                (copied.moved_bytes, copied.shared_pages),
                (0, bytes / PAGE),
                "whole pages are shared"
            );
        }
        let flat: Vec<u8> = self.containers[from].pages.concat();
        let taken = &flat[source_offset as usize..(source_offset + bytes) as usize];
        for (index, &byte) in taken.iter().enumerate() {
            let at = destination_offset as usize + index;
            self.containers[to].pages[at / 4096][at % 4096] = byte;
        }
    }

    fn move_pages(&mut self) {
        let count = self.containers.len() as u64;
        let (from, to) = (self.random.below(count) as usize, self.random.below(count) as usize);
        let (first_page, mut pages) = self.range();
        let destination_page = self.random.below(PAGES);
        pages = pages.min(PAGES - destination_page);
        let overlap =
            from == to && first_page < destination_page + pages && destination_page < first_page + pages;
        let blocked = self.blocked(from, first_page, pages, true, false)
            || self.blocked(to, destination_page, pages, true, false);
        let sealed = self.containers[from].sealed || self.containers[to].sealed;
        let expected = if sealed {
            Some(MemoryError::Sealed)
        } else if blocked {
            Some(MemoryError::Locked)
        } else {
            overlap.then_some(MemoryError::OutOfRange)
        };
        let destination = self.containers[to].badge;
        let request = Move { first_page, destination_page, pages };
        if self.ask(self.containers[from].badge, &request, &[destination], expected).is_some() {
            self.must_bump(from);
            self.must_bump(to);
            for index in 0..pages as usize {
                let page =
                    std::mem::replace(&mut self.containers[from].pages[first_page as usize + index], ZEROS);
                self.containers[to].pages[destination_page as usize + index] = page;
            }
        }
    }

    fn lock(&mut self) {
        let index = self.random.below(self.containers.len() as u64) as usize;
        let (first_page, pages) = self.range();
        let mode = [LockMode::Fill, LockMode::Stable, LockMode::Dma][self.random.below(3) as usize];
        let stands = |lock: &ModelLock| {
            let overlaps = lock.first < first_page + pages && first_page < lock.first + lock.pages;
            let both_stable = lock.mode == LockMode::Stable && mode == LockMode::Stable;
            overlaps && !both_stable
        };
        let sealed = self.containers[index].sealed && mode != LockMode::Stable;
        let locked = self.containers[index].locks.iter().any(stands);
        let expected = if sealed { Some(MemoryError::Sealed) } else { locked.then_some(MemoryError::Locked) };
        let term_ns = 1 + self.random.below(60);
        let request = Lock { first_page, pages, mode, term_ns };
        let Some(locked) = self.ask(self.containers[index].grant, &request, &[], expected) else { return };
        let lock = ModelLock {
            number: locked.lock,
            first: first_page,
            pages,
            mode,
            expires: locked.expires,
            passed: None,
        };
        self.containers[index].locks.push(lock);
        if mode != LockMode::Stable {
            self.must_bump(index);
            self.accept(index, first_page, pages, |old, new| *new == *old || *new == ZEROS);
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

    fn some_lock(&mut self) -> Option<(usize, usize)> {
        let all: Vec<(usize, usize)> = self
            .containers
            .iter()
            .enumerate()
            .flat_map(|(index, model)| (0..model.locks.len()).map(move |lock| (index, lock)))
            .collect();
        (!all.is_empty()).then(|| all[self.random.below(all.len() as u64) as usize])
    }

    /// After a lock has ended or become stable: what its pages may contain.
    fn settle(&mut self, index: usize, lock: ModelLock, filled: u64, broken: bool) {
        let told = lock.passed.is_some_and(|passed| passed.told);
        for page in 0..lock.pages {
            let cut = filled.saturating_sub(page * PAGE).min(PAGE) as usize;
            self.accept(index, lock.first + page, 1, |old, new| {
                let mut kept = *old;
                if !broken && lock.mode != LockMode::Stable {
                    kept[cut..].fill(0);
                }
                *new == ZEROS || *new == kept && !told
            });
        }
    }

    fn unlock(&mut self) {
        let Some((index, at)) = self.some_lock() else { return };
        let lock = self.containers[index].locks[at];
        let filled_bytes = self.random.below(lock.pages * PAGE + 1);
        let grant = self.containers[index].grant;
        if self.random.below(2) == 0 {
            self.ask(grant, &Unlock { lock: lock.number, filled_bytes }, &[], None);
            self.containers[index].locks.remove(at);
            self.note_overdue(lock);
            if lock.mode != LockMode::Stable {
                self.must_bump(index);
                self.settle(index, lock, filled_bytes, false);
            }
        } else {
            let change = LockChange { lock: lock.number, mode: LockMode::Stable, filled_bytes };
            let expected = lock.passed.map(|_| MemoryError::Locked);
            if self.ask(grant, &change, &[], expected).is_some() && lock.mode != LockMode::Stable {
                self.containers[index].locks[at].mode = LockMode::Stable;
                self.settle(index, lock, filled_bytes, false);
            }
        }
    }

    fn note_overdue(&mut self, lock: ModelLock) {
        let Some(passed) = lock.passed.filter(|passed| passed.told) else { return };
        let at = self.frames.iter().position(|(badge, _)| *badge == passed.badge).expect("told");
        let frames = self.frames.swap_remove(at);
        self.overdue.push(frames);
    }

    fn pass(&mut self) {
        let Some((index, at)) = self.some_lock() else { return };
        let lock = self.containers[index].locks[at];
        let term_ns = 1 + self.random.below(60);
        let request = LockPass { lock: lock.number, mode: LockMode::Dma, term_ns };
        let grant = self.containers[index].grant;
        match self.world.call(grant, &request, &[]) {
            Call::Reply(_, handed) => {
                assert!(lock.passed.is_none() && lock.mode != LockMode::Stable);
                let physmem_core::Handed::Badge(badge) = handed[0] else { panic!() };
                let expires = lock.expires.min(self.world.now + term_ns);
                let passed = Passed { badge: badge.0, expires, told: false, written: 0, value: 0 };
                self.containers[index].locks[at].passed = Some(passed);
                // Pages copied in under a fill lock are given up for frames of the owner's own.
                self.accept(index, lock.first, lock.pages, |old, new| *new == *old || *new == ZEROS);
            }
            Call::Refused(refusal) => {
                let right = match refusal.error {
                    MemoryError::Locked => lock.passed.is_some(),
                    MemoryError::ModeRaised => lock.mode == LockMode::Stable,
                    error => matches!(
                        error,
                        MemoryError::PinLimit | MemoryError::NoRecord | MemoryError::ContractExhausted
                    ),
                };
                assert!(right, "{refusal:?}");
            }
            Call::Waits(_) => panic!(),
        }
    }

    /// The driver asks for frames, its device writes, the driver lets go.
    fn drive(&mut self) {
        if let (Some((badge, frames)), 0) = (self.overdue.last().cloned(), self.random.below(3)) {
            self.device_writes(&frames, 0xee);
            if self.random.below(2) == 0 {
                self.ask(badge, &LockRelease { written_bytes: 0 }, &[], None);
                self.overdue.pop();
            }
            return;
        }
        let Some((index, at)) = self.some_lock() else { return };
        let lock = self.containers[index].locks[at];
        let Some(mut passed) = lock.passed else { return };
        if !passed.told {
            let asked = self.ask(passed.badge, &LockRuns { first_page: 0 }, &[self.authority], None);
            let Some(told) = asked else { return };
            let runs = &told.runs[..told.count];
            let frames: Vec<u32> = runs.iter().flat_map(|run| run.frame..run.frame + run.frames).collect();
            assert_eq!(frames.len() as u64, lock.pages);
            passed.written = self.random.below(lock.pages * PAGE + 1);
            passed.value = self.random.byte();
            let whole = (passed.written / PAGE) as usize;
            self.device_writes(&frames[..whole], passed.value);
            if let Some(&last) = frames.get(whole) {
                let end = (passed.written % PAGE) as usize;
                self.world.ram.borrow_mut().bytes[last as usize][..end].fill(passed.value);
            }
            self.frames.push((passed.badge, frames));
            passed.told = true;
            self.containers[index].locks[at].passed = Some(passed);
            return;
        }
        self.ask(passed.badge, &LockRelease { written_bytes: passed.written }, &[], None);
        self.must_bump(index);
        self.count += 1;
        self.frames.retain(|(badge, _)| *badge != passed.badge);
        self.containers[index].locks[at].passed = None;
        for page in 0..lock.pages {
            let end = passed.written.saturating_sub(page * PAGE).min(PAGE) as usize;
            self.accept(index, lock.first + page, 1, |old, new| {
                let mut kept = *old;
                kept[..end].fill(passed.value);
                *new == kept
            });
        }
    }

    fn device_writes(&mut self, frames: &[u32], value: u8) {
        let mut ram = self.world.ram.borrow_mut();
        frames.iter().for_each(|&frame| ram.bytes[frame as usize].fill(value));
    }

    fn pass_time(&mut self) {
        self.world.now += self.random.below(40);
        let now = self.world.now;
        self.world.machine.advance(now);
        for index in 0..self.containers.len() {
            for at in (0..self.containers[index].locks.len()).rev() {
                let lock = self.containers[index].locks[at];
                let passed_over = lock.passed.is_some_and(|passed| passed.expires <= now);
                if lock.expires <= now {
                    self.containers[index].locks.remove(at);
                    self.note_overdue(lock);
                    self.settle(index, lock, 0, true);
                } else if passed_over {
                    self.note_overdue(lock);
                    self.containers[index].locks[at].passed = None;
                    self.settle(index, lock, 0, true);
                }
            }
        }
    }

    fn break_or_revoke(&mut self) {
        let index = self.random.below(self.containers.len() as u64) as usize;
        let (first_page, pages) = self.range();
        let badge = self.containers[index].badge;
        let revoke = self.random.below(3) == 0;
        if revoke {
            let grant = self.containers[index].grant;
            self.ask(badge, &Revoke { break_locks: true }, &[grant], None);
        } else {
            self.ask(badge, &BreakLocks { first_page, pages }, &[], None);
        }
        for at in (0..self.containers[index].locks.len()).rev() {
            let lock = self.containers[index].locks[at];
            if revoke || lock.first < first_page + pages && first_page < lock.first + lock.pages {
                self.containers[index].locks.remove(at);
                self.note_overdue(lock);
                self.settle(index, lock, 0, true);
            }
        }
        if revoke {
            let mut model = self.containers.remove(index);
            self.regrant(&mut model, index);
            self.containers.insert(index, model);
        }
    }

    fn replace_container(&mut self) {
        let index = self.random.below(self.containers.len() as u64) as usize;
        let model = self.containers.remove(index);
        self.world.ask(model.badge, &ContainerDestroy {}, &[]);
        model.locks.iter().for_each(|&lock| self.note_overdue(lock));
        let model = self.new_container(model.owner, index);
        self.containers.insert(index, model);
    }

    /// An owner's contract ends with everything, and another takes its place.
    fn replace_party(&mut self) {
        let owner = self.random.below(OWNERS as u64 - 1) as usize;
        for index in [2 * owner, 2 * owner + 1] {
            let locks = std::mem::take(&mut self.containers[index].locks);
            locks.into_iter().for_each(|lock| self.note_overdue(lock));
        }
        self.world.ask(self.parties[owner].contract, &ContractDestroy {}, &[]);
        self.parties[owner] = self.new_party();
        for index in [2 * owner, 2 * owner + 1] {
            self.containers[index] = self.new_container(owner, index);
        }
    }

    fn remap(&mut self) {
        let index = self.random.below(self.containers.len() as u64) as usize;
        let space = self.parties[self.containers[index].owner].space;
        let (first_page, pages) = self.range();
        let at = address(index) + first_page * PAGE;
        self.world.ask(space.badge, &Unmap { address: at, pages }, &[]);
        assert_eq!(self.world.touch(space, at, None), Touch::Ended(FaultReason::NotMapped));
        self.world.check();
        let protection = protection_of(&self.containers[index]);
        let populate = self.random.below(2) == 0;
        let map = Map { address: at, pages, first_page, protection, populate };
        self.world.ask(space.badge, &map, &[self.containers[index].badge]);
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

    fn seal(&mut self) {
        let index = self.random.below(self.containers.len() as u64) as usize;
        let blocked = self.blocked(index, 0, PAGES, false, false);
        let expected = blocked.then_some(MemoryError::Locked);
        if self.ask(self.containers[index].badge, &Seal {}, &[], expected).is_some() {
            self.containers[index].sealed = true;
        }
    }

    /// An owner's task ends by itself, is found ended, and is replaced.
    fn restart_task(&mut self) {
        use physmem_core::pmap::Pmap;
        let owner = self.random.below(OWNERS as u64 - 1) as usize;
        let Party { contract, space } = self.parties[owner];
        self.world.machine.pmap.kill(space.task);
        let drop_one = Deallocate { first_page: 0, pages: 1 };
        let blocked = self.blocked(2 * owner, 0, 1, true, false);
        let expected = self.expected(2 * owner, blocked);
        if self.ask(self.containers[2 * owner].badge, &drop_one, &[], expected).is_some() {
            self.containers[2 * owner].pages[0] = ZEROS;
        }
        self.world.check();
        self.world.ask(space.badge, &SpaceDestroy {}, &[]);
        self.parties[owner].space = self.world.space(contract);
        for index in [2 * owner, 2 * owner + 1] {
            let protection = protection_of(&self.containers[index]);
            let (space, badge) = (self.parties[owner].space, self.containers[index].badge);
            self.world.map_at(space, badge, address(index), 0, PAGES, protection);
            self.world.map_at(space, badge, alias(index), 0, PAGES, MapProtection::empty());
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
