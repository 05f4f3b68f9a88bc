//! Everything about x86_64: boot entry, page tables, traps, user copies, interrupt controllers, clock. Nearly all of the
//! system's unsafe code is here; `kernel/core` above it has none.
//!
//! What belongs to a processor lies in [`processor::PerCpu`], reached through GS.
//!
//! Invariants: interrupts are off while the kernel runs, except while a processor idles; the kernel's image is mapped W^X,
//! all other memory without execute; user memory is touched only by [`user_copy`] (SMAP enforces it).
//!
//! On the host there is only what reads the firmware's tables, for its tests.
#![no_std]

pub mod acpi;
#[cfg(target_os = "none")]
pub mod apic;
#[cfg(target_os = "none")]
pub mod backtrace;
#[cfg(target_os = "none")]
pub mod clock;
#[cfg(target_os = "none")]
pub mod debug_console;
#[cfg(target_os = "none")]
mod entry;
#[cfg(target_os = "none")]
pub mod hardware;
#[cfg(target_os = "none")]
pub mod layout;
#[cfg(target_os = "none")]
mod lock;
#[cfg(target_os = "none")]
pub mod paging;
#[cfg(target_os = "none")]
pub mod processor;
#[cfg(target_os = "none")]
mod requests;
#[cfg(target_os = "none")]
pub mod startup;
#[cfg(target_os = "none")]
pub mod traps;
#[cfg(target_os = "none")]
mod user_copy;
