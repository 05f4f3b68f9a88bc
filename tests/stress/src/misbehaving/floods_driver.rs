//! Keeps the disk as busy as a program can.
//!
//! Law 5: the driver's queue is bounded, each request in it is paid for by whoever asked, and others get their turn. No
//! program can have a way to the block driver: init gives its endpoint to the file server alone, and whoever has it may read every
//! sector of the disk, whatever the file system allows. So the flood takes the only way there is and makes it as wide as it goes.
//! Each thread lends out of a contract of its own, split off for that: the file server shares its places out by principal, so as
//! many principals as it has places leave none over. No container may be copied from, so nothing that is read is ever cached, and
//! each read goes through the driver to the disk. Single pages from all over the file, or long runs of them; half of the
//! reads are given up while the disk works, and their locks broken under it.

use super::Attacker;
use crate::numbered::PATH;
use containers_api::ContainerRights;
use core::time::Duration;
use filesystems_api::file::{IoReadContainer, ReadDone};
use kernel_abi::FRAME_BYTES;
use kernel_runtime::containers::{Allowance, Container, OwnContainer, OwnContract};
use kernel_runtime::files::{FileCallError, Names, Node};
use kernel_runtime::ipc::call;
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::{Deadline, threads};
use tests_guest::{Failed, Random};
use tests_stress_core::numbered::FILE_BYTES;

/// Further threads: with the first, as many as the file server has places, and two more that wait for one.
const THREADS: u64 = 5;
/// What a thread's contract may have.
const ALLOWANCE: Allowance = Allowance { guaranteed: PAGES + 12, extra_limit: 0, pin_limit: PAGES };
/// Pages of a container, and of the longest read.
const PAGES: u64 = 8;
/// Longest lock.
const LOCK_NS: u64 = 1_000_000_000;
/// How long the patient wait, and the impatient.
const PATIENCE: [Duration; 2] = [Duration::from_secs(5), Duration::from_micros(200)];

/// For ever.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, startup } = attacker;
    let names = Names::from_startup(startup);
    for seed in 0..THREADS {
        let node = names.lookup(PATH, true).map_err(|error| ("lookup", error))?;
        let mut random = Random::new(seed + random.number());
        let lent = Lent::new()?;
        let flood = move || {
            loop {
                let _ = lent.read(&node, &mut random);
                // A lock that is left over from a read that was given up.
                let _ = lent.container.break_locks(0..PAGES);
            }
        };
        threads::spawn(4, flood).map_err(|error| ("thread", error))?;
    }
    let node = names.lookup(PATH, true).map_err(|error| ("lookup", error))?;
    let lent = Lent::new()?;
    loop {
        page.outcome(lent.read(&node, random));
        page.outcome(lent.container.break_locks(0..PAGES));
    }
}

/// Memory to read into, of a principal of its own.
struct Lent {
    // In this order: what is under the contract goes first.
    grant: Container,
    container: OwnContainer,
    _contract: OwnContract,
}

impl Lent {
    fn new() -> Result<Lent, Failed> {
        let contract = OwnContract::split(CONTRACT, &ALLOWANCE, "flood").map_err(|error| ("split", error))?;
        let container =
            OwnContainer::under(contract.handle(), PAGES).map_err(|error| ("container", error))?;
        let rights = ContainerRights::LOCK | ContainerRights::FILL;
        let grant = container.grant(0..PAGES, rights, LOCK_NS).map_err(|error| ("grant", error))?;
        Ok(Lent { grant, container, _contract: contract })
    }

    /// Reads a page or several from anywhere in the file.
    fn read(&self, node: &Node, random: &mut Random) -> Result<ReadDone, FileCallError> {
        let pages = if random.below(2) == 0 { 1 } else { PAGES };
        let offset = random.below(FILE_BYTES / FRAME_BYTES - pages) * FRAME_BYTES;
        let request = IoReadContainer { offset, bytes: pages * FRAME_BYTES, container_offset: 0 };
        let patience = PATIENCE[random.below(2) as usize];
        call(node.handle(), &request, &[self.grant.handle()], Deadline::after(patience))
    }
}
