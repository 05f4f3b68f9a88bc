//! Requests to physmem as a whole: looking at all of it, and the few authorities that init hands out.
//!
//! The first capability of this kind is init's and may do everything. A copy made by `ControlShare` may do less, and can
//! always look.

use crate::{MemoryError, Name};
use bitflags::bitflags;
use kernel_protocol::{Bytes, Empty, message, protocol, word_enum, word_flags};

bitflags! {
    /// What a control capability may do beyond looking.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct ControlRights: u8 {
        /// Hand out the authority for physical addresses.
        const DMA = 1 << 0;
        /// End contracts.
        const END = 1 << 1;
        /// Choose the policy.
        const POLICY = 1 << 2;
        /// Be the default pager ([`crate::pager`]).
        const PAGER = 1 << 3;
    }
}

word_flags!(ControlRights, u8);

message! {
    /// All frames, by state, and what was done with them since boot.
    pub struct SystemStatus {
        /// Frames of RAM.
        frames: u64,
        /// The kernel's image and tables, and physmem's own.
        kernel: u64,
        /// Free and known to be zero.
        free_zero: u64,
        /// Free, contents arbitrary.
        free_dirty: u64,
        /// Held by one or more contracts.
        held: u64,
        /// Waiting for a device to let go.
        quarantined: u64,
        /// Guarantees given, to all contracts.
        guaranteed: u64,
        /// Never guaranteed to anybody.
        reserve: u64,
        /// Frames zeroed at hand-over.
        zeroed: u64,
        /// Hand-overs that found a frame zeroed before.
        pre_zeroed: u64,
        /// Hand-overs where nobody could see a difference.
        zeroing_skipped: u64,
        /// Client bytes that the processor moved in copies.
        moved_bytes: u64,
        /// Pages copied logically.
        shared_pages: u64,
        /// Bytes that devices wrote into client frames.
        dma_bytes: u64,
        /// Page faults resolved.
        faults: u64,
        /// Requests answered.
        requests: u64,
    }
}

word_enum! {
    /// Whose extra frames are taken back first, and which of them, where their owner has no order of its own.
    pub enum PolicyKind {
        /// In the owner's order, in proportion to what is held.
        ClientOrder = 0,
        /// Address spaces that ran least recently first, pages that were not used since the hand passed last.
        GlobalClock = 1,
        /// Working sets by aging, with weights and a tax on what is idle.
        Aging = 2,
    }
}

message! {
    /// How frames were taken back since boot.
    pub struct RevocationStatus {
        /// Which policy is in force.
        policy: PolicyKind,
        /// Frames that may be charged before none is left.
        room: u64,
        /// Extra frames held.
        extra: u64,
        /// Frames kept for contracts that waited for them.
        claimed: u64,
        /// Callers that wait for frames.
        waiting: u64,
        /// Callers that have waited.
        waited: u64,
        /// Calls made.
        calls: u64,
        /// Of these, met before the deadline.
        met: u64,
        /// Of these, not met.
        missed: u64,
        /// Of the missed, excused: who was called had no processor time to answer.
        excused: u64,
        /// Frames seized.
        seized: u64,
        /// Of these, out of discardable containers.
        discarded: u64,
        /// Locks that were broken to seize a frame.
        locks_broken: u64,
        /// Contracts ended because their term was over.
        terminations: u64,
        /// Pages whose use was looked at.
        scanned: u64,
        /// Renewals granted.
        renewals: u64,
    }
}

word_enum! {
    /// Which times are meant.
    pub enum Latency {
        /// From the moment at which a caller within its guarantee began to wait to the frames being there.
        Wait = 0,
        /// From a call to the frames being free, met or seized.
        Call = 1,
        /// From the deadline of a call that was not met to the frames being free.
        Seizure = 2,
    }
}

/// Buckets of a [`Latencies`].
pub const LATENCY_BUCKETS: usize = 96;

message! {
    /// A histogram of times: bucket `4 * e + m` counts those from `(4 + m) << (e + 6)` nanoseconds on, before the next bucket;
    /// the first one those below, too. A count is two bytes, low byte first, and stays at its highest value.
    pub struct Latencies {
        /// How many.
        count: u64,
        /// The longest, in nanoseconds.
        longest: u64,
        /// The sum, in nanoseconds.
        sum: u64,
        /// The buckets.
        buckets: Bytes<{ 2 * LATENCY_BUCKETS }>,
    }
}

