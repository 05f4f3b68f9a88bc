//! Requests to an address space.

use crate::MemoryError;
use crate::container::Changed;
use bitflags::bitflags;
use kernel_protocol::{Empty, message, protocol, word_flags};

bitflags! {
    /// What user code may do with a mapping, beyond reading.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct MapProtection: u8 {
        /// Stores.
        const WRITE = 1 << 0;
        /// Instruction fetches; not together with `WRITE`.
        const EXECUTE = 1 << 1;
    }
}

word_flags!(MapProtection, u8);

message! {
    /// New room in the capability table.
    pub struct TableRoom {
        /// First new handle.
        first: u32,
        /// Number of new handles.
        handles: u32,
    }
}

protocol! {
    error MemoryError;

    /// Maps a range of the container sent along (MAP; WRITE for writable). Nothing is entered yet: pages come by
    /// faults, or at once where `populate` is set and the page is present. Errors: `Mapped`, `OutOfRange`,
    /// `NoRecord`, `WriteExecute`, `Sealed`.
    16 Map {
        /// Page-aligned address.
        address: u64,
        /// Number of pages.
        pages: u64,
        /// First page of the container or grant.
        first_page: u64,
        /// What is allowed.
        protection: MapProtection,
        /// Enter what is present.
        populate: bool,
    } => Changed;

    /// Removes whatever is mapped in the range. Parts of mappings are allowed. Errors: `NoRecord` (a mapping
    /// would be split and the record cannot be paid).
    17 Unmap { /** Page-aligned address. */ address: u64, /** Number of pages. */ pages: u64 } => Empty;

    /// Changes the protection of the mappings in the range, within what their capabilities allowed.
    18 Protect {
        /// Page-aligned address.
        address: u64,
        /// Number of pages.
        pages: u64,
        /// What is allowed from now on.
        protection: MapProtection,
    } => Empty;

    /// Maps the device memory whose capability is sent along.
    19 MapDevice {
        /// Page-aligned address.
        address: u64,
        /// First page of the device memory.
        first_page: u64,
        /// Number of pages.
        pages: u64,
    } => Empty;

    /// Makes a thread. Out: the kernel's thread capability. Errors: `ContractExhausted`.
    20 ThreadCreate {} => Empty;

    /// Makes room for more capabilities. Errors: `ContractExhausted`, `Limit`.
    21 TableGrow {} => TableRoom;

    /// Maps the clock page ([`kernel_abi::boot::ClockPage`]) read-only.
    22 MapClock { /** Page-aligned address. */ address: u64 } => Empty;

    /// Maps the pressure page ([`crate::page::Pressure`]) read-only.
    24 MapPressure { /** Page-aligned address. */ address: u64 } => Empty;

    /// Maps the contract page ([`crate::page::ContractPage`]) of the contract that pays for the address space, read-only.
    /// Errors: `WrongObject` (it has none: see [`crate::contract::Watch`]).
    25 MapContractPage { /** Page-aligned address. */ address: u64 } => Empty;

    /// Ends the task; its page tables, threads and records go back to the contract.
    23 SpaceDestroy {} => Empty;
}
