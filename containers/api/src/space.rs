//! Requests to an address space.

use crate::MemoryError;
use crate::container::Changed;
use bitflags::bitflags;
use kernel_protocol::{Bytes, Empty, message, protocol, word_enum, word_flags};

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

message! {
    /// Page tables given back.
    pub struct TablesReturned {
        /// Frames that the contract is no longer charged for.
        tables: u64,
    }
}

word_enum! {
    /// Which of the bits that tell of use are cleared.
    pub enum UseClear {
        /// None.
        Nothing = 0,
        /// That a page was referenced; that it was written stays known.
        Referenced = 1,
        /// Both.
        All = 2,
    }
}

message! {
    /// When an address space was active, and how long.
    pub struct Runs {
        /// When it was last, as a number that grows with each switch between address spaces; 0: never.
        last: u64,
        /// Processor time that its task has used, in nanoseconds.
        used_ns: u64,
        /// 0: no thread of its task waits for a processor now; else the largest share of time that one which does has been
        /// promised, in parts of [`kernel_abi::schedule::WHOLE`].
        share_waiting: u64,
    }
}

/// Pages that one [`PageUse`] describes.
pub const USE_PAGES_MAX: u64 = 384;

message! {
    /// How pages were used through this address space.
    pub struct PageUse {
        /// A byte a page: bits of [`kernel_abi::pmap`]'s query.
        pages: Bytes<{ USE_PAGES_MAX as usize }>,
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

    /// The requests from here on are for a physmem that is itself a client and keeps its own books of this address space:
    /// what the kernel's page-table calls are for the first one. Maps a range of the container sent along (MAP; WRITE for
    /// writable) over whatever is mapped there, and enters all of it at once, with page tables of the stock. Every page must
    /// have a frame. Errors: `NeedTables` (detail: how many; nothing was changed), `Lost` (a page was seized or is
    /// absent), `Stale` (the task has ended), and as [`Map`].
    26 Enter {
        /// Page-aligned address.
        address: u64,
        /// Number of pages, at most [`ENTER_PAGES_MAX`].
        pages: u64,
        /// First page of the container.
        first_page: u64,
        /// What is allowed.
        protection: MapProtection,
    } => Empty;

    /// Adds page tables to the stock. Errors: `ContractExhausted`, `Stale` (the task has ended), `OutOfRange` (none, or more
    /// than [`STOCK_TABLES_MAX`]).
    27 Stock { /** How many. */ tables: u64 } => Empty;

    /// Takes page tables back that are in no use, some at a time.
    28 Unstock {} => TablesReturned;

    /// How pages were used through this address space. Errors: `OutOfRange`, `Limit`.
    29 UseQuery {
        /// Page-aligned address.
        address: u64,
        /// Number of pages, at most [`USE_PAGES_MAX`].
        pages: u64,
        /// Which bits are cleared.
        clear: UseClear,
    } => PageUse;

    /// When the address space was active, and how long.
    31 RunQuery {} => Runs;

    /// As [`ThreadCreate`], where no further frame is needed for it. Errors: `ContractExhausted` (one is).
    30 ThreadReuse {} => Empty;
}

/// Pages that one [`Enter`] maps at most.
pub const ENTER_PAGES_MAX: u64 = 16;

/// Page tables that one [`Stock`] adds at most.
pub const STOCK_TABLES_MAX: u64 = 32;
