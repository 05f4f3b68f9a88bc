//! Named limits of containers. The table of all limits, with the reasons, is in `docs/memory.md`.

/// Levels of a page array at most.
pub const ARRAY_HEIGHT_MAX: usize = 6;

/// Pages that a container can have at most: what an array of [`ARRAY_HEIGHT_MAX`] levels holds.
pub const CONTAINER_PAGES_MAX: u64 = 1 << 36;

pub use containers_api::container::OPERATION_PAGES_MAX;

/// Locks in force on a container at most.
pub const LOCKS_PER_CONTAINER: u64 = 64;

/// Grants on a container at most, those made from grants included.
pub const GRANTS_PER_CONTAINER: u64 = 256;

/// How deep grants may be made from grants.
pub const GRANT_DEPTH_MAX: u64 = 8;

/// Mappings of a container at most, in all address spaces together: bounds the work of taking a page away.
pub const MAPPINGS_PER_CONTAINER: u64 = 1024;

/// Longest term of a lock, in nanoseconds, whatever a grant allows.
pub const LOCK_TERM_MAX_NS: u64 = 60_000_000_000;

/// Pages that can hold one frame at most, by logical copies; beyond it the bytes are copied.
pub const FRAME_HOLDERS_MAX: u32 = 4095;
