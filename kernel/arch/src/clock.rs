//! Time: the time-stamp counter and the local APIC's timer, both measured against the 8254 timer at boot.

use core::arch::x86_64::_rdtsc;
use core::sync::atomic::{AtomicU64, Ordering};
use kernel_abi::boot::ClockPage;
use x86_64::instructions::port::Port;

/// Frequency of the 8254 timer in Hz.
const PIT_HZ: u64 = 1_193_182;
/// Ticks of the 8254 that the measurement takes at least: about two milliseconds.
const PIT_TICKS: u64 = 2400;
/// Readings of which the quickest counts: one that was interrupted (by an emulator's host, say) is off.
const READINGS: u32 = 8;

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

/// One look at three counters at the same time, as nearly as can be.
#[derive(Clone, Copy)]
struct Reading {
    ticks: u64,
    pit: u16,
    down: u32,
    took: u64,
}

/// Channel 2 of the 8254, running freely (Intel 8254 data sheet; IBM PC AT Technical Reference for its gate).
struct FreeRunning {
    command: Port<u8>,
    data: Port<u8>,
}

impl FreeRunning {
    fn start() -> FreeRunning {
        let mut this = FreeRunning { command: Port::new(0x43), data: Port::new(0x42) };
        let mut control = Port::<u8>::new(0x61);
        // SAFETY: the channel and its gate are used by nobody else.
        unsafe {
            let gate = control.read() & !3;
            control.write(gate);
            this.command.write(0xb4); // channel 2, both bytes, mode 2: counts down from 65536 again and again
            this.data.write(0);
            this.data.write(0);
            control.write(gate | 1);
        }
        this
    }

    fn read_once(&mut self, down_counter: &impl Fn() -> u32) -> Reading {
        let before = ticks();
        // SAFETY: latches the count and reads it.
        let pit = unsafe {
            self.command.write(0x80);
            u16::from_le_bytes([self.data.read(), self.data.read()])
        };
        let down = down_counter();
        let took = ticks() - before;
        Reading { ticks: before + took / 2, pit, down, took }
    }

    /// The quickest of several readings.
    fn read(&mut self, down_counter: &impl Fn() -> u32) -> Reading {
        let mut best = self.read_once(down_counter);
        for _ in 1..READINGS {
            let next = self.read_once(down_counter);
            if next.took < best.took {
                best = next;
            }
        }
        best
    }
}

/// Measures the time-stamp counter and, with it, another counter that runs down. Returns how much that one loses in a
/// second.
pub fn calibrate(down_counter: impl Fn() -> u32) -> u64 {
    let mut pit = FreeRunning::start();
    let first = pit.read(&down_counter);
    let mut last = first;
    let passed = |reading: &Reading| u64::from(first.pit.wrapping_sub(reading.pit));
    while passed(&last) < PIT_TICKS {
        last = pit.read(&down_counter);
    }
    let nanoseconds = passed(&last) * 1_000_000_000 / PIT_HZ;
    let elapsed = last.ticks - first.ticks;
    MULTIPLIER
        .store(((u128::from(nanoseconds) << 32) / u128::from(elapsed.max(1))) as u64, Ordering::Relaxed);
    u64::from(first.down.wrapping_sub(last.down)) * 1_000_000_000 / nanoseconds
}
