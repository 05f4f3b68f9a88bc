//! [`Machine`] on real hardware: frames through the direct map, page tables, user copies, devices.

use crate::debug_console::{self, DebugConsole};
use crate::layout::{DIRECT_MAP, direct, frame_pointer};
use crate::processor::{self, PerCpu};
use crate::{apic, clock, paging, requests, user_copy};
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};
use kernel_abi::FRAME_BYTES;
use kernel_abi::task::TaskStatus;
use kernel_core::frame_table::{FrameEntry, FrameKind};
use kernel_core::objects::Object;
use kernel_core::processor::ProcessorSet;
use kernel_core::{Link, Machine, UserFault};
use x86_64::instructions::port::Port;

/// Exit code for the emulator: the first task ended.
const EXIT_FIRST_TASK: u32 = 101;

/// The machine. There is one, made by [`Hardware::new`].
pub struct Hardware {
    frames: &'static mut [FrameEntry],
    kernel_root: u32,
    interrupt_controllers: [u64; 2],
}

impl Hardware {
    /// The machine with its frame table and the kernel's own top page table, which is active.
    ///
    /// # Safety
    /// The table must cover all RAM of the direct map and say `Plain` only of frames that nothing else uses. There must be
    /// no second machine.
    pub unsafe fn new(frames: &'static mut [FrameEntry], kernel_root: u32) -> Hardware {
        let interrupt_controllers = [0xfec0_0000 / FRAME_BYTES, 0xfee0_0000 / FRAME_BYTES];
        Hardware { frames, kernel_root, interrupt_controllers }
    }

    fn assert_kind(&self, frame: u32, kind: FrameKind) {
        debug_assert!(self.frames[frame as usize].kind() == kind, "frame {frame:#x} is not of kind {kind:?}");
    }
}

impl Machine for Hardware {
    fn object<T: Object>(&mut self, link: Link) -> &mut T {
        self.assert_kind(link.frame(), T::KIND);
        let object = direct(link.address()) as *mut T;
        // SAFETY: the frame is a kernel frame formatted with `T` (its kind says so: a frame gets its kind and its format
        // together), so it lies in the direct map, holds a valid value at each of its slots and is not mapped anywhere else. The
        // link names a slot: links are made by code that checks it. `&mut self` keeps the reference unique.
        unsafe { &mut *object }
    }

    fn format<T: Object>(&mut self, frame: u32) {
        for slot in 0..T::PER_FRAME {
            let object = direct(Link::new::<T>(frame, slot).address()) as *mut T;
            // SAFETY: the frame is RAM that has just become the kernel's; `PER_FRAME` values fit, each at its slot (checked at
            // compile time).
            unsafe { object.write(T::EMPTY) };
        }
    }

    fn frame(&mut self, frame: u32) -> Option<&mut FrameEntry> {
        self.frames.get_mut(frame as usize)
    }

    #[inline(always)]
    fn entry(&mut self, frame: u32) -> FrameEntry {
        if (frame as usize) < self.frames.len() { self.frames[frame as usize] } else { FrameEntry::default() }
    }

    fn table(&mut self, frame: u32) -> &mut [u64; 512] {
        self.assert_kind(frame, FrameKind::PageTable);
        // SAFETY: a frame of this kind is RAM that only the kernel and the processor's page walker touch; the walker's
        // writes (accessed and dirty bits) are to entries that the kernel reads anew for each decision.
        unsafe { &mut *frame_pointer(frame) }
    }

    fn exchange_entry(&mut self, table: u32, index: usize, expected: u64, new: u64) -> Result<(), u64> {
        let entry: *mut u64 = &raw mut self.table(table)[index];
        // SAFETY: the entry lies in a page table, is aligned, and nothing holds a reference to it.
        let entry = unsafe { AtomicU64::from_ptr(entry) };
        entry.compare_exchange(expected, new, Ordering::AcqRel, Ordering::Acquire).map(drop)
    }

    fn format_root(&mut self, frame: u32) {
        let kernel: *const u64 = frame_pointer(self.kernel_root);
        let root: *mut u64 = frame_pointer(frame);
        // SAFETY: both are top page tables in the direct map; the upper half is the kernel's, the same everywhere.
        unsafe { core::ptr::copy_nonoverlapping(kernel.add(256), root.add(256), 256) };
    }

    fn zero(&mut self, frame: u32, offset: usize, bytes: usize) {
        let start: *mut u8 = frame_pointer(frame);
        // SAFETY: the range lies within the frame (the caller checked), a frame that the kernel's own data is not in.
        unsafe {
            let start = start.add(offset);
            if (start as usize).is_multiple_of(8) && bytes.is_multiple_of(8) {
                asm!("rep stosq", inout("rdi") start => _, inout("rcx") bytes / 8 => _, in("rax") 0,
                    options(nostack, preserves_flags));
            } else {
                core::ptr::write_bytes(start, 0, bytes);
            }
        }
    }

