//! What the records of containers, grants, locks and holds contain.

/// A container: its page array, its version and the heads of its lists.
pub mod container {
    use crate::record::{Container, Contract, Grant, Lock, Mapping, Name, Waiter};
    use crate::record_fields;

    record_fields!(Container {
        /// Who pays.
        CONTRACT: Name<Contract>,
        /// For people; never used again.
        NUMBER: u64,
        /// Size.
        PAGES: u64,
        /// Pages that have a frame.
        PRESENT: u64,
        /// Pages that take part in a logical copy.
        SHARED: u64,
        /// Pages whose contents are gone, because their frames were seized.
        LOST: u64,
        /// Pages whose contents are with the default pager.
        OUT: u64,
        /// The page array's root (see `pages`).
        ROOT: u64,
        /// Levels of the page array.
        HEIGHT: u64,
        /// Bumped by every change.
        VERSION: u64,
        /// No change is possible any more.
        SEALED: bool,
        /// It is being destroyed: nothing but that goes on.
        DYING: bool,
        /// First lock.
        LOCKS: Option<Name<Lock>>,
        /// Locks in force, passed ones not counted.
        LOCK_COUNT: u64,
        /// First grant that was made from the container itself.
        GRANTS: Option<Name<Grant>>,
        /// Grants, those made from grants included.
        GRANT_COUNT: u64,
        /// First mapping.
        MAPPINGS: Option<Name<Mapping>>,
        /// Mappings.
        MAPPING_COUNT: u64,
        /// First fault that waits for a lock to end.
        WAITERS: Option<Name<Waiter>>,
        /// Never seized: its size is counted as firm.
        VITAL: bool,
        /// Its pages may go first.
        DISCARDABLE: bool,
        /// Its place in its contract's eviction order, if it has one.
        EVICTION_KEY: u64,
        /// In the eviction order.
        LEFT: Option<Name<Container>>,
        /// In the eviction order.
        RIGHT: Option<Name<Container>>,
        /// In the eviction order; 0: it has no place there.
        ORDER_HEIGHT: u64,
        /// Page from which on frames are seized next.
        HAND: u64,
        /// Next container that goes in steps.
        GOING_NEXT: Option<Name<Container>>,
        /// Container that goes in steps before.
        GOING_PREVIOUS: Option<Name<Container>>,
        /// Who is answered when it is gone, in physmem's table.
        END_REPLY: u32,
        /// Next container of the contract.
        NEXT: Option<Name<Container>>,
        /// Container before.
        PREVIOUS: Option<Name<Container>>,
    });
}

/// A grant: a range, rights, a longest lock.
pub mod grant {
    use crate::record::{Container, Grant, Name, Waiter};
    use crate::record_fields;
    use containers_api::ContainerRights;

    record_fields!(Grant {
        /// On what.
        CONTAINER: Name<Container>,
        /// The grant that it was made from.
        PARENT: Option<Name<Grant>>,
        /// Grants above it.
        DEPTH: u64,
        /// First page, in the container.
        FIRST_PAGE: u64,
        /// Number of pages.
        PAGES: u64,
        /// What it allows.
        RIGHTS: ContainerRights,
        /// Longest term of a lock.
        MAXIMUM_LOCK_NS: u64,
        /// It ends as soon as its locks have ended.
        REVOKING: bool,
        /// Who waits for that.
        WAITER: Option<Name<Waiter>>,
        /// First grant that was made from it.
        CHILDREN: Option<Name<Grant>>,
        /// Next grant of the container or parent.
        NEXT: Option<Name<Grant>>,
        /// Grant before.
        PREVIOUS: Option<Name<Grant>>,
    });
}

/// A lock, or the child that it was passed on as.
pub mod lock {
    use crate::record::{Container, Grant, Hold, Lock, Name};
    use crate::record_fields;
    use containers_api::LockMode;

    record_fields!(Lock {
        /// On what.
        CONTAINER: Name<Container>,
        /// The grant it was taken through; none: by the container's own capability.
        VIA: Option<Name<Grant>>,
        /// First page, in the container.
        FIRST_PAGE: u64,
        /// Number of pages.
        PAGES: u64,
        /// What it promises.
        MODE: LockMode,
        /// When it ends at the latest.
        EXPIRES: u64,
        /// The lock that it was passed on as.
        CHILD: Option<Name<Lock>>,
        /// The lock that it was passed from.
        PARENT: Option<Name<Lock>>,
        /// Who answers for the frames that a device was told (of a passed lock).
        HOLD: Option<Name<Hold>>,
        /// Next lock of the container.
        NEXT: Option<Name<Lock>>,
        /// Lock before.
        PREVIOUS: Option<Name<Lock>>,
        /// In the tree of deadlines.
        LEFT: Option<Name<Lock>>,
        /// In the tree of deadlines.
        RIGHT: Option<Name<Lock>>,
        /// In the tree of deadlines.
        HEIGHT: u64,
    });
}

/// Frames that a device may be writing, and the contract that answers for them.
pub mod hold {
    use crate::record::{Contract, Hold, Name};
    use crate::record_fields;

    record_fields!(Hold {
        /// Who answers: these pages are set aside in its guarantee.
        CONTRACT: Name<Contract>,
        /// The passed lock, as a word: it may be gone.
        LOCK: u64,
        /// Pages.
        PAGES: u64,
        /// The device that was told the frames.
        DEVICE: u32,
        /// The lock has ended and the frames are in quarantine.
        OVERDUE: bool,
        /// The device only reads the frames: they hold contents, which the owner keeps.
        READS: bool,
        /// First frame in quarantine; 0: none.
        FRAMES: u32,
        /// Next hold of the contract.
        NEXT: Option<Name<Hold>>,
        /// Hold before.
        PREVIOUS: Option<Name<Hold>>,
        /// In the tree of overdue holds.
        LEFT: Option<Name<Hold>>,
        /// In the tree of overdue holds.
        RIGHT: Option<Name<Hold>>,
        /// In the tree of overdue holds.
        HEIGHT: u64,
    });
}

use crate::list::List;
use crate::record::{Container, Grant, Hold, Lock};
use crate::tree::Tree;

/// Locks of a container.
pub const CONTAINER_LOCKS: List<Container, Lock> =
    List { head: container::LOCKS, next: lock::NEXT, previous: lock::PREVIOUS };

/// Grants made from a container.
pub const CONTAINER_GRANTS: List<Container, Grant> =
    List { head: container::GRANTS, next: grant::NEXT, previous: grant::PREVIOUS };

/// Grants made from a grant.
pub const GRANT_CHILDREN: List<Grant, Grant> =
    List { head: grant::CHILDREN, next: grant::NEXT, previous: grant::PREVIOUS };

/// Containers of a contract that have a place in its eviction order: those to be emptied first come first.
pub const EVICTION_ORDER: Tree<Container> = Tree {
    key: container::EVICTION_KEY,
    left: container::LEFT,
    right: container::RIGHT,
    height: container::ORDER_HEIGHT,
};

/// All locks, passed ones too, by the moment they expire.
pub const DEADLINES: Tree<Lock> =
    Tree { key: lock::EXPIRES, left: lock::LEFT, right: lock::RIGHT, height: lock::HEIGHT };

/// Holds whose lock has ended, by that lock's name.
pub const OVERDUE: Tree<Hold> =
    Tree { key: hold::LOCK, left: hold::LEFT, right: hold::RIGHT, height: hold::HEIGHT };
