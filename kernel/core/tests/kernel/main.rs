//! The kernel's machine-independent part on the host: every test makes system calls as user code would, and after
//! every kernel entry all invariants are checked.
#![forbid(unsafe_code)]

mod capabilities;
mod devices;
mod faults;
mod frames;
mod fuzz;
mod harness;
mod ipc;
mod life;
mod messages;
mod notifications;
mod objects;
mod pmap;
mod preemption;
mod ranges;
mod reclaim;
mod scheduling;
mod superpages;
mod tables;
