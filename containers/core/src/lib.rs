//! Containers: page arrays, versions, grants, locks and logical copies, as logic without kernel calls.
//!
//! A container is a record ([`layout::container`]) with a page array ([`pages`]). Operations are functions over a
//! trait, [`frames::Frames`], by which physmem provides charges, frames, records and the mappings of pages. Each
//! operation checks everything first, takes its charges and records, and then acts without failing; what it took
//! goes back where a later check refuses.
//!
//! What a caller may do is an [`access::Access`]: a container, the grant it came through, rights, a range.
//! Nothing here knows badges, messages, address spaces or time: moments are passed in.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod access;
pub mod container;
pub mod copy;
pub mod eviction;
pub mod frames;
pub mod grant;
pub mod layout;
pub mod limits;
pub mod list;
pub mod lock;
pub mod pages;
pub mod passing;
pub mod record;
pub mod runs;
pub mod tree;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod pages_tests;

pub use access::Access;
pub use frames::{Contents, Count, Frames, Roots, Span, Whose};
pub use pages::Entry;
pub use record::{Name, Record, Records};
