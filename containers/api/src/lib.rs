//! The protocol of physmem: contracts, containers, grants, locks, address spaces; their rights and errors.
//!
//! Every object is a capability to physmem's endpoint; which object it is, and with which rights, is in the
//! badge that physmem chose. Where a request takes a second object ("with the container"), its capability
//! travels in the message and physmem sees its badge. Each module is one protocol, declared once; this
//! crate is the interface's documentation.
//!
//! Words used throughout: a *frame* is 4 KiB of physical memory, a *page* is a place for one in a
//! container, a *range* is successive pages. Times are nanoseconds, moments are nanoseconds since boot.
#![no_std]
#![forbid(unsafe_code)]

pub mod container;
pub mod contract;
pub mod control;
pub mod dma;
pub mod error;
pub mod fault_reason;
pub mod lock;
pub mod page;
pub mod pager;
pub mod space;

pub use error::MemoryError;
pub use fault_reason::FaultReason;

use bitflags::bitflags;
use kernel_protocol::{word_enum, word_flags};

bitflags! {
    /// What the holder of a container capability, or of a grant on part of one, may do.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct ContainerRights: u16 {
        /// Map readable.
        const MAP = 1 << 0;
        /// Map writable (with `MAP`).
        const WRITE = 1 << 1;
        /// Lock in mode stable.
        const LOCK = 1 << 2;
        /// Lock in mode fill or dma; be the destination of a copy or move.
        const FILL = 1 << 3;
        /// Be the source of a copy.
        const COPY_OUT = 1 << 4;
        /// Allocate, deallocate, resize, seal; be the source of a move.
        const ALLOCATE = 1 << 5;
        /// Make grants and shares, revoke them, break locks, destroy.
        const GRANT = 1 << 6;
    }
}

word_flags!(ContainerRights, u16);

word_enum! {
    /// What a lock promises its holder, and leaves to the owner.
    pub enum LockMode {
        /// The holder reads and writes by mapping or copy; the owner's mappings are taken away.
        Fill = 0,
        /// Contents stay as they are: the owner may read, the holder may read and copy out.
        Stable = 1,
        /// Pinned for a device; nobody has a mapping. Physical runs go only to a trusted driver.
        Dma = 2,
    }
}

/// Version of a container: bumped by every changing operation and every writable mapping entered.
pub type Version = u64;

/// Bytes of a contract's or space's name.
pub const NAME_BYTES: usize = 16;

/// A name for people: who asked for it, never used to decide anything.
pub type Name = kernel_protocol::Text<NAME_BYTES>;
