//! The protocols of hurd-glue's servers: the console, init.
#![no_std]
#![forbid(unsafe_code)]

pub mod console;
pub mod trace;
