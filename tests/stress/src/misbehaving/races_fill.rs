//! Writes from a second thread while the file server fills.
//!
//! Law 7, and the promise of a fill lock: the owner's mappings are taken away, so there is no race between check and use;
//! the writer waits in a page fault until the lock ends. The second thread writes the first byte of every page, all the
//! time. All other bytes are the file server's: after each read they must be those of the file, and the first bytes either
//! the file's or the thread's.

use super::Attacker;
use crate::numbered::{PATH, word};
use alloc::sync::Arc;
use containers_api::ContainerRights;
use containers_api::space::MapProtection;
use core::sync::atomic::{AtomicBool, Ordering};
use kernel_abi::FRAME_BYTES;
use kernel_runtime::containers::OwnContainer;
use kernel_runtime::files::Names;
use kernel_runtime::memory::Mapping;
use kernel_runtime::{syscall, threads};
use tests_guest::Failed;
use tests_stress_core::numbered::FILE_BYTES;

/// Pages of one read.
const PAGES: u64 = 8;
/// Reads until the task ends, with its second thread.
const READS: u32 = 300;
/// Longest lock.
const LOCK_NS: u64 = 10_000_000_000;
/// What the second thread writes.
const MARK: u8 = 0x77;

/// Many reads, then the end.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let Attacker { page, random, startup } = attacker;
    let node = Names::from_startup(startup).lookup(PATH, true).map_err(|error| ("lookup", error))?;
    let container = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
    let rights = ContainerRights::LOCK | ContainerRights::FILL | ContainerRights::COPY_OUT;
    let grant = container.grant(0..PAGES, rights, LOCK_NS).map_err(|error| ("grant", error))?;
    let mut written =
        Mapping::new(&container, 0, PAGES, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
    let read =
        Mapping::new(&container, 0, PAGES, MapProtection::empty()).map_err(|error| ("mapping", error))?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    threads::spawn(4, move || {
        while !stopped.load(Ordering::Relaxed) {
            written.as_mut_slice().iter_mut().step_by(FRAME_BYTES as usize).for_each(|byte| *byte = MARK);
            syscall::yield_now();
        }
    })
    .map_err(|error| ("thread", error))?;
    for _ in 0..READS {
        let offset = random.below(FILE_BYTES / FRAME_BYTES - PAGES) * FRAME_BYTES;
        let done = page.outcome(node.read_container(offset, PAGES * FRAME_BYTES, &grant, 0));
        let bytes = done.filter(|done| done.error == 0).map_or(0, |done| done.bytes);
        let wrong = first_wrong(&read.as_slice()[..bytes as usize], offset);
        page.check(wrong.is_none(), format_args!("byte {} of the file is wrong", wrong.unwrap_or(0)));
    }
    stop.store(true, Ordering::Relaxed);
    syscall::task_exit(0)
}

/// The first byte that neither the file nor the second thread has put there.
fn first_wrong(bytes: &[u8], offset: u64) -> Option<u64> {
    let is_wrong = |(index, byte): (usize, &u8)| {
        let place = offset + index as u64;
        let expected = word(place / 8).to_le_bytes()[place as usize % 8];
        let is_raced = place.is_multiple_of(FRAME_BYTES) && *byte == MARK;
        (*byte != expected && !is_raced).then_some(place)
    };
    bytes.iter().enumerate().find_map(is_wrong)
}
