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
    /// Errors: `NotAdmitted`, `NoRecord`, `Limit`.
    1 Split {
        /// Frames moved from this contract's guarantee to the child's.
        guaranteed: u64,
        /// At most this contract's own.
        extra_limit: u64,
        /// At most `guaranteed`; moved from this contract's pin limit.
        pin_limit: u64,
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
}
