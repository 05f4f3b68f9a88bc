//! What the two sides of a stress run share, and what of it can be tested without booting: the table of tasks
//! ([`tasks`]), the page of counters that each task has with the supervisor ([`tally`]), latencies ([`histogram`]),
//! who runs when ([`schedule`]), and the lines that the supervisor prints for the host ([`line`]).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod histogram;
pub mod line;
pub mod numbered;
pub mod schedule;
pub mod tally;
pub mod tasks;

pub use histogram::Histogram;
pub use line::Line;
pub use schedule::{Action, Schedule};
pub use tally::{Counter, Tally};
