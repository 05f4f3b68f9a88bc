//! Page faults as messages, and what may be answered.
//!
//! A fault arrives at the endpoint that its task was created with (physmem's), carrying the badge that
//! was given at creation, [`crate::message::MessageFlags::FAULT`] and three words: address, [`Access`]
//! bits, instruction pointer. The answer is an ordinary reply with label [`RESUME`], or with any other
//! label to end the thread: the label is then the reason in the death notice.

use bitflags::bitflags;

/// Reply label: the fault is resolved, run the instruction again.
pub const RESUME: u32 = 0;

bitflags! {
    /// What the faulting instruction tried (bits of the x86 page-fault error code, Intel SDM vol. 3, 4.7).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Access: u64 {
        /// The page was mapped; the access was not allowed.
        const PRESENT = 1 << 0;
        /// A write; without it a read or a fetch.
        const WRITE = 1 << 1;
        /// An instruction fetch.
        const EXECUTE = 1 << 4;
    }
}
