//! Keeps the disk busy with single pages from all over a file.
//!
//! Law 5: the driver's queue is bounded, each request in it is paid for by whoever asked, and others get their turn. No
//! program holds a capability to the block driver itself, so the flood goes through the file server, by several threads at
//! once that read pages which are not cached, each into a container of its own; half of them do not wait for the answer.

use super::Attacker;
use crate::numbered::PATH;
use containers_api::ContainerRights;
use core::time::Duration;
use filesystems_api::file::IoReadContainer;
use kernel_abi::FRAME_BYTES;
use kernel_runtime::containers::{Container, OwnContainer};
use kernel_runtime::files::{Names, Node};
use kernel_runtime::ipc::call;
use kernel_runtime::{Deadline, threads};
use tests_guest::{Failed, Random};
use tests_stress_core::numbered::FILE_BYTES;

/// Further threads.
const THREADS: u64 = 3;
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
        let (container, grant) = lend()?;
        let flood = move || {
            loop {
                let _ = read(&node, &grant, &mut random);
                // A lock that is left over from a read that was given up.
                let _ = container.break_locks(0..1);
            }
        };
        threads::spawn(4, flood).map_err(|error| ("thread", error))?;
    }
    let node = names.lookup(PATH, true).map_err(|error| ("lookup", error))?;
    let (container, grant) = lend()?;
    loop {
        page.outcome(read(&node, &grant, random));
        page.outcome(container.break_locks(0..1));
    }
}

fn lend() -> Result<(OwnContainer, Container), Failed> {
    let container = OwnContainer::new(1).map_err(|error| ("container", error))?;
    let rights = ContainerRights::LOCK | ContainerRights::FILL;
    let grant = container.grant(0..1, rights, LOCK_NS).map_err(|error| ("grant", error))?;
    Ok((container, grant))
}

fn read(
    node: &Node,
    grant: &Container,
    random: &mut Random,
) -> Result<filesystems_api::file::ReadDone, kernel_runtime::files::FileCallError> {
    let offset = random.below(FILE_BYTES / FRAME_BYTES) * FRAME_BYTES;
    let request = IoReadContainer { offset, bytes: FRAME_BYTES, container_offset: 0 };
    let patience = PATIENCE[random.below(2) as usize];
    call(node.handle(), &request, &[grant.handle()], Deadline::after(patience))
}
