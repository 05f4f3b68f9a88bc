//! What the records of contracts, address spaces, mappings and waiters contain.

/// A contract: what it may hold, what it holds, and the heads of its lists and rings.
pub mod contract {
    use containers_core::record::{Container, Contract, Hold, Name, Space};
    use containers_core::record_fields;

    use containers_core::record::Field;

    record_fields!(Contract {
        /// Never used again.
        PRINCIPAL: u64,
        /// First eight bytes of the name.
        NAME: u64,
        /// The others.
        NAME_REST: u64,
        /// Whose guarantee it is part of.
        PARENT: Option<Name<Contract>>,
        /// Contracts above it.
        DEPTH: u64,
        /// First child.
        CHILDREN: Option<Name<Contract>>,
        /// Next child of the parent.
        NEXT: Option<Name<Contract>>,
        /// Child before.
        PREVIOUS: Option<Name<Contract>>,
        /// Frames that are its for certain.
        GUARANTEED: u64,
        /// Frames beyond that at most.
        EXTRA_LIMIT: u64,
        /// Pinned at most.
        PIN_LIMIT: u64,
        /// Guaranteed to children.
        HANDED_ON: u64,
        /// Charges: container pages.
        PAGES: u64,
        /// Charges: frames of records.
        RECORDS: u64,
        /// Charges: frames of kernel objects and page tables.
        KERNEL: u64,
        /// Charges: set aside for, or in, quarantine.
        SET_ASIDE: u64,
        /// Pages under dma locks, and what is set aside.
        PINNED: u64,
        /// First container.
        CONTAINERS: Option<Name<Container>>,
        /// Containers.
        CONTAINER_COUNT: u64,
        /// First address space.
        SPACES: Option<Name<Space>>,
        /// Address spaces.
        SPACE_COUNT: u64,
        /// First hold.
        HOLDS: Option<Name<Hold>>,
        /// Callers that are answered later.
        WAITERS: u64,
        /// How far its destruction is (see `destroy`).
        ENDING: u8,
        /// Ring of frames with small records.
        SMALL_RING: u32,
        /// Ring of frames with large records.
        LARGE_RING: u32,
        /// Ring of frames with nodes.
        NODE_RING: u32,
        /// Ring of frames with huge records.
        HUGE_RING: u32,
        /// Ring of frames with endpoints.
        ENDPOINT_RING: u32,
        /// Ring of frames with notifications.
        NOTIFICATION_RING: u32,
        /// Ring of frames with tasks.
        TASK_RING: u32,
        /// Pages of its vital containers, present or not.
        VITAL: u64,
        /// How much it counts where frames are taken back, against others.
        WEIGHT: u64,
        /// How long an extra frame is its, in nanoseconds.
        EXTRA_TERM_NS: u64,
        /// When it ends; `u64::MAX`: never.
        EXPIRES: u64,
        /// Frames of its guarantee that are kept for it, because it waited for them.
        CLAIMED: u64,
        /// When they are kept no longer.
        CLAIM_ENDS: u64,
        /// Next contract with a claim, by the end of the claim.
        CLAIM_NEXT: Option<Name<Contract>>,
        /// Contract with a claim before.
        CLAIM_PREVIOUS: Option<Name<Contract>>,
        /// Next contract with extra frames.
        HOLDER_NEXT: Option<Name<Contract>>,
        /// Contract with extra frames before.
        HOLDER_PREVIOUS: Option<Name<Contract>>,
        /// Extra frames by term: how many, and when the term ends; three times, the oldest first.
        TERM_0: u64,
        /// See `TERM_0`.
        TERM_0_ENDS: u64,
        /// See `TERM_0`.
        TERM_1: u64,
        /// See `TERM_0`.
        TERM_1_ENDS: u64,
        /// See `TERM_0`.
        TERM_2: u64,
        /// See `TERM_0`.
        TERM_2_ENDS: u64,
        /// What the call in progress leaves it: extra frames at most.
        CALL_TARGET: u64,
        /// When that must be so; 0: there is no call.
        CALL_DEADLINE: u64,
        /// Calls made: the number of the last one.
        CALLS: u64,
        /// Frames that are being seized.
        SEIZING: u64,
        /// Until when its missed calls count against it.
        CONDUCT: u64,
        /// Frames seized from it.
        SEIZED: u64,
        /// Calls met in time.
        CALLS_MET: u64,
        /// Notification to signal with a call, in physmem's table; 0: none.
        CALL_NOTIFICATION: u32,
        /// Frame of its contract page; 0: none.
        PAGE: u32,
        /// Root of its eviction order.
        ORDER: Option<Name<Container>>,
        /// The policy's own note on it.
        POLICY_NOTE: u64,
        /// When something is to be done about its end; 0: never.
        END_STEP: u64,
        /// In the tree of contracts that end.
        END_LEFT: Option<Name<Contract>>,
        /// In the tree of contracts that end.
        END_RIGHT: Option<Name<Contract>>,
        /// In the tree of contracts that end.
        END_HEIGHT: u64,
        /// Who is answered when it is destroyed, in physmem's table; 0: nobody.
        END_REPLY: u32,
        /// Pages of it that may be out at a time.
        SWAP_LIMIT: u64,
        /// Pages of it that are out.
        SWAPPED: u64,
        /// Container from which pages go out next to make room for others, as a word: it may be gone.
        SWAP_HAND: u64,
    });

