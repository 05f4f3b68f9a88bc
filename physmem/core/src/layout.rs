//! What the records of contracts, address spaces, mappings and waiters contain.

/// A contract: what it may hold, what it holds, and the heads of its lists and rings.
pub mod contract {
    use containers_core::record::{Container, Contract, Hold, Name, Space};
    use containers_core::record_fields;

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
        /// Ring of frames with endpoints.
        ENDPOINT_RING: u32,
        /// Ring of frames with notifications.
        NOTIFICATION_RING: u32,
        /// Ring of frames with tasks.
        TASK_RING: u32,
    });
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
        /// Next space of the contract.
        NEXT: Option<Name<Space>>,
        /// Space before.
        PREVIOUS: Option<Name<Space>>,
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
        /// Who pays.
        PAYER: Name<Contract>,
        /// The saved reply, in physmem's table.
        REPLY: u32,
        /// Of a fault: where.
        SPACE: Option<Name<Space>>,
        /// Of a fault: on what.
        CONTAINER: Option<Name<Container>>,
        /// Of a revoke: which grant.
        GRANT: Option<Name<Grant>>,
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
