//! Every limit of the pager, by name. `docs/default-pager.md` says what happens at each; `tests/all/limits.rs`
//! reaches them.

/// Bytes of a page.
pub const PAGE_BYTES: usize = 4096;

/// Bytes of a disk sector.
pub const SECTOR_BYTES: usize = 512;

/// Sectors that a page takes.
pub const SECTORS_PER_PAGE: u64 = (PAGE_BYTES / SECTOR_BYTES) as u64;

/// Pages that one request moves. The pages of an operation are a bit set of one word.
pub const BATCH_PAGES: usize = 64;

/// Slots that are written out together: pages that lie next to each other on the disk.
pub const CLUSTER_SLOTS: u32 = 64;

/// Requests that may have work with the disk at a time; each has a buffer of [`BATCH_PAGES`] pages.
pub const OPERATIONS: usize = 8;

/// Of these, page-outs; the others are left for page-ins.
pub const PAGE_OUTS: usize = 4;

/// Of these, clusters of the compressed tier on their way to the disk.
pub const WRITE_OUTS: usize = 2;

/// Transfers that the disk has at a time.
pub const TRANSFERS: usize = 32;

/// Page-outs that a client may have outstanding, answered or not.
pub const LANES: usize = 16;

/// Slots at most (16 GiB). Bounds the table, and with [`ZONES`] a search.
pub const SLOTS_MAX: u32 = 1 << 22;

/// Parts of the slot table that a search can step over without looking into them. A fixed number, so that the
/// bookkeeping of a page is its word alone.
pub const ZONES: u32 = 1024;

/// Slots looked at for a run in which a batch fits; beyond, it is put wherever slots are free.
pub const SEARCH_SLOTS: u32 = 1024;

/// Times that a slot can be written under one key. Then it is worn, and rests until the next boot.
pub const WRITES_PER_SLOT: u32 = (1 << 20) - 1;

/// Places in which a page is tried before its page-out fails.
pub const WRITE_TRIES: usize = 3;

/// Unit of the compressed tier, in bytes.
pub const GRANULE_BYTES: usize = 64;

/// Bytes that a size class takes from the compressed tier at a time.
pub const BLOCK_BYTES: usize = 16 * 1024;

/// Bytes of the compressed tier at most.
pub const TIER_BYTES_MAX: usize = 256 << 20;

/// A page whose compressed form is longer, header included, goes to the disk as it is: three quarters of a page.
pub const OBJECT_BYTES_MAX: usize = PAGE_BYTES / 4 * 3;

/// Owners that the compressed tier can tell apart.
pub const ACCOUNTS: usize = 1024;
