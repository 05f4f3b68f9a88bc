//! The `pmap` calls: mappings in and out of address spaces, in batches.

use super::Arguments;
use crate::frame_table::FrameKind;
use crate::kernel::{Done, Kernel, Outcome, Stop};
use crate::machine::Machine;
use crate::name::Link;
use crate::objects::Task;
use crate::page_table::{self, ACCESSED, DIRTY, LARGE, PRESENT, Place};
use kernel_abi::capability::Kind;
use kernel_abi::pmap::{
    BATCH_ITEMS, Mapping, PageRange, Protection, QUERY_DIRTY, QUERY_PRESENT, QUERY_REFERENCED,
};
use kernel_abi::{FRAME_BYTES, KernelError, Rights, USER_END};

/// Pages handled between two looks for a waiting interrupt.
const PAGES_PER_LOOK: u64 = 64;

/// Pages of one `PmapQuery`.
const QUERY_PAGES_MAX: u64 = 4096;

/// Frames that one item of a batch may name.
const ITEM_FRAMES_MAX: u32 = 1 << 20;

/// Where the first word of a frame in stock holds the number of the next.
const STOCK_SHIFT: u32 = 12;

/// Missing tables counted at a time.
const MISSING_MAX: usize = 32;

/// The smallest range that covers all translations that a batch made invalid: one shootdown a batch.
struct Stale {
    start: u64,
    end: u64,
}

impl Stale {
    const NOTHING: Stale = Stale { start: u64::MAX, end: 0 };

    fn add(&mut self, address: u64, pages: u64) {
        self.start = self.start.min(address);
        self.end = self.end.max(address + pages * FRAME_BYTES);
    }
}

impl<M: Machine> Kernel<M> {
    /// The task of a pmap call, by a caller with authority over frames.
    fn pmap_task(&mut self, frames: u64, task: u64) -> Result<Link, KernelError> {
        self.capability_for(frames, Kind::Frames, Rights::empty())?;
        let capability = self.capability_for(task, Kind::Task, Rights::empty())?;
        self.live(capability.name, FrameKind::Task)
    }

    /// Same, for a task that has not ended.
    fn pmap_live_task(&mut self, frames: u64, task: u64) -> Result<Link, KernelError> {
        let task = self.pmap_task(frames, task)?;
        if self.machine.object::<Task>(task).is_alive() { Ok(task) } else { Err(KernelError::WrongState) }
    }

    pub(super) fn pmap_stock(&mut self, Arguments([frames, task, array, count, ..]): Arguments) -> Outcome {
        let task = self.pmap_live_task(frames, task)?;
        self.check_array(array, count, 4, BATCH_ITEMS as u64)?;
        for done in 0..count {
            let frame = self.read_frame_number(array + done * 4)?;
            let entry = self.machine.frame(frame).ok_or(KernelError::InvalidArgument)?;
            if let Err(error) = entry.check_kernel_use() {
                return Err(Stop::Error(error, done));
            }
            entry.take_for(FrameKind::PageTable);
            self.push_stock(task, frame);
        }
        Ok(Done::Value(count))
    }

