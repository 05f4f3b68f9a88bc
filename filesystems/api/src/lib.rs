//! The protocols of files and disks: what a client asks of a file server ([`file`]), and a file server of a
//! block driver ([`block`]). Names follow the Hurd's.
#![no_std]
#![forbid(unsafe_code)]

pub mod block;
pub mod directory;
pub mod file;
