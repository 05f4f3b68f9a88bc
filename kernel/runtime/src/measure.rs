//! Marks for an instruction counter outside of the machine, such as a plugin of the emulator: instructions without effect
//! that it knows when it sees them. A mark costs one instruction, wherever it stands.
//!
//! A mark is `nopl 0x5A00xxxx(%rax)`: `xxxx` is twice the number of a region, and one more at the region's end. A region may
//! begin in one task and end in another.

use core::arch::asm;

/// One sample of a measurement.
pub const SAMPLE: u16 = 1;
/// Begins once, when the machine is up.
pub const UP: u16 = 2;

/// A region begins.
#[inline(always)]
pub fn begin<const REGION: u16>() {
    // SAFETY: an instruction without operands that matter and without effect. It counts as touching memory, so that
    // nothing is moved across it.
    unsafe {
        asm!("nop dword ptr [rax + {mark}]", mark = const 0x5a00_0000 + 2 * REGION as i32, options(nostack, preserves_flags))
    }
}

/// It ends.
#[inline(always)]
pub fn end<const REGION: u16>() {
    // SAFETY: as above.
    unsafe {
        asm!("nop dword ptr [rax + {mark}]", mark = const 0x5a00_0001 + 2 * REGION as i32, options(nostack, preserves_flags))
    }
}
