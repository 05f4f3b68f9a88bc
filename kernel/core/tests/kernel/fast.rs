//! All the tests of the kernel once more, over the fast paths of IPC: the harness tells by the name of this crate.
#![forbid(unsafe_code)]

#[path = "main.rs"]
mod all;

use all::{harness, pair};
