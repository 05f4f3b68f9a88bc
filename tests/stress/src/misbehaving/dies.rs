//! Dies at every step of each protocol.
//!
//! Laws 7 and 9: whoever dies, at whatever instruction, leaves nothing behind and keeps nobody waiting. A life is a walk
//! through all that a program does with physmem and the file servers: contract, container, mapping, grant, locks of every
//! mode, passing a lock on, a logical copy, a read, a child. After a random number of steps it ends: by itself, by a fault,
//! or in a second thread while the first is in the middle of a call. The supervisor checks that its contract and all that
//! it held are gone, and starts it again with other numbers.

use super::Attacker;
use crate::numbered::PATH;
use crate::page::Page;
use containers_api::space::MapProtection;
use containers_api::{ContainerRights, LockMode};
use core::hint::black_box;
use kernel_runtime::containers::{Allowance, OwnContainer, OwnContract};
use kernel_runtime::files::Names;
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::memory::Mapping;
use kernel_runtime::{syscall, threads};
use tests_guest::{Failed, Random};
use tests_stress_core::tally::Counter;

/// Steps of a whole life.
const STEPS: u64 = 16;
/// Pages of the container.
const PAGES: u64 = 8;
/// Term of a lock.
const TERM_NS: u64 = 1_000_000_000;
/// Longest wait of the second thread, in yields.
const YIELDS: u64 = 2000;

/// How many steps are left.
struct Life {
    left: u64,
    by_fault: bool,
}

impl Life {
    /// Counts a step, and ends the task if it was the last.
    fn step(&mut self, page: &mut Page) {
        page.count(Counter::Tried);
        if self.left == 0 {
            page.count(Counter::Granted);
            if self.by_fault {
                fault();
            }
            syscall::task_exit(0);
        }
        self.left -= 1;
    }
}

/// One life.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, startup } = attacker;
    let mut life = Life { left: random.below(STEPS), by_fault: random.below(2) == 0 };
    if random.below(3) == 0 {
        // Somewhere in the middle of a call.
        life.left = STEPS;
        die_later(random)?;
    }
    let names = Names::from_startup(startup);
    life.step(page);
    let allowance = Allowance { guaranteed: 32, extra_limit: 0, pin_limit: PAGES };
    let contract = OwnContract::split(CONTRACT, &allowance, "doomed").map_err(|error| ("split", error))?;
    life.step(page);
    let below = OwnContainer::under(contract.handle(), PAGES).map_err(|error| ("container", error))?;
    life.step(page);
    let container = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
    life.step(page);
    let mut mapping =
        Mapping::new(&container, 0, PAGES, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
    life.step(page);
    mapping.as_mut_slice().fill(7);
    life.step(page);
    let rights = ContainerRights::LOCK | ContainerRights::FILL | ContainerRights::COPY_OUT;
    let grant = container.grant(0..PAGES, rights, TERM_NS).map_err(|error| ("grant", error))?;
    life.step(page);
    let mode = [LockMode::Fill, LockMode::Dma][random.below(2) as usize];
    let locked = grant.lock(0..PAGES, mode, TERM_NS).map_err(|error| ("lock", error))?;
    life.step(page);
    let passed = grant.lock_pass(locked.lock, LockMode::Dma, TERM_NS).map_err(|error| ("pass", error))?;
    life.step(page);
    drop(passed);
    container.break_locks(0..PAGES).map_err(|error| ("break", error))?;
    life.step(page);
    container.copy_to(0, &below, 0, PAGES * 4096).map_err(|error| ("copy", error))?;
    life.step(page);
    let node = names.lookup(PATH, true).map_err(|error| ("lookup", error))?;
    life.step(page);
    node.read_container(random.below(1 << 20) << 3, PAGES * 4096, &grant, 0)
        .map_err(|error| ("read", error))?;
    life.step(page);
    container.revoke(&grant, false).map_err(|error| ("revoke", error))?;
    life.step(page);
    below.seal().map_err(|error| ("seal", error))?;
    life.step(page);
    drop(contract);
    life.step(page);
    syscall::task_exit(0)
}

/// A second thread ends the task while the first is anywhere.
fn die_later(random: &mut Random) -> Result<(), Failed> {
    let yields = random.below(YIELDS);
    let end = move || {
        (0..yields).for_each(|_| syscall::yield_now());
        syscall::task_exit(3)
    };
    threads::spawn(2, end).map_err(|error| ("thread", error).into())
}

/// Touches what is not there any more.
fn fault() {
    let Ok(container) = OwnContainer::new(1) else { return };
    if let Ok(mapping) = Mapping::new(&container, 0, 1, MapProtection::empty()) {
        let _ = container.resize(0);
        black_box(black_box(mapping.as_slice())[0]);
    }
}
