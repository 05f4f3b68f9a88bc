//! What every physmem's main is made of, the first one's as well as a stacked one's: the loop that serves, and a client
//! inside, by which the first program is started through ordinary requests.
#![no_std]
#![forbid(unsafe_code)]

pub mod client;
pub mod serve;

pub use client::Client;
pub use serve::{Ending, Platform, Server, Unresolved};
