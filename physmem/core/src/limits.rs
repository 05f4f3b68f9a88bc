//! Named limits of physmem. The table of all limits, with the reasons, is in `docs/memory.md`.

pub use containers_core::limits::*;

/// Contracts above a contract at most.
pub const CONTRACT_DEPTH_MAX: u64 = 16;

/// Containers of a contract at most.
pub const CONTAINERS_PER_CONTRACT: u64 = 65_536;

/// Address spaces of a contract at most.
pub const SPACES_PER_CONTRACT: u64 = 128;

/// Mappings of an address space at most.
pub const MAPPINGS_PER_SPACE: u64 = 4096;

/// Callers of a contract that are answered later, at most: waiting faults and waiting revokes.
pub const WAITERS_PER_CONTRACT: u64 = 32;

/// Pages around a fault that are entered with it where they are present already; a power of two.
pub const FAULT_CLUSTER_PAGES: u64 = 16;

/// Page-table frames put into an address space at a time, at most.
pub const STOCK_BATCH: usize = 32;

/// Pages unmapped by one request from which on empty page tables are taken back.
pub const UNSTOCK_PAGES: u64 = 512;

/// Frames kept zeroed in advance, filled when there is nothing else to do.
pub const ZERO_STOCK: u32 = 256;

/// Frames zeroed in one go for the stock.
pub const ZERO_STOCK_STEP: usize = 16;

/// Free frames looked at for one that its next holder filled itself.
pub const OWN_SEARCH: u32 = 8;

/// Pages given back in one step of a destruction.
pub const DESTROY_STEP_PAGES: u64 = 512;

/// Last principal: the numbers are never used again.
pub const PRINCIPAL_MAX: u64 = (1 << 40) - 1;

/// Frames that the database can describe (128 GiB).
pub const FRAMES_MAX: usize = 1 << containers_core::record::FRAME_BITS;

/// Handles of physmem's own capability table at most: one a task, one a caller that waits.
pub const HANDLES_MAX: u32 = kernel_abi::capability::CAPABILITIES_PER_TASK;

/// Frames of physmem's capability table for so many frames of RAM: one for 2048, at least two.
pub const fn table_frames(frames: u64) -> u64 {
    let wanted = frames / 2048;
    let most = kernel_abi::capability::CAPABILITY_FRAMES_PER_TASK as u64;
    if wanted < 2 {
        2
    } else if wanted > most {
        most
    } else {
        wanted
    }
}

/// Frames that are never guaranteed to anybody, for so many frames of RAM.
pub const fn reserve_frames(frames: u64) -> u64 {
    frames / 128 + 16
}
