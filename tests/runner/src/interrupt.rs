//! Ctrl-C, termination and hang-up, as a flag that every waiting loop looks at.
//!
//! The handlers stay for the life of the process: whoever waits must look at [`requested`] at least every
//! [`POLL`], kill what it started, and return [`failure`].

use crate::Failure;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Longest time between two looks at [`requested`].
pub const POLL: Duration = Duration::from_millis(50);

static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Catches the signals from now on.
pub fn catch() {
    FLAG.get_or_init(|| {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // Registration fails for signals that cannot be caught only; these can.
            let _ = signal_hook::flag::register(signal, Arc::clone(&flag));
        }
        flag
    });
}

/// Whether one of the signals came.
pub fn requested() -> bool {
    FLAG.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// What an interrupted operation returns.
pub fn failure() -> Failure {
    Failure::new("interrupted")
}
