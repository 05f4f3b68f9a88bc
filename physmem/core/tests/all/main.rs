//! Tests of physmem and containers together, over a kernel that exists in memory.
#![forbid(unsafe_code)]

mod basics;
mod laws;
mod locks;
mod support;
