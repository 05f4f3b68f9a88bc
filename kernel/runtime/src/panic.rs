//! The last words of a task: message and backtrace to the log, then [`STATUS_PANIC`] as its exit status.
//!
//! The backtrace follows frame pointers, within the thread's own stack only, so that a damaged stack cannot
//! turn a panic into a fault.

use crate::current::current;
use crate::entry::STATUS_PANIC;
use crate::logging::{program_name, write_line};
use core::ops::Range;

/// Frames that a backtrace shows at most.
const FRAMES_MAX: usize = 64;

/// Return addresses along a chain of frame pointers.
fn backtrace(mut frame: u64, stack: Range<u64>, read: impl Fn(u64) -> u64) -> impl Iterator<Item = u64> {
    let mut lowest = stack.start;
    core::iter::from_fn(move || {
        let fits = frame >= lowest && frame.is_multiple_of(8) && frame.checked_add(16)? <= stack.end;
        if !fits {
            return None;
        }
        let (next, address) = (read(frame), read(frame + 8));
        lowest = frame + 8;
        frame = next;
        (address != 0).then_some(address)
    })
    .take(FRAMES_MAX)
}

/// Logs the chain of return addresses of the caller, one line each, as the runner symbolises them.
#[inline(never)]
pub fn log_backtrace() {
    let frame: u64;
    // SAFETY: reads a register.
    unsafe {
        core::arch::asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags));
    }
    // SAFETY: `backtrace` reads within the stack of the running thread only, which is mapped from its current
    // top to its end.
    let read = |address: u64| unsafe { core::ptr::read_volatile(address as *const u64) };
    for address in backtrace(frame, current().stack(), read) {
        write_line(format_args!("backtrace: {} {address:#x}", program_name()));
    }
}

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    write_line(format_args!("{} panicked: {}", program_name(), info.message()));
    if let Some(place) = info.location() {
        write_line(format_args!("{} at {}:{}", program_name(), place.file(), place.line()));
    }
    log_backtrace();
    crate::syscall::task_exit(STATUS_PANIC);
}

const _: u32 = STATUS_PANIC;

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(start: u64, words: &[u64]) -> Vec<u64> {
        let read = |address: u64| words[((address - 0x1000) / 8) as usize];
        backtrace(start, 0x1000..0x1000 + 8 * words.len() as u64, read).collect()
    }

    #[test]
    fn a_sound_chain_is_followed_to_its_end() {
        assert_eq!(trace(0x1000, &[0x1010, 7, 0x1020, 8, 0, 9]), [7, 8, 9]);
    }

    #[test]
    fn a_damaged_chain_ends_the_trace() {
        assert_eq!(trace(0x1000, &[0x1000, 7]), [7], "a loop");
        assert_eq!(trace(0x1000, &[0x1009, 7, 0, 0]), [7], "unaligned");
        assert_eq!(trace(0x1000, &[u64::MAX - 7, 7, 0, 0]), [7], "wraps");
        assert_eq!(trace(0x1000, &[0x1018, 7, 0, 0]), [7], "beyond the end");
        assert_eq!(trace(0, &[0, 0]), [], "no frame at all");
    }
}
