//! Entering mappings. First everything is checked, without a change: frames, places, and that the stock has the page
//! tables that will be needed. Then nothing can fail but for want of time.

use super::{LEAF_BYTES, Work, page_table};
use crate::calls::Arguments;
use crate::kernel::{Done, Kernel, Outcome, Stop};
use crate::machine::Machine;
use crate::name::Link;
use crate::objects::Task;
use crate::page_table::{ACCESSED, DEVICE, DIRTY, PRESENT};
use kernel_abi::capability::Kind;
use kernel_abi::pmap::{BATCH_FRAMES, DEVICE_PAGES, Mapping, Protection};
use kernel_abi::{FRAME_BYTES, KernelError, Rights};

/// Changed entries that clearing a frame counts for.
const CLEAR_WORK: u64 = 8;

/// Page tables that a batch lacks, counted as its items are checked in order.
struct Missing {
    count: u64,
    /// The last table found missing at each level below the top, so that items that share one count it once. (Items
    /// out of order may count one twice: then the call asks for more than it needs.)
    last: [u64; 3],
}

impl Missing {
    const NONE: Missing = Missing { count: 0, last: [u64::MAX; 3] };

    fn add(&mut self, address: u64, level: u32) {
        let table = address / (page_table::span_pages(level + 1) * FRAME_BYTES);
        let last = &mut self.last[level as usize - 1];
        if *last != table {
            *last = table;
            self.count += 1;
        }
    }
}

/// An item of a batch, decoded.
#[derive(Clone, Copy)]
struct Item {
    address: u64,
    frame: u32,
    entries: u32,
    protection: Protection,
}

impl Item {
    fn decode([address, word]: [u64; 2]) -> Result<Item, KernelError> {
        let mapping = Mapping { address, frame: word as u32, frames: (word >> 32) as u32 };
        let protection = mapping.protection().ok_or(KernelError::InvalidArgument)?;
        let is_single = !protection.contains(Protection::SUPERPAGE) && mapping.frames == 1;
        let cannot_clear = protection.contains(Protection::CLEAR) && !is_single;
        if protection.contains(Protection::DEVICE) || cannot_clear || mapping.frames == 0 {
            return Err(KernelError::InvalidArgument);
        }
        Ok(Item {
            address: mapping.page_address(),
            frame: mapping.frame,
            entries: mapping.frames,
            protection,
        })
    }

    fn level(&self) -> u32 {
        if self.protection.contains(Protection::SUPERPAGE) { 2 } else { 1 }
    }

    fn frames(&self) -> u64 {
        u64::from(self.entries) * page_table::span_pages(self.level())
    }

    fn end(&self) -> u64 {
        self.address + self.frames() * FRAME_BYTES
    }
}

impl<M: Machine> Kernel<M> {
    pub(in crate::calls) fn pmap_enter(&mut self, arguments: Arguments) -> Outcome {
        let Arguments([frames, task, array, count, ..]) = arguments;
        let task = self.pmap_live_task(frames, task)?;
        self.enter_array(task, array, count)?;
        Ok(Done::Value(count))
    }

    /// Enters an array of mappings from the current thread's memory.
    pub(in crate::calls) fn enter_array(&mut self, task: Link, array: u64, count: u64) -> Result<(), Stop> {
        self.with_items(array, count, |kernel, items| {
            if kernel.are_plain(task, items) {
                return kernel.enter_plain(task, items);
            }
            kernel.check_items(task, items)?;
            let mut work = Work::NOTHING;
            let result = kernel.enter_items(task, items, &mut work);
            kernel.shoot_down(task, &work);
            result
        })
    }

    fn check_items(&mut self, task: Link, items: &[[u64; 2]]) -> Result<(), Stop> {
        let (mut missing, mut frames, mut end) = (Missing::NONE, 0, 0);
        let (mut ascending, mut small, mut large) = (true, false, false);
        // The last range that a page table maps whose tables were found right or counted.
        let mut checked = u64::MAX;
        for &words in items {
            let item = Item::decode(words)?;
            frames += item.frames();
            if frames > BATCH_FRAMES {
                return Err(KernelError::InvalidArgument.into());
            }
            self.check_item(&item)?;
            let range = item.address / LEAF_BYTES;
            let is_within = item.level() == 1 && (item.end() - 1) / LEAF_BYTES == range;
            if !is_within || range != checked {
                self.check_tables(task, item.address, item.frames(), item.level(), &mut missing)?;
                checked = if is_within { range } else { u64::MAX };
            }
            ascending &= item.address >= end;
            end = item.end();
            *(if item.level() == 1 { &mut small } else { &mut large }) = true;
        }
        // Otherwise an item could find a page of the other size that the batch itself has put there.
        if small && large && !ascending {
            return Err(KernelError::InvalidArgument.into());
        }
        self.check_stock(task, missing.count)
    }

    fn check_item(&mut self, item: &Item) -> Result<(), KernelError> {
        self.check_pages(item.address, item.frames())?;
        let span = page_table::span_pages(item.level());
        if !item.address.is_multiple_of(span * FRAME_BYTES) || !u64::from(item.frame).is_multiple_of(span) {
            return Err(KernelError::InvalidArgument);
        }
        self.frame_number(u64::from(item.frame) + item.frames() - 1)?;
        self.check_maps(item.frame, item.frames() as u32)?;
        if item.protection.contains(Protection::CLEAR) && self.frame_entry(item.frame).map_count() != 0 {
            return Err(KernelError::WrongFrame);
        }
        Ok(())
    }

