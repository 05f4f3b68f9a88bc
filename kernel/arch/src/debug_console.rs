//! The system log's way out: QEMU's debug console, a port that takes bytes. On a machine without one the bytes vanish.

use crate::clock;
use core::fmt::{self, Write};
use x86_64::instructions::port::Port;

const DEBUG_PORT: u16 = 0xe9;

/// Port of QEMU's `isa-debug-exit` device.
const EXIT_PORT: u16 = 0xf4;

/// A writer of raw bytes.
pub struct DebugConsole;

impl DebugConsole {
    /// Writes bytes as they are.
    pub fn write_bytes(&mut self, bytes: &[u8]) {
        let mut port = Port::<u8>::new(DEBUG_PORT);
        for &byte in bytes {
            // SAFETY: the port belongs to the log alone and takes any byte.
            unsafe { port.write(byte) };
        }
    }

    /// Writes the time since boot as a line's beginning.
    pub fn write_time(&mut self) {
        let microseconds = clock::now() / 1000;
        let _ = write!(self, "[{:5}.{:06}] ", microseconds / 1_000_000, microseconds % 1_000_000);
    }
}

impl Write for DebugConsole {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write_bytes(text.as_bytes());
        Ok(())
    }
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let mut console = DebugConsole;
        console.write_time();
        let _ = writeln!(console, "kernel {}: {}", record.level(), record.args());
    }

    fn flush(&self) {}
}

/// Sends the `log` crate's records to the debug console.
pub fn initialise_log() {
    let _ = log::set_logger(&Logger);
    log::set_max_level(log::LevelFilter::Info);
}

/// Ends the emulator with this code; on a machine that has no such device, halts.
pub fn exit(code: u32) -> ! {
    // SAFETY: the port belongs to QEMU's exit device; elsewhere nothing listens.
    unsafe { Port::<u32>::new(EXIT_PORT).write(code) };
    loop {
        x86_64::instructions::interrupts::disable();
        x86_64::instructions::hlt();
    }
}
