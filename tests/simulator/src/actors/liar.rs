//! A lying server: clients lend it ranges, and it fills too much, too little, or never; it goes on when its lock is over; it
//! tries to reach what lies beside the range, and to carry things from one client's container into another's.
//!
//! It may damage what it was lent, for as long as it was lent. Everything else is a broken law, and it looks for most of
//! them itself: whatever it is granted that a lock or a grant should have kept from it.

use crate::contents::{FRAME, SECTOR};
use crate::env::{Counter, Env, ReadAnswer, ReadCall};
use crate::law;
use crate::laws::{frame_of, granted_on, is_revoking};
use crate::world::{Refused, Space, Touch, Wait};
use containers_api::contract::ContractDestroy;
use containers_api::space::Unmap;
use containers_api::{LockMode, MemoryError, container};
use filesystems_api::file::ReadDone;
use kernel_abi::FRAME_BYTES;
use kernel_protocol::Request;

/// The byte that it writes. Hostile clients have smaller ones.
pub const BYTE: u8 = 0x3f;
/// Ranges that it keeps a way to, also when they are not lent any more.
const RANGES: usize = 6;
/// Locks that it remembers, also when they are over.
const LOCKS: usize = 8;
/// Pages between the places where ranges are mapped.
const PLACE: u64 = 512;
/// Frames that it may have: guarantee, extra limit and pin limit.
pub const ALLOWANCE: (u64, u64, u64) = (22, 0, 0);

/// A range that it was lent.
#[derive(Clone, Copy)]
struct Lent {
    asked: ReadCall,
    pages: u64,
    mapped: bool,
}

/// A lock that it took, as far as it knows.
#[derive(Clone, Copy)]
struct Held {
    grant: u64,
    lock: u64,
    first_page: u64,
    pages: u64,
    mode: LockMode,
    expires: u64,
}

/// See the module.
pub struct Liar {
    contract: u64,
    space: Space,
    lent: [Option<Lent>; RANGES],
    locks: Vec<Held>,
}

impl Liar {
    /// One under a new contract; none if there is no memory for it now.
    pub fn new(env: &mut Env<'_>, parent: u64) -> Option<Liar> {
        let contract = env.world.split(parent, ALLOWANCE, 0)?;
        match env.world.space(contract) {
            Ok(space) => Some(Liar { contract, space, lent: [None; RANGES], locks: Vec::new() }),
            Err(_) => {
                let result = env.world.ask(contract, &ContractDestroy {}, &[]);
                super::require_destroyed(env, result);
                None
            }
        }
    }

    /// Ends in the middle of whatever it does.
    pub fn destroy(self, env: &mut Env<'_>) {
        let result = env.world.ask(self.contract, &ContractDestroy {}, &[]);
        super::require_destroyed(env, result);
        let pending = self.lent.into_iter().flatten().map(|lent| lent.asked);
        for asked in pending.chain(std::mem::take(&mut env.to_liar)) {
            env.to_clients[asked.client].push(ReadAnswer { call: asked.call, result: None });
        }
    }

    /// Takes a step.
    pub fn step(&mut self, env: &mut Env<'_>) {
        let index = env.random.below(RANGES as u64) as usize;
        let Some(lent) = self.lent[index] else { return self.take_on(env, index) };
        env.record.count(Counter::Lies);
        if granted_on(&env.world, lent.asked.container).is_none() && !env.random.once_in(8) {
            return self.forget(env, index, lent);
        }
        match env.random.below(20) {
            0..4 => self.lock(env, lent),
            4..12 if !lent.mapped => self.map(env, index, lent),
            4..12 => self.fill(env, index, lent),
            12..14 => self.unlock(env, lent),
            14 => self.use_foreign_lock(env, lent),
            15 => self.carry(env, lent),
            16 => self.reach_beyond(env, lent),
            17 => self.do_as_the_owner(env, lent),
            18 => self.answer(env, lent),
            _ if env.random.once_in(4) => self.forget(env, index, lent),
            _ => {}
        }
    }

    fn take_on(&mut self, env: &mut Env<'_>, index: usize) {
        if let Some(asked) = env.to_liar.pop_front() {
            env.record.note(asked.call, || format!("the liar takes on a range of client {}", asked.client));
            let pages = asked.bytes / FRAME_BYTES;
            self.lent[index] = Some(Lent { asked, pages, mapped: false });
        }
    }

