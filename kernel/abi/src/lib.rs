//! The contract between the kernel and everything that runs above it: call numbers, capability kinds and
//! rights, message layout, errors. No logic, no unsafe code, no allocation.
//!
//! # Registers of a system call (`syscall` instruction)
//!
//! | register | in | out |
//! |---|---|---|
//! | `rax` | [`SystemCall`] number | status: 0, or a [`KernelError`] |
//! | `rdi` | first argument (for IPC: capability handle) | badge of the sender (after a receive) |
//! | `rsi` | second argument (for IPC: [`MessageInfo`]) | [`MessageInfo`] received |
//! | `rdx`, `r10`, `r8`, `r9`, `r12`, `r13`, `r14`, `r15` | arguments 3 to 10 (for IPC: words 0 to 7) | words 0 to 7, those beyond the message's length zero; for other calls the value is in `rdx` |
//! | `rbx` | deadline of a blocking call, in nanoseconds since boot; 0 is never | kept |
//! | `rcx`, `r11` | - | destroyed |
//!
//! Message words beyond the eighth, and the handles of capabilities to send, lie in the thread's
//! [`MessageBuffer`], whose address the thread sets once by [`SystemCall::ThreadBuffer`].
#![no_std]
#![forbid(unsafe_code)]

pub mod boot;
pub mod call;
pub mod capability;
pub mod error;
pub mod fault;
pub mod message;
pub mod object;
pub mod pmap;
pub mod schedule;
pub mod task;
pub mod trace;

pub use call::SystemCall;
pub use capability::{Handle, Kind, Rights};
pub use error::{KernelError, Side};
pub use message::{MessageBuffer, MessageInfo};

/// Bytes in a frame and in a page.
pub const FRAME_BYTES: u64 = 4096;

/// log2 of [`FRAME_BYTES`].
pub const FRAME_SHIFT: u32 = 12;

/// First address that no user mapping may reach: one page below the canonical hole, so that a `syscall`
/// as the last instruction of user memory cannot return to a non-canonical address
/// (Intel SDM vol. 2, SYSRET: #GP in ring 0).
pub const USER_END: u64 = 0x0000_7fff_ffff_f000;

/// Highest thread priority; 0 is the lowest.
pub const PRIORITY_MAX: u8 = 31;
