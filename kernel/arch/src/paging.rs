//! The kernel's own page tables, built once at boot: the direct map of all RAM with 2 MiB pages, the image W^X with 4 KiB
//! pages, the interrupt controllers uncached.

use crate::layout::{DIRECT_MAP, IMAGE_BASE, IO_APIC, LOCAL_APIC, direct, image_physical};
use core::arch::asm;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};
use kernel_abi::FRAME_BYTES;
use x86_64::VirtAddr;
use x86_64::instructions::tlb;

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const UNCACHED: u64 = 1 << 4 | 1 << 3;
const LARGE: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
const NO_EXECUTE: u64 = 1 << 63;
const LARGE_BYTES: u64 = 2 << 20;

/// Pages beyond which all of a processor's translations of user memory are forgotten instead of each.
pub const FORGET_ALL_PAGES: u64 = 32;

/// Physical address of the kernel's own top table.
static KERNEL_ROOT: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" {
    static image_text_start: u8;
    static image_text_end: u8;
    static image_rodata_end: u8;
    static image_end: u8;
}

/// Gives out zeroed frames while the tables are built.
pub trait BootFrames {
    /// A frame of RAM, zeroed, never given out again.
    fn take(&mut self) -> u32;
}

/// Builds the tables for these ranges of physical addresses and makes them active. Returns the top table, whose upper half
/// is complete: address spaces copy it once.
pub fn build(frames: &mut impl BootFrames, ram: impl Iterator<Item = Range<u64>>) -> u32 {
    let root = frames.take();
    for range in ram {
        let mut at = range.start & !(LARGE_BYTES - 1);
        while at < range.end {
            map(frames, root, DIRECT_MAP + at, at | WRITE | LARGE | GLOBAL | NO_EXECUTE, 2);
            at += LARGE_BYTES;
        }
    }
    map_image(frames, root);
    for (address, physical) in [(LOCAL_APIC, 0xfee0_0000), (IO_APIC, 0xfec0_0000)] {
        map(frames, root, address, physical | WRITE | UNCACHED | GLOBAL | NO_EXECUTE, 1);
    }
    KERNEL_ROOT.store(u64::from(root) * FRAME_BYTES, Ordering::Relaxed);
    activate_kernel();
    root
}

/// Physical address of the kernel's own top table.
pub fn kernel_root_address() -> u64 {
    KERNEL_ROOT.load(Ordering::Relaxed)
}

/// Makes the kernel's own tables the active ones of this processor; it forgets what it knows of user memory.
pub fn activate_kernel() {
    // SAFETY: these tables map the running code, its stack and data where they are.
    unsafe { activate(kernel_root_address()) };
}

/// Makes a top table, by physical address, the active one of this processor; it forgets what it knows of user memory.
///
/// # Safety
/// The table's upper half must be the kernel's.
pub unsafe fn activate(root: u64) {
    // SAFETY: the kernel goes on where it is, as the caller promises.
    unsafe { asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) };
}

/// Has this processor forget the translations of a range of user memory.
pub fn forget(address: u64, pages: u64) {
    if pages > FORGET_ALL_PAGES {
        let root: u64;
        // SAFETY: the same tables once more: everything that is not global is forgotten.
        unsafe {
            asm!("mov {}, cr3", out(reg) root, options(nostack, nomem, preserves_flags));
            activate(root);
        }
        return;
    }
    for page in 0..pages {
        tlb::flush(VirtAddr::new_truncate(address + page * FRAME_BYTES));
    }
}

fn map_image(frames: &mut impl BootFrames, root: u32) {
    let text = &raw const image_text_start as u64..&raw const image_text_end as u64;
    let rodata_end = &raw const image_rodata_end as u64;
    let end = &raw const image_end as u64;
    let mut at = text.start;
    while at < end {
        let flags = if at < text.end {
            0
        } else if at < rodata_end {
            NO_EXECUTE
        } else {
            NO_EXECUTE | WRITE
        };
        map(frames, root, at, image_physical(at) | flags | GLOBAL, 1);
        at += FRAME_BYTES;
    }
}

fn map(frames: &mut impl BootFrames, root: u32, address: u64, entry: u64, leaf: u32) {
    let mut table = root;
    for level in (leaf + 1..=4).rev() {
        let index = (address >> (12 + 9 * (level - 1))) as usize & 511;
        let present = get(table, index);
        table = if present & PRESENT != 0 {
            (present >> 12) as u32
        } else {
            let below = frames.take();
            set(table, index, u64::from(below) << 12 | PRESENT | WRITE);
            below
        };
    }
    set(table, (address >> (12 + 9 * (leaf - 1))) as usize & 511, entry | PRESENT);
}

fn get(table: u32, index: usize) -> u64 {
    // SAFETY: the table was taken from the boot frames; the direct map reaches it (the boot tables map the low 4 GiB there).
    unsafe { *((direct(u64::from(table) * FRAME_BYTES) as *const u64).add(index)) }
}

fn set(table: u32, index: usize, entry: u64) {
    // SAFETY: as for reading; nobody else has the table.
    unsafe { *((direct(u64::from(table) * FRAME_BYTES) as *mut u64).add(index)) = entry };
}

const _: () = assert!(IMAGE_BASE.is_multiple_of(LARGE_BYTES));