    fn read_frame_number(&mut self, address: u64) -> Result<u32, Stop> {
        let mut bytes = [0; 4];
        self.machine.read_user(address, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// Puts an empty page-table frame into a task's stock.
    pub(crate) fn push_stock(&mut self, task: Link, frame: u32) {
        let object = self.machine.object::<Task>(task);
        let next = core::mem::replace(&mut object.stock, frame);
        object.stock_frames += 1;
        // Shifted, so that the word is no present entry for a processor that still remembers the frame as a table.
        self.machine.table(frame)[0] = u64::from(next) << STOCK_SHIFT;
    }

    /// The frame behind another in a stock.
    pub(crate) fn stocked_behind(&mut self, frame: u32) -> u32 {
        (self.machine.table(frame)[0] >> STOCK_SHIFT) as u32
    }

    /// Takes a frame out of a task's stock.
    pub(super) fn pop_stock(&mut self, task: Link) -> Option<u32> {
        let object = self.machine.object::<Task>(task);
        let frame = object.stock;
        if frame == 0 {
            return None;
        }
        object.stock_frames -= 1;
        let next = self.stocked_behind(frame);
        self.machine.object::<Task>(task).stock = next;
        Some(frame)
    }

    pub(super) fn pmap_enter(&mut self, Arguments([frames, task, array, count, ..]): Arguments) -> Outcome {
        let task = self.pmap_live_task(frames, task)?;
        self.enter_array(task, array, count)?;
        Ok(Done::Value(count))
    }

    /// Enters an array of mappings from the current thread's memory.
    pub(super) fn enter_array(&mut self, task: Link, array: u64, count: u64) -> Result<(), Stop> {
        self.check_array(array, count, 16, BATCH_ITEMS as u64)?;
        let mut items = [Mapping::default(); BATCH_ITEMS];
        let items = &mut items[..count as usize];
        for (index, item) in items.iter_mut().enumerate() {
            let mut words = [0; 2];
            self.machine.read_user_words(array + index as u64 * 16, &mut words)?;
            *item = Mapping { address: words[0], frame: words[1] as u32, frames: (words[1] >> 32) as u32 };
        }
        self.check_items(task, items)?;
        self.enter_items(task, items)
    }

    fn check_items(&mut self, task: Link, items: &[Mapping]) -> Result<(), Stop> {
        let mut missing = [0; MISSING_MAX];
        let mut count = 0;
        for item in items {
            let protection = item.protection().ok_or(KernelError::InvalidArgument)?;
            if protection.contains(Protection::DEVICE) {
                return Err(KernelError::InvalidArgument.into());
            }
            self.check_item(item, protection)?;
            let pages = u64::from(item.frames) * page_table::span_pages(leaf_level(protection));
            count = self.count_missing(
                task,
                item.page_address(),
                pages,
                leaf_level(protection),
                &mut missing,
                count,
            );
        }
        self.check_stock(task, count)
    }

    fn check_stock(&mut self, task: Link, needed: usize) -> Result<(), Stop> {
        let stock = self.machine.object::<Task>(task).stock_frames;
        if needed as u32 > stock {
            return Err(Stop::Error(KernelError::NeedTables, needed as u64 - u64::from(stock)));
        }
        Ok(())
    }

    fn check_item(&mut self, item: &Mapping, protection: Protection) -> Result<(), KernelError> {
        let level = leaf_level(protection);
        let span = page_table::span_pages(level);
        if item.frames == 0 || item.frames > ITEM_FRAMES_MAX {
            return Err(KernelError::InvalidArgument);
        }
        let pages = u64::from(item.frames) * span;
        self.check_pages(item.page_address(), pages)?;
        if !item.page_address().is_multiple_of(span * FRAME_BYTES)
            || !u64::from(item.frame).is_multiple_of(span)
        {
            return Err(KernelError::InvalidArgument);
        }
        for frame in 0..u64::from(item.frames) {
            let number = u64::from(item.frame) + frame * span;
            self.frame_number(number + span - 1)?;
            let entry = self.machine.frame(number as u32).ok_or(KernelError::InvalidArgument)?;
            entry.check_map()?;
        }
        Ok(())
    }

    fn check_pages(&self, address: u64, pages: u64) -> Result<(), KernelError> {
        if !address.is_multiple_of(FRAME_BYTES) || pages > USER_END / FRAME_BYTES {
            return Err(KernelError::InvalidArgument);
        }
        self.check_user(address, pages * FRAME_BYTES)
    }

    /// Adds the tables that a range lacks to those counted before; each is known by level and place.
    fn count_missing(
        &mut self,
        task: Link,
        address: u64,
        pages: u64,
        level: u32,
        missing: &mut [u64; MISSING_MAX],
        mut count: usize,
    ) -> usize {
        let root = self.machine.object::<Task>(task).root;
        let step = page_table::span_pages(level + 1) * FRAME_BYTES;
        let mut at = address & !(step - 1);
        while at < address + pages * FRAME_BYTES && count < MISSING_MAX {
            let place = page_table::walk(&mut self.machine, root, at, level);
            if place.entry & PRESENT == 0 {
                for lacking in level..place.level {
                    let span = page_table::span_pages(lacking + 1) * FRAME_BYTES;
                    let key = (at / span * span) | u64::from(lacking);
                    if !missing[..count].contains(&key) && count < MISSING_MAX {
                        missing[count] = key;
                        count += 1;
                    }
                }
            }
            at += step;
        }
        count
    }

    fn enter_items(&mut self, task: Link, items: &[Mapping]) -> Result<(), Stop> {
        let mut stale = Stale::NOTHING;
        let mut since_look = 0;
        let mut result = Ok(());
        for (done, item) in items.iter().enumerate() {
            since_look += u64::from(item.frames);
            if since_look > PAGES_PER_LOOK && done != 0 {
                since_look = 0;
                if self.machine.interrupt_pending() {
                    result = Err(Stop::Error(KernelError::Preempted, done as u64));
                    break;
                }
            }
            if self.enter_item(task, item, &mut stale).is_err() {
                // Frames named twice in the batch, or tables cut off by a large page: say so at the next call.
                result = Err(Stop::Error(KernelError::Preempted, done as u64));
                break;
            }
        }
        self.shoot_down(task, stale);
        result
    }

    fn enter_item(&mut self, task: Link, item: &Mapping, stale: &mut Stale) -> Result<(), KernelError> {
        let protection = item.protection().ok_or(KernelError::InvalidArgument)?;
        let level = leaf_level(protection);
        let span = page_table::span_pages(level);
        for page in 0..u64::from(item.frames) {
            let address = item.page_address() + page * span * FRAME_BYTES;
            let frame = u64::from(item.frame) + page * span;
            self.frame_entry(frame as u32).check_map()?;
            let place = self.make_place(task, address, level)?;
            if place.entry & PRESENT != 0 {
                stale.add(address, span);
            }
            self.frame_entry(frame as u32).add_mapping();
            self.replace(place, page_table::page_entry(frame, protection));
        }
        Ok(())
    }

    fn frame_entry(&mut self, frame: u32) -> &mut crate::frame_table::FrameEntry {
        self.machine.frame(frame).expect("the frame was checked")
    }

    /// The place for a page, making the tables on the way from the stock.
    pub(crate) fn make_place(&mut self, task: Link, address: u64, level: u32) -> Result<Place, KernelError> {
        let root = self.machine.object::<Task>(task).root;
        loop {
            let place = page_table::walk(&mut self.machine, root, address, level);
            if place.level == level && (place.entry & PRESENT == 0 || level == 1 || place.entry & LARGE != 0)
            {
                return Ok(place);
            }
            if place.entry & PRESENT != 0 {
                // A large page where a table is wanted, or a table where a large page is.
                return Err(KernelError::Busy);
            }
            let table = self.pop_stock(task).ok_or(KernelError::NeedTables)?;
            self.machine.zero(table, 0, FRAME_BYTES as usize);
            self.replace(place, page_table::table_entry(table));
        }
    }

    /// Sets an entry, keeping the counts of tables and frames right. The new frame, if any, was counted before.
    pub(crate) fn replace(&mut self, place: Place, entry: u64) {
        self.machine.table(place.table)[place.index] = entry;
        let was = place.entry & PRESENT != 0;
        if was && (place.level == 1 || place.entry & LARGE != 0) && place.entry & page_table::DEVICE == 0 {
            self.frame_entry(page_table::frame_of(place.entry)).remove_mapping();
        }
        let table = self.frame_entry(place.table);
        match (was, entry & PRESENT != 0) {
            (false, true) => table.add_mapping(),
            (true, false) => table.remove_mapping(),
            _ => {}
        }
    }

    fn shoot_down(&mut self, task: Link, stale: Stale) {
        if stale.end != 0 {
            let root = self.machine.object::<Task>(task).root;
            self.machine.shoot_down(root, stale.start, (stale.end - stale.start) / FRAME_BYTES);
        }
    }

    pub(super) fn pmap_remove(&mut self, arguments: Arguments) -> Outcome {
        self.for_ranges(arguments, false)
    }

    pub(super) fn pmap_protect(&mut self, arguments: Arguments) -> Outcome {
        self.for_ranges(arguments, true)
    }

    fn for_ranges(
        &mut self,
        Arguments([frames, task, array, count, ..]): Arguments,
        protect: bool,
    ) -> Outcome {
        let task = self.pmap_live_task(frames, task)?;
        self.check_array(array, count, 16, BATCH_ITEMS as u64)?;
        let mut ranges = [PageRange::default(); BATCH_ITEMS];
        let ranges = &mut ranges[..count as usize];
        for (index, range) in ranges.iter_mut().enumerate() {
            let mut words = [0; 2];
            self.machine.read_user_words(array + index as u64 * 16, &mut words)?;
            let bits = words[0] % FRAME_BYTES;
            let meaning = Protection::from_bits(bits).filter(|_| protect || bits == 0);
            if meaning
                .is_none_or(|protection| protection.intersects(Protection::SUPERPAGE | Protection::DEVICE))
            {
                return Err(KernelError::InvalidArgument.into());
            }
            self.check_pages(words[0] - bits, words[1])?;
            *range = PageRange { address: words[0], pages: words[1] };
        }
        let mut stale = Stale::NOTHING;
        let mut pages = 0;
        let mut result = Ok(());
        for (done, range) in ranges.iter().enumerate() {
            if done != 0 && self.machine.interrupt_pending() {
                result = Err(Stop::Error(KernelError::Preempted, done as u64));
                break;
            }
            pages += self.change_range(task, range, protect, &mut stale);
        }
        self.shoot_down(task, stale);
        result.map(|()| Done::Value(pages))
    }

    /// Removes or protects what is mapped in a range; steps over holes by whole tables. Returns the pages changed.
    fn change_range(&mut self, task: Link, range: &PageRange, protect: bool, stale: &mut Stale) -> u64 {
        let root = self.machine.object::<Task>(task).root;
        let mut at = range.address & !(FRAME_BYTES - 1);
        let end = at + range.pages * FRAME_BYTES;
        let protection = Protection::from_bits_truncate(range.address % FRAME_BYTES);
        let mut changed = 0;
        while at < end {
            let place = page_table::walk(&mut self.machine, root, at, 1);
            let span = page_table::span_pages(place.level);
            let next = (at / FRAME_BYTES / span + 1) * span * FRAME_BYTES;
            if place.entry & PRESENT != 0 {
                stale.add(at & !(span * FRAME_BYTES - 1), span);
                changed += span;
                if protect {
                    self.machine.table(place.table)[place.index] =
                        page_table::with_protection(place.entry, protection);
                } else {
                    self.replace(place, 0);
                    self.collect_empty(task, root, at, place.table);
                }
            }
            at = next;
        }
        changed
    }

    /// Returns tables that have become empty to the stock, from the leaf upwards.
    fn collect_empty(&mut self, task: Link, root: u32, address: u64, mut table: u32) {
        while table != root && self.frame_entry(table).map_count() == 0 {
            let mut parent = page_table::walk(&mut self.machine, root, address, 4);
            while page_table::frame_of(parent.entry) != table {
                parent = page_table::walk(&mut self.machine, root, address, parent.level - 1);
            }
            self.replace(Place { entry: parent.entry & !LARGE, ..parent }, 0);
            self.push_stock(task, table);
            table = parent.table;
        }
    }

    pub(super) fn pmap_query(
        &mut self,
        Arguments([frames, task, address, pages, output, clear, ..]): Arguments,
    ) -> Outcome {
        let task = self.pmap_live_task(frames, task)?;
        if pages > QUERY_PAGES_MAX || clear > 1 {
            return Err(KernelError::InvalidArgument.into());
        }
        self.check_pages(address, pages)?;
        self.check_user(output, pages)?;
        let root = self.machine.object::<Task>(task).root;
        let mut stale = Stale::NOTHING;
        for page in 0..pages {
            let at = address + page * FRAME_BYTES;
            let place = page_table::walk(&mut self.machine, root, at, 1);
            self.machine.write_user(output + page, &[query_bits(place.entry)])?;
            if clear == 1 && place.entry & PRESENT != 0 && place.entry & (ACCESSED | DIRTY) != 0 {
                self.machine.table(place.table)[place.index] = place.entry & !(ACCESSED | DIRTY);
                stale.add(at, 1);
            }
        }
        self.shoot_down(task, stale);
        Ok(Done::Value(pages))
    }

    pub(super) fn pmap_enter_device(&mut self, arguments: Arguments) -> Outcome {
        let Arguments([frames, task, device, address, first, pages, ..]) = arguments;
        let task = self.pmap_live_task(frames, task)?;
        let memory = self.capability_for(device, Kind::DeviceMemory, Rights::empty())?;
        let fits = first.checked_add(pages).is_some_and(|end| end <= memory.extent);
        if !fits || pages == 0 {
            return Err(KernelError::InvalidArgument.into());
        }
        self.check_pages(address, pages)?;
        let missing = self.count_missing(task, address, pages, 1, &mut [0; MISSING_MAX], 0);
        self.check_stock(task, missing)?;
        let mut stale = Stale::NOTHING;
        for page in 0..pages {
            let at = address + page * FRAME_BYTES;
            let place = self.make_place(task, at, 1).map_err(|error| Stop::Error(error, page))?;
            if place.entry & PRESENT != 0 {
                stale.add(at, 1);
            }
            let protection = Protection::WRITE | Protection::DEVICE;
            self.replace(place, page_table::page_entry(memory.badge + first + page, protection));
        }
        self.shoot_down(task, stale);
        Ok(Done::Value(pages))
    }

    pub(super) fn pmap_unstock(&mut self, Arguments([frames, task, array, count, ..]): Arguments) -> Outcome {
        let task = self.pmap_task(frames, task)?;
        self.check_array(array, count, 4, BATCH_ITEMS as u64)?;
        for taken in 0..count {
            if taken != 0 && self.machine.interrupt_pending() {
                return Err(Stop::Error(KernelError::Preempted, taken));
            }
            // The write is tried before a frame is taken, so that none is lost if it fails.
            self.machine.write_user(array + taken * 4, &[0; 4])?;
            let Some(frame) = self.pop_stock(task).or_else(|| self.take_table(task)) else {
                return Ok(Done::Value(taken));
            };
            self.frame_entry(frame).give_back();
            self.machine.write_user(array + taken * 4, &frame.to_le_bytes())?;
        }
        Ok(Done::Value(count))
    }

    /// Takes a page table of a task that has ended: the deepest on the first path from the top, the top one last.
    fn take_table(&mut self, task: Link) -> Option<u32> {
        let object = self.machine.object::<Task>(task);
        if object.is_alive() || object.root == 0 {
            return None;
        }
        let root = object.root;
        if self.active_task == task {
            self.machine.activate(0);
            self.active_task = Link::NONE;
        }
        let (mut parent, mut table, mut level) = (None, root, 4);
        while level > 1 {
            let entries = if level == 4 { 256 } else { 512 };
            let below = self.machine.table(table)[..entries]
                .iter()
                .position(|&entry| entry & (PRESENT | LARGE) == PRESENT)
                .map(|index| Place { table, level, index, entry: self.machine.table(table)[index] });
            let Some(place) = below else { break };
            (parent, table, level) = (Some(place), page_table::frame_of(place.entry), level - 1);
        }
        if let Some(place) = parent {
            self.replace(place, 0);
        } else {
            self.machine.object::<Task>(task).root = 0;
        }
        self.forget_pages(table, level);
        Some(table)
    }

    /// Uncounts the pages that a table maps, before it is given back.
    fn forget_pages(&mut self, table: u32, level: u32) {
        for index in 0..if level == 4 { 256 } else { 512 } {
            let entry = self.machine.table(table)[index];
            if entry & PRESENT != 0 {
                self.replace(Place { table, level, index, entry }, 0);
            }
        }
    }
}

fn leaf_level(protection: Protection) -> u32 {
    if protection.contains(Protection::SUPERPAGE) { 2 } else { 1 }
}

fn query_bits(entry: u64) -> u8 {
    let bit = |mask, bit| if entry & mask != 0 { bit } else { 0 };
    if entry & PRESENT == 0 {
        return 0;
    }
    QUERY_PRESENT | bit(ACCESSED, QUERY_REFERENCED) | bit(DIRTY, QUERY_DIRTY)
}
