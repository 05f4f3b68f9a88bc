//! The console as a client sees it: bytes out, bytes in.
//!
//! A console that ends is started again by init. A call that it did not answer is made once more; what it had not yet
//! written is lost, and a chunk may appear twice.

use crate::ipc::{CallError, call};
use crate::{Deadline, Handle, KernelError};
use alloc::vec::Vec;
use hurd_glue_api::console::*;
use kernel_protocol::Bytes;

/// Why the console did not do it.
pub type ConsoleCallError = CallError<ConsoleError>;

/// A capability to the console.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Console(Handle);

/// Makes a call, and makes it again if the console ended before it answered.
fn twice<T>(call: impl Fn() -> Result<T, ConsoleCallError>) -> Result<T, ConsoleCallError> {
    match call() {
        Err(CallError::Kernel(KernelError::PeerDied)) => call(),
        result => result,
    }
}

impl Console {
    /// The console behind a capability.
    pub const fn new(handle: Handle) -> Console {
        Console(handle)
    }

    /// Writes all of the bytes.
    pub fn write(self, bytes: &[u8]) -> Result<(), ConsoleCallError> {
        for chunk in bytes.chunks(CHUNK_BYTES) {
            let bytes = Bytes::new(chunk).expect("a chunk fits");
            twice(|| call(self.0, &ConsoleWrite { bytes }, &[], Deadline::NEVER))?;
        }
        Ok(())
    }

    /// Waits until everything written so far has left the machine.
    pub fn drain(self, deadline: Deadline) -> Result<(), ConsoleCallError> {
        twice(|| call(self.0, &ConsoleDrain {}, &[], deadline)).map(drop)
    }

    /// Waits for input.
    pub fn read(self) -> Result<Vec<u8>, ConsoleCallError> {
        let input = twice(|| call(self.0, &ConsoleRead {}, &[], Deadline::NEVER))?;
        Ok(input.bytes.as_slice().to_vec())
    }

    /// Has Ctrl-C signal a notification from now on, or be input.
    pub fn foreground(self, notification: Option<Handle>) -> Result<(), ConsoleCallError> {
        let request = ConsoleForeground { armed: notification.is_some() };
        twice(|| call(self.0, &request, notification.as_slice(), Deadline::NEVER)).map(drop)
    }
}
