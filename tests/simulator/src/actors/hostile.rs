//! A hostile client: random requests to everything that it holds a capability to, living or stale, reads that it breaks in
//! the middle, touches all over its memory. It looks at every page that it gets, for bytes that are not its own.

use super::requests::{self, RandomMessage};
use crate::contents::may_be_seen;
use crate::env::{BlockCall, Counter, Env, ReadCall};
use crate::law;
use crate::world::{Space, Touch, Wait};
use containers_api::contract::{ContainerCreate, ContractDestroy};
use containers_api::{MemoryError, container};
use filesystems_api::block::{Extent, Extents};
use kernel_abi::FRAME_BYTES;
use kernel_protocol::ErrorCode;
use physmem_core::badge::{Badge, BadgeKind};
use physmem_core::database::State;
use physmem_core::limits::EXTRA_TERM_MAX_NS;
use physmem_core::{Answer, Handed, Sent};

/// Capabilities that it remembers.
const KEPT: usize = 24;
/// Containers under a contract that is cut off: more than are destroyed at once.
const DEEP_CONTAINERS: u32 = 12;
/// Numbers of locks that it remembers.
const LOCKS: usize = 8;

/// See the module.
pub struct Hostile {
    index: usize,
    /// The byte that it fills its memory with.
    own: u8,
    /// Its contract.
    pub contract: u64,
    badges: Vec<u64>,
    locks: Vec<u64>,
    spaces: Vec<Space>,
}

impl Hostile {
    /// One under a new contract; none if the parent cannot give as much now.
    pub fn new(env: &mut Env<'_>, index: usize, parent: u64, allowance: (u64, u64, u64)) -> Option<Hostile> {
        let contract = env.world.split_swapping(parent, allowance, 0)?;
        env.world.longest_term = EXTRA_TERM_MAX_NS;
        env.record.count(Counter::Splits);
        let own = 1 + index as u8 % 0x3f;
        let mut this =
            Hostile { index, own, contract, badges: Vec::new(), locks: Vec::new(), spaces: Vec::new() };
        this.badges.push(contract);
        if let Ok(space) = env.world.space(contract) {
            this.badges.push(space.badge);
            this.spaces.push(space);
        }
        Some(this)
    }

    /// Everything goes.
    pub fn destroy(&mut self, env: &mut Env<'_>) {
        env.record.count(Counter::Destroyed);
        env.world.touched.much = true;
        // It may have destroyed its own contract already.
        if let Err(refused) = env.world.ask(self.contract, &ContractDestroy {}, &[])
            && let Some(wait) = Wait::of(&refused)
        {
            env.world.forget(wait);
        }
        env.to_clients[self.index].clear();
    }

    /// Takes a step.
    pub fn step(&mut self, env: &mut Env<'_>) {
        env.to_clients[self.index].clear();
        match env.random.below(10) {
            0..4 => self.ask(env),
            4 => self.prepare(env),
            5..8 => self.touch(env),
            8 if env.mix.reads != 0 => self.read(env),
            _ => self.disturb(env),
        }
    }

    fn badge(&self, env: &mut Env<'_>, kind: Option<BadgeKind>) -> u64 {
        let fitting = self.badges.iter().filter(|&&badge| kind.is_none() || Badge(badge).kind() == kind);
        let count = fitting.clone().count() as u64;
        if count == 0 {
            return self.badges[env.random.below(self.badges.len() as u64) as usize];
        }
        fitting.copied().nth(env.random.below(count) as usize).unwrap_or(0)
    }

    /// A random request, to an object that understands it or not.
    fn ask(&mut self, env: &mut Env<'_>) {
        let target = self.badge(env, None);
        let protocol = match Badge(target).kind() {
            _ if env.random.once_in(12) => {
                requests::ALL[env.random.below(requests::ALL.len() as u64) as usize]
            }
            Some(BadgeKind::Contract) => requests::CONTRACT,
            Some(BadgeKind::Space) => requests::SPACE,
            Some(BadgeKind::Lock) => requests::LOCK,
            _ => requests::CONTAINER,
        };
        let message = requests::random(&mut env.random, protocol, &self.locks);
        // Destroying everything again and again would leave nothing to be hostile with.
        let ends = message.label == 2 && target == self.contract || [23, 47].contains(&message.label);
        if ends && !env.random.once_in(8) {
            return;
        }
        let mut sent = Vec::new();
        for _ in 0..env.random.below(3) {
            let kind = match protocol[0].0 {
                48 => BadgeKind::Contract,
                41 => BadgeKind::Grant,
                _ => BadgeKind::Container,
            };
            let kind = (!env.random.once_in(4)).then_some(kind);
            sent.push(Sent::Badge(self.badge(env, kind)));
        }
        self.send(env, target, &message, &sent);
    }

