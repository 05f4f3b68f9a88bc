//! Breaks the file server's lock in mid fill and rewrites the data, hoping that the file server caches what it wrote.
//!
//! Laws 3 and 7: the owner may break a lock at any moment, and then the pages are its own again; but the file server copies
//! into its cache only what is under its lock and of the version that it locked. One thread reads parts of the file that
//! everybody reads; another breaks locks, revokes, and writes garbage, all the time, so that some of it falls in the middle
//! of a fill and some in the instant after an unlock. The good readers of the same file must never see the garbage.

use super::Attacker;
use crate::numbered::PATH;
use alloc::sync::Arc;
use containers_api::ContainerRights;
use containers_api::space::MapProtection;
use core::sync::atomic::{AtomicBool, Ordering};
use kernel_abi::FRAME_BYTES;
use kernel_runtime::containers::{Container, OwnContainer};
use kernel_runtime::files::Names;
use kernel_runtime::memory::Mapping;
use kernel_runtime::{syscall, threads};
use tests_guest::Failed;
use tests_stress_core::numbered::FILE_BYTES;

/// Pages of one read.
const PAGES: u64 = 8;
/// Reads until the task ends, with its second thread.
const READS: u32 = 400;
/// Longest lock.
const LOCK_NS: u64 = 1_000_000_000;

/// Many reads, then the end.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, startup } = attacker;
    let node = Names::from_startup(startup).lookup(PATH, true).map_err(|error| ("lookup", error))?;
    let container = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
    let rights = ContainerRights::LOCK | ContainerRights::FILL | ContainerRights::COPY_OUT;
    let breaker = container.share(ContainerRights::all()).map_err(|error| ("share", error))?;
    let mut garbage =
        Mapping::new(&container, 0, PAGES, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    threads::spawn(4, move || {
        while !stopped.load(Ordering::Relaxed) {
            write_garbage(&breaker, &mut garbage);
        }
    })
    .map_err(|error| ("thread", error))?;
    for _ in 0..READS {
        let offset = random.below(FILE_BYTES / FRAME_BYTES - PAGES) * FRAME_BYTES;
        if let Some(grant) = page.outcome(container.grant(0..PAGES, rights, LOCK_NS)) {
            page.outcome(node.read_container(offset, PAGES * FRAME_BYTES, &grant, 0));
            let _ = container.revoke(&grant, true);
        }
    }
    stop.store(true, Ordering::Relaxed);
    syscall::task_exit(0)
}

/// Takes the pages away from whoever has them, and writes.
fn write_garbage(breaker: &Container, garbage: &mut Mapping) {
    let _ = breaker.break_locks(0..PAGES);
    garbage.as_mut_slice().iter_mut().step_by(64).for_each(|byte| *byte = 0xee);
    syscall::yield_now();
}
