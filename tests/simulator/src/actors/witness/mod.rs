//! A witness: a well-behaved client that knows what every byte of its memory must be, and what it is promised.
//!
//! It has one thread, one address space, a few containers mapped at places of their own. Whatever it sees that its model
//! does not explain breaks the law `contents`; what it is refused that it is promised, `guarantee`.

mod ladder;
mod lies;
mod memory;
mod own_locks;
mod promises;
mod reads;

use crate::contents::{Page, ZEROS};
use crate::env::{Counter, Env};
use crate::law;
use crate::world::{Space, Wait};
use containers_api::{ContainerRights, container, contract};
use containers_core::record::{Contract, Records};
use kernel_abi::FRAME_BYTES;
use ladder::Ladder;
use own_locks::OwnLock;
use physmem_core::badge::Badge;
use physmem_core::limits::CONTRACT_TERM_MIN_NS;
use reads::Loan;

/// First page of the place where the container with an index is mapped: each has a page table of its own.
const PLACE: u64 = 512;
/// Containers of a witness.
const CONTAINERS: usize = 3;
/// How long a contract may take to go once its term is over.
const ENDING_SLACK_NS: u64 = 20_000_000;
/// Frames that bookkeeping and page tables of one request may need at most.
const SLACK: u64 = 8;

/// A way for the file server to a container.
#[derive(Clone, Copy)]
struct Grant {
    badge: u64,
    maximum_lock_ns: u64,
}

/// A container and what it must hold.
struct Holding {
    badge: u64,
    pages: Vec<Page>,
    version: u64,
    sealed: bool,
    discardable: bool,
    vital: bool,
    /// Pages that are gone, when it looked last.
    lost: u64,
    grant: Option<Grant>,
    loan: Option<Loan>,
    own: Option<OwnLock>,
}

impl Holding {
    /// Whether a page may be in the file server's hands.
    fn is_lent(&self, page: u64) -> bool {
        let own = self.own.as_ref().is_some_and(|own| own.covers(page));
        own || self.loan.as_ref().is_some_and(|loan| loan.covers(page))
    }

    fn any_lent(&self, first: u64, pages: u64) -> bool {
        (first..first + pages).any(|page| self.is_lent(page))
    }
}

/// What the thread waits for.
enum State {
    Ready,
    /// A fault, until the lock in its way has ended, at this moment at the latest.
    Faulting(Wait, u64),
    /// Frames that the guarantee covers. How long it may take is looked after by the world.
    Waiting(Wait),
    /// A revoke, the same; of which container.
    Revoking(Wait, u64, usize),
}

/// See the module.
pub struct Witness {
    index: usize,
    /// Its contract.
    pub contract: u64,
    guaranteed: u64,
    space: Space,
    holdings: Vec<Holding>,
    state: State,
    /// The page of a container that its thread was about to touch when it had to wait for the pager.
    interrupted: Option<(usize, u64)>,
    written: u64,
    /// Its task has ended, and physmem was not told.
    ended: bool,
    ladder: Ladder,
    /// When its contract ends; `u64::MAX`: never.
    expires: u64,
}

impl Witness {
    /// A witness under a new contract; none if the parent cannot give as much now.
    pub fn new(env: &mut Env<'_>, index: usize, parent: u64, allowance: (u64, u64, u64)) -> Option<Witness> {
        let (guaranteed, extra, pins) = allowance;
        let terms = env.mix.terms;
        let has_term = terms != 0 && env.random.once_in(terms);
        let term = if has_term { env.random.between(CONTRACT_TERM_MIN_NS, 3_000_000_000) } else { 0 };
        let contract = env.world.split_swapping(parent, (guaranteed, extra, pins), term)?;
        env.record.count(Counter::Splits);
        let mut this = Witness {
            index,
            contract,
            guaranteed,
            space: Space::NONE,
            holdings: Vec::new(),
            state: State::Ready,
            interrupted: None,
            written: env.next_call() << 20,
            ended: false,
            expires: if term == 0 { u64::MAX } else { env.now() + term },
            ladder: Ladder::new(&mut env.random, extra),
        };
        // What the pager does not bring back is gone.
        this.ladder.may_lose |= env.world.swap_limit != 0;
        if env.random.once_in(2) {
            this.ladder.watches = env.world.watch(contract);
        }
        match env.world.space(contract) {
            Ok(space) => this.space = space,
            Err(refused) => this.require_scarce(env, refused, 6),
        }
        let size = (guaranteed.saturating_sub(SLACK + 2) / 2).clamp(1, 16).max(env.mix.pages - 15);
        for _ in 0..CONTAINERS {
            let pages = 1 + env.random.below(size);
            this.make_container(env, pages);
        }
        Some(this)
    }

    fn make_container(&mut self, env: &mut Env<'_>, pages: u64) {
        match env.world.ask_badge(self.contract, &contract::ContainerCreate { pages }, &[]) {
            Ok(badge) => {
                let place = self.holdings.len();
                let holding = Holding {
                    badge,
                    pages: vec![ZEROS; pages as usize],
                    version: 0,
                    sealed: false,
                    discardable: false,
                    vital: false,
                    lost: 0,
                    grant: None,
                    loan: None,
                    own: None,
                };
                self.holdings.push(holding);
                self.map_again(env, place);
                if env.mix.politics != 0 && env.random.once_in(2) {
                    self.set_eviction(env, place);
                }
            }
            Err(refused) => self.require_scarce(env, refused, 2),
        }
    }