    fn lock(&mut self, env: &mut Env<'_>, lent: Lent) {
        if self.locks.len() == LOCKS {
            let now = env.now();
            let Some(over) = self.locks.iter().position(|held| held.expires <= now) else { return };
            self.locks.remove(over);
        }
        let first_page = env.random.below(lent.pages);
        let pages = 1 + env.random.below(lent.pages - first_page);
        let mode = env.random.pick(&[LockMode::Fill, LockMode::Fill, LockMode::Dma, LockMode::Stable]);
        let term_ns = env.random.pick(&[1_000, 1_000_000, 100_000_000, 60_000_000_000]);
        let grant = lent.asked.container;
        let request = container::Lock { first_page, pages, mode, term_ns };
        let result = env.world.ask(grant, &request, &[]);
        env.record.note(pages, || format!("the liar locks {pages} pages, {mode:?}: {result:?}"));
        match result {
            Ok(locked) => {
                env.record.count(Counter::Locks);
                let waits = is_revoking(&env.world, grant);
                law!("owner-gets-range-back", !waits, "its owner waits for a range, and it is locked again");
                let (lock, expires) = (locked.lock, locked.expires);
                self.locks.push(Held { grant, lock, first_page, pages, mode, expires });
            }
            Err(refused) => forget_wait(env, &refused),
        }
    }

    fn map(&mut self, env: &mut Env<'_>, index: usize, lent: Lent) {
        let result = env.world.map(self.space, lent.asked.container, (place(index), 0, lent.pages), true);
        if let Err(refused) = &result {
            forget_wait(env, refused);
        }
        if let Some(lent) = &mut self.lent[index] {
            lent.mapped |= result.is_ok();
        }
    }

    /// Writes to a page of the range, under a lock or not.
    fn fill(&mut self, env: &mut Env<'_>, index: usize, lent: Lent) {
        if !env.world.is_running(self.space) {
            return;
        }
        // Where it had a lock once, mostly.
        let grant = lent.asked.container;
        let held =
            self.locks.iter().rev().find(|held| held.grant == grant).filter(|_| !env.random.once_in(4));
        let page = held.map_or_else(|| env.random.below(lent.pages), |held| held.first_page);
        let write = !env.random.once_in(3);
        let now = env.now();
        let allows = |held: &Held| {
            let covers = page >= held.first_page && page < held.first_page + held.pages;
            let mode = if write { held.mode == LockMode::Fill } else { held.mode != LockMode::Dma };
            held.grant == grant && covers && mode && now < held.expires
        };
        let allowed = self.locks.iter().any(allows);
        match env.world.touch(self.space, place(index) + page * FRAME_BYTES, write) {
            Touch::Frame(frame) => {
                law!("locks-shut-out", allowed, "the liar reaches page {page} and has no lock on it");
                env.record.count(Counter::LiesFilled);
                if write {
                    let sectors = env.random.between(1, (FRAME / SECTOR) as u64 + 1) as usize;
                    env.world.frame(frame)[..sectors * SECTOR].fill(BYTE);
                }
            }
            // Another of its threads goes on.
            Touch::Waits(wait) => env.world.forget(wait),
            Touch::Ended(_) => {}
        }
    }

    /// Ends a lock, and says more or less than the truth about what it filled.
    fn unlock(&mut self, env: &mut Env<'_>, lent: Lent) {
        let Some(held) = self.some_lock(env) else { return };
        let filled_bytes = env.random.below((held.pages + 1) * FRAME_BYTES / SECTOR as u64) * SECTOR as u64;
        let container = granted_on(&env.world, held.grant);
        let request = container::Unlock { lock: held.lock, filled_bytes };
        let result = env.world.ask(held.grant, &request, &[]);
        env.record.note(filled_bytes, || format!("the liar unlocks, {filled_bytes} filled: {result:?}"));
        if let Err(refused) = &result {
            let known = [MemoryError::LockGone, MemoryError::OutOfRange, MemoryError::Stale];
            return law!("typed-answers", known.contains(&refused.error), "{:?}", refused.error);
        }
        let now = env.now();
        law!("lock-terms", now < held.expires, "a lock of {} is unlocked at {now}", held.expires);
        self.locks.retain(|other| other.lock != held.lock);
        if held.mode == LockMode::Stable {
            return;
        }
        if let Some((badge, first)) = container.filter(|_| held.grant == lent.asked.container) {
            require_zero_tail(env, badge, first + held.first_page, held.pages, filled_bytes);
        }
    }

    fn some_lock(&self, env: &mut Env<'_>) -> Option<Held> {
        (!self.locks.is_empty()).then(|| env.random.pick(&self.locks))
    }

    /// Uses a lock through the way to another range, or when it is over.
    fn use_foreign_lock(&mut self, env: &mut Env<'_>, lent: Lent) {
        let Some(held) = self.some_lock(env) else { return };
        let foreign = held.grant != lent.asked.container;
        let over = env.now() >= held.expires;
        if !foreign && !over {
            return;
        }
        let (lock, mode, filled_bytes) = (held.lock, LockMode::Stable, 0);
        let result = match env.random.below(3) {
            0 => env.world.ask(lent.asked.container, &container::Unlock { lock, filled_bytes }, &[]),
            1 => {
                env.world.ask(lent.asked.container, &container::LockChange { lock, mode, filled_bytes }, &[])
            }
            _ => env.world.ask(lent.asked.container, &container::LockPass { lock, mode, term_ns: 9 }, &[]),
        };
        let law = if foreign { "grants-bound" } else { "lock-terms" };
        law!(law, result.is_err(), "the liar uses lock {} that is not there", held.lock);
        env.record.count(Counter::LiesRefused);
    }

