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
mod calls;
mod chain;
mod claims;
mod conduct;
pub mod contract;
mod contract_page;
pub mod database;
pub mod destroy;
mod ending;
mod extra;
pub mod fault;
mod going;
pub mod handles;
mod inheritance;
mod latency;
pub mod layout;
pub mod limits;
pub mod machine;
pub mod mapping;
mod merge;
pub mod objects;
mod owed;
pub mod paging;
pub mod pmap;
mod policy;
mod provider;
mod query;
mod relief;
pub mod requests;
mod seizure;
mod slab;
pub mod space;
mod stacking;
mod waiting;
mod waits;
mod zeroing;

pub use database::{FrameDatabase, FrameEntry};
pub use fault::FaultAnswer;
pub use machine::{Beginning, Physmem};
pub use requests::{Answer, Handed, Incoming, Outcome, Sent};
pub use waits::FrameWait;
