//! The program that is spawned: it ends at once. No C library, no standard library, no start-up code.
//!
//! The standard library is left out where panics end the program, as in the profile that it is measured in; elsewhere it is
//! linked to satisfy tools that only look at the source.
#![no_main]
#![cfg_attr(panic = "abort", no_std)]

use core::arch::asm;

/// Where the kernel starts it.
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    // SAFETY: the system call `exit` with status 0; it does not return, and needs no stack.
    unsafe { asm!("syscall", in("rax") libc::SYS_exit, in("rdi") 0, options(noreturn, nostack)) }
}

/// Nothing here panics.
#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