    /// Copies from one client's range to another's, which no right to read out allows.
    fn carry(&mut self, env: &mut Env<'_>, lent: Lent) {
        let others = self.lent.iter().flatten().map(|lent| lent.asked.container);
        let others: Vec<u64> = others.filter(|&other| other != lent.asked.container).collect();
        if others.is_empty() {
            return;
        }
        let target = env.random.pick(&others);
        let request = container::Copy { source_offset: 0, destination_offset: 0, bytes: FRAME_BYTES };
        let result = env.world.ask(lent.asked.container, &request, &[target]);
        law!("grants-bound", result.is_err(), "the liar copies out of a range without the right to");
        env.record.count(Counter::LiesRefused);
    }

    /// Locks or maps what lies behind the range.
    fn reach_beyond(&mut self, env: &mut Env<'_>, lent: Lent) {
        let grant = lent.asked.container;
        let (mode, term_ns) = (LockMode::Fill, 1_000_000_000);
        let granted = if env.random.once_in(2) {
            let request = container::Lock { first_page: lent.pages, pages: 1, mode, term_ns };
            env.world.ask(grant, &request, &[]).is_ok()
        } else {
            let at = (place(RANGES), 0, lent.pages + 1);
            env.world.map(self.space, grant, at, true).is_ok()
        };
        law!("grants-bound", !granted, "the liar gets what lies behind its {} pages", lent.pages);
        env.record.count(Counter::LiesRefused);
    }

    /// What only the owner may.
    fn do_as_the_owner(&mut self, env: &mut Env<'_>, lent: Lent) {
        let grant = lent.asked.container;
        let sent: &[u64] = &[grant];
        let rights = containers_api::ContainerRights::all();
        let widen = container::Grant { first_page: 0, pages: 1, rights, maximum_lock_ns: u64::MAX };
        let granted = match env.random.below(8) {
            0 => done(env, grant, &container::Deallocate { first_page: 0, pages: 1 }, &[]),
            1 => done(env, grant, &container::Resize { pages: 1 }, &[]),
            2 => done(env, grant, &container::BreakLocks { first_page: 0, pages: 1 }, &[]),
            3 => done(env, grant, &container::ContainerDestroy {}, &[]),
            4 => done(env, grant, &container::Seal {}, &[]),
            5 => done(env, grant, &container::SetEviction { rank: 1, discardable: true, vital: false }, &[]),
            6 => done(env, grant, &container::Revoke { break_locks: true }, sent),
            _ => done(env, grant, &widen, &[]),
        };
        law!("grants-bound", !granted, "the liar does what only the owner may");
        env.record.count(Counter::LiesRefused);
    }

    /// Says something to its client; the range stays in its hands.
    fn answer(&mut self, env: &mut Env<'_>, lent: Lent) {
        let bytes = env.random.below(lent.asked.bytes * 2);
        let done = ReadDone { bytes, error: 0, moved_bytes: bytes, dma_bytes: 0 };
        env.record.note(bytes, || format!("the liar tells client {} of {bytes} bytes", lent.asked.client));
        let answer = ReadAnswer { call: lent.asked.call, result: Some(Ok(done)) };
        env.to_clients[lent.asked.client].push(answer);
    }

    /// Makes room for another range. What it has not answered its client waits for in vain.
    fn forget(&mut self, env: &mut Env<'_>, index: usize, lent: Lent) {
        if lent.mapped {
            let request = Unmap { address: place(index), pages: lent.pages };
            if let Err(refused) = env.world.ask(self.space.badge, &request, &[]) {
                return forget_wait(env, &refused);
            }
        }
        self.lent[index] = None;
    }
}

/// Where a range is mapped.
fn place(index: usize) -> u64 {
    PLACE * (index as u64 + 1) * FRAME_BYTES
}

fn forget_wait(env: &mut Env<'_>, refused: &Refused) {
    Wait::of(refused).into_iter().for_each(|wait| env.world.forget(wait));
}

/// Whether a request was done.
fn done<Q>(env: &mut Env<'_>, badge: u64, request: &Q, sent: &[u64]) -> bool
where
    Q: Request<Error = MemoryError>,
{
    let result = env.world.ask(badge, request, sent);
    if let Err(refused) = &result {
        forget_wait(env, refused);
    }
    result.is_ok()
}

/// Behind the bytes that were said to be filled there are zeros, whatever was written there.
fn require_zero_tail(env: &mut Env<'_>, badge: u64, first: u64, pages: u64, filled: u64) {
    for at in (filled..pages * FRAME_BYTES).step_by(SECTOR) {
        let Some(frame) = frame_of(&env.world, badge, first + at / FRAME_BYTES) else { continue };
        let within = (at % FRAME_BYTES) as usize;
        let is_zero = env.world.frame(frame)[within..within + SECTOR].iter().all(|&byte| byte == 0);
        law!("tails-are-zero", is_zero, "byte {at} of a range of which {filled} bytes were filled");
    }
}
