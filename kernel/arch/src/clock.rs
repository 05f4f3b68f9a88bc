//! Time: the time-stamp counter and the local APIC's timer, both measured against the 8254 timer at boot.

use core::arch::x86_64::_rdtsc;
use core::sync::atomic::{AtomicU64, Ordering};
use kernel_abi::boot::ClockPage;
use x86_64::instructions::port::Port;

/// Frequency of the 8254 timer in Hz.
const PIT_HZ: u64 = 1_193_182;
/// Ticks of the 8254 that the measurement takes: about a millisecond.
const PIT_TICKS: u16 = 1193;

static BOOT: AtomicU64 = AtomicU64::new(0);
static MULTIPLIER: AtomicU64 = AtomicU64::new(1 << 32);

/// The time-stamp counter.
pub fn ticks() -> u64 {
    // SAFETY: every x86_64 processor has it.
    unsafe { _rdtsc() }
}

/// Nanoseconds since boot.
pub fn now() -> u64 {
    page().nanoseconds(ticks())
}

/// What user code needs to compute the same.
pub fn page() -> ClockPage {
    ClockPage { tsc_at_boot: BOOT.load(Ordering::Relaxed), multiplier: MULTIPLIER.load(Ordering::Relaxed) }
}

/// Notes the moment of boot.
pub fn start() {
    BOOT.store(ticks(), Ordering::Relaxed);
}

/// Measures the time-stamp counter and, with it, another counter that runs down. Returns how much that one lost in a
/// second.
pub fn calibrate(read_down_counter: impl Fn() -> u32) -> u64 {
    let mut control = Port::<u8>::new(0x61);
    let mut command = Port::<u8>::new(0x43);
    let mut data = Port::<u8>::new(0x42);
    let (ticks_before, count_before);
    // SAFETY: channel 2 of the 8254 and its gate (IBM PC AT Technical Reference) are used by nobody else.
    unsafe {
        let gate = control.read() & !3;
        control.write(gate);
        command.write(0xb0u8); // channel 2, both bytes, mode 0: output rises when the count ends
        data.write(PIT_TICKS as u8);
        data.write((PIT_TICKS >> 8) as u8);
        control.write(gate | 1);
        ticks_before = ticks();
        count_before = read_down_counter();
        while control.read() & 0x20 == 0 {}
    }
    let elapsed = ticks() - ticks_before;
    let counted = u64::from(count_before - read_down_counter());
    let nanoseconds = u64::from(PIT_TICKS) * 1_000_000_000 / PIT_HZ;
    MULTIPLIER
        .store(((u128::from(nanoseconds) << 32) / u128::from(elapsed.max(1))) as u64, Ordering::Relaxed);
    counted * PIT_HZ / u64::from(PIT_TICKS)
}
