//! What the collector of events does: reading the kernel's rings ([`rings`]), sending events to the host through
//! memory that both see ([`channel`]), and saying of contracts only what has changed ([`samples`]). No calls, no clock.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod channel;
pub mod rings;
pub mod samples;