message! {
    /// One contract in the list of all.
    pub struct ContractEntry {
        /// Ask with this for the next one; 0: this was the last.
        next: u64,
        /// Number of the principal.
        principal: u64,
        /// Principal of the parent; 0 for the root.
        parent: u64,
        /// For people.
        name: Name,
        /// Frames guaranteed, without what was handed on.
        guaranteed: u64,
        /// Limit of extra frames.
        extra_limit: u64,
        /// Limit of pinned frames.
        pin_limit: u64,
        /// Container pages present.
        pages: u64,
        /// Frames with records.
        records: u64,
        /// Frames with kernel objects and page tables.
        kernel: u64,
        /// Pinned.
        pinned: u64,
        /// Above the guarantee.
        extra: u64,
        /// Calls that it may still ignore before it is no longer asked.
        standing: u64,
        /// Calls made to it.
        calls: u64,
        /// Of these, met in time.
        met: u64,
        /// Frames that it is called for now, and those that are being seized from it.
        due: u64,
        /// Frames seized from it.
        seized: u64,
        /// Containers.
        containers: u64,
        /// Address spaces.
        spaces: u64,
        /// Limit of pages that are with the default pager.
        swap_limit: u64,
        /// Pages that are.
        swapped: u64,
    }
}

message! {
    /// One container in the list of all.
    pub struct ContainerEntry {
        /// Ask with this for the next one; 0: this was the last.
        next: u64,
        /// Names it for people.
        number: u64,
        /// Principal that pays.
        principal: u64,
        /// Its size.
        pages: u64,
        /// Pages present.
        present: u64,
        /// Pages whose frame has other holders too.
        shared: u64,
        /// Mappings.
        mappings: u64,
        /// Grants.
        grants: u64,
        /// Locks in force.
        locks: u64,
        /// Its version.
        version: u64,
        /// Sealed.
        sealed: bool,
        /// Pages that are with the default pager.
        out: u64,
    }
}

message! {
    /// One address space (one task) in the list of all.
    pub struct SpaceEntry {
        /// Ask with this for the next one; 0: this was the last.
        next: u64,
        /// Names it for people.
        number: u64,
        /// Principal that pays.
        principal: u64,
        /// For people.
        name: Name,
        /// Threads made.
        threads: u64,
        /// Mappings.
        mappings: u64,
        /// Pages mapped by them.
        pages: u64,
        /// Frames for page tables.
        tables: u64,
        /// Page faults resolved.
        faults: u64,
        /// Processor time used, in nanoseconds, with what servers used to answer its calls.
        used_ns: u64,
    }
}

protocol! {
    error MemoryError;

    /// All frames.
    64 SystemStat {} => SystemStatus;

    /// The contracts, one an answer; start with cursor 0. Errors: `OutOfRange` (no contract there any more: start
    /// again).
    65 ContractList { /** From the last answer. */ cursor: u64 } => ContractEntry;

    /// The containers.
    66 ContainerList { /** From the last answer. */ cursor: u64 } => ContainerEntry;

    /// The address spaces.
    67 SpaceList { /** From the last answer. */ cursor: u64 } => SpaceEntry;

    /// Destroys the contract of this principal, but not the root. END.
    68 ContractKill { /** Whose. */ principal: u64 } => Empty;

    /// Another capability of this kind. Out: capability. Errors: `MissingRight` (more rights than this one has).
    69 ControlShare { /** A subset of this capability's. */ rights: ControlRights } => Empty;

    /// The authority that the driver of a device shows to be told physical addresses ([`crate::dma`]). With the driver's
    /// contract: it answers for the frames that a device keeps too long, within its pin limit and guarantee; without it
    /// the root contract does. The same device for each driver that it has, one after the other. DMA. Out:
    /// capability. Errors: `WrongObject`, `Stale`, `OutOfRange` (256 devices).
    70 DmaAuthority { /** Which device: the caller's own number for it. */ device: u64 } => Empty;

    /// How frames were taken back.
    71 RevocationStat {} => RevocationStatus;

    /// Times that taking frames back took.
    72 LatencyStat { /** Which. */ which: Latency } => Latencies;

    /// Another policy, from now on. POLICY.
    73 PolicySet { /** Which. */ policy: PolicyKind } => Empty;
}
