//! A notification of one's own: wait for its bits, let others set them, have a timer set them.

use crate::containers::{self, create_notification};
use crate::{Capability, Deadline, Handle, KernelError, Rights, syscall};

/// A notification with all rights.
#[derive(PartialEq, Eq, Debug)]
pub struct Notification(Capability);

impl Notification {
    /// A new one, paid for by the task's own contract.
    pub fn new() -> containers::Result<Notification> {
        create_notification().map(Notification)
    }

    /// The entry.
    pub fn handle(&self) -> Handle {
        self.0.handle()
    }

    /// A capability that sets these bits and does nothing else.
    pub fn signaller(&self, bits: u64) -> Result<Capability, KernelError> {
        Capability::mint(self.handle(), Rights::SEND | Rights::TRANSFER, bits)
    }

    /// Waits until a bit is set, takes all.
    pub fn wait(&self, deadline: Deadline) -> Result<u64, KernelError> {
        syscall::wait(self.handle(), deadline.nanoseconds())
    }

    /// Takes the bits that are set, maybe none.
    pub fn poll(&self) -> Result<u64, KernelError> {
        syscall::poll(self.handle())
    }

    /// Has the calling thread receive these bits too.
    pub fn bind(&self) -> Result<(), KernelError> {
        syscall::thread_bind(self.handle())
    }

    /// Has the bits set at a moment; replaces what was set before.
    pub fn set_timer(&self, moment: Deadline, bits: u64) -> Result<(), KernelError> {
        syscall::timer_set(self.handle(), moment.nanoseconds(), bits)
    }
}
