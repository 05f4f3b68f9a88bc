//! What stands in for the kernel under a stacked physmem: another physmem, as whose ordinary client it runs.
//!
//! A frame of a stacked physmem is a page of a container that it holds under its own contract (a *bank*); its number says
//! which. Address spaces, threads and endpoints of its children are made by the parent under the same contract. No
//! frame, no page table and no authority over either is ever in its hands: [`pmap::ParentPmap`] turns each operation
//! of [`physmem_core::pmap::Pmap`] into requests that any client may make.
//!
//! # Why the sums agree
//! What the logic above counts as a kernel frame is a frame that the parent charges for a kernel object or page table. So a
//! frame that becomes one is *given up* first, its page deallocated, and allocated anew when it comes back. The
//! contract's charge stays the same, but for records that the parent keeps, for which some frames are set aside
//! ([`plan::Plan`]).
#![no_std]
#![forbid(unsafe_code)]

mod above;
pub mod bank;
mod objects;
pub mod parent;
pub mod plan;
pub mod pmap;

pub use above::STACK_SLICE_NS;
pub use bank::{BANK_PAGES, CLOCK_FRAME};
pub use parent::Parent;
pub use plan::Plan;
pub use pmap::{FrameNote, ParentPmap, TaskNote};
