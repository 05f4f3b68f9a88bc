//! Events that a server writes beside the kernel's own, for people who look at the system.
//!
//! A server that was not given the capability `trace` writes none: then each costs a test.

use crate::{Handle, syscall};
use kernel_abi::trace::{EventKind, SERVER_ARGUMENTS};

/// The right to write events, or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Events(Option<Handle>);

impl Events {
    /// As the task was started.
    #[cfg(feature = "heap")]
    pub fn from_startup(startup: &crate::startup::Startup<'_>) -> Events {
        Events(startup.capability("trace"))
    }

    /// Writes one; its arguments are named at the kind.
    pub fn write(self, kind: EventKind, what: [u64; SERVER_ARGUMENTS]) {
        if let Some(trace) = self.0 {
            // Nobody relies on events: one that is refused is missing.
            let _ = syscall::trace_write(trace, kind, what);
        }
    }
}
