//! A lock for the threads of one task: tries, then yields until it succeeds.
//!
//! Waiters are not queued. All threads of a task have the same priority, so that yielding lets the holder
//! run; holders do not wait for messages while they hold a lock that another thread needs to answer.

use crate::syscall;
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

/// Attempts before a waiter yields.
const SPINS: u32 = 64;

/// The lock without contents.
#[derive(Debug)]
pub struct RawMutex(AtomicBool);

impl RawMutex {
    /// Open.
    pub const fn new() -> RawMutex {
        RawMutex(AtomicBool::new(false))
    }

    /// Takes the lock, waiting as long as it takes.
    pub fn lock(&self) {
        let mut spins = 0;
        while !self.try_lock() {
            spins += 1;
            if spins < SPINS {
                core::hint::spin_loop();
            } else {
                spins = 0;
                syscall::yield_now();
            }
        }
    }

    /// Takes the lock if it is open.
    pub fn try_lock(&self) -> bool {
        self.0.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Opens it.
    pub fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Default for RawMutex {
    fn default() -> Self {
        RawMutex::new()
    }
}

/// A value that one thread at a time can reach.
#[derive(Debug)]
pub struct Mutex<T> {
    raw: RawMutex,
    value: UnsafeCell<T>,
}

// SAFETY: the lock lets one thread at a time reach the value, so it is as good as passed around.
unsafe impl<T: Send> Sync for Mutex<T> {}
// SAFETY: owning the mutex is owning the value.
unsafe impl<T: Send> Send for Mutex<T> {}

impl<T> Mutex<T> {
    /// An open lock around a value.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex { raw: RawMutex::new(), value: UnsafeCell::new(value) }
    }

    /// Waits for the lock.
    pub fn lock(&self) -> Guard<'_, T> {
        self.raw.lock();
        Guard { mutex: self }
    }

    /// The lock, if it is open.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        self.raw.try_lock().then_some(Guard { mutex: self })
    }
}

/// Holding this proves that the lock is held; dropping it opens the lock.
#[derive(Debug)]
pub struct Guard<'a, T> {
    mutex: &'a Mutex<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock, and is borrowed mutably.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.mutex.raw.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let mutex = Mutex::new(1);
        let guard = mutex.lock();
        assert!(mutex.try_lock().is_none());
        drop(guard);
        *mutex.lock() += 1;
        assert_eq!(*mutex.lock(), 2);
    }
}
