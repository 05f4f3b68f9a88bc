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

/// How long an extra frame is its holder's, unless the contract says otherwise.
pub const EXTRA_TERM_NS: u64 = 100_000_000;

/// Shortest term of extra frames that a contract can say.
pub const EXTRA_TERM_MIN_NS: u64 = 1_000_000;

/// Longest term of extra frames that a contract can say; law 4's bound on a wait is this and the grace.
pub const EXTRA_TERM_MAX_NS: u64 = 1_000_000_000;

/// From a call to its deadline.
pub const CALL_GRACE_NS: u64 = 20_000_000;

/// Part of the grace whose share of processor time a contract's tasks must have had, or wanted no more of, for a missed call to count:
/// whatever the phase, whole periods of the usual length lie in the grace for as long.
pub const CONDUCT_WINDOW_NS: u64 = CALL_GRACE_NS / 2;

/// Tasks of a contract that are looked at to judge it. One that has more is taken to have had its time.
pub const CONDUCT_TASKS: u32 = 16;

/// Calls that a contract may ignore before its frames are seized without one.
pub const STANDING_MAX: u64 = 3;

/// Time after which one ignored call is forgotten.
pub const STANDING_RECOVERY_NS: u64 = 10_000_000_000;

/// How long frames are kept for a contract that has waited for them, or has just given them back.
pub const CLAIM_TERM_NS: u64 = 100_000_000;

/// Frames that are given back are kept for their contract while less than this part of what may be charged is left: as much
/// as others can take, before who gave them back needs them again, without its having to wait.
pub const CLAIM_ROOM_PART: u64 = 2;

/// Weight of a contract that says nothing else.
pub const WEIGHT: u64 = 100;

/// Highest weight.
pub const WEIGHT_MAX: u64 = 10_000;

/// Shortest term of a contract that ends.
pub const CONTRACT_TERM_MIN_NS: u64 = 2 * CALL_GRACE_NS;

/// Longest term of a contract that ends.
pub const CONTRACT_TERM_MAX_NS: u64 = 1 << 60;

/// Pages seized in one step, between two messages.
pub const SEIZE_STEP_PAGES: u64 = 128;

/// How long a seizure waits for the default pager at most, beyond the grace, so that pages go out and are not lost.
pub const PAGE_OUT_WAIT_NS: u64 = 10_000_000;

/// Pages whose use a policy looks at in one step.
pub const SCAN_STEP_PAGES: u64 = 512;

/// Pages that a policy looks at before it chooses whom to call: what it has not seen by then counts as in use.
pub const ROUND_PAGES: u64 = 16_384;

/// Pages passed over, because they are in use, in a search for some to seize, before any will do; [`SEARCH_PAGES_PER_FRAME`]
/// more for each that was found.
pub const SEARCH_PAGES_MAX: u64 = 16_384;

/// See [`SEARCH_PAGES_MAX`].
pub const SEARCH_PAGES_PER_FRAME: u64 = 8;

/// Pages that a pass over all holders of extra frames looks at, about; of more it looks at a part.
pub const PASS_PAGES: u64 = 4096;

/// Time between two passes.
pub const PASS_INTERVAL_NS: u64 = 100_000_000;

/// Least time between two choices of whom to call, while callers wait and nobody is found.
pub const RELIEF_INTERVAL_NS: u64 = 1_000_000;

/// Frames that a stacked physmem gives up to the one above in one step between messages.
pub const OWED_STEP: usize = 64;

/// Children of the root contract whose guarantees are lowered for one call from above, at most.
pub const OWED_CHILDREN: u32 = 64;

/// Callers of a contract that are answered later, at most: waiting faults and waiting revokes, and those who wait for frames.
pub const WAITERS_PER_CONTRACT: u64 = 32;

/// Pages around a fault that are entered with it where they are present already; a power of two.
pub const FAULT_CLUSTER_PAGES: u64 = 16;

/// Pages that are entered at a time at most: with a fault of who goes through present pages in order, twice as many with each.
pub const FAULT_AHEAD_PAGES: u64 = 128;

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
pub const DESTROY_STEP_PAGES: u64 = 256;

/// Containers that a child may have when it is merged into its parent.
pub const MERGE_OBJECTS_MAX: u64 = 1024;

/// Mappings deleted in one step of a destruction.
pub const DESTROY_STEP_MAPPINGS: u64 = 128;

/// Batches of page tables taken back in one step of a destruction.
pub const DESTROY_STEP_TABLES: u64 = 8;

/// Pages entered at most with a mapping that is to be populated; the others come by faults.
pub const POPULATE_PAGES_MAX: u64 = OPERATION_PAGES_MAX;

/// Steps of a destruction done at once; what is left goes on between messages.
pub const DESTROY_STEPS_AT_ONCE: u32 = 8;

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

/// Frames that are not lent as extra frames, so that guarantees are met at once; of so many that may be charged.
pub const fn lending_margin(capacity: u64) -> u64 {
    let part = capacity / 64;
    if part < 4 {
        4
    } else if part > 1024 {
        1024
    } else {
        part
    }
}
