//! What the tests stand on: a machine that can stop at any write, and a client that knows what it put out.

pub mod client;
pub mod machine;
pub mod pages;
