//! What the kernel needs from the machine. `kernel/arch` implements it on x86_64, [`crate::host`] in a test process.
//!
//! What is one's own to each processor (active address space, timer, FS base) is meant of the one that has entered the
//! kernel.

use crate::frame_table::FrameEntry;
use crate::name::Link;
use crate::objects::Object;
use crate::processor::ProcessorSet;
use kernel_abi::task::TaskStatus;

/// A user address could not be read or written: the access that a page fault must resolve first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UserFault {
    /// Address that faulted.
    pub address: u64,
    /// [`kernel_abi::fault::Access`] bits.
    pub access: u64,
}

/// Processor, memory and devices, as far as the kernel's logic needs them.
pub trait Machine {
    /// The object at a place whose frame has been formatted for `T`.
    fn object<T: Object>(&mut self, link: Link) -> &mut T;

    /// Told at each entry: which processor has entered. A machine that can tell by itself need not listen.
    fn entered(&mut self, _processor: usize) {}

    /// Fills a frame, whatever was in it, with empty objects.
    fn format<T: Object>(&mut self, frame: u32);

    /// The entry of a frame, unless the number lies beyond the table.
    fn frame(&mut self, frame: u32) -> Option<&mut FrameEntry>;

    /// The same by value; reserved beyond the table.
    #[inline(always)]
    fn entry(&mut self, frame: u32) -> FrameEntry {
        self.frame(frame).copied().unwrap_or_default()
    }

    /// A page table (a frame of kind `PageTable`).
    fn table(&mut self, frame: u32) -> &mut [u64; 512];

    /// Sets an entry of a page table that processors may be using, unless it has another value than `expected` by now:
    /// then that is the error. Other processors set accessed and dirty bits at any moment.
    fn exchange_entry(&mut self, table: u32, index: usize, expected: u64, new: u64) -> Result<(), u64>;

    /// Makes a zeroed frame a top page table, with the kernel's half in place.
    fn format_root(&mut self, frame: u32);

    /// Writes zeros; the range lies within the frame.
    fn zero(&mut self, frame: u32, offset: usize, bytes: usize);

    /// Copies bytes; both ranges lie within their frames.
    fn copy(&mut self, source: (u32, usize), destination: (u32, usize), bytes: usize);

    /// Reads user memory of the active address space. The range has been checked to be user memory.
    fn read_user(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), UserFault>;

    /// Writes user memory of the active address space. The range has been checked to be user memory.
    fn write_user(&mut self, address: u64, bytes: &[u8]) -> Result<(), UserFault>;

    /// Reads words of user memory of the active address space.
    fn read_user_words(&mut self, address: u64, words: &mut [u64]) -> Result<(), UserFault>;

    /// Writes words of user memory of the active address space.
    fn write_user_words(&mut self, address: u64, words: &[u64]) -> Result<(), UserFault>;

    /// Makes an address space the active one. 0: the kernel's own, without user memory.
    fn activate(&mut self, root: u32);

    /// Has processors, the entered one maybe among them, forget translations of `pages` pages of an address space. When it
    /// returns none of them uses one any more. They answer while they run user code, idle, or wait for the kernel.
    fn shoot_down(&mut self, processors: ProcessorSet, root: u32, address: u64, pages: u64);

    /// Has another processor come into the kernel soon, to look at its queues.
    fn call_processor(&mut self, processor: usize);

    /// Has another processor stop what it does in user mode. When it returns that one is on its way into the kernel with the
    /// kernel's own address space active, all registers of its thread saved.
    fn stop_processor(&mut self, processor: usize);

    /// Sets the FS base for the thread that runs next.
    fn set_local_base(&mut self, address: u64);

    /// Nanoseconds since boot.
    fn now(&mut self) -> u64;

    /// The time-stamp counter.
    fn ticks(&mut self) -> u64;

    /// Has the timer interrupt come at a time, at the latest a tick after it. `u64::MAX`: never.
    fn set_timer(&mut self, time: u64);

    /// Whether an interrupt waits to be taken: long work should stop.
    fn interrupt_pending(&mut self) -> bool;

    /// Masks or unmasks an interrupt line.
    fn mask_interrupt(&mut self, line: u32, masked: bool);

    /// Whether no byte of this physical range is RAM or interrupt controller.
    fn is_device_memory(&self, frame: u64, frames: u64) -> bool;

    /// Reads a port; `width` is 1, 2 or 4.
    fn port_read(&mut self, port: u16, width: u32) -> u32;

    /// Writes a port; `width` is 1, 2 or 4.
    fn port_write(&mut self, port: u16, width: u32, value: u32);

    /// Writes a line to the system log.
    fn log(&mut self, line: &[u8]);

    /// The first task has ended: nothing can go on. Halts a real machine.
    fn first_task_ended(&mut self, status: TaskStatus);
}
