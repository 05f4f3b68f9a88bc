//! Rules about the source tree that a reviewer should not have to talk about, as functions from a tree to
//! complaints. `tests/tree.rs` applies them to this repository; the tests beside each rule show that it bites.
#![forbid(unsafe_code)]

pub mod crates;
pub mod inventory;
pub mod text;
pub mod tree;

/// What breaks a rule: where, and what is wrong. A rule that is kept gives none.
pub type Complaints = Vec<String>;
