//! Makes threads until it is refused.
//!
//! Law 8: a thread is made of frames that its contract pays for, so there are as many as can be paid, and an error after
//! that. Half of the rounds make threads that never start, the others start them: each touches its own stack and ends,
//! or waits for ever.

use super::Attacker;
use alloc::vec::Vec;
use containers_api::MemoryError;
use kernel_runtime::containers::{MemoryCallError, contract_status, create_thread_in};
use kernel_runtime::layout::{CONTRACT, SPACE};
use kernel_runtime::{syscall, threads};
use tests_guest::Failed;
use tests_stress_core::tally::Counter;

/// More threads than any contract of a stress run can pay for.
const THREADS: u64 = 4096;

/// Until it is refused; then the task ends, since its threads never come back otherwise.
pub fn attack(attacker: &mut Attacker) -> Result<(), Failed> {
    let started = attacker.random.below(2) == 0;
    let mut kept = Vec::new();
    for _ in 0..THREADS {
        attacker.page.count(Counter::Tried);
        let waits = attacker.random.below(2) == 0;
        let made = if started { threads::spawn(1, move || work(waits)) } else { make(&mut kept) };
        if let Err(error) = made {
            attacker.page.check(is_typed(&error), format_args!("a thread was refused with {error:?}"));
            attacker.page.count(Counter::Refused);
            break;
        }
        attacker.page.count(Counter::Granted);
    }
    let status = contract_status(CONTRACT).map_err(|error| ("status", error))?;
    let (held, most) =
        (status.pages + status.records + status.kernel, status.guaranteed + status.extra_limit);
    attacker.page.check(held <= most, format_args!("{held} frames held, {most} allowed"));
    syscall::task_exit(0)
}

fn make(kept: &mut Vec<kernel_runtime::Capability>) -> Result<(), MemoryCallError> {
    create_thread_in(SPACE).map(|thread| kept.push(thread))
}

fn work(waits: bool) {
    if waits {
        loop {
            syscall::yield_now();
        }
    }
}

fn is_typed(error: &MemoryCallError) -> bool {
    let refusal = error.refusal();
    // Without a refusal it is the runtime that had no room for the handle.
    refusal.is_none()
        || matches!(
            refusal,
            Some(MemoryError::ContractExhausted | MemoryError::NoRecord | MemoryError::Limit)
        )
}
