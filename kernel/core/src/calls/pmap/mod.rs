//! The `pmap` calls: mappings in and out of address spaces, in batches.
//!
//! [`enter`] makes mappings, [`plain`] the usual ones, [`ranges`] removes, protects and queries them, [`tables`] moves frames for page tables in and
//! out. Common to all: entries are changed by [`Kernel::replace`] alone, which keeps the counts right, and what was
//! changed is shot down once, at the end of the call.

mod enter;
mod plain;
mod ranges;
mod tables;

use crate::frame_table::{FrameEntry, FrameKind};
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::name::Link;
use crate::objects::{Capability, Task};
use crate::page_table::{self, DEVICE, LARGE, PRESENT, Place};
use kernel_abi::capability::Kind;
use kernel_abi::{FRAME_BYTES, KernelError, Rights, USER_END};

/// Entries changed between two looks for a waiting interrupt.
const PAGES_PER_LOOK: u64 = 64;

/// What a batch has done: which translations it made invalid, how much since it looked for interrupts, and which page table
/// it was at: the next page is likely to be in the same.
struct Work {
    stale_start: u64,
    stale_end: u64,
    since_look: u64,
    changed: bool,
    /// Number of the 2 MiB range that `leaf_table` maps; `u64::MAX`: none yet.
    leaf_range: u64,
    leaf_table: u32,
}

/// Bytes that one page table of the lowest level maps.
const LEAF_BYTES: u64 = page_table::span_pages(2) * FRAME_BYTES;

impl Work {
    const NOTHING: Work = Work {
        stale_start: u64::MAX,
        stale_end: 0,
        since_look: 0,
        changed: false,
        leaf_range: u64::MAX,
        leaf_table: 0,
    };

    /// Notes that translations became invalid. One shootdown a batch covers all of them, and what lies between.
    fn add_stale(&mut self, address: u64, pages: u64) {
        self.stale_start = self.stale_start.min(address);
        self.stale_end = self.stale_end.max(address + pages * FRAME_BYTES);
    }

    /// Notes that an entry for `pages` pages was changed.
    fn add_change(&mut self, pages: u64) {
        self.changed = true;
        self.since_look += pages;
    }
}

impl<M: Machine> Kernel<M> {
    /// The task of a pmap call, by a caller with authority over frames.
    #[inline(always)]
    fn pmap_task(&mut self, frames: u64, task: u64) -> Result<Link, KernelError> {
        match self.pmap_task_at_once(frames, task) {
            Some(task) if !self.is_general() => Ok(task),
            _ => self.pmap_task_in_general(frames, task),
        }
    }

    /// The same in the usual case; otherwise the general code says what is wrong.
    #[inline(always)]
    fn pmap_task_at_once(&mut self, frames: u64, task: u64) -> Option<Link> {
        let current = self.current();
        if self.fast_capability(current, frames)?.kind != Kind::Frames {
            return None;
        }
        let Capability { kind, name, .. } = self.fast_capability(current, task)?;
        // No name's frame lies beyond the frame table.
        let entry = self.machine.entry(name.link.frame());
        let is_current = entry.generation() == name.frame_generation && entry.kind() == FrameKind::Task;
        let is_task = kind == Kind::Task && is_current;
        (is_task && self.machine.object::<Task>(name.link).generation == name.slot_generation)
            .then_some(name.link)
    }

    #[cold]
    fn pmap_task_in_general(&mut self, frames: u64, task: u64) -> Result<Link, KernelError> {
        self.capability_for(frames, Kind::Frames, Rights::empty())?;
        let capability = self.capability_for(task, Kind::Task, Rights::empty())?;
        self.live(capability.name, FrameKind::Task)
    }

    /// Same, for a task that has not ended.
    fn pmap_live_task(&mut self, frames: u64, task: u64) -> Result<Link, KernelError> {
        let task = self.pmap_task(frames, task)?;
        if self.machine.object::<Task>(task).is_alive() { Ok(task) } else { Err(KernelError::WrongState) }
    }

    fn check_pages(&self, address: u64, pages: u64) -> Result<(), KernelError> {
        if !address.is_multiple_of(FRAME_BYTES) || pages > USER_END / FRAME_BYTES {
            return Err(KernelError::InvalidArgument);
        }
        self.check_user(address, pages * FRAME_BYTES)
    }

    fn frame_entry(&mut self, frame: u32) -> &mut FrameEntry {
        self.machine.frame(frame).expect("the frame was checked")
    }

    /// Whether a batch should stop: an interrupt waits, and something is done already, so that stopping again and again
    /// still comes to an end.
    fn should_stop(&mut self, work: &mut Work) -> bool {
        if !work.changed || work.since_look < PAGES_PER_LOOK {
            return false;
        }
        work.since_look = 0;
        self.machine.interrupt_pending()
    }

    /// The place for a page, making the tables on the way from the stock.
    pub(crate) fn make_place(&mut self, task: Link, address: u64, level: u32) -> Result<Place, KernelError> {
        let root = self.machine.object::<Task>(task).root;
        loop {
            let place = page_table::walk(&mut self.machine, root, address, level);
            let present = place.entry & PRESENT != 0;
            if place.level == level && (!present || level == 1 || place.entry & LARGE != 0) {
                return Ok(place);
            }
            if present {
                return Err(KernelError::LargePage);
            }
            let table = self.pop_empty_table(task).ok_or(KernelError::NeedTables)?;
            self.replace(place, page_table::table_entry(table));
        }
    }

    /// The place for a 4 KiB page, in the table of the page before if it lies there. Tables must not go while `work` lasts.
    fn make_leaf_place(&mut self, task: Link, address: u64, work: &mut Work) -> Result<Place, KernelError> {
        if work.leaf_range == address / LEAF_BYTES {
            let index = page_table::index(address, 1);
            let entry = self.machine.table(work.leaf_table)[index];
            return Ok(Place { table: work.leaf_table, level: 1, index, entry });
        }
        let place = self.make_place(task, address, 1)?;
        (work.leaf_range, work.leaf_table) = (address / LEAF_BYTES, place.table);
        Ok(place)
    }

    /// Sets an entry, keeping the counts of tables and frames right. The new frames, if any, were counted before.
    pub(crate) fn replace(&mut self, place: Place, entry: u64) {
        self.machine.table(place.table)[place.index] = entry;
        let was = place.entry & PRESENT != 0;
        if was && (place.level == 1 || place.entry & LARGE != 0) && place.entry & DEVICE == 0 {
            let first = page_table::frame_of(place.entry);
            for frame in first..first + page_table::span_pages(place.level) as u32 {
                self.frame_entry(frame).remove_mapping();
            }
        }
        let table = self.frame_entry(place.table);
        match (was, entry & PRESENT != 0) {
            (false, true) => table.add_mapping(),
            (true, false) => table.remove_mapping(),
            _ => {}
        }
    }

    /// Has every processor that may remember it forget what became invalid, at once: one request a processor and batch.
    fn shoot_down(&mut self, task: Link, work: &Work) {
        if work.stale_end == 0 {
            return;
        }
        let root = self.machine.object::<Task>(task).root;
        let pages = (work.stale_end - work.stale_start) / FRAME_BYTES;
        let processors = self.processors_with(task);
        let counters = &mut self.processors[self.here].counters;
        counters.shootdowns += 1;
        counters.shootdowns_sent += u64::from(processors.without(self.here).count());
        self.machine.shoot_down(processors, root, work.stale_start, pages);
    }
}