    /// Maps a container at its place, where nothing is mapped.
    fn map_again(&mut self, env: &mut Env<'_>, place: usize) {
        if self.space.badge == 0 {
            return;
        }
        let holding = &self.holdings[place];
        let at = (address(place, 0), 0, holding.pages.len() as u64);
        match env.world.map(self.space, holding.badge, at, !holding.sealed) {
            Ok(()) => {}
            Err(refused) => self.require_scarce(env, refused, 2),
        }
    }

    /// Takes a step. False: its contract is over.
    pub fn step(&mut self, env: &mut Env<'_>) -> bool {
        if env.now() >= self.expires {
            return !self.is_over(env);
        }
        self.live(env);
        true
    }

    /// Whether its contract, whose term is over, is gone.
    fn is_over(&mut self, env: &mut Env<'_>) -> bool {
        let gone = env.world.machine.resolve::<Contract>(Badge(self.contract).name()).is_none();
        let late = env.now() > self.expires + ENDING_SLACK_NS;
        law!("contract-terms", gone || !late, "a contract of {} is there at {}", self.expires, env.now());
        if gone {
            env.record.count(Counter::Expired);
            env.to_clients[self.index].clear();
        }
        gone
    }

    fn live(&mut self, env: &mut Env<'_>) {
        match self.state {
            State::Ready => self.act(env),
            State::Waiting(wait) => {
                if env.world.is_over(wait).is_some() {
                    self.state = State::Ready;
                } else if env.random.once_in(3) {
                    // Another thread of it answers calls.
                    self.answer_call(env);
                }
            }
            State::Faulting(wait, until) => {
                if env.world.is_over(wait).is_some() {
                    self.state = State::Ready;
                } else {
                    law!(
                        "waits-end",
                        env.now() <= until,
                        "a fault waits at {}, longer than to {until}",
                        env.now()
                    );
                }
            }
            State::Revoking(wait, until, place) => {
                if env.world.is_over(wait).is_some() {
                    self.state = State::Ready;
                    if place < self.holdings.len() {
                        self.holdings[place].grant = None;
                        self.settle(env, place);
                    }
                } else {
                    law!(
                        "waits-end",
                        env.now() <= until,
                        "a revoke waits at {}, longer than to {until}",
                        env.now()
                    );
                }
            }
        }
    }

    fn act(&mut self, env: &mut Env<'_>) {
        if self.find_losses(env) {
            return;
        }
        for place in 0..self.holdings.len() {
            if self.holdings[place].loan.is_some() && self.take_answer(env, place) {
                return;
            }
        }
        if self.space.badge == 0 {
            return self.restart_task(env);
        }
        if let Some((place, page)) = self.interrupted.take() {
            return self.touch_again(env, place, page);
        }
        let place = env.random.below(CONTAINERS as u64) as usize;
        if place >= self.holdings.len() {
            let pages = 1 + env.random.below(8);
            return self.make_container(env, pages);
        }
        env.record.count(Counter::Requests);
        if self.holdings[place].own.is_some() {
            return self.use_own_lock(env, place);
        }
        let reads = env.mix.reads;
        match env.random.below(100 + reads) {
            0..44 => self.touch_page(env, place),
            44..56 => self.change_range(env, place),
            56..70 => self.copy(env, place),
            70..74 => self.move_pages(env, place),
            74..78 => self.remap(env, place),
            78..81 => self.resize(env, place),
            81 => self.break_locks(env, place),
            82..84 => self.revoke(env, place),
            84 if env.random.once_in(2) => self.replace(env, place),
            85 if env.random.once_in(2) => self.seal(env, place),
            84..92 => self.protect(env, place),
            92 => self.restart_task(env),
            93..95 => self.compare_all(env, place),
            95 => self.lock_own(env, place),
            96 => self.set_eviction(env, place),
            97 => self.renew(env),
            98..100 => self.answer_call(env),
            _ if env.mix.lies != 0 && env.random.once_in(env.mix.lies * 2) => self.lend_to_liar(env, place),
            _ => self.read(env, place),
        }
    }

    /// Ends by itself, or is ended: everything goes.
    pub fn destroy(&mut self, env: &mut Env<'_>) {
        if env.now() >= self.expires {
            // It goes by itself.
            return env.to_clients[self.index].clear();
        }
        env.record.count(Counter::Destroyed);
        let result = env.world.ask(self.contract, &contract::ContractDestroy {}, &[]);
        crate::actors::require_destroyed(env, result);
        env.to_clients[self.index].clear();
    }
}

/// Where a page of a container is mapped.
fn address(place: usize, page: u64) -> u64 {
    (PLACE * (place as u64 + 1) + page) * FRAME_BYTES
}

/// The rights that a grant for the file server has.
fn server_rights(copy_out: bool, lock: bool) -> ContainerRights {
    let mut rights = ContainerRights::FILL;
    rights.set(ContainerRights::COPY_OUT, copy_out);
    rights.set(ContainerRights::LOCK, lock);
    rights
}

/// A grant on some pages of a container.
fn grant_request(
    first_page: u64,
    pages: u64,
    rights: ContainerRights,
    maximum_lock_ns: u64,
) -> container::Grant {
    container::Grant { first_page, pages, rights, maximum_lock_ns }
}