    /// Checks that frames, which the table covers, may be mapped once more.
    fn check_maps(&mut self, first: u32, frames: u32) -> Result<(), KernelError> {
        (first..first + frames).try_for_each(|frame| self.frame_entry(frame).check_map())
    }

    /// Checks that no page of another size lies in a range, and counts the tables that it lacks.
    fn check_tables(
        &mut self,
        task: Link,
        address: u64,
        pages: u64,
        level: u32,
        missing: &mut Missing,
    ) -> Result<(), KernelError> {
        let root = self.machine.object::<Task>(task).root;
        let mut at = address & !(LEAF_BYTES - 1);
        while at < address + pages * FRAME_BYTES {
            let place = page_table::walk(&mut self.machine, root, at, level);
            let is_large = place.level > 1 && place.entry & page_table::LARGE != 0;
            if place.entry & PRESENT == 0 {
                (level..place.level).for_each(|lacking| missing.add(at, lacking));
            } else if is_large != (level == 2) {
                return Err(KernelError::LargePage);
            }
            at += LEAF_BYTES;
        }
        Ok(())
    }

    fn check_stock(&mut self, task: Link, needed: u64) -> Result<(), Stop> {
        let stock = u64::from(self.machine.object::<Task>(task).stock_frames);
        match needed.checked_sub(stock) {
            None | Some(0) => Ok(()),
            Some(lacking) => Err(Stop::Error(KernelError::NeedTables, lacking)),
        }
    }

    fn enter_items(&mut self, task: Link, items: &[[u64; 2]], work: &mut Work) -> Result<(), Stop> {
        for (done, &words) in items.iter().enumerate() {
            let item = Item::decode(words)?;
            let span = page_table::span_pages(item.level());
            for index in 0..u64::from(item.entries) {
                if self.should_stop(work) {
                    return Err(Stop::Error(KernelError::Preempted, done as u64));
                }
                let address = item.address + index * span * FRAME_BYTES;
                let frame = item.frame + (index * span) as u32;
                // A batch that names a frame often enough fills its count only now.
                self.enter_page(task, address, frame, item.protection, work)
                    .map_err(|error| Stop::Error(error, done as u64))?;
            }
        }
        Ok(())
    }

    fn enter_page(
        &mut self,
        task: Link,
        address: u64,
        frame: u32,
        protection: Protection,
        work: &mut Work,
    ) -> Result<(), KernelError> {
        let level = if protection.contains(Protection::SUPERPAGE) { 2 } else { 1 };
        let span = page_table::span_pages(level);
        let place = match level {
            1 => self.make_leaf_place(task, address, work),
            _ => self.make_place(task, address, level),
        };
        let place = place.expect("tables and places were checked");
        if protection.contains(Protection::CLEAR) {
            self.clear_unmapped(frame, work)?;
        }
        let old = place.entry & !(ACCESSED | DIRTY);
        let entry = page_table::page_entry(u64::from(frame), protection);
        if old == entry {
            return Ok(());
        }
        if old & PRESENT != 0 {
            work.add_stale(address, span);
        }
        work.add_change(span);
        if old & PRESENT != 0 && old & DEVICE == 0 && page_table::frame_of(old) == frame {
            // Only the protection changes: that the page was written stays known until it is asked for.
            page_table::update(&mut self.machine, place, |old| entry | old & (ACCESSED | DIRTY));
            return Ok(());
        }
        self.check_maps(frame, span as u32)?;
        (frame..frame + span as u32).for_each(|frame| self.frame_entry(frame).add_mapping());
        self.replace(place, entry);
        Ok(())
    }

    /// Clears a frame that nobody maps. A batch that names one twice has it mapped by now.
    fn clear_unmapped(&mut self, frame: u32, work: &mut Work) -> Result<(), KernelError> {
        if self.frame_entry(frame).map_count() != 0 {
            return Err(KernelError::WrongFrame);
        }
        self.machine.zero(frame, 0, FRAME_BYTES as usize);
        work.since_look += CLEAR_WORK;
        Ok(())
    }

    pub(in crate::calls) fn pmap_enter_device(&mut self, arguments: Arguments) -> Outcome {
        let Arguments([frames, task, device, address, first, pages, ..]) = arguments;
        let task = self.pmap_live_task(frames, task)?;
        let memory = self.capability_for(device, Kind::DeviceMemory, Rights::empty())?;
        let fits = first.checked_add(pages).is_some_and(|end| end <= memory.extent);
        if !fits || pages == 0 || pages > DEVICE_PAGES {
            return Err(KernelError::InvalidArgument.into());
        }
        self.check_pages(address, pages)?;
        let mut missing = Missing::NONE;
        self.check_tables(task, address, pages, 1, &mut missing)?;
        self.check_stock(task, missing.count)?;
        let mut work = Work::NOTHING;
        for page in 0..pages {
            let at = address + page * FRAME_BYTES;
            let place = self.make_leaf_place(task, at, &mut work).expect("tables and places were checked");
            if place.entry & PRESENT != 0 {
                work.add_stale(at, 1);
            }
            let protection = Protection::WRITE | Protection::DEVICE;
            self.replace(place, page_table::page_entry(memory.badge + first + page, protection));
        }
        self.shoot_down(task, &work);
        Ok(Done::Value(pages))
    }
}
