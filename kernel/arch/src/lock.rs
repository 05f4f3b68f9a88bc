//! The kernel's one lock: taken at every entry, released on the way out and while a processor idles.
//!
//! Whoever finds it open takes it. But one that has looked [`PATIENCE`] times in vain has it kept: until it has had the lock
//! nobody else takes it, so processors that enter again and again keep others waiting for a bounded number of entries.
//!
//! That holds for a processor that runs. There may be more of them than the host has: one that the host has put aside
//! would stop all others in its turn, for as long as its host likes. So who sees the lock open [`ABSENCE`] times in a row, and kept for one
//! that does not come, takes it after all.
//!
//! A processor that waits answers the requests of the one that has the lock ([`crate::requests`]). It may be stopped by one: then it
//! has no current thread when it enters.

use crate::hardware::Hardware;
use crate::requests;
use core::cell::UnsafeCell;
use core::hint;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU8, Ordering};
use kernel_core::Kernel;

/// Looks at the lock after which a processor asks others to hold back.
const PATIENCE: u32 = 64;

/// Looks at a lock that is open and kept, after which whoever it is kept for is taken to be away. More than one who is there needs to
/// see that it is open.
const ABSENCE: u32 = 16;

const OPEN: u8 = 0;
/// Somebody is in the kernel.
const TAKEN: u8 = 1;
/// Somebody has waited too long: nobody else may take the lock.
const KEPT: u8 = 2;

struct Place(UnsafeCell<Option<Kernel<Hardware>>>);

// SAFETY: the kernel is reached through a guard alone, of which there is one at a time.
unsafe impl Sync for Place {}

static KERNEL: Place = Place(UnsafeCell::new(None));
static STATE: AtomicU8 = AtomicU8::new(OPEN);

/// Who has it is alone in the kernel.
pub struct KernelGuard(());

impl Deref for KernelGuard {
    type Target = Option<Kernel<Hardware>>;

    #[inline(always)]
    fn deref(&self) -> &Self::Target {
        // SAFETY: there is one guard, and this borrows it.
        unsafe { &*KERNEL.0.get() }
    }
}

impl DerefMut for KernelGuard {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Self::Target {
        // SAFETY: there is one guard, and this borrows it alone.
        unsafe { &mut *KERNEL.0.get() }
    }
}

impl Drop for KernelGuard {
    #[inline(always)]
    fn drop(&mut self) {
        STATE.fetch_and(!TAKEN, Ordering::Release);
    }
}

/// Takes the lock if it is open and kept for nobody.
#[inline(always)]
pub fn try_take() -> Option<KernelGuard> {
    STATE.compare_exchange(OPEN, TAKEN, Ordering::Acquire, Ordering::Relaxed).ok().map(|_| KernelGuard(()))
}

/// Takes the lock as soon as it can be had.
#[cold]
pub fn wait() -> KernelGuard {
    let (mut looks, mut absences, mut is_kept) = (0, 0, false);
    loop {
        requests::answer();
        let state = STATE.load(Ordering::Relaxed);
        let is_free = match state {
            OPEN => true,
            KEPT => is_kept || absences >= ABSENCE,
            _ => false,
        };
        if is_free && STATE.compare_exchange(state, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            return KernelGuard(());
        }
        absences = if state == KEPT { absences + 1 } else { 0 };
        // Somebody has overruled what was kept for this one.
        is_kept &= state & KEPT != 0;
        looks += 1;
        if looks >= PATIENCE && !is_kept {
            // Kept for another one: that one first.
            is_kept = STATE.fetch_or(KEPT, Ordering::Relaxed) & KEPT == 0;
        }
        hint::spin_loop();
    }
}
