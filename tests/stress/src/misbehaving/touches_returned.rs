//! Gives frames back and goes on touching them.
//!
//! Law 3: what was given back belongs to somebody else. The task keeps its mapping, with its entries in page tables and
//! translation buffers, deallocates, and reads and writes the same addresses at once, also from a second thread that never
//! stops. Each touch must be a fault that brings a page of zeros charged to the task, never what lies in the frame now.

use super::Attacker;
use alloc::sync::Arc;
use containers_api::space::MapProtection;
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, Ordering};
use kernel_abi::FRAME_BYTES;
use kernel_runtime::containers::OwnContainer;
use kernel_runtime::memory::Mapping;
use kernel_runtime::{syscall, threads};
use tests_guest::Failed;
use tests_stress_core::tally::Counter;

/// Pages.
const PAGES: u64 = 24;
/// Rounds with one second thread.
const ROUNDS: u32 = 200;
/// Odd pages are the second thread's: it reads them all the time.
const STEP: usize = FRAME_BYTES as usize;

/// Many rounds, then the task has a second thread too many and ends.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let page = &mut attacker.page;
    let container = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
    let mut mapping =
        Mapping::new(&container, 0, PAGES, MapProtection::WRITE).map_err(|error| ("mapping", error))?;
    let watched = Mapping::new(&container, 0, PAGES, MapProtection::empty());
    let watched = watched.map_err(|error| ("mapping", error))?.leak();
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, foreign) = (stop.clone(), Arc::new(AtomicBool::new(false)));
    let seen = foreign.clone();
    threads::spawn(2, move || {
        while !stopped.load(Ordering::Relaxed) {
            // What the task writes itself is [`OWN`]; anything else but zero is somebody else's.
            let strange = black_box(watched).iter().step_by(STEP / 4).any(|&byte| byte != 0 && byte != OWN);
            seen.fetch_or(strange, Ordering::Relaxed);
            syscall::yield_now();
        }
    })
    .map_err(|error| ("thread", error))?;
    for _ in 0..ROUNDS {
        mapping.as_mut_slice().fill(OWN);
        page.outcome(container.deallocate(0..PAGES));
        let found = black_box(mapping.as_slice()).iter().find(|&&byte| byte != 0).copied();
        page.check(found.is_none(), format_args!("a returned page reads {:#x}", found.unwrap_or(0)));
    }
    let strange = foreign.load(Ordering::Relaxed);
    page.check(!strange, format_args!("a second thread has read what is not the task's"));
    stop.store(true, Ordering::Relaxed);
    // The thread's stack stays until the task ends, so the task does.
    page.count(Counter::Tried);
    syscall::task_exit(0)
}

/// What the task writes.
const OWN: u8 = 0xa5;
