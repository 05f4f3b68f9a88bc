//! Requests to a container, or to a grant on part of one.
//!
//! Through a grant, page 0 is the first page granted and nothing beyond its range exists. A grant with LOCK is to be
//! used under locks: mapped through it, a page can be touched only while a lock taken through it covers the page.
//!
//! A request on more than [`OPERATION_PAGES_MAX`] pages (allocate, lock, copy, move) is refused with `Limit`; so is one that
//! would take more frames away (deallocate, resize). Larger ranges are done in parts.

use crate::{ContainerRights, LockMode, MemoryError, Version};
use kernel_protocol::{Bytes, Empty, message, protocol};

message! {
    /// Answer that carries nothing but the version after the operation.
    pub struct Changed {
        /// The container's version.
        version: Version,
    }
}

message! {
    /// How a container is.
    pub struct ContainerStatus {
        /// The container's version.
        version: Version,
        /// Its size, or the granted range's.
        pages: u64,
        /// Pages that have a frame.
        present: u64,
        /// Pages whose contents are gone, because their frames were seized (0 through a grant).
        lost: u64,
        /// Locks in force.
        locks: u64,
        /// What this capability allows.
        rights: ContainerRights,
        /// No change is possible any more.
        sealed: bool,
        /// Principal of the contract that pays.
        principal: u64,
        /// Names it in the repossession record and in the list of all containers.
        number: u64,
    }
}

message! {
    /// What a copy did.
    pub struct Copied {
        /// The destination's version.
        version: Version,
        /// Bytes that the processor moved: edges and parts that are not page-aligned on both sides.
        moved_bytes: u64,
        /// Pages shared copy-on-write (or left absent as in the source), without moving a byte.
        shared_pages: u64,
    }
}

message! {
    /// A lock taken.
    pub struct Locked {
        /// Names the lock in later requests on the same capability.
        lock: u64,
        /// Moment at which it expires.
        expires: u64,
        /// The container's version: compare it at unlock.
        version: Version,
        /// Principal that owns the container.
        principal: u64,
    }
}

message! {
    /// A break of locks.
    pub struct Broken {
        /// The container's version.
        version: Version,
        /// Locks that were in force and are gone.
        locks: u64,
        /// Pages under DMA whose frames were substituted and are in quarantine.
        quarantined: u64,
    }
}

/// Pages that one request may allocate, lock, copy, move or take away at most (4 MiB): bounds the time for which others wait.
pub const OPERATION_PAGES_MAX: u64 = 1024;

/// Pages that one answer describes.
pub const QUERY_PAGES_MAX: u64 = 384;

/// Bit of a page's state: it has a frame.
pub const PAGE_PRESENT: u8 = 1 << 0;
/// It was read, written or run through some mapping since the bits were cleared.
pub const PAGE_REFERENCED: u8 = 1 << 1;
/// It was written through some mapping since the bits were cleared.
pub const PAGE_DIRTY: u8 = 1 << 2;
/// Its frame was seized and its contents are gone.
pub const PAGE_LOST: u8 = 1 << 3;
/// It takes part in a logical copy.
pub const PAGE_SHARED: u8 = 1 << 4;
/// Its contents are with the default pager.
pub const PAGE_OUT: u8 = 1 << 5;

message! {
    /// How pages are.
    pub struct PageStates {
        /// The container's version.
        version: Version,
        /// A byte a page, from the first one asked for on: `PAGE_` bits.
        states: Bytes<{ QUERY_PAGES_MAX as usize }>,
    }
}

protocol! {
    error MemoryError;

    /// How the container is.
    32 ContainerStat {} => ContainerStatus;

    /// Changes the size; pages cut off are deallocated. ALLOCATE, the container itself. Errors: `Locked`, `Sealed`.
    33 Resize { /** New size. */ pages: u64 } => Changed;

    /// Gives every page of the range a frame now. ALLOCATE. Errors: `ContractExhausted`, `Sealed`.
    34 Allocate {
        /// First page.
        first_page: u64,
        /// Number of pages.
        pages: u64,
        /// Any contents of the caller's own principal will do: frames last held by it are not zeroed.
        any_contents: bool,
    } => Changed;

    /// Takes the range's frames away; mappings stay and fault anew. ALLOCATE. Errors: `Locked`, `Sealed`.
    35 Deallocate { /** First page. */ first_page: u64, /** Number of pages. */ pages: u64 } => Changed;

    /// Copies to the container sent along (FILL; page ranges not locked by somebody else): logical where both sides
    /// are page-aligned, bytes at the edges. COPY_OUT. A destination page that was there is given up first.
    /// Errors: `ContractExhausted`, `NoRecord`, `Locked`, `Sealed`, `Limit`, `OutOfRange` (also: ranges of one container
    /// that have a page in common).
    36 Copy {
        /// First byte in this container.
        source_offset: u64,
        /// First byte in the destination.
        destination_offset: u64,
        /// Number of bytes.
        bytes: u64,
    } => Copied;

