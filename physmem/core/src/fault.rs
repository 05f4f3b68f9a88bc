//! Page faults: first touches, copy-on-write breaks, waits for locks.
//!
//! ```text
//!   address ──> mapping? ── no ──────────────────────────────> raise NotMapped
//!                 │ allowed? ── no ──────────────────────────> raise Protection, Sealed, BeyondEnd
//!                 │ locked by somebody else? ── yes ─────────> wait, until the lock has ended
//!                 │ lost ── its frame was seized ────────────> raise Repossessed
//!                 │ out ── in the window? charge, enter ─────> resume    (else wait for the pager, or raise PagerFailed)
//!                 │ absent ── charge, zero, enter ───────────> resume    (or raise ContractExhausted, or wait: see `waits`)
//!                 │ shared, write ── own frame, copy, enter ─> resume
//!                 └ present ── enter ────────────────────────> resume
//! ```
//!
//! With a page that is present come its neighbours within a cluster, where they are present too; where faults go on just behind what was
//! entered last, twice as many pages as then. With one that gets a frame come
//! some behind it, where the container is filled page by page (see `containers_core::container::touch`). A page is entered writable
//! only for a write, so that the container's version tells every change.

use crate::badge::{Badge, BadgeKind};
use crate::layout::space;
use crate::limits::{FAULT_AHEAD_PAGES, FAULT_CLUSTER_PAGES};
use crate::machine::Physmem;
use crate::mapping::{Mapped, kernel_protection};
use crate::paging::Room;
use crate::pmap::{EnterError, Pmap, RecordMemory};
use containers_api::space::MapProtection;
use containers_api::{ContainerRights, FaultReason, LockMode, MemoryError};
use containers_core::access::{Intent, changed, locks_on, mode_in_force, obstacle};
use containers_core::container::{self as containers, Touched};
use containers_core::frames::Span;
use containers_core::layout::{container, grant, lock};
use containers_core::pages::{Cursor, Entry, GROUP_PAGES, to_end_of_group};
use containers_core::record::{Container, Name, Records, Space};
use kernel_abi::fault::Access as FaultAccess;
use kernel_abi::pmap::{Mapping as KernelMapping, Protection};
use kernel_abi::{FRAME_BYTES, Handle};

/// Bytes of a cluster.
const CLUSTER_BYTES: u64 = FAULT_CLUSTER_PAGES * FRAME_BYTES;

/// Mappings to enter for one fault.
#[derive(Debug)]
pub struct Cluster {
    items: [KernelMapping; FAULT_AHEAD_PAGES as usize],
    used: usize,
    /// Address and frame of a page that would continue the last item.
    next: (u64, u32),
    /// Something in it is writable.
    pub writable: bool,
    /// The address behind it.
    pub end: u64,
}

impl Cluster {
    pub(crate) const fn new(end: u64) -> Cluster {
        Cluster {
            items: [KernelMapping { address: 0, frame: 0, frames: 0 }; FAULT_AHEAD_PAGES as usize],
            used: 0,
            next: (0, 0),
            writable: false,
            end,
        }
    }

    /// The mappings. None: try again.
    pub fn items(&self) -> &[KernelMapping] {
        &self.items[..self.used]
    }

    /// Starts anew, without mappings.
    fn restart(&mut self, end: u64) {
        (self.used, self.writable, self.end) = (0, false, end);
    }

    #[inline]
    fn add(&mut self, address: u64, frame: u32) {
        let continues = (address, frame) == self.next;
        self.next = (address + FRAME_BYTES, frame + 1);
        if continues && let Some(last) = self.items[..self.used].last_mut() {
            last.frames += 1;
            return;
        }
        self.items[self.used] = KernelMapping { address, frame, frames: 1 };
        self.used += 1;
    }
}

/// How a fault is to be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultAnswer {
    /// Enter what [`Physmem::resolved`] says and resume.
    Resolve,
    /// Resume: the instruction faults again.
    Retry,
    /// End the thread.
    Raise(FaultReason),
    /// Save the reply here; it is answered later.
    Wait(Handle),
}

/// What a fault goes to.
struct Target {
    address: u64,
    container: Name<Container>,
    /// The container's page, and how many it has.
    page: u64,
    pages: u64,
    has_locks: bool,
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
        self.forget_refusals();
        let answer = self.answer_fault(badge, address, access);
        let answer = self.wait_instead(answer);
        let answer = self.make_room_instead(badge, answer);
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

    /// Nothing was refused in this request yet.
    pub(crate) fn forget_refusals(&mut self) {
        (self.shortage, self.paging.exhausted, self.paging.wanted) = (None, None, None);
    }

