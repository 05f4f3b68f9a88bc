//! Mach's `vm_*` interface as a library over containers: the machine-independent half of UVM's split, with physmem as `pmap`.
//!
//! A task's address map lies in that task's own memory, never in a server's: a [`Vm`] holds the maps that its task works on, its
//! own and those of tasks whose address-space capability it has. What a map says is carried out by a [`Memory`], which
//! on the real system is physmem; so every check of Mach's is made here, and every byte and every charge is made there.
//!
//! | module | holds |
//! |---|---|
//! | [`error`], [`range`], [`attributes`] | Mach's return codes, rounding, protections |
//! | [`entries`] | one map: entries in address order, clipped and coalesced |
//! | [`objects`] | what entries point at: containers, and which of their pages are used how often |
//! | [`memory`] | what is asked of physmem |
//! | [`vm`] | the maps, and allocate, deallocate, map; [`protect`], [`transfer`], [`inherit`], [`wire`], [`query`] the other calls |
//!
//! **Invariants.** What an entry says is mapped so in its address space, after every call, also a failed one; the exceptions are said where they
//! are made. A page of an arena has a frame only while an entry names it. Mach's checks come before any change.
//!
//! **Not promised.** A call that physmem refuses in the middle (no frames, no records) may have done a part, as in Mach.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod attributes;
pub mod entries;
pub mod error;
pub mod inherit;
pub mod memory;
pub mod objects;
pub mod protect;
pub mod query;
pub mod range;
pub mod transfer;
pub mod vm;
pub mod wire;

pub use attributes::{Attributes, Inheritance, Protection};
pub use error::{KernError, Result};
pub use memory::Memory;
pub use vm::{MapId, Vm};

/// Bytes of a page, as `vm_page_size` says.
pub const PAGE_BYTES: u64 = 4096;

/// Pages of an arena: page numbers are given out once, so this is also the number of pages allocated in all after which the
/// next arena is made. Page arrays of this size have three levels. A larger allocation has a container of its own.
pub const ARENA_PAGES: u64 = 1 << 18;

/// Pages that one allocation may have: what a container can hold.
pub const ALLOCATION_PAGES_MAX: u64 = 1 << 36;

/// Bytes that one call copies at most (4 GiB): a copy costs a message for every 1023 pages, present or not.
pub const COPY_BYTES_MAX: u64 = 4 << 30;

/// Pages that are wired together: they are never seized until all of them are unwired.
pub const WIRE_PAGES: u64 = 1024;

/// Maps of one [`Vm`].
pub const MAPS_MAX: usize = 1024;
