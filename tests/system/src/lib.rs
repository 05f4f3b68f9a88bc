//! Boots the system for tests and holds what it shows against what the host sees.
//!
//! A scenario says what to boot ([`Boot`]), with which disk ([`image::Maker`]), and asserts on the
//! [`Outcome`]; or it types at the shell itself ([`Conversation`]). Scenarios lie in `tests/scenarios`. The
//! guest is built once per test program ([`world::prepare`]); no more than two QEMUs run at a time, since the
//! time limits are meant for a machine with two processors.
#![forbid(unsafe_code)]

pub mod books;
pub mod boot;
pub mod conversation;
pub mod host_view;
pub mod image;
pub mod machine_code;
pub mod outcome;
pub mod world;

pub use boot::Boot;
pub use conversation::Conversation;
pub use outcome::Outcome;