    /// Where a fault is to be raised because a contract holds all it may, pages of that contract go out instead, if they may.
    fn make_room_instead(&mut self, badge: u64, answer: FaultAnswer) -> FaultAnswer {
        let FaultAnswer::Raise(FaultReason::ContractExhausted | FaultReason::NoRecord) = answer else {
            return answer;
        };
        let Some(short) = self.paging.exhausted.take() else { return answer };
        match self.make_room(short) {
            Room::Made => FaultAnswer::Retry,
            Room::None => answer,
            Room::Later => {
                let space = self.resolve::<Space>(Badge(badge).name());
                let window = self.place().window;
                space.map_or(FaultAnswer::Retry, |space| self.wait_on(space, window))
            }
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
        let Some(found) = self.mapping_for_fault(space, address) else {
            return FaultAnswer::Raise(FaultReason::NotMapped);
        };
        match self.check_fault(&found, address, access) {
            Err(Refused::Raise(reason)) => FaultAnswer::Raise(reason),
            Err(Refused::Wait) => {
                let container = found.container.expect("a locked page is in a container");
                self.wait_on(space, container)
            }
            Ok(target) => self.resolve_fault(space, &found, &target, access.contains(FaultAccess::WRITE)),
        }
    }

    /// The kernel lacks page tables to enter a fault's cluster. None: they are there now. Otherwise how the fault is to be
    /// answered instead.
    pub fn fault_needs_tables(&mut self, badge: u64, tables: u64) -> Option<FaultAnswer> {
        let Some(space) = self.resolve::<Space>(Badge(badge).name()) else {
            self.clear_what_is_not_entered();
            return Some(FaultAnswer::Raise(FaultReason::NotMapped));
        };
        self.forget_refusals();
        let answer = match self.stock(space, tables) {
            Ok(()) => None,
            Err(_) => {
                self.clear_what_is_not_entered();
                let answer = self.wait_instead(FaultAnswer::Raise(FaultReason::ContractExhausted));
                Some(self.make_room_instead(badge, answer))
            }
        };
        self.relieve();
        answer
    }

    fn resolve_fault(
        &mut self,
        space: Name<Space>,
        found: &Mapped,
        target: &Target,
        write: bool,
    ) -> FaultAnswer {
        let &Target { address, container, page, has_locks, .. } = target;
        let ahead = if has_locks { 0 } else { pages_ahead(found, target) };
        let touched = match containers::touch(self, container, page, write, ahead) {
            Err(MemoryError::NoRecord) => return FaultAnswer::Raise(FaultReason::NoRecord),
            Err(MemoryError::Lost) => return FaultAnswer::Raise(FaultReason::Repossessed),
            Err(MemoryError::PagerFailed) => return FaultAnswer::Raise(FaultReason::PagerFailed),
            Err(MemoryError::Again) => {
                let waits_on = self.paging.wanted.take();
                return waits_on.map_or(FaultAnswer::Retry, |(_, container)| self.wait_on(space, container));
            }
            Err(_) => return FaultAnswer::Raise(FaultReason::ContractExhausted),
            Ok(touched) => touched,
        };
        // Neighbours come along where the page was there already: then it is likely that they are there, and not entered yet.
        match touched {
            Touched::Filled { pages: 1, frame } | Touched::Copied { frame } => {
                self.resolved.restart(address + FRAME_BYTES);
                self.resolved.add(address | kernel_protection(found.protection, write).bits(), frame);
                self.resolved.writable = write;
            }
            Touched::Filled { pages, .. } => {
                self.gather(found, address, address + pages * FRAME_BYTES, write);
            }
            Touched::WasThere if has_locks => {
                self.gather(found, address, address + FRAME_BYTES, write);
            }
            Touched::WasThere => self.gather_around(space, found, address, write),
        }
        if self.resolved.writable {
            changed(self, container);
        }
        if P::CLEARS {
            self.clear_with_entry();
        }
        self.flush();
        self.raise(space, space::FAULTS, 1);
        self.counters.faults += 1;
        FaultAnswer::Resolve
    }

    /// Has the kernel clear the frame that it enters on its way, where that is all there is to clear.
    fn clear_with_entry(&mut self) {
        let [item] = &mut self.resolved.items[..self.resolved.used] else { return };
        if item.frames == 1 && self.zero_queue.is_whole_frame(item.frame) {
            item.address |= Protection::CLEAR.bits();
            self.zero_queue.forget();
        }
    }

    /// The cluster is not entered after all: what the kernel would have cleared with it is cleared now, as its page is there.
    fn clear_what_is_not_entered(&mut self) {
        for index in 0..self.resolved.used {
            let item = self.resolved.items[index];
            if item.address & Protection::CLEAR.bits() != 0 {
                self.queue_zero(item.frame, 0, FRAME_BYTES);
            }
        }
        self.flush();
    }

    /// The mappings that resolve the last fault, where its answer is to enter them.
    pub fn resolved(&self) -> &Cluster {
        &self.resolved
    }

    /// Enters them, but the first `done` ones, in the task that they are for.
    pub fn enter_resolved(&mut self, task: Handle, done: usize) -> Result<(), EnterError> {
        self.pmap.enter(task, &self.resolved.items()[done..])
    }

    /// Checks that an access to an address of a mapping is allowed, and says what it goes to.
    fn check_fault(&self, found: &Mapped, address: u64, access: FaultAccess) -> Result<Target, Refused> {
        let write = access.contains(FaultAccess::WRITE);
        let execute = access.contains(FaultAccess::EXECUTE);
        let protection = found.protection;
        if write && !protection.contains(MapProtection::WRITE)
            || execute && !protection.contains(MapProtection::EXECUTE)
        {
            return Err(Refused::Raise(FaultReason::Protection));
        }
        let Some(container) = found.container else {
            return Err(Refused::Raise(FaultReason::Protection));
        };
        let page = found.page_at(address);
        let view = self.view(container);
        let pages = view.get(container::PAGES);
        if page >= pages {
            return Err(Refused::Raise(FaultReason::BeyondEnd));
        }
        if write && view.get(container::SEALED) {
            return Err(Refused::Raise(FaultReason::Sealed));
        }
        let has_locks = view.get(container::LOCK_COUNT) != 0;
        if write && self.is_kept_in_window(container, page) {
            return Err(Refused::Raise(FaultReason::Protection));
        }
        if has_locks || self.needs_lock(found) {
            self.check_locks(found, container, address, write)?;
        }
        Ok(Target { address, container, page, pages, has_locks })
    }

    fn check_locks(
        &self,
        found: &Mapped,
        container: Name<Container>,
        address: u64,
        write: bool,
    ) -> Result<(), Refused> {
        let (via, page) = (found.via, Span::page(found.page_at(address)));
        let holds = |&lock: &Name<_>| self.get(lock, lock::VIA) == via;
        if self.needs_lock(found) && !locks_on(self, container, page).any(|lock| holds(&lock)) {
            return Err(Refused::Raise(FaultReason::NotLocked));
        }
        let intent = if write { Intent::Change } else { Intent::Read };
        match obstacle(self, container, via, page, intent) {
            None => Ok(()),
            // Its holder would wait for itself.
            Some(lock) if holds(&lock) && mode_in_force(self, lock) == LockMode::Stable => {
                Err(Refused::Raise(FaultReason::Protection))
            }
            Some(_) => Err(Refused::Wait),
        }
    }

    /// Whether pages of a mapping can be entered only under a lock: it was made through a grant with LOCK.
    fn needs_lock(&self, found: &Mapped) -> bool {
        found.via.is_some_and(|via| self.get(via, grant::RIGHTS).contains(ContainerRights::LOCK))
    }

    /// Gathers what is to be entered around a page that is present: its cluster, or what lies ahead of who goes through pages in order.
    fn gather_around(&mut self, space: Name<Space>, found: &Mapped, address: u64, write: bool) {
        let (start, pages) = if self.get(space, space::AHEAD_FROM) == address {
            (address, (2 * self.get(space, space::AHEAD)).clamp(FAULT_CLUSTER_PAGES, FAULT_AHEAD_PAGES))
        } else {
            ((address & !(CLUSTER_BYTES - 1)).max(found.address), FAULT_CLUSTER_PAGES)
        };
        let end = found.addresses().end.min(start + pages * FRAME_BYTES);
        self.gather(found, start, end, write);
        self.set(space, space::AHEAD_FROM, end);
        self.set(space, space::AHEAD, pages);
    }

    /// Gathers the pages of a mapping that are present and not locked, from an address on and before `end`, at most
    /// [`FAULT_AHEAD_PAGES`], into [`Physmem::resolved`].
    pub(crate) fn gather(&mut self, found: &Mapped, start: u64, end: u64, write: bool) {
        let end = end.min(start + FAULT_AHEAD_PAGES * FRAME_BYTES);
        self.resolved.restart(end);
        let Some(container) = found.container else { return };
        let view = self.view(container);
        let limit = view.get(container::PAGES);
        let blocked = view.get(container::LOCK_COUNT) != 0 || self.needs_lock(found);
        let bits = |writable| kernel_protection(found.protection, writable).bits();
        let (read_only, read_write) = (bits(false), bits(true));
        let mut page = found.page_at(start);
        let stop = limit.min(page + (end - start) / FRAME_BYTES);
        let (mut cursor, mut room) = (Cursor::new(container), [Entry::ABSENT; GROUP_PAGES]);
        let mut address = start;
        while page < stop {
            let pages = to_end_of_group(page).min(stop - page);
            let entries = &mut room[..pages as usize];
            cursor.load(self, page, entries);
            for entry in entries {
                let here = address;
                address += FRAME_BYTES;
                let Some(frame) = entry.frame() else { continue };
                let writable = write && !entry.is_shared();
                if blocked && self.check_locks(found, container, here, writable).is_err() {
                    continue;
                }
                self.resolved.writable |= writable;
                self.resolved.add(here | if writable { read_write } else { read_only }, frame);
            }
            page += pages;
        }
    }
}

/// Pages behind one that may be filled with it: within the cluster, the mapping and the container.
fn pages_ahead(found: &Mapped, target: &Target) -> u64 {
    let end = ((target.address | (CLUSTER_BYTES - 1)) + 1).min(found.addresses().end);
    let pages = (end - target.address) / FRAME_BYTES;
    pages.min(target.pages - target.page) - 1
}
