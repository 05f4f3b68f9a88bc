//! Return addresses by frame pointers, for people who look at a panic.

use crate::debug_console::DebugConsole;
use crate::layout::IMAGE_BASE;
use core::arch::asm;
use core::fmt::Write;

/// Frames printed at most.
const DEPTH_MAX: usize = 32;

/// Prints the kernel's return addresses from here up.
pub fn print() {
    let base: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rbp", out(reg) base, options(nomem, nostack)) };
    print_from(base);
}

/// Prints return addresses from a frame pointer up. Stops at anything that is not in the kernel's image.
pub fn print_from(mut base: u64) {
    for _ in 0..DEPTH_MAX {
        if base < IMAGE_BASE || !base.is_multiple_of(8) {
            return;
        }
        // SAFETY: the address lies in the kernel's image, where its stack is; all of it is mapped readable.
        let [next, address] = unsafe { *(base as *const [u64; 2]) };
        if address < IMAGE_BASE {
            return;
        }
        let _ = writeln!(DebugConsole, "backtrace: kernel {address:#x}");
        base = next;
    }
}
