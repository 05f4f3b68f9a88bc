//! Merging: a child's holdings become its parent's own, and the child is gone.
//!
//! Nothing moves: records and kernel frames stay where they are and change hands with their rings; capabilities to
//! containers and address spaces stay good. The child's principal ends with it, so its frames count as a stranger's when
//! they are used again, and are cleared.

use crate::database::NO_FRAME;
use crate::layout::{CHILDREN, CONTAINERS, HOLDS, SPACE_MAPPINGS, SPACES, contract, mapping, space};
use crate::limits::{CONTAINERS_PER_CONTRACT, MERGE_OBJECTS_MAX, SPACES_PER_CONTRACT, WAITERS_PER_CONTRACT};
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_api::MemoryError;
use containers_core::eviction;
use containers_core::layout::{container, hold};
use containers_core::record::{Contract, Field, Name, Records, Size, Space};
use kernel_abi::FRAME_BYTES;
use kernel_abi::pmap::PageRange;

/// Counts that add up.
const SUMS: [Field<Contract, u64>; 11] = [
    contract::GUARANTEED,
    contract::PIN_LIMIT,
    contract::PAGES,
    contract::RECORDS,
    contract::KERNEL,
    contract::SET_ASIDE,
    contract::PINNED,
    contract::VITAL,
    contract::CONTAINER_COUNT,
    contract::SPACE_COUNT,
    contract::SWAPPED,
];

/// Rings of kernel frames.
const OBJECT_RINGS: [Field<Contract, u32>; 3] =
    [contract::ENDPOINT_RING, contract::NOTIFICATION_RING, contract::TASK_RING];

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Makes a child part of its parent. Errors: `WrongObject` (not a child), `Limit`, `NotAdmitted` (more extra frames
    /// than the parent may hold).
    pub(crate) fn merge(&mut self, parent: Name<Contract>, child: Name<Contract>) -> Result<(), MemoryError> {
        self.require_child(parent, child)?;
        self.check_merge(parent, child)?;
        self.use_claim(child, u64::MAX);
        self.call_is_over(child);
        self.unmap_contract_page(child);
        self.end_watch(child);
        self.forget_end(child);
        self.wake_window();
        self.pass_objects_on(parent, child);
        self.pass_rings_on(parent, child);
        self.pass_counts_on(parent, child);
        self.waits.pass_on(child, parent);
        CHILDREN.remove(self, parent, child);
        self.delete(parent, child);
        Ok(())
    }

    fn check_merge(&self, parent: Name<Contract>, child: Name<Contract>) -> Result<(), MemoryError> {
        let sum = |field| self.get(parent, field) + self.get(child, field);
        let containers = self.get(child, contract::CONTAINER_COUNT);
        if containers > MERGE_OBJECTS_MAX
            || sum(contract::CONTAINER_COUNT) > CONTAINERS_PER_CONTRACT
            || sum(contract::SPACE_COUNT) > SPACES_PER_CONTRACT
            || sum(contract::WAITERS) > WAITERS_PER_CONTRACT
            || self.swap_frames().is_some_and(|frames| frames.contract == child)
        {
            return Err(MemoryError::Limit);
        }
        let charged = self.charged(parent) + self.charged(child);
        let extra = charged.saturating_sub(sum(contract::GUARANTEED));
        if extra > self.get(parent, contract::EXTRA_LIMIT).max(self.extra_of(parent)) {
            return Err(MemoryError::NotAdmitted);
        }
        Ok(())
    }

    /// Lists of what names its contract.
    fn pass_objects_on(&mut self, parent: Name<Contract>, child: Name<Contract>) {
        while let Some(this) = CONTAINERS.first(self, child) {
            // Requests that wait for a page have records of the child's.
            self.resume_waiters(this);
            let in_order = eviction::is_ordered(self, this);
            eviction::leave(self, this);
            CONTAINERS.remove(self, child, this);
            self.set(this, container::CONTRACT, parent);
            CONTAINERS.push(self, parent, this);
            if in_order {
                self.enter_order_again(this);
            }
        }
        while let Some(this) = SPACES.first(self, child) {
            SPACES.remove(self, child, this);
            self.set(this, space::CONTRACT, parent);
            SPACES.push(self, parent, this);
        }
        while let Some(this) = HOLDS.first(self, child) {
            HOLDS.remove(self, child, this);
            self.set(this, hold::CONTRACT, parent);
            HOLDS.push(self, parent, this);
        }
        while let Some(this) = CHILDREN.first(self, child) {
            CHILDREN.remove(self, child, this);
            self.set(this, contract::PARENT, Some(parent));
            CHILDREN.push(self, parent, this);
        }
    }

    fn pass_rings_on(&mut self, parent: Name<Contract>, child: Name<Contract>) {
        for size in Size::ALL {
            self.pass_record_ring_on(parent, child, size);
        }
        for ring in OBJECT_RINGS {
            let (mut theirs, mut ours) = (self.get(child, ring), self.get(parent, ring));
            while theirs != NO_FRAME {
                let frame = theirs;
                theirs = self.database.ring_remove(theirs, frame);
                // Behind the others: the head is the frame that new objects go to.
                let head = self.database.ring_push(ours, frame);
                ours = if ours == NO_FRAME { head } else { ours };
            }
            self.set(child, ring, NO_FRAME);
            self.set(parent, ring, ours);
        }
    }

    fn pass_counts_on(&mut self, parent: Name<Contract>, child: Name<Contract>) {
        let before = (self.extra_of(parent), self.extra_of(child));
        let guaranteed = self.get(child, contract::GUARANTEED);
        for field in SUMS {
            let count = self.get(child, field);
            self.set(child, field, 0);
            self.raise(parent, field, count);
        }
        self.lower(parent, contract::HANDED_ON, guaranteed);
        let waiters = self.get(child, contract::WAITERS);
        self.raise(parent, contract::WAITERS, waiters);
        self.extra_uncovered(child, before.1);
        self.guarantee_changed(parent, before.0);
    }

    /// Takes the contract page out of the address spaces of its contract.
    fn unmap_contract_page(&mut self, this: Name<Contract>) {
        let page = self.get(this, contract::PAGE);
        if page == NO_FRAME {
            return;
        }
        let mut next = SPACES.first(self, this);
        while let Some(space) = next {
            next = self.get(space, space::NEXT);
            self.unmap_fixed(space, page);
        }
    }

    fn unmap_fixed(&mut self, space: Name<Space>, frame: u32) {
        let mut address = 0;
        let root = |this: &Self| this.get(space, space::MAPPINGS);
        while let Some(here) = SPACE_MAPPINGS.at_or_after(self, root(self), address) {
            address = self.mapping_end(here);
            let is_it = self.get(here, mapping::CONTAINER).is_none()
                && self.get(here, mapping::FIRST_PAGE) == u64::from(frame);
            if is_it {
                let range = PageRange { address: self.get(here, mapping::ADDRESS), pages: 1 };
                debug_assert!(address - range.address == FRAME_BYTES);
                if !self.get(space, space::ENDED) {
                    self.change_ranges(space, &[range], false);
                }
                self.delete_mapping(here);
            }
        }
    }
}
