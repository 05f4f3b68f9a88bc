//! What native tasks link: entry, call stubs, typed IPC, the server loop, heap, log, and clients of the
//! servers that nearly every program talks to.
//!
//! From the bottom up: [`syscall`] (one function a kernel call), [`handles`] and [`capability`] (who owns which
//! entry of the task's table), [`ipc`] and [`server`] (typed calls and answers), [`startup`] and [`entry`]
//! (how a task begins), [`boot`] (for the first task alone), [`logging`], [`clock`], [`sync`], [`region`]. With the feature `heap`: [`heap`], [`containers`],
//! [`files`], [`console`], [`threads`], [`process`], [`self_paging`].
//!
//! This crate holds nearly all the unsafe code outside the kernel: the call stubs, the thread's own block,
//! the heap and views of mapped pages. It also compiles for the host, where its logic is tested; a system
//! call there would reach the wrong kernel, so no test makes one.
#![cfg_attr(not(test), no_std)]
// Entry and panic handler are the guest's; on the host, what only they use looks unused.
#![cfg_attr(not(target_os = "none"), allow(dead_code))]

#[cfg(feature = "heap")]
#[cfg_attr(test, allow(unused_extern_crates))]
extern crate alloc;

pub mod boot;
pub mod capability;
pub mod clock;
pub mod current;
pub mod entropy;
pub mod entry;
pub mod events;
pub mod handles;
pub mod ipc;
pub mod layout;
pub mod logging;
pub mod region;
pub mod server;
pub mod startup;
pub mod sync;
pub mod syscall;

#[cfg(feature = "heap")]
pub mod console;
#[cfg(feature = "heap")]
pub mod containers;
#[cfg(feature = "heap")]
pub mod files;
#[cfg(feature = "heap")]
pub mod heap;
#[cfg(feature = "heap")]
pub mod memory;
#[cfg(feature = "heap")]
pub mod notification;
#[cfg(feature = "heap")]
pub mod output;
#[cfg(feature = "heap")]
pub mod process;
#[cfg(feature = "heap")]
mod ranges;
#[cfg(feature = "heap")]
pub mod self_paging;
#[cfg(feature = "heap")]
pub mod threads;

mod panic;

pub use capability::Capability;
pub use clock::Deadline;
pub use kernel_abi::{Handle, KernelError, Kind, Rights};