    /// Extra frames by term: how many, and when the term ends.
    pub const TERMS: [(Field<Contract, u64>, Field<Contract, u64>); 3] =
        [(TERM_0, TERM_0_ENDS), (TERM_1, TERM_1_ENDS), (TERM_2, TERM_2_ENDS)];
}

/// An address space, with its task.
pub mod space {
    use containers_core::record::{Contract, Mapping, Name, Space, Waiter};
    use containers_core::record_fields;

    record_fields!(Space {
        /// Who pays.
        CONTRACT: Name<Contract>,
        /// For people; never used again.
        NUMBER: u64,
        /// First eight bytes of the name.
        NAME: u64,
        /// The others.
        NAME_REST: u64,
        /// The task, in physmem's table.
        TASK: u32,
        /// The kernel frame that the task is in.
        TASK_FRAME: u32,
        /// The task has ended and its page tables were taken back.
        ENDED: bool,
        /// Root of the tree of mappings.
        MAPPINGS: Option<Name<Mapping>>,
        /// Mappings.
        MAPPING_COUNT: u64,
        /// Pages that they cover.
        MAPPED_PAGES: u64,
        /// Ring of page tables.
        TABLE_RING: u32,
        /// Page tables.
        TABLE_COUNT: u64,
        /// Ring of capability tables.
        CAPABILITY_RING: u32,
        /// Ring of frames with threads.
        THREAD_RING: u32,
        /// Threads made.
        THREAD_COUNT: u64,
        /// Page faults resolved.
        FAULTS: u64,
        /// First fault that waits.
        WAITERS: Option<Name<Waiter>>,
        /// Processor time that its task had used when its contract was called last.
        USED_AT_CALL: u64,
        /// Next space of the contract.
        NEXT: Option<Name<Space>>,
        /// Space before.
        PREVIOUS: Option<Name<Space>>,
        /// It is being destroyed, in steps.
        GOING: bool,
        /// Next space that goes in steps.
        GOING_NEXT: Option<Name<Space>>,
        /// Space that goes in steps before.
        GOING_PREVIOUS: Option<Name<Space>>,
        /// Who is answered when it is gone, in physmem's table.
        END_REPLY: u32,
        /// The mapping that the last fault was in, if it is still there: the next one is likely to be in the same.
        RECENT: Option<Name<Mapping>>,
        /// Address behind the pages that were entered with the last fault on a page that was present: the next fault of who goes through them
        /// in order.
        AHEAD_FROM: u64,
        /// How many pages they were.
        AHEAD: u64,
    });
}

/// A range of a container, or of device memory, at an address.
pub mod mapping {
    use containers_core::record::{Container, Grant, Mapping, Name, Space};
    use containers_core::record_fields;

