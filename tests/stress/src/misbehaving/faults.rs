//! Faults, recursively and in every way there is.
//!
//! Laws 5 and 9: a fault that cannot be resolved ends its thread with a reason, never the system, and never anybody else.
//! Threads recurse without end into the guard page below their stack, touch what is not mapped, what is read-only, what
//! lies beyond the end of its container, what is locked; they do it at the same time on the same pages. When no more
//! threads can be made, the first thread recurses too, which ends the task.

use super::Attacker;
use alloc::sync::Arc;
use containers_api::LockMode;
use containers_api::space::MapProtection;
use core::hint::black_box;
use kernel_abi::FRAME_BYTES;
use kernel_runtime::containers::OwnContainer;
use kernel_runtime::memory::Mapping;
use kernel_runtime::{syscall, threads};
use tests_guest::Failed;
use tests_stress_core::tally::Counter;

/// Threads of one life of the task.
const THREADS: u32 = 24;
/// Pages of the container.
const PAGES: u64 = 4;
/// Term of a lock.
const TERM_NS: u64 = 3_000_000;

/// Until the task has ended.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let container = OwnContainer::new(PAGES).map_err(|error| ("container", error))?;
    let container = Arc::new(container);
    for _ in 0..THREADS {
        attacker.page.count(Counter::Tried);
        let way = attacker.random.below(4);
        let shared = container.clone();
        let made = threads::spawn(2, move || match way {
            0 => drop(recurse(0)),
            1 => touch_beyond(&shared),
            2 => touch_locked(&shared),
            _ => touch_nothing(&shared),
        });
        if made.is_err() {
            attacker.page.count(Counter::Refused);
            break;
        }
        attacker.page.count(Counter::Granted);
        syscall::yield_now();
    }
    let _ = recurse(0);
    Ok(())
}

/// Until the stack ends.
#[expect(unconditional_recursion, reason = "that is the attack")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse(black_box(frame[7]) + 1) + frame[3]
}

/// The container shrinks under its mapping.
fn touch_beyond(container: &OwnContainer) {
    if let Ok(mut mapping) = Mapping::new(container, 0, PAGES, MapProtection::WRITE) {
        let _ = container.resize(1);
        black_box(mapping.as_mut_slice())[2 * FRAME_BYTES as usize] = 1;
    }
}

/// A write to a page under a stable lock waits, and goes on at its end.
fn touch_locked(container: &OwnContainer) {
    if let Ok(mut mapping) = Mapping::new(container, 0, 1, MapProtection::WRITE) {
        let _ = container.lock(0..1, LockMode::Stable, TERM_NS);
        black_box(mapping.as_mut_slice())[0] = 1;
    }
}

/// The mapping goes while it is read.
fn touch_nothing(container: &OwnContainer) {
    if let Ok(mapping) = Mapping::new(container, 0, 1, MapProtection::empty()) {
        let bytes = mapping.leak();
        let address = bytes.as_ptr() as u64;
        let request = containers_api::space::Unmap { address, pages: 1 };
        let _ = kernel_runtime::ipc::call(
            kernel_runtime::layout::SPACE,
            &request,
            &[],
            kernel_runtime::Deadline::NEVER,
        );
        black_box(bytes[0]);
    }
}
