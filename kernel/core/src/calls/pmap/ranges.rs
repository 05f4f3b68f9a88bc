//! Removing, protecting and querying what is mapped in ranges of addresses. Holes are stepped over by whole tables.

use super::{LEAF_BYTES, PAGES_PER_LOOK, Work, page_table};
use crate::calls::Arguments;
use crate::kernel::{Done, Kernel, Outcome, Stop};
use crate::machine::Machine;
use crate::name::Link;
use crate::objects::Task;
use crate::page_table::{ACCESSED, DEVICE, DIRTY, LARGE, PRESENT, Place};
use kernel_abi::pmap::{
    Protection, QUERY_CLEAR_ALL, QUERY_CLEAR_NOTHING, QUERY_CLEAR_REFERENCED, QUERY_DIRTY, QUERY_PAGES,
    QUERY_PRESENT, QUERY_REFERENCED,
};
use kernel_abi::{FRAME_BYTES, KernelError};

/// Changed entries that a look through one table counts for.
const TABLE_WORK: u64 = 8;

/// What happens to the pages of a range.
#[derive(Clone, Copy)]
enum Change {
    Remove,
    Protect(Protection),
}

/// An item of a batch, decoded.
struct Range {
    start: u64,
    end: u64,
    change: Change,
}

impl<M: Machine> Kernel<M> {
    pub(in crate::calls) fn pmap_remove(&mut self, arguments: Arguments) -> Outcome {
        self.for_ranges(arguments, false)
    }

    pub(in crate::calls) fn pmap_protect(&mut self, arguments: Arguments) -> Outcome {
        self.for_ranges(arguments, true)
    }

    fn for_ranges(&mut self, arguments: Arguments, protect: bool) -> Outcome {
        let Arguments([frames, task, array, count, ..]) = arguments;
        let task = self.pmap_live_task(frames, task)?;
        self.with_items(array, count, |kernel, items| {
            let (mut work, mut pages, mut result) = (Work::NOTHING, 0, Ok(()));
            for &words in items {
                let range = kernel.decode_range(words, protect)?;
                kernel.check_whole_pages(task, range.start, range.end, &mut work)?;
            }
            for (done, &words) in items.iter().enumerate() {
                let range = kernel.decode_range(words, protect)?;
                result = kernel.change_range(task, &range, &mut work, &mut pages);
                if result.is_err() {
                    result = Err(Stop::Error(KernelError::Preempted, done as u64));
                    break;
                }
            }
            kernel.shoot_down(task, &work);
            result.map(|()| Done::Value(pages))
        })
    }

    fn decode_range(&self, [address, pages]: [u64; 2], protect: bool) -> Result<Range, KernelError> {
        let bits = address % FRAME_BYTES;
        let protection = Protection::from_bits(bits).filter(|_| protect || bits == 0);
        let protection = protection.ok_or(KernelError::InvalidArgument)?;
        if protection.intersects(Protection::SUPERPAGE | Protection::DEVICE | Protection::CLEAR) {
            return Err(KernelError::InvalidArgument);
        }
        let start = address - bits;
        self.check_pages(start, pages)?;
        let change = if protect { Change::Protect(protection) } else { Change::Remove };
        Ok(Range { start, end: start + pages * FRAME_BYTES, change })
    }

    /// Checks that a range ends in the middle of no large page. Notes the last table of pages that it comes by.
    fn check_whole_pages(
        &mut self,
        task: Link,
        start: u64,
        end: u64,
        work: &mut Work,
    ) -> Result<(), KernelError> {
        let root = self.machine.object::<Task>(task).root;
        // Where both ends lie in the range of one table, one of them tells.
        let edges = if start / LEAF_BYTES == end / LEAF_BYTES { &[end][..] } else { &[start, end] };
        for &edge in edges {
            if start == end || edge.is_multiple_of(LEAF_BYTES) {
                continue;
            }
            let place = page_table::walk(&mut self.machine, root, edge, 1);
            if place.entry & (PRESENT | LARGE) == PRESENT | LARGE {
                return Err(KernelError::LargePage);
            }
            if place.level == 1 {
                (work.leaf_range, work.leaf_table) = (edge / LEAF_BYTES, place.table);
            }
        }
        Ok(())
    }

