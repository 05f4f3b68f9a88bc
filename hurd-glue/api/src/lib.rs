//! The protocols of servers that programs talk to, beside file servers: the console, the collector of events, the default pager.
#![no_std]
#![forbid(unsafe_code)]

pub mod console;
pub mod pager;
pub mod trace;
