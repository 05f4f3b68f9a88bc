//! `cargo run -- bench`: what operations cost, in guest instructions.

pub mod compare;
pub mod linux;
pub mod rows;