    /// Removes or protects what is mapped in a range; counts the pages.
    fn change_range(
        &mut self,
        task: Link,
        range: &Range,
        work: &mut Work,
        pages: &mut u64,
    ) -> Result<(), Stop> {
        let root = self.machine.object::<Task>(task).root;
        let mut at = range.start;
        while at < range.end {
            if self.should_stop(work) {
                return Err(KernelError::Preempted.into());
            }
            let place = if at / LEAF_BYTES == work.leaf_range {
                let index = page_table::index(at, 1);
                let entry = self.machine.table(work.leaf_table)[index];
                Place { table: work.leaf_table, level: 1, index, entry }
            } else {
                page_table::walk(&mut self.machine, root, at, 1)
            };
            let span = page_table::span_pages(place.level);
            // A table of pages is gone through in one go; of a higher one only the entry is a hole or a large page.
            let entries = if place.level == 1 {
                ((range.end - at) / FRAME_BYTES).min(512 - place.index as u64)
            } else {
                1
            };
            let table_address = at & !(span * FRAME_BYTES - 1);
            let result = self.change_entries(&place, table_address, entries, range.change, work, pages);
            self.collect_empty(task, root, at, place.table, work);
            result?;
            work.since_look += TABLE_WORK;
            at = table_address + entries * span * FRAME_BYTES;
        }
        Ok(())
    }

    /// Removes the small pages that successive entries of one table map. What is counted for the table, and what becomes invalid,
    /// is noted once for all of them.
    fn remove_entries(
        &mut self,
        first: &Place,
        address: u64,
        entries: u64,
        work: &mut Work,
        pages: &mut u64,
    ) -> Result<(), Stop> {
        let (mut removed, mut start, mut end) = (0, 0, 0);
        let mut before_look = PAGES_PER_LOOK.saturating_sub(work.since_look);
        let mut result = Ok(());
        for beyond in 0..entries {
            // Below 512, as the range ends with the table; the remainder only says so.
            let index = (first.index + beyond as usize) % 512;
            let entry = self.machine.table(first.table)[index];
            if entry & PRESENT == 0 {
                continue;
            }
            if before_look == 0 {
                (work.since_look, before_look) = (PAGES_PER_LOOK, PAGES_PER_LOOK);
                work.changed |= removed != 0;
                if self.should_stop(work) {
                    result = Err(KernelError::Preempted.into());
                    break;
                }
            }
            before_look -= 1;
            self.machine.table(first.table)[index] = 0;
            if entry & DEVICE == 0 {
                self.frame_entry(page_table::frame_of(entry)).remove_mapping();
            }
            if removed == 0 {
                start = beyond;
            }
            (removed, end) = (removed + 1, beyond + 1);
        }
        work.since_look = PAGES_PER_LOOK - before_look;
        if removed != 0 {
            work.changed = true;
            *pages += u64::from(removed);
            self.frame_entry(first.table).remove_mappings(removed);
            work.add_stale(address + start * FRAME_BYTES, end - start);
        }
        result
    }

    /// Changes successive entries of one table.
    fn change_entries(
        &mut self,
        first: &Place,
        address: u64,
        entries: u64,
        change: Change,
        work: &mut Work,
        pages: &mut u64,
    ) -> Result<(), Stop> {
        if first.level == 1 && matches!(change, Change::Remove) && !self.is_general() {
            return self.remove_entries(first, address, entries, work, pages);
        }
        let span = page_table::span_pages(first.level);
        for beyond in 0..entries {
            let index = first.index + beyond as usize;
            let entry = self.machine.table(first.table)[index];
            if entry & PRESENT == 0 {
                continue;
            }
            if self.should_stop(work) {
                return Err(KernelError::Preempted.into());
            }
            *pages += span;
            let new = match change {
                Change::Remove => 0,
                Change::Protect(protection) => page_table::with_protection(entry, protection),
            };
            if new != entry {
                let place = Place { index, entry, ..*first };
                match change {
                    Change::Remove => self.replace(place, 0),
                    Change::Protect(protection) => {
                        page_table::update(&mut self.machine, place, |entry| {
                            page_table::with_protection(entry, protection)
                        });
                    }
                }
                work.add_stale(address + beyond * span * FRAME_BYTES, span);
                work.add_change(span);
            }
        }
        Ok(())
    }

