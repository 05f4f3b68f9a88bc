//! Page faults: first touches, copy-on-write breaks, waits for locks.
//!
//! ```text
//!   address ──> mapping? ── no ──────────────────────────────> raise NotMapped
//!                 │ allowed? ── no ──────────────────────────> raise Protection, Sealed, BeyondEnd
//!                 │ locked by somebody else? ── yes ─────────> wait, until the lock has ended
//!                 │ lost ── its frame was seized ────────────> raise Repossessed
//!                 │ absent ── charge, zero, enter ───────────> resume    (or raise ContractExhausted, or wait: see `waits`)
//!                 │ shared, write ── own frame, copy, enter ─> resume
//!                 └ present ── enter ────────────────────────> resume
//! ```
//!
//! With the page come its neighbours within a cluster, where they are present already. A page is entered writable
//! only for a write, so that the container's version tells every change.

use crate::badge::{Badge, BadgeKind};
use crate::layout::{mapping, space};
use crate::limits::FAULT_CLUSTER_PAGES;
use crate::machine::Physmem;
use crate::mapping::{kernel_protection, protection_bits};
use crate::pmap::{Pmap, RecordMemory};
use containers_api::space::MapProtection;
use containers_api::{ContainerRights, FaultReason, LockMode, MemoryError};
use containers_core::access::{Intent, changed, locks_on, mode_in_force, obstacle};
use containers_core::frames::Span;
use containers_core::layout::{container, grant, lock};
use containers_core::record::{Mapping, Name, Records, Space};
use containers_core::{container as containers, pages};
use kernel_abi::fault::Access as FaultAccess;
use kernel_abi::pmap::Mapping as KernelMapping;
use kernel_abi::{FRAME_BYTES, Handle};

/// Mappings to enter for one fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cluster {
    items: [KernelMapping; FAULT_CLUSTER_PAGES as usize],
    used: usize,
    /// Something in it is writable.
    pub writable: bool,
    /// The address behind it.
    pub end: u64,
}

impl Cluster {
    const fn new(end: u64) -> Cluster {
        Cluster {
            items: [KernelMapping { address: 0, frame: 0, frames: 0 }; FAULT_CLUSTER_PAGES as usize],
            used: 0,
            writable: false,
            end,
        }
    }

    /// The mappings. None: try again.
    pub fn items(&self) -> &[KernelMapping] {
        &self.items[..self.used]
    }

    fn add(&mut self, address: u64, frame: u32) {
        if let Some(last) = self.items[..self.used].last_mut()
            && last.address + u64::from(last.frames) * FRAME_BYTES == address
            && last.frame + last.frames == frame
        {
            last.frames += 1;
            return;
        }
        self.items[self.used] = KernelMapping { address, frame, frames: 1 };
        self.used += 1;
    }
}

/// How a fault is to be answered.
// There is no heap to put the large variant on, and it is the usual one.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultAnswer {
    /// Enter these and resume.
    Resolve(Cluster),
    /// Resume: the instruction faults again.
    Retry,
    /// End the thread.
    Raise(FaultReason),
    /// Save the reply here; it is answered later.
    Wait(Handle),
}

/// Why a page cannot be entered now.
enum Refused {
    Raise(FaultReason),
    Wait,
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Resolves a fault of the task with this fault badge, at a moment.
    pub fn fault(&mut self, now: u64, badge: u64, address: u64, access: u64) -> FaultAnswer {
        self.advance(now);
        self.shortage = None;
        let answer = self.answer_fault(badge, address, access);
        let answer = self.wait_instead(answer);
        self.relieve();
        answer
    }

    /// The task with a fault badge.
    pub fn task_of(&self, badge: u64) -> Option<Handle> {
        let badge = Badge(badge);
        let found = (badge.kind() == Some(BadgeKind::Space)).then(|| self.resolve::<Space>(badge.name()));
        found.flatten().map(|space| Handle(self.get(space, space::TASK)))
    }

    /// Where a fault is to be raised for want of frames that the guarantee covers, its thread waits for them.
    fn wait_instead(&mut self, answer: FaultAnswer) -> FaultAnswer {
        match (answer, self.shortage.take()) {
            (FaultAnswer::Raise(FaultReason::ContractExhausted | FaultReason::NoRecord), Some(short)) => {
                self.wait_for_frames(short, true).map_or(FaultAnswer::Retry, FaultAnswer::Wait)
            }
            (answer, _) => answer,
        }
    }

    fn answer_fault(&mut self, badge: u64, address: u64, access: u64) -> FaultAnswer {
        let badge = Badge(badge);
        let found = (badge.kind() == Some(BadgeKind::Space)).then(|| self.resolve::<Space>(badge.name()));
        let Some(space) = found.flatten() else {
            return FaultAnswer::Raise(FaultReason::NotMapped);
        };
        let access = FaultAccess::from_bits_truncate(access);
        let address = address & !(FRAME_BYTES - 1);
        let Some(this) = self.mapping_at(space, address) else {
            return FaultAnswer::Raise(FaultReason::NotMapped);
        };
        match self.check_fault(this, address, access) {
            Err(Refused::Raise(reason)) => FaultAnswer::Raise(reason),
            Err(Refused::Wait) => self.wait_for_lock(space, this),
            Ok(()) => self.resolve_fault(space, this, address, access.contains(FaultAccess::WRITE)),
        }
    }

