//! The `log` crate's backend: one line a record, prefixed with program and level, to the system log.
//!
//! A line carries at most [`LOG_BYTES`] bytes; longer records are continued on further lines with the same
//! prefix. A task without a log capability, or one that the kernel refuses, loses its lines and goes on.

use crate::syscall;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU32, Ordering};
use kernel_abi::Handle;
use kernel_abi::call::LOG_BYTES;
use log::{Level, LevelFilter, Log, Metadata, Record};

struct Backend;

static BACKEND: Backend = Backend;
static LOG_HANDLE: AtomicU32 = AtomicU32::new(0);
static NAME: crate::sync::Mutex<&'static str> = crate::sync::Mutex::new("");

/// Levels that are logged unless the program says otherwise.
pub const DEFAULT_LEVEL: LevelFilter = LevelFilter::Info;

/// Starts logging under a name.
pub(crate) fn start(name: &'static str, log: Handle) {
    LOG_HANDLE.store(log.0, Ordering::Relaxed);
    *NAME.lock() = name;
    // It fails only where it was called before.
    let _ = log::set_logger(&BACKEND);
    log::set_max_level(DEFAULT_LEVEL);
}

/// Changes the name: a task's maker knows best what its program is called in the boot archive.
pub(crate) fn rename(name: &'static str) {
    *NAME.lock() = name;
}

/// The name that lines and backtraces carry.
pub fn program_name() -> &'static str {
    // A panic may strike while the lock is held.
    NAME.try_lock().map_or("", |name| *name)
}

/// Writes a line to the system log as it is.
pub fn write_line(line: fmt::Arguments<'_>) {
    write_lines("", "", line);
}

impl Log for Backend {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let level = match record.level() {
            Level::Error => " error: ",
            Level::Warn => " warning: ",
            Level::Info => ": ",
            Level::Debug => " debug: ",
            Level::Trace => " trace: ",
        };
        write_lines(program_name(), level, *record.args());
    }

    fn flush(&self) {}
}

fn write_lines(name: &str, level: &str, arguments: fmt::Arguments<'_>) {
    let handle = Handle(LOG_HANDLE.load(Ordering::Relaxed));
    let mut lines = Lines::new(name, level, |line: &[u8]| {
        let _ = syscall::log_write(handle, line);
    });
    let _ = lines.write_fmt(arguments);
    lines.finish();
}

/// Cuts text into lines with a prefix.
struct Lines<W> {
    bytes: [u8; LOG_BYTES as usize],
    prefix: usize,
    used: usize,
    write: W,
}

impl<W: FnMut(&[u8])> Lines<W> {
    fn new(name: &str, level: &str, write: W) -> Lines<W> {
        let mut lines = Lines { bytes: [0; LOG_BYTES as usize], prefix: 0, used: 0, write };
        for &byte in name.as_bytes().iter().take(32).chain(level.as_bytes().iter().take(16)) {
            lines.bytes[lines.used] = byte;
            lines.used += 1;
        }
        lines.prefix = lines.used;
        lines
    }

    fn flush(&mut self) {
        (self.write)(&self.bytes[..self.used]);
        self.used = self.prefix;
    }

    fn finish(mut self) {
        if self.used > self.prefix {
            self.flush();
        }
    }
}

impl<W: FnMut(&[u8])> Write for Lines<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if character == '\n' {
                self.flush();
                continue;
            }
            if self.used + character.len_utf8() > self.bytes.len() {
                self.flush();
            }
            self.used += character.encode_utf8(&mut self.bytes[self.used..]).len();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(name: &str, text: &str) -> Vec<String> {
        let mut written = Vec::new();
        let mut lines = Lines::new(name, ": ", |line: &[u8]| {
            written.push(String::from_utf8(line.to_vec()).unwrap());
        });
        lines.write_str(text).unwrap();
        lines.finish();
        written
    }

    #[test]
    fn text_is_cut_between_lines_and_characters() {
        assert_eq!(lines("ext", "mounted"), ["ext: mounted"]);
        assert_eq!(lines("ext", "a\n\nb\n"), ["ext: a", "ext: ", "ext: b"]);
        let long = lines("x", &"é".repeat(200));
        assert_eq!(long.len(), 2);
        assert!(long.iter().all(|line| line.starts_with("x: é") && line.len() <= 256));
        assert_eq!(long.iter().map(|line| line.matches('é').count()).sum::<usize>(), 200);
    }
}
