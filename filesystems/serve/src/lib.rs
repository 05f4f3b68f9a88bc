//! What every file server does alike: badges of nodes, from a message to a call of [`FileSystem`] and back, the loop, and
//! a client's container made sure of.
//!
//! A file server is a [`FileSystem`] and as many threads as it likes in [`serve`]. [`dispatch`] makes no system call, so
//! that every message there is can be tried on the host.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod badge;
mod client;
mod dispatch;
mod serve;

pub use badge::{NodeBadge, NodeRights, ROOT_BADGE};
pub use client::{ClientContainer, SentContainer, memory_refusal};
pub use dispatch::{Answer, FileSystem, Found, Result, dispatch};
pub use serve::serve;
