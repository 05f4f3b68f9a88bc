//! Files in memory that their makers pay for: names, sizes, and who pays. What a file contains lies in a container that came with
//! its making, named here by any value `C`.
//!
//! The table has a fixed number of places, there from the start: making a file costs the server no memory, and no contract can
//! take all places. A node is a place and a generation; places are used again in turn, the one that was free for longest
//! first, with a higher generation each time. There is one directory.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod table;

pub use table::{FILES_MAX, FILES_PER_PRINCIPAL_MAX, File, Node, Table};
