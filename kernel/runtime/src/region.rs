//! Marks that an instruction counter outside of the machine sees (`tests/counter`), around what is to be measured.
//!
//! A mark is one instruction without effect. Regions have numbers below 2^15 and may overlap.

/// One sample of a measurement (`tests/bench`).
pub const SAMPLE: u16 = 1;
/// Begins once, when the system is up.
pub const UP: u16 = 2;

/// Highest number of a region.
pub const REGION_MAX: u16 = 0x7fff;

/// What every mark carries.
const TAG: u32 = 0x5a00_0000;

/// A region begins.
#[inline(always)]
pub fn begin<const REGION: u16>() {
    mark::<REGION, 0>();
}

/// A region ends.
#[inline(always)]
pub fn end<const REGION: u16>() {
    mark::<REGION, 1>();
}

/// `nopl TAG + 2 * region + end (%rax)`. Memory is not said to be untouched, so nothing is moved across.
#[inline(always)]
fn mark<const REGION: u16, const END: u32>() {
    const { assert!(REGION <= REGION_MAX) };
    // SAFETY: NOP has no effect, whatever its operand.
    unsafe {
        core::arch::asm!(
            ".byte 0x0f, 0x1f, 0x80",
            ".long {}",
            const TAG | (REGION as u32) << 1 | END,
            options(nostack, preserves_flags)
        );
    }
}
