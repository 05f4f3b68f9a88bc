//! Frames for page tables: into the stock of an address space and out again.
//!
//! The stock is a list through the frames themselves. Of a task that has ended the tables in use come out as well, deepest
//! first, the top one last.

use super::Work;
use crate::calls::Arguments;
use crate::frame_table::FrameKind;
use crate::kernel::{Done, Kernel, Outcome, Stop};
use crate::machine::Machine;
use crate::name::Link;
use crate::objects::Task;
use crate::page_table::{self, LARGE, PRESENT, Place};
use kernel_abi::pmap::BATCH_ITEMS;
use kernel_abi::{FRAME_BYTES, KernelError};

/// Where the first word of a frame in stock holds the number of the next: not in its lowest bits, so that the word is
/// no present entry for a processor that still remembers the frame as a table.
const STOCK_SHIFT: u32 = 12;

/// In the first word of a frame in stock: all other words are zero.
const STOCK_CLEAR: u64 = 1 << 1;

/// Bytes of the largest array of frame numbers.
const NUMBERS_BYTES: usize = BATCH_ITEMS * 4;

impl<M: Machine> Kernel<M> {
    pub(in crate::calls) fn pmap_stock(&mut self, arguments: Arguments) -> Outcome {
        let Arguments([frames, task, array, count, ..]) = arguments;
        let task = self.pmap_live_task(frames, task)?;
        self.check_array(array, count, 4, BATCH_ITEMS as u64)?;
        let mut numbers = [0; NUMBERS_BYTES];
        let numbers = &mut numbers[..count as usize * 4];
        self.machine.read_user(array, numbers)?;
        let numbers = numbers.as_chunks().0;
        for (taken, &number) in numbers.iter().enumerate() {
            if let Err(error) = self.take_for_table(u32::from_le_bytes(number)) {
                for &number in &numbers[..taken] {
                    self.frame_entry(u32::from_le_bytes(number)).undo_take();
                }
                return Err(error.into());
            }
        }
        for &number in numbers {
            self.push_stock(task, u32::from_le_bytes(number));
        }
        Ok(Done::Value(count))
    }

    fn take_for_table(&mut self, frame: u32) -> Result<(), KernelError> {
        let entry = self.machine.frame(frame).ok_or(KernelError::InvalidArgument)?;
        entry.check_kernel_use()?;
        entry.take_for(FrameKind::PageTable);
        Ok(())
    }

    /// Puts a page-table frame into a task's stock, whatever is in it.
    pub(crate) fn push_stock(&mut self, task: Link, frame: u32) {
        self.push_table(task, frame, 0);
    }

    /// Puts a table that has become empty back into a task's stock: nobody needs to clear it again.
    pub(super) fn push_empty_table(&mut self, task: Link, frame: u32) {
        self.push_table(task, frame, STOCK_CLEAR);
    }

    fn push_table(&mut self, task: Link, frame: u32, flag: u64) {
        let object = self.machine.object::<Task>(task);
        let next = core::mem::replace(&mut object.stock, frame);
        object.stock_frames += 1;
        self.machine.table(frame)[0] = u64::from(next) << STOCK_SHIFT | flag;
    }

    /// Takes an empty table out of a task's stock.
    pub(super) fn pop_empty_table(&mut self, task: Link) -> Option<u32> {
        let frame = self.machine.object::<Task>(task).stock;
        let is_clear = frame != 0 && self.machine.table(frame)[0] & STOCK_CLEAR != 0;
        let frame = self.pop_stock(task)?;
        if is_clear {
            self.machine.table(frame)[0] = 0;
        } else {
            self.machine.zero(frame, 0, FRAME_BYTES as usize);
        }
        Some(frame)
    }

    /// The frame behind another in a stock.
    pub(crate) fn stocked_behind(&mut self, frame: u32) -> u32 {
        (self.machine.table(frame)[0] >> STOCK_SHIFT) as u32
    }

    /// Takes a frame out of a task's stock.
    fn pop_stock(&mut self, task: Link) -> Option<u32> {
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

    pub(in crate::calls) fn pmap_unstock(&mut self, arguments: Arguments) -> Outcome {
        let Arguments([frames, task, array, count, ..]) = arguments;
        let task = self.pmap_task(frames, task)?;
        self.check_array(array, count, 4, BATCH_ITEMS as u64)?;
        // The whole array is written before a frame is taken: if its memory is absent, no frame gets lost.
        self.machine.write_user(array, &[0; NUMBERS_BYTES][..count as usize * 4])?;
        let mut work = Work::NOTHING;
        for taken in 0..count {
            let preempted = Stop::Error(KernelError::Preempted, taken);
            if taken != 0 && self.machine.interrupt_pending() {
                return Err(preempted);
            }
            let frame = match self.pop_stock(task) {
                Some(frame) => frame,
                None => match self.take_table(task, &mut work).map_err(|_| preempted)? {
                    Some(frame) => frame,
                    None => return Ok(Done::Value(taken)),
                },
            };
            self.frame_entry(frame).give_back();
            let written = self.machine.write_user(array + taken * 4, &frame.to_le_bytes());
            written.expect("the array was written before");
        }
        Ok(Done::Value(count))
    }

    /// Takes a page table of a task that has ended: the deepest on the first path from the top, the top one last.
    fn take_table(&mut self, task: Link, work: &mut Work) -> Result<Option<u32>, KernelError> {
        let object = self.machine.object::<Task>(task);
        if object.is_alive() || object.root == 0 {
            return Ok(None);
        }
        let root = object.root;
        // Its threads were stopped on every other processor when it ended.
        if self.processors[self.here].active_task == task {
            self.drop_address_space();
        }
        let (mut parent, mut table, mut level) = (None, root, 4);
        while level > 1 && self.frame_entry(table).map_count() != 0 {
            let entries = if level == 4 { 256 } else { 512 };
            let below = self.machine.table(table)[..entries]
                .iter()
                .position(|&entry| entry & (PRESENT | LARGE) == PRESENT)
                .map(|index| Place { table, level, index, entry: self.machine.table(table)[index] });
            let Some(place) = below else { break };
            (parent, table, level) = (Some(place), page_table::frame_of(place.entry), level - 1);
        }
        self.forget_pages(table, level, work)?;
        if let Some(place) = parent {
            self.replace(place, 0);
        } else {
            self.machine.object::<Task>(task).root = 0;
        }
        Ok(Some(table))
    }

    /// Uncounts the pages that a table maps, before it is given back.
    fn forget_pages(&mut self, table: u32, level: u32, work: &mut Work) -> Result<(), KernelError> {
        for index in 0..if level == 4 { 256 } else { 512 } {
            // Empty tables, and the ends of those that were filled from the front, are most of them.
            if self.frame_entry(table).map_count() == 0 {
                break;
            }
            let entry = self.machine.table(table)[index];
            if entry & PRESENT == 0 {
                continue;
            }
            if self.should_stop(work) {
                return Err(KernelError::Preempted);
            }
            self.replace(Place { table, level, index, entry }, 0);
            work.add_change(page_table::span_pages(level));
        }
        Ok(())
    }
}
