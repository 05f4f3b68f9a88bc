//! Tests of physmem and containers together, over a kernel that exists in memory.
#![forbid(unsafe_code)]

mod basics;
mod conduct;
mod corners;
mod isolation;
mod ladder;
mod ladder_random;
mod laws;
mod limits;
mod locks;
mod model;
mod paging;
mod policies;
mod quarantine;
mod stacked;
mod support;
mod traces;
