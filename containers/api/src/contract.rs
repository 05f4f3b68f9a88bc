//! Requests to a contract: what a principal may hold, and the objects it pays for.

use crate::{ContainerRights, MemoryError, Name};
use kernel_protocol::{Empty, message, protocol, word_enum};

message! {
    /// What a contract allows and what is held under it, all in frames.
    pub struct ContractStatus {
        /// Number of the principal, never used again.
        principal: u64,
        /// Frames that an allocation finds for certain.
        guaranteed: u64,
        /// Frames beyond the guarantee that may be held while there is no need for them elsewhere.
        extra_limit: u64,
        /// Frames that may be pinned (dma locks) at a time.
        pin_limit: u64,
        /// Guarantee handed on to children.
        handed_on: u64,
        /// Charges: container pages present, shared or not.
        pages: u64,
        /// Frames with physmem's records.
        records: u64,
        /// Frames with kernel objects and page tables.
        kernel: u64,
        /// Charges that are pinned now.
        pinned: u64,
        /// Charges above the guarantee.
        extra: u64,
        /// Pages of vital containers: firm, present or not.
        vital: u64,
        /// Frames kept for it, because it waited for them.
        claimed: u64,
        /// When the contract ends; `u64::MAX`: never.
        expires: u64,
        /// Calls that it may still ignore before it is no longer asked.
        standing: u64,
        /// Frames seized from it since it was made.
        seized: u64,
        /// Pages that may be with the default pager at a time.
        swap_limit: u64,
        /// Pages that are.
        swapped: u64,
    }
}

message! {
    /// The call in progress, and what came of earlier ones.
    pub struct CallStatus {
        /// Number of the last call; grows by one with each.
        sequence: u64,
        /// Frames still to be given back; 0: there is no call, or it is met.
        frames: u64,
        /// When that must be done.
        deadline: u64,
        /// Calls met before the deadline.
        met: u64,
        /// Extra frames held.
        extra: u64,
        /// Of these, so many may be called at once: their term is over.
        callable: u64,
        /// End of the next term; `u64::MAX`: there is none.
        next_end: u64,
    }
}

message! {
    /// A renewal.
    pub struct Renewed {
        /// Extra frames that it holds for.
        frames: u64,
        /// Until when.
        until: u64,
    }
}

word_enum! {
    /// What a capability to physmem names.
    pub enum ObjectKind {
        /// A contract.
        Contract = 1,
        /// A container, or a grant on part of one.
        Container = 2,
        /// A lock that was passed on.
        Lock = 3,
        /// An address space.
        Space = 4,
        /// All of physmem, or the authority for physical addresses.
        Control = 5,
    }
}

message! {
    /// What an examined capability is.
    pub struct Examined {
        /// What it names.
        kind: ObjectKind,
        /// What it allows; of a container or grant.
        rights: ContainerRights,
        /// Pages that it reaches; of a container, grant or lock.
        pages: u64,
        /// Principal of the contract that pays for the object.
        principal: u64,
    }
}

protocol! {
    error MemoryError;

    /// Makes a child contract out of this one's guarantee and limits. Out: the contract's capability.
    /// Errors: `NotAdmitted`, `NoRecord`, `Limit`, `NoPager` (a swap limit, and nobody to swap), `OutOfRange` (a term that is
    /// shorter or longer than terms may be).
    1 Split {
        /// Frames moved from this contract's guarantee to the child's.
        guaranteed: u64,
        /// At most this contract's own.
        extra_limit: u64,
        /// At most `guaranteed`; moved from this contract's pin limit.
        pin_limit: u64,
        /// Pages that may be with the default pager at a time; at most this contract's own limit, except for the root, which has none.
        swap_limit: u64,
        /// How much it counts where frames are taken back from several; 0: as much as usual.
        weight: u64,
        /// How long an extra frame is its for certain, in nanoseconds; 0: the system's usual term.
        extra_term_ns: u64,
        /// How long the contract lasts, in nanoseconds; 0: as long as its parent.
        term_ns: u64,
        /// For people.
        name: Name,
    } => Empty;