    /// Returns tables that have become empty to the stock, from the leaf upwards.
    fn collect_empty(&mut self, task: Link, root: u32, address: u64, table: u32, work: &mut Work) {
        if table == root || self.frame_entry(table).map_count() != 0 {
            return;
        }
        work.leaf_range = u64::MAX;
        // The tables above, from the top down.
        let mut above = [Place { table: root, level: 4, index: 0, entry: 0 }; 3];
        let (mut at, mut depth) = (root, 0);
        while at != table {
            let level = 4 - depth as u32;
            let index = page_table::index(address, level);
            let entry = self.machine.table(at)[index];
            above[depth] = Place { table: at, level, index, entry };
            at = page_table::frame_of(entry);
            depth += 1;
        }
        while depth != 0 && self.frame_entry(at).map_count() == 0 {
            depth -= 1;
            self.replace(above[depth], 0);
            self.push_empty_table(task, at);
            at = above[depth].table;
        }
    }

    pub(in crate::calls) fn pmap_query(&mut self, arguments: Arguments) -> Outcome {
        let Arguments([frames, task, address, pages, output, clear, ..]) = arguments;
        let task = self.pmap_live_task(frames, task)?;
        let Some(forgotten) = bits_to_clear(clear).filter(|_| pages <= QUERY_PAGES) else {
            return Err(KernelError::InvalidArgument.into());
        };
        self.check_pages(address, pages)?;
        self.check_user(output, pages)?;
        let end = address + pages * FRAME_BYTES;
        if forgotten != 0 {
            let mut work = Work::NOTHING;
            self.check_whole_pages(task, address, end, &mut work)?;
        }
        let root = self.machine.object::<Task>(task).root;
        let mut found = [0; QUERY_PAGES as usize];
        let found = &mut found[..pages as usize];
        for (at, bits) in (address..end).step_by(FRAME_BYTES as usize).zip(found.iter_mut()) {
            *bits = query_bits(page_table::walk(&mut self.machine, root, at, 1).entry);
        }
        // Told first, cleared afterwards: if the output is absent nothing is forgotten.
        self.machine.write_user(output, found)?;
        if forgotten != 0 {
            found.iter_mut().for_each(|bits| *bits &= forgotten);
            self.clear_used(task, address, found);
        }
        Ok(Done::Value(pages))
    }

    /// Clears those referenced and dirty bits that are named.
    fn clear_used(&mut self, task: Link, address: u64, found: &[u8]) {
        let root = self.machine.object::<Task>(task).root;
        let mut work = Work::NOTHING;
        for (page, &bits) in found.iter().enumerate() {
            let used = if bits & QUERY_REFERENCED != 0 { ACCESSED } else { 0 }
                | if bits & QUERY_DIRTY != 0 { DIRTY } else { 0 };
            if used == 0 {
                continue;
            }
            let at = address + page as u64 * FRAME_BYTES;
            let place = page_table::walk(&mut self.machine, root, at, 1);
            page_table::update(&mut self.machine, place, |entry| entry & !used);
            work.add_stale(at, 1);
        }
        self.shoot_down(task, &work);
    }
}

/// What a query forgets.
fn bits_to_clear(clear: u64) -> Option<u8> {
    match clear {
        QUERY_CLEAR_NOTHING => Some(0),
        QUERY_CLEAR_ALL => Some(QUERY_REFERENCED | QUERY_DIRTY),
        QUERY_CLEAR_REFERENCED => Some(QUERY_REFERENCED),
        _ => None,
    }
}

fn query_bits(entry: u64) -> u8 {
    let bit = |mask, bit| if entry & mask != 0 { bit } else { 0 };
    if entry & PRESENT == 0 {
        return 0;
    }
    QUERY_PRESENT | bit(ACCESSED, QUERY_REFERENCED) | bit(DIRTY, QUERY_DIRTY)
}