    /// Does something sensible, so that there is something to be hostile with.
    fn prepare(&mut self, env: &mut Env<'_>) {
        let container = self.badge(env, Some(BadgeKind::Container));
        let space = self.badge(env, Some(BadgeKind::Space));
        let address = 0x10_0000 + env.random.below(40) * FRAME_BYTES;
        let term = env.random.pick(&[1_000_000, 1_000_000_000, 60_000_000_000]);
        let (target, label, words): (u64, u32, &[u64]) = match env.random.below(6) {
            0 => (self.contract, 4, &[8]),
            1 | 2 => (space, 16, &[address, 4, env.random.below(4), 1, env.random.below(2)]),
            3 => (container, 40, &[0, 8, 0x7f, term]),
            4 => (container, 42, &[env.random.below(4), 1 + env.random.below(4), env.random.below(3), term]),
            _ => match self.locks.last() {
                Some(&lock) => (container, 46, &[lock, 2, term]),
                None => (container, 34, &[0, 4, 1]),
            },
        };
        self.send(env, target, &RandomMessage::new(label, words), &[Sent::Badge(container)]);
    }

    fn send(&mut self, env: &mut Env<'_>, target: u64, message: &RandomMessage, sent: &[Sent]) {
        env.record.count(Counter::Hostile);
        env.world.touched.much |= matches!(message.label, 2 | 23 | 37 | 47 | 49);
        let result = env.world.raw(target, message.label, message.words(), sent);
        env.record.note(u64::from(message.label), || {
            let kind = Badge(target).kind();
            let told = result.as_ref().map(|answer| answer.label);
            format!("sends {kind:?} label {} {:?} {sent:?}: {told:?}", message.label, message.words())
        });
        let answer = match result {
            Ok(answer) => answer,
            Err(wait) => return env.world.forget(wait),
        };
        if answer.label == 0 {
            env.record.count(Counter::HostileDone);
            self.keep(env, message.label, &answer);
        } else {
            let error = MemoryError::from_code(answer.label);
            law!("typed-answers", error.code() == answer.label, "error {} means nothing", answer.label);
        }
    }

    /// Remembers what was handed out.
    fn keep(&mut self, env: &mut Env<'_>, label: u32, answer: &Answer) {
        if label == 42 {
            let lock = env.world.machine.words_of(answer)[0];
            put(&mut self.locks, LOCKS, lock, env);
            env.record.count(Counter::Locks);
        }
        let mut task = None;
        for handed in answer.handed() {
            match handed {
                Handed::Handle(handle) => task = Some(handle),
                Handed::Badge(Badge(badge)) => {
                    put(&mut self.badges, KEPT, badge, env);
                    if let Some(task) = task {
                        put(&mut self.spaces, 4, Space { badge, task }, env);
                    }
                }
            }
        }
        if !self.badges.contains(&self.contract) {
            self.badges.push(self.contract);
        }
    }

    /// Touches some page of some address space, and looks at all of it.
    fn touch(&mut self, env: &mut Env<'_>) {
        if self.spaces.is_empty() {
            return;
        }
        let space = env.random.pick(&self.spaces);
        if !env.world.is_running(space) {
            return;
        }
        let address = 0x10_0000 + env.random.below(48) * FRAME_BYTES;
        let write = env.random.once_in(2);
        let touched = env.world.touch(space, address, write);
        env.record.note(address, || format!("touches {address:#x}: {touched:?}"));
        match touched {
            Touch::Frame(frame) => self.look(env, frame, write),
            // Another of its threads goes on.
            Touch::Waits(wait) => env.world.forget(wait),
            Touch::Ended(_) => {}
        }
    }

    fn look(&mut self, env: &mut Env<'_>, frame: u32, write: bool) {
        // The pressure page and contract pages are physmem's own, for anybody to read.
        if env.world.machine.database().state(frame) != State::Held {
            return law!("protection", !write, "hostile {} can write to frame {frame}", self.index);
        }
        env.record.count(Counter::Looked);
        let own = self.own;
        let bytes = env.world.frame(frame);
        if !may_be_seen(&bytes[..], own) {
            let what = crate::contents::describe(&bytes[..]);
            crate::violation::broken("secrets", format!("hostile {} sees frame {frame}: {what}", self.index));
        }
        if write {
            bytes.fill(own);
        }
    }

