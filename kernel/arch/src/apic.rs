//! The interrupt controllers: local APIC (Intel SDM vol. 3, 10) and I/O APIC (Intel 82093AA), by memory-mapped registers;
//! the old 8259s are switched off.
//!
//! Line `n` of the I/O APIC comes as vector 32 + n, to the processor that booted. All vectors in use lie in one word of the local APIC's request
//! register, so that one read tells whether an interrupt waits.

use crate::clock;
use crate::layout::{IO_APIC, LOCAL_APIC};
use core::hint;
use core::ptr::{read_volatile, write_volatile};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use kernel_core::processor::PROCESSORS_MAX;
use x86_64::instructions::port::Port;

/// Vector of line 0.
pub const FIRST_VECTOR: u32 = 32;
/// Vector of requests that another processor waits for.
pub const REQUEST_VECTOR: u32 = 60;
/// Vector by which another processor has this one come into the kernel.
pub const CALL_VECTOR: u32 = 61;
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

/// Identifiers of the processors' local APICs, by number.
static IDENTIFIERS: [AtomicU32; PROCESSORS_MAX] = [const { AtomicU32::new(0) }; PROCESSORS_MAX];

const ID: u64 = 0x20;
const END_OF_INTERRUPT: u64 = 0xb0;
const SPURIOUS: u64 = 0xf0;
const REQUEST_32: u64 = 0x210;
const COMMAND: u64 = 0x300;
const COMMAND_DESTINATION: u64 = 0x310;
/// Command: the last one is still on its way.
const SENDING: u32 = 1 << 12;
/// Command: assert; all but INIT need no more.
const ASSERT: u32 = 1 << 14;
const INIT: u32 = 5 << 8;
const STARTUP: u32 = 6 << 8;
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
    initialise_local();
    note_identifier(0, own_identifier());
    for line in 0..LINES {
        mask(line, true);
        io_write(0x11 + 2 * line, read(ID) & 0xff00_0000);
    }
    write(TIMER_INITIAL, u32::MAX);
    let per_second = clock::calibrate(|| read(TIMER_CURRENT));
    write(TIMER_INITIAL, 0);
    TIMER_PER_SECOND.store(per_second, Ordering::Relaxed);
}

/// Switches this processor's local APIC on, its timer set for never.
pub fn initialise_local() {
    write(SPURIOUS, 0x100 | SPURIOUS_VECTOR);
    write(TIMER_DIVIDE, 0b1011); // divide by 1
    write(TIMER, TIMER_VECTOR);
}

/// Identifier of this processor's local APIC.
pub fn own_identifier() -> u32 {
    read(ID) >> 24
}

/// Notes the identifier of the processor with this number.
pub fn note_identifier(processor: usize, identifier: u32) {
    IDENTIFIERS[processor].store(identifier, Ordering::Relaxed);
}

/// Interrupts another processor.
pub fn send(processor: usize, vector: u32) {
    command(IDENTIFIERS[processor].load(Ordering::Relaxed), ASSERT | vector);
}

/// Resets a processor, which then waits for its start-up.
pub fn send_init(identifier: u32) {
    command(identifier, ASSERT | INIT);
}

/// Has a processor that waits for it begin at a page below 1 MiB.
pub fn send_startup(identifier: u32, page: u64) {
    command(identifier, ASSERT | STARTUP | (page >> 12) as u32);
}

fn command(identifier: u32, command: u32) {
    write(COMMAND_DESTINATION, identifier << 24);
    write(COMMAND, command);
    while read(COMMAND) & SENDING != 0 {
        hint::spin_loop();
    }
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

/// Whether an interrupt waits to be taken, for which the kernel has to be entered.
pub fn interrupt_pending() -> bool {
    read(REQUEST_32) & !(1 << (REQUEST_VECTOR - FIRST_VECTOR)) != 0
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