    record_fields!(Mapping {
        /// Where.
        SPACE: Name<Space>,
        /// What; none: device memory or the clock page, entered for good.
        CONTAINER: Option<Name<Container>>,
        /// Through which grant.
        VIA: Option<Name<Grant>>,
        /// First address.
        ADDRESS: u64,
        /// Number of pages.
        PAGES: u64,
        /// First page, in the container.
        FIRST_PAGE: u64,
        /// What is allowed ([`containers_api::space::MapProtection`]).
        PROTECTION: u8,
        /// What can be allowed, by the capability it was mapped with.
        MAXIMUM: u8,
        /// In the space's tree.
        LEFT: Option<Name<Mapping>>,
        /// In the space's tree.
        RIGHT: Option<Name<Mapping>>,
        /// In the space's tree.
        HEIGHT: u64,
        /// Next mapping of the container.
        NEXT: Option<Name<Mapping>>,
        /// Mapping before.
        PREVIOUS: Option<Name<Mapping>>,
    });
}

/// A caller that is answered later: a fault on a locked page, or a revoke of a grant with locks.
pub mod waiter {
    use containers_core::record::{Container, Contract, Grant, Name, Space, Waiter};
    use containers_core::record_fields;

    record_fields!(Waiter {
        /// The saved reply, in physmem's table.
        REPLY: u32,
        /// Of a fault: where.
        SPACE: Option<Name<Space>>,
        /// Of a fault: on what.
        CONTAINER: Option<Name<Container>>,
        /// Of a revoke: which grant.
        GRANT: Option<Name<Grant>>,
        /// Of a request that waits for pages to come or go: who pays for this.
        PAYER: Option<Name<Contract>>,
        /// Next waiter of the container.
        NEXT: Option<Name<Waiter>>,
        /// Waiter before.
        PREVIOUS: Option<Name<Waiter>>,
        /// Next waiter of the space.
        SPACE_NEXT: Option<Name<Waiter>>,
        /// Waiter before.
        SPACE_PREVIOUS: Option<Name<Waiter>>,
    });
}

use containers_core::layout::{container, hold};
use containers_core::list::List;
use containers_core::record::{Container, Contract, Hold, Mapping, Space, Waiter};
use containers_core::tree::Tree;

/// Children of a contract.
pub const CHILDREN: List<Contract, Contract> =
    List { head: contract::CHILDREN, next: contract::NEXT, previous: contract::PREVIOUS };

/// Containers of a contract.
pub const CONTAINERS: List<Contract, Container> =
    List { head: contract::CONTAINERS, next: container::NEXT, previous: container::PREVIOUS };

/// Address spaces of a contract.
pub const SPACES: List<Contract, Space> =
    List { head: contract::SPACES, next: space::NEXT, previous: space::PREVIOUS };

/// Holds of a contract.
pub const HOLDS: List<Contract, Hold> =
    List { head: contract::HOLDS, next: hold::NEXT, previous: hold::PREVIOUS };

/// Contracts that end, by the moment at which something is to be done.
pub const ENDINGS: Tree<Contract> = Tree {
    key: contract::END_STEP,
    left: contract::END_LEFT,
    right: contract::END_RIGHT,
    height: contract::END_HEIGHT,
};

/// Mappings of an address space, by address.
pub const SPACE_MAPPINGS: Tree<Mapping> =
    Tree { key: mapping::ADDRESS, left: mapping::LEFT, right: mapping::RIGHT, height: mapping::HEIGHT };

/// Mappings of a container.
pub const CONTAINER_MAPPINGS: List<Container, Mapping> =
    List { head: container::MAPPINGS, next: mapping::NEXT, previous: mapping::PREVIOUS };

/// Faults that wait for a container's locks.
pub const CONTAINER_WAITERS: List<Container, Waiter> =
    List { head: container::WAITERS, next: waiter::NEXT, previous: waiter::PREVIOUS };

/// Faults of an address space that wait.
pub const SPACE_WAITERS: List<Space, Waiter> =
    List { head: space::WAITERS, next: waiter::SPACE_NEXT, previous: waiter::SPACE_PREVIOUS };
