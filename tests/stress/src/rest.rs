//! Doing nothing for a while.

use core::time::Duration;
use kernel_runtime::Deadline;
use kernel_runtime::containers::MemoryCallError;
use kernel_runtime::notification::Notification;

/// Something to wait for that never comes.
pub struct Rest(Notification);

impl Rest {
    /// Costs a notification.
    pub fn new() -> Result<Rest, MemoryCallError> {
        Notification::new().map(Rest)
    }

    /// Waits.
    pub fn rest(&self, duration: Duration) {
        let _ = self.0.wait(Deadline::after(duration));
    }
}
