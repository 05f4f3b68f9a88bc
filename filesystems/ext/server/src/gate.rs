//! A lock that is held across disk reads: who has to wait sleeps, and the next one is let in by whoever leaves.
//!
//! The runtime's own lock is for moments: its waiters yield in a circle, which would take the processor from clients while
//! the disk works.

use crate::WORKERS;
use core::ops::{Deref, DerefMut};
use kernel_runtime::Deadline;
use kernel_runtime::containers::MemoryCallError;
use kernel_runtime::notification::Notification;
use kernel_runtime::sync::{Guard, Mutex};
use kernel_runtime::syscall;

/// The bit that lets a worker in.
const TURN: u64 = 1;

struct Queue {
    is_held: bool,
    waiting: [bool; WORKERS],
}

/// A value that one worker at a time has.
pub struct Gate<T> {
    queue: Mutex<Queue>,
    value: Mutex<T>,
    turns: [(Notification, kernel_runtime::Capability); WORKERS],
}

impl<T> Gate<T> {
    /// An open gate.
    pub fn new(value: T) -> Result<Gate<T>, MemoryCallError> {
        let turn = || {
            let notification = Notification::new()?;
            let signaller = notification.signaller(TURN)?;
            Ok::<_, MemoryCallError>((notification, signaller))
        };
        let turns = [turn()?, turn()?, turn()?, turn()?];
        let queue = Queue { is_held: false, waiting: [false; WORKERS] };
        Ok(Gate { queue: Mutex::new(queue), value: Mutex::new(value), turns })
    }

    /// Waits until nobody else has the value.
    pub fn enter(&self, worker: usize) -> Entered<'_, T> {
        if !self.try_enter(worker) {
            // Whoever leaves has passed the gate on to this worker when it signals. An early end of the wait is none.
            while !matches!(self.turns[worker].0.wait(Deadline::NEVER), Ok(bits) if bits & TURN != 0) {}
        }
        Entered { gate: self, value: Some(self.value.lock()) }
    }

    fn try_enter(&self, worker: usize) -> bool {
        let mut queue = self.queue.lock();
        if queue.is_held {
            queue.waiting[worker] = true;
            return false;
        }
        queue.is_held = true;
        true
    }

    fn leave(&self) {
        let mut queue = self.queue.lock();
        match queue.waiting.iter().position(|&waits| waits) {
            Some(next) => {
                queue.waiting[next] = false;
                // The gate stays held: it is the next one's now.
                if let Err(error) = syscall::signal(self.turns[next].1.handle()) {
                    log::error!("worker {next} cannot be let in: {error:?}");
                }
            }
            None => queue.is_held = false,
        }
    }
}

/// Holding this is holding the value; dropping it lets the next one in.
pub struct Entered<'a, T> {
    gate: &'a Gate<T>,
    value: Option<Guard<'a, T>>,
}

impl<T> Deref for Entered<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("it is there until it is dropped")
    }
}

impl<T> DerefMut for Entered<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("it is there until it is dropped")
    }
}

impl<T> Drop for Entered<'_, T> {
    fn drop(&mut self) {
        // The value's own lock first: the next one takes it at once.
        self.value = None;
        self.gate.leave();
    }
}
