//! What the console does, without a kernel call: bytes from the line become input or a Ctrl-C, bytes from clients wait
//! for room on the line, and one client at a time waits for input.
//!
//! The server around it owns the device, the messages and the saved replies; it names a waiting caller by any
//! value, `C` here.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod input;
mod output;
mod ring;

pub use input::{Arrived, Input, Reader, Refused};
pub use output::{Output, Waiting};
pub use ring::Ring;

/// Bytes of input kept until somebody reads; what comes then is lost.
pub const INPUT_BYTES: usize = 4096;

/// Bytes of output taken in before writers wait.
pub const OUTPUT_BYTES: usize = 4096;

/// Writers that can wait for room at a time.
pub const WRITERS_MAX: usize = 16;

/// Ctrl-C as it arrives on the line.
pub const CONTROL_C: u8 = 3;
