//! The interrupt controllers: local APIC (Intel SDM vol. 3, 10) and I/O APIC (Intel 82093AA), by memory-mapped registers;
//! the old 8259s are switched off.
//!
//! Line `n` of the I/O APIC comes as vector 32 + n. All vectors in use lie in one word of the local APIC's request
//! register, so that one read tells whether an interrupt waits.

use crate::clock;
use crate::layout::{IO_APIC, LOCAL_APIC};
use core::ptr::{read_volatile, write_volatile};
use core::sync::atomic::{AtomicU64, Ordering};
use x86_64::instructions::port::Port;

/// Vector of line 0.
pub const FIRST_VECTOR: u32 = 32;
/// Vector of the local timer.
pub const TIMER_VECTOR: u32 = 62;
/// Vector of spurious interrupts: no end-of-interrupt.
pub const SPURIOUS_VECTOR: u32 = 63;

/// Lines of the first I/O APIC.
const LINES: u32 = 24;
/// Lines below this are ISA's: edge, active high. Of those PCI uses, see [`PCI_LINES`].
const MASKED: u32 = 1 << 16;
const LEVEL: u32 = 1 << 15;
/// Lines that PCI interrupts come by on PC machines (i440FX routes them to ISA lines): level, active high.
const PCI_LINES: [u32; 4] = [5, 9, 10, 11];

static TIMER_PER_SECOND: AtomicU64 = AtomicU64::new(0);

const ID: u64 = 0x20;
const END_OF_INTERRUPT: u64 = 0xb0;
const SPURIOUS: u64 = 0xf0;
const REQUEST_32: u64 = 0x210;
const TIMER: u64 = 0x320;
const TIMER_INITIAL: u64 = 0x380;
const TIMER_CURRENT: u64 = 0x390;
const TIMER_DIVIDE: u64 = 0x3e0;

fn read(register: u64) -> u32 {
    // SAFETY: the registers are mapped uncached at this address for the kernel alone.
    unsafe { read_volatile((LOCAL_APIC + register) as *const u32) }
}

fn write(register: u64, value: u32) {
    // SAFETY: as for reading; the values written are those that the manual gives.
    unsafe { write_volatile((LOCAL_APIC + register) as *mut u32, value) };
}

fn io_write(index: u32, value: u32) {
    // SAFETY: the I/O APIC's two registers, index and window, are mapped for the kernel alone.
    unsafe {
        write_volatile(IO_APIC as *mut u32, index);
        write_volatile((IO_APIC + 0x10) as *mut u32, value);
    }
}

/// Switches the old controllers off and the APICs on, all lines masked, and measures the clocks.
pub fn initialise() {
    // SAFETY: masks all lines of both 8259s (data ports), after moving their vectors off the exceptions.
    unsafe {
        for (port, value) in [(0x20, 0x11), (0xa0, 0x11), (0x21, 0x20), (0xa1, 0x28), (0x21, 4), (0xa1, 2)] {
            Port::<u8>::new(port).write(value);
        }
        for (port, value) in [(0x21, 1), (0xa1, 1), (0x21, 0xff), (0xa1, 0xff)] {
            Port::<u8>::new(port).write(value);
        }
    }
    write(SPURIOUS, 0x100 | SPURIOUS_VECTOR);
    for line in 0..LINES {
        mask(line, true);
        io_write(0x11 + 2 * line, read(ID) & 0xff00_0000);
    }
    write(TIMER_DIVIDE, 0b1011); // divide by 1
    write(TIMER, TIMER_VECTOR);
    write(TIMER_INITIAL, u32::MAX);
    let per_second = clock::calibrate(|| read(TIMER_CURRENT));
    write(TIMER_INITIAL, 0);
    TIMER_PER_SECOND.store(per_second, Ordering::Relaxed);
}

/// Masks or unmasks a line.
pub fn mask(line: u32, masked: bool) {
    let trigger = if PCI_LINES.contains(&line) { LEVEL } else { 0 };
    io_write(0x10 + 2 * line, (FIRST_VECTOR + line) | trigger | if masked { MASKED } else { 0 });
}

/// Tells the local APIC that an interrupt has been taken.
pub fn end_of_interrupt() {
    write(END_OF_INTERRUPT, 0);
}

/// Whether an interrupt waits to be taken.
pub fn interrupt_pending() -> bool {
    read(REQUEST_32) != 0
}

/// Has the timer fire after so many nanoseconds; `None`: never.
pub fn set_timer(nanoseconds: Option<u64>) {
    let count = nanoseconds.map_or(0, |nanoseconds| {
        let count =
            u128::from(nanoseconds) * u128::from(TIMER_PER_SECOND.load(Ordering::Relaxed)) / 1_000_000_000;
        count.clamp(1, u128::from(u32::MAX)) as u32
    });
    write(TIMER_INITIAL, count);
}
