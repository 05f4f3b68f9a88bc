//! Programs that test the system from inside: each looks at one law or attacks one interface, prints what it found and ends
//! with status 0, or 1 and the reason. `tests/system` boots them; a person can run them from `/.boot/test`.
//!
//! This library holds what they share: a look at all frames ([`Books`]), random numbers, running another program, frames
//! to be taken back.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod books;
pub mod child;
pub mod lent;
pub mod random;
pub mod report;

pub use books::Books;
pub use random::Random;
pub use report::{Failed, Report};
