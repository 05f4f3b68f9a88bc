//! What a processor that is in the kernel asks of others, and waits for: to forget translations, and to stop running user
//! code.
//!
//! Who asks holds the kernel's lock, so there is one request at a time. A processor answers in the trap by which the
//! request's interrupt comes, without the lock; or, where interrupts are off, in the loop in which it waits for the
//! lock ([`crate::lock`]). Between the two it is on its way to one of them, so every request is answered, and nobody
//! waits for each other in a ring. An interrupt whose request has been answered in the loop comes for nothing later.

use crate::processor::PerCpu;
use crate::{apic, paging};
use core::hint;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crossbeam_utils::CachePadded;
use kernel_core::processor::{PROCESSORS_MAX, ProcessorSet};

/// Forget the translations of [`START`] and [`PAGES`].
const FORGET: u32 = 1 << 0;
/// Come into the kernel, with the kernel's own address space.
const STOP: u32 = 1 << 1;

/// What is asked of each processor. It sets its word to 0 when it has done it.
static ASKED: [CachePadded<AtomicU32>; PROCESSORS_MAX] =
    [const { CachePadded::new(AtomicU32::new(0)) }; PROCESSORS_MAX];
static START: AtomicU64 = AtomicU64::new(0);
static PAGES: AtomicU64 = AtomicU64::new(0);

/// Has processors forget translations; returns when they have. The caller is in the kernel, and none of them.
pub fn shoot_down(processors: ProcessorSet, address: u64, pages: u64) {
    START.store(address, Ordering::Relaxed);
    PAGES.store(pages, Ordering::Relaxed);
    ask(processors, FORGET);
}

/// Stops a processor; returns when its registers are saved and it uses no user memory. The caller is in the kernel.
pub fn stop(processor: usize) {
    let mut processors = ProcessorSet::EMPTY;
    processors.insert(processor);
    ask(processors, STOP);
}

fn ask(processors: ProcessorSet, what: u32) {
    for processor in processors.iter() {
        ASKED[processor].store(what, Ordering::Release);
        apic::send(processor, apic::REQUEST_VECTOR);
    }
    for processor in processors.iter() {
        while ASKED[processor].load(Ordering::Acquire) != 0 {
            hint::spin_loop();
        }
    }
}

/// Does what is asked of this processor, if anything. Whether it is to stop.
pub fn answer() -> bool {
    let word = &ASKED[PerCpu::own_number()];
    let asked = word.load(Ordering::Acquire);
    if asked == 0 {
        return false;
    }
    if asked & FORGET != 0 {
        paging::forget(START.load(Ordering::Relaxed), PAGES.load(Ordering::Relaxed));
    }
    if asked & STOP != 0 {
        paging::activate_kernel();
    }
    word.store(0, Ordering::Release);
    asked & STOP != 0
}
