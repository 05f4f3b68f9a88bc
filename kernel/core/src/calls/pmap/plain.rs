//! Entering what is usual: small pages, ascending, at places that are empty, in tables that are there or in stock. Each item is
//! looked at once, then entered; nothing becomes invalid by that, so nothing is shot down. Any other batch is the general code's
//! ([`super::enter`]), which is the reference.

use super::{LEAF_BYTES, PAGES_PER_LOOK, Work, page_table};
use crate::frame_table::{FrameKind, MAP_COUNT_MAX};
use crate::kernel::{Kernel, Stop};
use crate::machine::Machine;
use crate::name::Link;
use crate::objects::Task;
use crate::page_table::PRESENT;
use kernel_abi::pmap::{BATCH_ITEMS, Protection};
use kernel_abi::{FRAME_BYTES, KernelError, USER_END};

/// Protection bits that a plain item may have.
const PLAIN: u64 = Protection::WRITE.bits() | Protection::EXECUTE.bits();

/// Pages of a batch that is looked at in one go.
const PAGES: u64 = BATCH_ITEMS as u64;

/// Low bits of an address, which hold the protection.
const BITS: u64 = FRAME_BYTES - 1;

/// Map count from which on the general code counts: a batch may name a frame often.
const MAP_COUNT_PLAIN: u32 = MAP_COUNT_MAX - PAGES as u32;

/// The table that the last page lay in, if it is there.
#[derive(Clone, Copy)]
struct Leaf {
    range: u64,
    table: Option<u32>,
    /// Tables that ranges so far lack, those that they share counted for each.
    missing: u32,
}

impl Leaf {
    const NONE: Leaf = Leaf { range: u64::MAX, table: None, missing: 0 };
}

impl<M: Machine> Kernel<M> {
    /// Whether all items of a batch are plain and may be entered.
    pub(super) fn are_plain(&mut self, task: Link, items: &[[u64; 2]]) -> bool {
        if self.is_general() {
            return false;
        }
        let root = self.machine.object::<Task>(task).root;
        let (mut end, mut pages, mut leaf) = (0, 0, Leaf::NONE);
        for &[word, frames] in items {
            let (address, first, count) = (word & !BITS, frames as u32, frames >> 32);
            pages += count;
            let is_plain = word & BITS & !PLAIN == 0 && count != 0 && pages <= PAGES;
            if !is_plain || address < end || address >= USER_END {
                return false;
            }
            end = address + count * FRAME_BYTES;
            if end > USER_END || !self.fits_plainly(root, address, first, count as u32, &mut leaf) {
                return false;
            }
        }
        leaf.missing <= self.machine.object::<Task>(task).stock_frames
    }

    /// Whether the places from an address on are empty, and frames from one on may be mapped.
    #[inline(always)]
    fn fits_plainly(&mut self, root: u32, address: u64, first: u32, count: u32, leaf: &mut Leaf) -> bool {
        for index in 0..count {
            let at = address + u64::from(index) * FRAME_BYTES;
            if at / LEAF_BYTES != leaf.range && !self.find_leaf(root, at, leaf) {
                return false;
            }
            let entry = leaf.table.map(|table| self.machine.table(table)[page_table::index(at, 1)]);
            let is_empty = entry.is_none_or(|entry| entry & PRESENT == 0);
            let entry = self.machine.entry(first.wrapping_add(index));
            if !is_empty || entry.kind() != FrameKind::Plain || entry.map_count() >= MAP_COUNT_PLAIN {
                return false;
            }
        }
        true
    }

    /// Finds the table of the lowest level for an address, or how many are missing. False: a large page lies there.
    fn find_leaf(&mut self, root: u32, address: u64, leaf: &mut Leaf) -> bool {
        let place = page_table::walk(&mut self.machine, root, address, 1);
        let is_there = place.level == 1;
        leaf.range = address / LEAF_BYTES;
        leaf.table = is_there.then_some(place.table);
        leaf.missing += place.level - 1;
        is_there || place.entry & PRESENT == 0
    }

    /// Enters items that are plain.
    pub(super) fn enter_plain(&mut self, task: Link, items: &[[u64; 2]]) -> Result<(), Stop> {
        let (mut work, mut since_look) = (Work::NOTHING, 0);
        for (done, &[word, frames]) in items.iter().enumerate() {
            let protection = Protection::from_bits_truncate(word & BITS);
            let (address, first, count) = (word & !BITS, frames as u32, (frames >> 32) as u32);
            for index in 0..count {
                if since_look == PAGES_PER_LOOK {
                    since_look = 0;
                    if self.machine.interrupt_pending() {
                        return Err(Stop::Error(KernelError::Preempted, done as u64));
                    }
                }
                since_look += 1;
                let at = address + u64::from(index) * FRAME_BYTES;
                if work.leaf_range != at / LEAF_BYTES {
                    self.make_leaf_place(task, at, &mut work).expect("tables and places were checked");
                }
                let (frame, table) = (first + index, work.leaf_table);
                self.frame_entry(frame).add_mapping();
                self.machine.table(table)[page_table::index(at, 1)] =
                    page_table::page_entry(u64::from(frame), protection);
                self.frame_entry(table).add_mapping();
            }
        }
        Ok(())
    }
}