    /// The kernel lacks page tables to enter a fault's cluster. None: they are there now. Otherwise how the fault is to be
    /// answered instead.
    pub fn fault_needs_tables(&mut self, badge: u64, tables: u64) -> Option<FaultAnswer> {
        let Some(space) = self.resolve::<Space>(Badge(badge).name()) else {
            return Some(FaultAnswer::Raise(FaultReason::NotMapped));
        };
        self.shortage = None;
        let answer = match self.stock(space, tables) {
            Ok(()) => None,
            Err(_) => Some(self.wait_instead(FaultAnswer::Raise(FaultReason::ContractExhausted))),
        };
        self.relieve();
        answer
    }

    fn resolve_fault(
        &mut self,
        space: Name<Space>,
        this: Name<Mapping>,
        address: u64,
        write: bool,
    ) -> FaultAnswer {
        let container = self.get(this, mapping::CONTAINER).expect("checked: the mapping has a container");
        let page = self.page_at(this, address);
        match containers::touch(self, container, page, write) {
            Err(MemoryError::NoRecord) => return FaultAnswer::Raise(FaultReason::NoRecord),
            Err(MemoryError::Lost) => return FaultAnswer::Raise(FaultReason::Repossessed),
            Err(_) => return FaultAnswer::Raise(FaultReason::ContractExhausted),
            Ok(()) => {}
        }
        let size = FAULT_CLUSTER_PAGES * FRAME_BYTES;
        let start = (address & !(size - 1)).max(self.get(this, mapping::ADDRESS));
        let mut cluster = self.cluster(this, start, self.mapping_end(this), write);
        if cluster.items().is_empty() || self.get(container, container::LOCK_COUNT) != 0 {
            cluster = self.cluster(this, address, address + FRAME_BYTES, write);
        }
        if cluster.writable {
            changed(self, container);
        }
        self.flush();
        self.raise(space, space::FAULTS, 1);
        self.counters.faults += 1;
        FaultAnswer::Resolve(cluster)
    }

    /// The container's page at an address of a mapping.
    fn page_at(&self, this: Name<Mapping>, address: u64) -> u64 {
        self.get(this, mapping::FIRST_PAGE) + (address - self.get(this, mapping::ADDRESS)) / FRAME_BYTES
    }

    fn check_fault(&self, this: Name<Mapping>, address: u64, access: FaultAccess) -> Result<(), Refused> {
        let protection = protection_bits(self.get(this, mapping::PROTECTION));
        let write = access.contains(FaultAccess::WRITE);
        let execute = access.contains(FaultAccess::EXECUTE);
        if write && !protection.contains(MapProtection::WRITE)
            || execute && !protection.contains(MapProtection::EXECUTE)
        {
            return Err(Refused::Raise(FaultReason::Protection));
        }
        let Some(container) = self.get(this, mapping::CONTAINER) else {
            return Err(Refused::Raise(FaultReason::Protection));
        };
        if self.page_at(this, address) >= self.get(container, container::PAGES) {
            return Err(Refused::Raise(FaultReason::BeyondEnd));
        }
        if write && self.get(container, container::SEALED) {
            return Err(Refused::Raise(FaultReason::Sealed));
        }
        self.check_locks(this, address, write)
    }

    fn check_locks(&self, this: Name<Mapping>, address: u64, write: bool) -> Result<(), Refused> {
        let Some(container) = self.get(this, mapping::CONTAINER) else { return Ok(()) };
        let (via, page) = (self.get(this, mapping::VIA), Span::page(self.page_at(this, address)));
        let holds = |&found: &Name<_>| self.get(found, lock::VIA) == via;
        if self.needs_lock(this) && !locks_on(self, container, page).any(|found| holds(&found)) {
            return Err(Refused::Raise(FaultReason::NotLocked));
        }
        let intent = if write { Intent::Change } else { Intent::Read };
        match obstacle(self, container, via, page, intent) {
            None => Ok(()),
            // Its holder would wait for itself.
            Some(found) if holds(&found) && mode_in_force(self, found) == LockMode::Stable => {
                Err(Refused::Raise(FaultReason::Protection))
            }
            Some(_) => Err(Refused::Wait),
        }
    }

    /// Whether pages of a mapping can be entered only under a lock: it was made through a grant with LOCK.
    fn needs_lock(&self, this: Name<Mapping>) -> bool {
        let via = self.get(this, mapping::VIA);
        via.is_some_and(|via| self.get(via, grant::RIGHTS).contains(ContainerRights::LOCK))
    }

    /// The pages of a mapping that are present and not locked, from an address on, in a cluster of bounded size that
    /// ends before `end`.
    pub(crate) fn cluster(&self, this: Name<Mapping>, start: u64, end: u64, write: bool) -> Cluster {
        let stop = end.min(start + FAULT_CLUSTER_PAGES * FRAME_BYTES);
        let mut cluster = Cluster::new(stop);
        let Some(container) = self.get(this, mapping::CONTAINER) else { return cluster };
        let protection = protection_bits(self.get(this, mapping::PROTECTION));
        let limit = self.get(container, container::PAGES);
        let has_locks = self.get(container, container::LOCK_COUNT) != 0;
        let first = self.page_at(this, start);
        let mut page = first;
        let stop_page = limit.min(first + (stop - start) / FRAME_BYTES);
        while let Some((found, entry)) = pages::next_present(self, container, page, stop_page) {
            page = found + 1;
            let address = start + (found - first) * FRAME_BYTES;
            let writable = write && !entry.is_shared();
            let blocked = has_locks || self.needs_lock(this);
            if blocked && self.check_locks(this, address, writable).is_err() {
                continue;
            }
            if let Some(frame) = entry.frame() {
                cluster.writable |= writable;
                cluster.add(address | kernel_protection(protection, writable).bits(), frame);
            }
        }
        cluster
    }
}
