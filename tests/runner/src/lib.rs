//! What stands behind `cargo run`: sets up what a fresh machine lacks, builds the guest, packs the boot
//! archive, starts QEMU and says what became of the run.
//!
//! The tests under `tests/system` boot through the same code, so the module boundary is: [`setup`] and
//! [`build`] give a [`build::Guest`]; [`archive`] packs it; [`machine`] says what QEMU is given;
//! [`session`] runs it to its [`ending::Ending`]; [`report`] explains a bad one. [`stress`] is `cargo run -- stress`, [`bench`]
//! `cargo run -- bench`.
//!
//! Nothing here knows a protocol of the guest beyond five facts: the archive's member names, the byte
//! stream of the first serial port, the log on the debug console, `backtrace:` lines in it, and the numbers
//! written to the exit device.
#![forbid(unsafe_code)]

pub mod archive;
pub mod bench;
pub mod build;
pub mod child;
pub mod counter;
pub mod disk;
pub mod ending;
pub mod failure;
pub mod host;
pub mod interrupt;
pub mod logfile;
pub mod machine;
pub mod options;
pub mod places;
pub mod profile;
pub mod programs;
pub mod qmp;
pub mod report;
pub mod session;
pub mod setup;
pub mod simulate;
pub mod start;
pub mod stress;
pub mod swap;
pub mod symbols;
pub mod terminal;
pub mod trace;
pub mod trace_report;

pub use failure::{Failure, Result};