    fn copy(&mut self, source: (u32, usize), destination: (u32, usize), bytes: usize) {
        let from: *const u8 = frame_pointer(source.0);
        let to: *mut u8 = frame_pointer(destination.0);
        // SAFETY: both ranges lie within their frames (the caller checked), which are different plain frames.
        unsafe {
            let (from, to) = (from.add(source.1), to.add(destination.1));
            if (from as usize | to as usize | bytes).is_multiple_of(8) {
                asm!("rep movsq", inout("rsi") from => _, inout("rdi") to => _, inout("rcx") bytes / 8 => _,
                    options(nostack, preserves_flags));
            } else {
                core::ptr::copy_nonoverlapping(from, to, bytes);
            }
        }
    }

    fn read_user(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), UserFault> {
        user_copy::read_bytes(address, bytes)
    }

    fn write_user(&mut self, address: u64, bytes: &[u8]) -> Result<(), UserFault> {
        user_copy::write_bytes(address, bytes)
    }

    fn read_user_words(&mut self, address: u64, words: &mut [u64]) -> Result<(), UserFault> {
        user_copy::read_words(address, words)
    }

    fn write_user_words(&mut self, address: u64, words: &[u64]) -> Result<(), UserFault> {
        user_copy::write_words(address, words)
    }

    fn activate(&mut self, root: u32) {
        let root = if root == 0 { self.kernel_root } else { root };
        // SAFETY: every top table has the kernel's half.
        unsafe { paging::activate(u64::from(root) * FRAME_BYTES) };
    }

    fn shoot_down(&mut self, processors: ProcessorSet, _root: u32, address: u64, pages: u64) {
        let here = PerCpu::own_number();
        if processors.contains(here) {
            paging::forget(address, pages);
        }
        let others = processors.without(here);
        if others != ProcessorSet::EMPTY {
            requests::shoot_down(others, address, pages);
        }
    }

    fn call_processor(&mut self, processor: usize) {
        apic::send(processor, apic::CALL_VECTOR);
    }

    fn stop_processor(&mut self, processor: usize) {
        requests::stop(processor);
    }

    fn set_local_base(&mut self, address: u64) {
        let known = &mut PerCpu::get().local_base;
        if address != *known {
            *known = address;
            processor::set_local_base(address);
        }
    }

    fn now(&mut self) -> u64 {
        clock::now()
    }

    fn ticks(&mut self) -> u64 {
        clock::ticks()
    }

    fn set_timer(&mut self, time: u64) {
        apic::set_timer((time != u64::MAX).then(|| time.saturating_sub(clock::now())));
    }

    fn interrupt_pending(&mut self) -> bool {
        apic::interrupt_pending()
    }

    fn mask_interrupt(&mut self, line: u32, masked: bool) {
        apic::mask(line, masked);
    }

    fn is_device_memory(&self, frame: u64, frames: u64) -> bool {
        let range = frame..frame + frames;
        let is_ram = (frame..(frame + frames).min(self.frames.len() as u64))
            .any(|frame| self.frames[frame as usize].kind() != FrameKind::Reserved);
        // Reserved frames below the end of RAM hold firmware and the kernel: only what lies above RAM is a device's.
        let below_end = self.frames.iter().rposition(|entry| entry.kind() != FrameKind::Reserved);
        let above_ram = below_end.is_none_or(|end| frame > end as u64);
        let in_hole = frame >= 0xc000_0000 / FRAME_BYTES && frame + frames <= (1 << 32) / FRAME_BYTES;
        !is_ram
            && (above_ram || in_hole)
            && !self.interrupt_controllers.iter().any(|page| range.contains(page))
    }

    fn port_read(&mut self, port: u16, width: u32) -> u32 {
        // SAFETY: only holders of a capability for the port get here; what the device does is theirs to answer for.
        unsafe {
            match width {
                1 => u32::from(Port::<u8>::new(port).read()),
                2 => u32::from(Port::<u16>::new(port).read()),
                _ => Port::<u32>::new(port).read(),
            }
        }
    }

    fn port_write(&mut self, port: u16, width: u32, value: u32) {
        // SAFETY: as for reading.
        unsafe {
            match width {
                1 => Port::<u8>::new(port).write(value as u8),
                2 => Port::<u16>::new(port).write(value as u16),
                _ => Port::<u32>::new(port).write(value),
            }
        }
    }

    fn log(&mut self, line: &[u8]) {
        let mut console = DebugConsole;
        console.write_time();
        console.write_bytes(line);
        console.write_bytes(b"\n");
    }

    fn first_task_ended(&mut self, status: TaskStatus) {
        log::error!("the first task ended: {status:?}");
        debug_console::exit(EXIT_FIRST_TASK);
    }
}

const _: () = assert!(DIRECT_MAP == 0xffff_8000_0000_0000);
