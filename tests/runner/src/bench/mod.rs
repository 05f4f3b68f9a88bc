//! `cargo run -- bench`: what operations cost, in guest instructions.

pub mod rows;