    /// Takes back everything: child contracts, address spaces and their threads, containers, records. What
    /// was handed on returns to the parent.
    2 ContractDestroy {} => Empty;

    /// How the contract stands.
    3 ContractStat {} => ContractStatus;

    /// Makes a container, empty of frames. Out: a capability with all rights. Errors: `NoRecord`,
    /// `OutOfRange`.
    4 ContainerCreate {
        /// Its size; frames are charged as they are allocated.
        pages: u64,
    } => Empty;

    /// Makes a task with an address space. Out: the kernel's task capability, then the space's. Errors:
    /// `ContractExhausted`, `NoRecord`.
    5 SpaceCreate {
        /// For people.
        name: Name,
    } => Empty;

    /// Makes an endpoint. Out: a capability with all rights. Errors: `ContractExhausted`.
    6 EndpointCreate {} => Empty;

    /// Makes a notification. Out: a capability with all rights. Errors: `ContractExhausted`.
    7 NotificationCreate {} => Empty;

    /// What the capability sent along is. A server that is handed a capability asks this before it calls it or sends
    /// anything along with a call to it: an endpoint that only pretends to be a container could keep the server
    /// waiting, lie to it, or keep what it was sent. Errors: `WrongObject` (it does not lead to physmem), `Stale`.
    8 Examine {} => Examined;

    /// Moves guarantee and pin limit from this contract to its child sent along. Errors: `WrongObject` (not a child),
    /// `NotAdmitted`.
    9 HandDown {
        /// Frames.
        guaranteed: u64,
        /// At most what the child's guarantee is then.
        pin_limit: u64,
    } => Empty;

    /// The reverse. What the child holds beyond its smaller guarantee is extra, and called at once where it is more than the
    /// child's limit. Errors: `WrongObject`, `NotAdmitted` (what the child holds firmly would not fit).
    10 TakeBack {
        /// Frames.
        guaranteed: u64,
        /// Part of the child's pin limit.
        pin_limit: u64,
    } => Empty;

    /// Makes everything that the child sent along holds this contract's own: containers, address spaces, children. The
    /// child is gone; capabilities to what it held stay good. Errors: `WrongObject`, `Limit`.
    11 Merge {} => Empty;

    /// Gives the child sent along a new term, from now on. Errors: `WrongObject`, `OutOfRange`.
    12 Extend { /** In nanoseconds; 0: as long as this contract. */ term_ns: u64 } => Empty;

    /// Starts the terms of all extra frames anew. Errors: `UnderPressure`.
    13 Renew {} => Renewed;

    /// Has the notification sent along signalled, with the bits of its badge, with each call, and keeps the contract page up to date from now on (see
    /// [`crate::page`]). Errors: `WrongObject`, `Limit`, `ContractExhausted`.
    14 Watch {} => Empty;

    /// The call in progress.
    15 CallStat {} => CallStatus;

    /// Makes a task with an address space whose page faults come to the endpoint sent along (RECEIVE), as messages with
    /// this badge: for a physmem that is itself a client. Out: as [`SpaceCreate`]. Errors: the same, `WrongObject`.
    80 SpaceCreateFor {
        /// Badge of its faults.
        fault_badge: u64,
        /// For people.
        name: Name,
    } => Empty;

    /// Makes a schedule, without processor time as yet. Out: a capability with all rights. Errors: `ContractExhausted`.
    17 ScheduleCreate {} => Empty;
}

impl Split {
    /// A split with the system's usual weight and terms, without swap, for as long as the parent lasts.
    pub const fn new(guaranteed: u64, extra_limit: u64, pin_limit: u64, name: Name) -> Split {
        Split {
            guaranteed,
            extra_limit,
            pin_limit,
            swap_limit: 0,
            weight: 0,
            extra_term_ns: 0,
            term_ns: 0,
            name,
        }
    }
}
