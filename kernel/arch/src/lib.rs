//! Everything about x86_64: boot entry, page tables, traps, user copies, interrupt controllers, clock. Nearly all of the
//! system's unsafe code is here; `kernel/core` above it has none.
//!
//! One processor for now, but what belongs to a processor lies in [`processor::PerCpu`], reached through GS.
//!
//! Invariants: interrupts are off while the kernel runs, except while a processor idles; the kernel's image is mapped W^X,
//! all other memory without execute; user memory is touched only by [`user_copy`] (SMAP enforces it).
#![no_std]
#![cfg(target_os = "none")]

pub mod apic;
pub mod backtrace;
pub mod clock;
pub mod debug_console;
mod entry;
pub mod hardware;
pub mod layout;
pub mod paging;
pub mod processor;
pub mod traps;
mod user_copy;