    /// Moves pages to the container sent along (FILL), whose contract pays from now on. ALLOCATE here.
    /// Errors as copy.
    37 Move {
        /// First page here.
        first_page: u64,
        /// First page there.
        destination_page: u64,
        /// Number of pages.
        pages: u64,
    } => Copied;

    /// Another capability to this container, with fewer rights. The owner goes on paying. GRANT. Out: capability.
    38 Share { /** A subset of this capability's. */ rights: ContainerRights } => Empty;

    /// Freezes contents and size for good: writable mappings become read-only. ALLOCATE. Errors: `Locked`.
    39 Seal {} => Changed;

    /// A capability for a range with fewer rights and a maximum lock time, that can be revoked. GRANT. Out: capability.
    /// Errors: `NoRecord`.
    40 Grant {
        /// First page.
        first_page: u64,
        /// Number of pages.
        pages: u64,
        /// A subset of this capability's.
        rights: ContainerRights,
        /// Longest term of a lock, in nanoseconds.
        maximum_lock_ns: u64,
    } => Empty;

    /// Ends the grant sent along. With locks in force: breaks them, or waits for their end (no new ones are granted
    /// meanwhile). GRANT.
    41 Revoke { /** Break locks instead of waiting. */ break_locks: bool } => Changed;

    /// Locks a range. LOCK for stable, LOCK and FILL for fill and dma. For fill and dma, absent pages are allocated and
    /// shared ones unshared, their old contents given up. A term of 0 is `OutOfRange`. Errors: `Locked`, `RevokePending`,
    /// `ContractExhausted`, `PinLimit`, `NoRecord`, `Sealed`.
    42 Lock {
        /// First page.
        first_page: u64,
        /// Number of pages.
        pages: u64,
        /// What is promised.
        mode: LockMode,
        /// Term asked for, in nanoseconds; cut to the grant's maximum.
        term_ns: u64,
    } => Locked;

    /// Ends a lock. Bytes of the locked range beyond `filled_bytes` are zeroed unless the mode is stable; of a dma lock
    /// also what no driver said was written. A device that was not released yet keeps its frames: the owner gets
    /// others, zeroed. Errors: `LockGone`, `OutOfRange`.
    43 Unlock {
        /// From [`Locked`].
        lock: u64,
        /// Bytes that are valid, from the start of the locked range.
        filled_bytes: u64,
    } => Changed;

    /// The owner takes a range back from whoever holds locks on it, at once. GRANT.
    44 BreakLocks { /** First page. */ first_page: u64, /** Number of pages. */ pages: u64 } => Broken;

    /// Changes a lock's mode downwards without letting go: dma or fill to stable. Bytes beyond `filled_bytes`
    /// are zeroed first, whole pages that nothing was filled into are deallocated. Errors: `LockGone`, `ModeRaised`,
    /// `Locked` (a passed lock is still out).
    45 LockChange {
        /// From [`Locked`].
        lock: u64,
        /// The new mode.
        mode: LockMode,
        /// Bytes that are valid.
        filled_bytes: u64,
    } => Changed;

    /// Passes a lock on, for a shorter term, as a capability of its own (see [`crate::lock`]); fill or dma may be passed
    /// as dma. Out: the lock's capability. Errors: `LockGone`, `Locked` (passed on already), `ModeRaised`, `PinLimit`,
    /// `ContractExhausted`, `NoRecord`.
    46 LockPass {
        /// From [`Locked`].
        lock: u64,
        /// What the receiver gets.
        mode: LockMode,
        /// Term in nanoseconds; cut to what is left of the lock's.
        term_ns: u64,
    } => Changed;

    /// Ends the container; its frames and records go back. GRANT, the container itself. Locks are broken.
    47 ContainerDestroy {} => Empty;

    /// Says in which order the container's extra frames are to go when they are seized. GRANT, the container itself.
    /// Errors: `NotAdmitted` (vital, and its size does not fit into the guarantee beside what is firm already).
    48 SetEviction {
        /// Containers of a lower rank go first; 0: it has no place in the order, and the central policy decides.
        rank: u16,
        /// Its pages may go before those of any container that is not discardable.
        discardable: bool,
        /// It is never seized. Its whole size counts as firm.
        vital: bool,
    } => Changed;

    /// Which pages have frames, which were used and which are lost. MAP. Errors: `Limit`.
    49 PageQuery {
        /// First page.
        first_page: u64,
        /// Number of pages, at most [`QUERY_PAGES_MAX`].
        pages: u64,
        /// Clear the bits that tell of use. The container itself.
        clear: bool,
    } => PageStates;
}
