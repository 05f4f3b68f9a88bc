//! What the programs print and how they read their arguments, without a kernel call.
//!
//! Each program's file in `hurd-glue/programs/src/bin` looks things up and calls what is here to say them.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod arguments;
pub mod date;
pub mod hexdump;
pub mod node;
pub mod table;
pub mod top;
pub mod tree;
pub mod units;
pub mod vmstat;
