//! The kernel's machine-independent part on the host: every test makes system calls as user code would, and after
//! every kernel entry all invariants are checked.
#![forbid(unsafe_code)]

mod capabilities;
mod devices;
mod faults;
mod frames;
mod fuzz;
mod handover;
pub(crate) mod harness;
mod ipc;
mod life;
mod memory;
mod messages;
mod notifications;
mod objects;
pub(crate) mod pair;
mod pmap;
mod preemption;
mod processors;
mod ranges;
mod reclaim;
mod schedules;
mod scheduling;
mod superpages;
mod tables;
mod trace;
