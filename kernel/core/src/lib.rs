//! The kernel's machine-independent part: capability tables, IPC, scheduling, timers, the frame table, address spaces
//! and the decoding of system calls. It runs unchanged on the host under tests.
//!
//! [`Kernel`] is the whole state and all operations; it reaches hardware and the memory of kernel objects only
//! through [`Machine`]. One processor has entered at a time, interrupts off: there is no lock in here.
//!
//! Invariants: every operation checks all its arguments before it changes anything; an object is named by frame, slot
//! and both generations ([`ObjectName`]) or by an intrusive link that both ends cut; nothing is allocated; every loop
//! is bounded by a named constant or can be preempted.
//!
//! Not promised: any policy. Which frame is used for what, and for whom, is physmem's business.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "host"))]
extern crate std;

mod accounts;
pub mod bootstrap;
mod calls;
mod describe;
mod dispatch;
pub mod frame_table;
#[cfg(any(test, feature = "host"))]
pub mod host;
#[cfg(any(test, feature = "host"))]
mod invariants;
pub mod kernel;
mod lending;
mod machine;
mod name;
pub mod objects;
pub mod page_table;
pub mod processor;
mod queue;
mod scheduler;
mod timer;
pub mod trace;

pub use calls::Fast;
pub use kernel::Kernel;
pub use machine::{Machine, UserFault};
pub use name::{Link, ObjectName};
