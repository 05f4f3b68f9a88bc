//! What physmem needs of the kernel, as a trait: mappings, frames' contents, kernel objects, late answers.
//!
//! For the first physmem that is the kernel. For one that is itself a client it is another physmem: frames are pages of
//! containers that it holds there, see the crate `physmem-stacked`.
//!
//! An implementation carries each operation through to its end (a preempted call is taken up again). Where this
//! crate has checked what the kernel checks too, there is no error to return.

use kernel_abi::pmap::{FrameRange, FrameSpan, Mapping, PageRange};
use kernel_abi::trace::{EventKind, SERVER_ARGUMENTS};
use kernel_abi::{Handle, KernelError};

/// Why mappings were not entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EnterError {
    /// So many page-table frames are missing. Nothing was entered.
    NeedTables(u64),
    /// Contents are gone: whoever lent the frame to this physmem has taken it. Some of the pages may have been entered.
    Lost,
    /// Something else.
    Refused(KernelError),
}

/// Which of the bits that processors set a query clears.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clear {
    /// None.
    Nothing,
    /// That a page was referenced; that it was written stays known.
    Referenced,
    /// Both.
    All,
}

/// A kernel object to make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NewObject {
    /// An endpoint.
    Endpoint,
    /// A notification.
    Notification,
    /// A schedule, without processor time as yet.
    Schedule,
    /// A task; its faults carry the badge.
    Task {
        /// Frame for the top page table.
        root: u32,
        /// Whose faults it raises: an entry with the right to receive there; none: physmem's own endpoint.
        fault_endpoint: Option<Handle>,
        /// Badge of its faults.
        fault_badge: u64,
        /// For people: up to 16 bytes, filled with zeros.
        name: [u64; 2],
    },
    /// A thread of a task.
    Thread {
        /// The task.
        task: Handle,
    },
}

/// The kernel.
pub trait Pmap {
    /// Whether [`Pmap::enter`], and whoever enters what resolves a fault, heeds `Protection::CLEAR`.
    const CLEARS: bool = false;
    /// Enters mappings.
    fn enter(&mut self, task: Handle, mappings: &[Mapping]) -> Result<(), EnterError>;
    /// Removes mappings, everywhere and at once. `WrongState`: the task has ended.
    fn remove(&mut self, task: Handle, ranges: &[PageRange]) -> Result<(), KernelError>;
    /// Changes protections. `WrongState`: the task has ended.
    fn protect(&mut self, task: Handle, ranges: &[PageRange]) -> Result<(), KernelError>;
    /// Maps device memory.
    fn enter_device(
        &mut self,
        task: Handle,
        device: Handle,
        address: u64,
        first_page: u64,
        pages: u64,
    ) -> Result<(), EnterError>;
    /// Adds page-table frames.
    fn stock(&mut self, task: Handle, frames: &[u32]) -> Result<(), KernelError>;
    /// Takes page-table frames back, of an ended task all of them in the end; how many.
    fn unstock(&mut self, task: Handle, frames: &mut [u32]) -> usize;
    /// Gives free frames, in no order, back to whoever they are from: of all physmems only a stacked one ever does.
    fn surrender(&mut self, frames: &mut [u32]) {
        debug_assert!(frames.is_empty(), "RAM is nobody's to give back");
    }
    /// Clears parts of frames.
    fn zero(&mut self, ranges: &[FrameRange]);
    /// Copies between frames.
    fn copy(&mut self, spans: &[FrameSpan]);
    /// Makes an object in a slot of a frame, with a capability at `destination`.
    fn create(
        &mut self,
        object: NewObject,
        frame: u32,
        slot: u32,
        destination: Handle,
    ) -> Result<(), KernelError>;
    /// Adds a frame to a task's capability table; the first new handle.
    fn add_table(&mut self, task: Handle, frame: u32) -> Result<u32, KernelError>;
    /// Makes a kernel frame plain again.
    fn reclaim(&mut self, frame: u32) -> Result<(), KernelError>;
    /// Ends a task.
    fn kill(&mut self, task: Handle);
    /// Processor time that a task has used, in nanoseconds, with what servers used for it: what a client's conduct is judged by.
    fn time_used(&mut self, task: Handle) -> u64;
    /// Whether a task is kept waiting for a processor: 0: no; else the largest share of time that a thread of it which waits has
    /// been promised, in parts of [`kernel_abi::schedule::WHOLE`].
    fn share_waiting(&mut self, task: Handle) -> u64;
    /// Empties an entry of physmem's table.
    fn drop_handle(&mut self, handle: Handle);
    /// Looks which pages were used, a byte a page ([`kernel_abi::pmap::QUERY_PRESENT`] and the others), and clears bits as
    /// asked. Pages whose task has ended were not.
    fn query(&mut self, task: Handle, address: u64, output: &mut [u8], clear: Clear);
    /// When a task's address space was active last, by a count that grows as processors change between address spaces; 0: never.
    fn last_run(&mut self, task: Handle) -> u64;
    /// Copies a notification's capability, as far as it can be signalled, to an empty entry of physmem's table. Errors: it is
    /// none.
    fn keep_notification(&mut self, sent: Handle, kept: Handle) -> Result<(), KernelError>;
    /// Whether an entry names an endpoint at which its sender may receive.
    fn is_receiver(&mut self, sent: Handle) -> bool;
    /// Writes an event for people who look at the system, where such are written.
    fn trace(&mut self, kind: EventKind, what: [u64; SERVER_ARGUMENTS]) {
        let _ = (kind, what);
    }
    /// Signals a notification. The task that would hear it may be gone.
    fn signal(&mut self, notification: Handle);
    /// Answers a call that was saved at `reply`, which is empty afterwards. The caller may be gone.
    fn answer(&mut self, reply: Handle, label: u32, words: &[u64]);
}

/// The memory in which records are kept.
pub trait RecordMemory {
    /// Makes a frame accessible, all zero. It fails where the memory's own page tables do not suffice.
    fn open(&mut self, frame: u32) -> Result<(), KernelError>;
    /// The reverse: the frame is mapped nowhere afterwards.
    fn close(&mut self, frame: u32);
    /// The words of an open frame.
    fn words(&self, frame: u32) -> &containers_core::record::RecordFrame;
    /// The same, to be changed.
    fn words_mut(&mut self, frame: u32) -> &mut containers_core::record::RecordFrame;
}
