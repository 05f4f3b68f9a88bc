//! What all scenarios of a test program share: the guest, built once, and the permits to run a QEMU.

use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use tests_runner::build::Guest;
use tests_runner::places::Places;
use tests_runner::{Result, interrupt, start};

/// QEMUs that run at a time, at most.
pub const QEMUS: usize = 2;

/// The source tree and the guest built from it.
pub struct World {
    /// Where things are.
    pub places: Places,
    /// The guest.
    pub guest: Guest,
}

static WORLD: OnceLock<Result<World>> = OnceLock::new();
static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// Does the set-up that is missing and builds the guest, the first time.
pub fn prepare() -> std::result::Result<&'static World, String> {
    let make = || {
        interrupt::catch();
        let places = Places::find()?;
        let guest = start::prepare(&places)?;
        Ok(World { places, guest })
    };
    WORLD.get_or_init(make).as_ref().map_err(ToString::to_string)
}

/// The right to run a QEMU, until it is dropped.
pub struct Permit(());

impl Permit {
    /// Waits until fewer than [`QEMUS`] run.
    pub fn take() -> Permit {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |running: &mut usize| *running >= QEMUS;
        let mut running = ENDED.wait_while(running, full).unwrap_or_else(PoisonError::into_inner);
        *running += 1;
        Permit(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[test]
    fn no_more_than_two_run_at_a_time() {
        static NOW: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let work = || {
            let _permit = Permit::take();
            MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(5));
            NOW.fetch_sub(1, Ordering::SeqCst);
        };
        let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(work)).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(MOST.load(Ordering::SeqCst), QEMUS);
    }
}
