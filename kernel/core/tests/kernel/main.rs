//! The kernel's machine-independent part on the host: every test makes system calls as user code would, and after
//! every kernel entry all invariants are checked.
#![forbid(unsafe_code)]

mod capabilities;
mod faults;
mod fuzz;
mod harness;
mod ipc;
mod life;
mod messages;
mod notifications;
mod scheduling;
