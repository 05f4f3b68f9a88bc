//! physmem's logic: frames, contracts, address spaces and their mappings, page faults, records.
//!
//! Everything that boots is here or in `containers-core`, without kernel calls: the kernel is the trait
//! [`pmap::Pmap`], the memory that records lie in is [`pmap::RecordMemory`], time is an argument. There is no heap
//! and no unsafe code; host tests run this very code against a simulated kernel.
//!
//! The way in is [`Physmem::request`], [`Physmem::fault`] and [`Physmem::advance`]. [`machine`] says how the pieces
//! hang together and why a charge always finds its frame; `docs/memory.md` tells the whole story.
#![no_std]
#![forbid(unsafe_code)]

mod adoption;
pub mod badge;
pub mod contract;
pub mod database;
pub mod destroy;
pub mod fault;
pub mod handles;
pub mod layout;
pub mod limits;
pub mod machine;
pub mod mapping;
pub mod objects;
pub mod pmap;
mod provider;
pub mod requests;
mod slab;
pub mod space;
mod waiting;
mod zeroing;

pub use database::{FrameDatabase, FrameEntry};
pub use fault::FaultAnswer;
pub use machine::{Beginning, Physmem};
pub use requests::{Answer, Handed, Incoming, Outcome, Sent};
