//! In which order a container's pages go when physmem takes frames back, as its owner wants it.
//!
//! Discardable containers come first, then the others that have a rank, each by rank. A container without a rank has
//! no place in the order: the central policy decides. A vital one is never seized; so that this takes nothing from
//! anybody, its whole size counts as firm and must fit into the guarantee.

use crate::access::{Access, changed};
use crate::frames::Frames;
use crate::layout::container;
use crate::record::{Container, Name, Records};
use containers_api::{ContainerRights, MemoryError};

/// What an owner wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Eviction {
    /// Lower ranks go first; 0: no place in the order.
    pub rank: u16,
    /// Before everything that is not discardable.
    pub discardable: bool,
    /// Never.
    pub vital: bool,
}

impl Eviction {
    /// Where it stands in the order.
    fn key(self) -> u64 {
        u64::from(!self.discardable) << 16 | u64::from(self.rank)
    }

    fn has_place(self) -> bool {
        !self.vital && (self.rank != 0 || self.discardable)
    }
}

/// Changes the order. Errors: `MissingRight`, `NotAdmitted`.
pub fn set(frames: &mut impl Frames, access: &Access, wanted: Eviction) -> Result<(), MemoryError> {
    access.require(ContainerRights::GRANT)?;
    access.require_whole()?;
    let this = access.container;
    let (payer, size) = (frames.get(this, container::CONTRACT), frames.get(this, container::PAGES));
    match (frames.get(this, container::VITAL), wanted.vital) {
        (false, true) => frames.reserve_vital(payer, size)?,
        (true, false) => frames.release_vital(payer, size),
        _ => {}
    }
    leave(frames, this);
    frames.set(this, container::VITAL, wanted.vital);
    frames.set(this, container::DISCARDABLE, wanted.discardable);
    frames.set(this, container::EVICTION_KEY, wanted.key());
    if wanted.has_place() {
        frames.enter_order(this);
    }
    changed(frames, this);
    Ok(())
}

/// Whether a container has a place in its contract's order.
pub fn is_ordered(records: &impl Records, this: Name<Container>) -> bool {
    records.get(this, container::ORDER_HEIGHT) != 0
}

/// Gives its place up, if it has one.
pub fn leave(frames: &mut impl Frames, this: Name<Container>) {
    if is_ordered(frames, this) {
        frames.leave_order(this);
        frames.set(this, container::ORDER_HEIGHT, 0);
    }
}

/// A container's size changes: what counts as firm with it. Errors: `NotAdmitted`.
pub fn resize(
    frames: &mut impl Frames,
    this: Name<Container>,
    old: u64,
    new: u64,
) -> Result<(), MemoryError> {
    let payer = frames.get(this, container::CONTRACT);
    match (frames.get(this, container::VITAL), new > old) {
        (true, true) => frames.reserve_vital(payer, new - old),
        (true, false) => {
            frames.release_vital(payer, old - new);
            Ok(())
        }
        (false, _) => Ok(()),
    }
}

/// A container is going: it leaves the order.
pub fn forget(frames: &mut impl Frames, this: Name<Container>) {
    leave(frames, this);
    if frames.get(this, container::VITAL) {
        let (payer, size) = (frames.get(this, container::CONTRACT), frames.get(this, container::PAGES));
        frames.release_vital(payer, size);
        frames.set(this, container::VITAL, false);
    }
}