    /// Looks at every page that it has mapped.
    pub fn look_at_all(&mut self, env: &mut Env<'_>) {
        for space in self.spaces.clone() {
            if !env.world.is_running(space) {
                continue;
            }
            let Some(task) = env.world.machine.pmap.task(space.task) else { continue };
            let frames: Vec<u32> = task.tables.range(0, 1 << 36).map(|(_, page)| page.frame).collect();
            frames.into_iter().for_each(|frame| self.look(env, frame, false));
        }
    }

    /// Asks the file server to read into anything that it holds.
    fn read(&mut self, env: &mut Env<'_>) {
        let call = env.next_call();
        let kind = if env.random.once_in(2) { BadgeKind::Grant } else { BadgeKind::Container };
        let kind = (!env.random.once_in(8)).then_some(kind);
        let container = self.badge(env, kind);
        let file = env.random.below(env.image.files.len() as u64) as usize;
        let inode = env.image.files[file].inode;
        let far = if env.random.once_in(30) { u64::MAX - 4096 } else { 0 };
        env.record.count(Counter::Reads);
        env.record.note(call, || format!("asks for file {inode}"));
        if env.to_server.len() < 32 {
            env.to_server.push_back(ReadCall {
                call,
                client: self.index,
                inode,
                offset: (env.random.below(30) * 2048).wrapping_add(far),
                bytes: env.random.below(20) * 2048 + env.random.below(2),
                container_offset: env.random.below(16) * 2048,
                container,
            });
        }
    }

    /// Breaks its own locks, passes them on, asks the driver for sectors, ends a task behind physmem's back.
    fn disturb(&mut self, env: &mut Env<'_>) {
        match env.random.below(5) {
            4 => self.cut_off(env),
            0 => {
                let target = self.badge(env, Some(BadgeKind::Container));
                let request = container::BreakLocks { first_page: 0, pages: 1 + env.random.below(8) };
                let result = env.world.call(target, &request, &[]);
                env.record.note(0, || format!("breaks locks: {result:?}"));
            }
            1 => {
                let lock = self.badge(env, Some(BadgeKind::Lock));
                let mut extents = Extents::EMPTY;
                for _ in 0..1 + env.random.below(3) {
                    let sector = 20 * 8 + env.random.below(4200);
                    let offset = env.random.below(40) as u32 * 512;
                    let _ = extents.push(Extent { sector, offset, bytes: env.random.below(20) as u32 * 512 });
                }
                let call = env.next_call();
                env.record.note(call, || String::from("asks the driver"));
                if env.to_driver.len() < 32 {
                    env.to_driver.push_back(BlockCall { call, lock, extents });
                }
            }
            2 if env.random.once_in(6) && !self.spaces.is_empty() => {
                let space = env.random.pick(&self.spaces);
                if env.world.is_running(space) {
                    env.world.machine.pmap.end_task(space.task);
                }
                env.record.note(2, || String::from("ends a task"));
            }
            _ => self.ask(env),
        }
    }
}

impl Hostile {
    /// Ends a contract, and goes on with what is below it: whatever could be made there could be made for ever.
    fn cut_off(&mut self, env: &mut Env<'_>) {
        let split = |env: &mut Env<'_>, of, frames| env.world.split(of, (frames, 0, 0), 0);
        let Some(top) = split(env, self.contract, 10) else { return };
        let below = split(env, top, 8).and_then(|middle| Some((middle, split(env, middle, 6)?)));
        let create = ContainerCreate { pages: 1 };
        if let Some((_, deep)) = below {
            let made = (0..DEEP_CONTAINERS).take_while(|_| env.world.ask_badge(deep, &create, &[]).is_ok());
            env.record.note(made.count() as u64, || String::from("cuts off a tree of contracts"));
        }
        if let Err(refused) = env.world.ask(top, &ContractDestroy {}, &[])
            && let Some(wait) = Wait::of(&refused)
        {
            env.world.forget(wait);
        }
        env.world.touched.much = true;
        let Some((middle, deep)) = below else { return };
        for contract in [top, middle, deep] {
            let made = env.world.ask_badge(contract, &create, &[]);
            law!("below-what-ends", made.is_err(), "something is made below a contract that ends");
        }
    }
}

/// Puts a thing in a list of bounded length, in a random place once it is full.
fn put<T>(list: &mut Vec<T>, most: usize, thing: T, env: &mut Env<'_>) {
    if list.len() < most {
        list.push(thing);
    } else {
        list[env.random.below(most as u64) as usize] = thing;
    }
}
