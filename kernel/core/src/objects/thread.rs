//! A thread: registers, and what it waits for.
//!
//! ```text
//! Empty -> Created -> Ready <-> Sending -> AwaitingReply -> Ready
//!                       |  <-> Receiving
//!                       |  <-> Waiting
//!                       +---> Ended        (from every state)
//! ```

use super::Object;
use crate::frame_table::FrameKind;
use crate::name::{Link, ObjectName};
use crate::timer::TimerNode;
use kernel_abi::message::{BUFFER_WORDS, MESSAGE_CAPABILITIES, MessageInfo};
use kernel_abi::object::THREADS_PER_FRAME;

/// User registers. The offsets are known to the entry code in `kernel/arch`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[allow(missing_docs)]
pub struct Context {
    // What a call reads and writes lies together, message words in their order.
    pub rax: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rbx: u64,
    pub rdx: u64,
    pub r10: u64,
    pub r8: u64,
    pub r9: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub rcx: u64,
    pub r11: u64,
    pub rip: u64,
    pub rflags: u64,
    /// 1: entered by `syscall`, so `rcx` and `r11` need not be kept and `sysret` may be used.
    pub by_system_call: u64,
    /// Base of the FS segment.
    pub fs_base: u64,
}

impl Context {
    /// The registers that carry words 0 to 7, in order.
    pub fn words(&self) -> [u64; 8] {
        [self.rdx, self.r10, self.r8, self.r9, self.r12, self.r13, self.r14, self.r15]
    }

    /// Sets the registers that carry words 0 to 7.
    pub fn set_words(&mut self, words: [u64; 8]) {
        [self.rdx, self.r10, self.r8, self.r9, self.r12, self.r13, self.r14, self.r15] = words;
    }
}

/// What a thread is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum ThreadState {
    /// The slot holds no thread.
    #[default]
    Empty = 0,
    /// Made, not started.
    Created = 1,
    /// Runs, or could.
    Ready = 2,
    /// Waits in an endpoint's queue to be received.
    Sending = 3,
    /// Was received, waits for the reply.
    AwaitingReply = 4,
    /// Waits in an endpoint's queue for a message.
    Receiving = 5,
    /// Waits for a notification.
    Waiting = 6,
    /// Never runs again.
    Ended = 7,
}

/// The right to answer one call: names the caller and which of its calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct ReplyName {
    /// The calling thread.
    pub caller: ObjectName,
    /// Number of the call: a later call of the same thread does not match.
    pub sequence: u64,
}

impl ReplyName {
    /// Nobody waits.
    pub const NONE: ReplyName = ReplyName { caller: ObjectName::NONE, sequence: 0 };
}

/// See the module.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Thread {
    /// User registers; message words 0 to 7 of a blocked sender are still in here.
    pub context: Context,
    /// Generation of the slot.
    pub generation: u32,
    /// What it is doing.
    pub state: ThreadState,
    /// Its priority.
    pub priority: u8,
    /// The message that it sends is a page fault. If it is ready all the same, its pager is gone and it ends.
    pub is_fault: bool,
    /// It stands in the run queue of its home.
    pub queued: bool,
    /// The processor that it runs on, or ran on last, or in whose queue it stands.
    pub home: u8,
    /// Its task.
    pub task: ObjectName,
    /// Next thread of the task.
    pub task_next: Link,
    /// Previous thread of the task.
    pub task_previous: Link,
    /// Next in the run queue or endpoint queue.
    pub next: Link,
    /// Previous in the run queue or endpoint queue.
    pub previous: Link,
    /// Endpoint or notification that it waits for.
    pub waits_for: Link,
    /// First handle of the receive window; 0: none.
    pub window: u32,
    /// Capabilities that the last message put into the window.
    pub window_filled: u8,
    /// Capabilities unwrapped in the message to copy out.
    pub unwrapped: u8,
    /// Message words to copy to the buffer before the thread runs on.
    pub copy_out_words: u8,
    /// Something is to be done before the thread runs on: a message copied to its buffer, or its end.
    pub unfinished: bool,
    /// Descriptor of the message that it sends.
    pub info: MessageInfo,
    /// Badge of the capability that it calls through.
    pub badge: u64,
    /// Number of its current or last call.
    pub sequence: u64,
    /// Whom it has to answer.
    pub reply: ReplyName,
    /// Notification that its receives answer for too.
    pub bound: ObjectName,
    /// Its deadline.
    pub timer: TimerNode,
    /// Address of its message buffer; 0: none.
    pub buffer: u64,
    /// Address that faulted.
    pub fault_address: u64,
    /// [`kernel_abi::fault::Access`] bits.
    pub fault_access: u64,
    /// Message words 8 to 63 that it sends or has received.
    pub words: [u64; BUFFER_WORDS],
    /// Handles of the capabilities that it sends.
    pub capabilities: [u32; MESSAGE_CAPABILITIES],
    /// Badges of unwrapped capabilities that it has received.
    pub badges: [u64; MESSAGE_CAPABILITIES],
}

impl Object for Thread {
    const KIND: FrameKind = FrameKind::Thread;
    const PER_FRAME: u32 = THREADS_PER_FRAME;
    const EMPTY: Self = Thread {
        context: Context {
            rax: 0,
            rbx: 0,
            rcx: 0,
            rdx: 0,
            rsi: 0,
            rdi: 0,
            rbp: 0,
            rsp: 0,
            r8: 0,
            r9: 0,
            r10: 0,
            r11: 0,
            r12: 0,
            r13: 0,
            r14: 0,
            r15: 0,
            rip: 0,
            rflags: 0,
            by_system_call: 0,
            fs_base: 0,
        },
        generation: 0,
        state: ThreadState::Empty,
        priority: 0,
        is_fault: false,
        queued: false,
        home: 0,
        task: ObjectName::NONE,
        task_next: Link::NONE,
        task_previous: Link::NONE,
        next: Link::NONE,
        previous: Link::NONE,
        waits_for: Link::NONE,
        window: 0,
        window_filled: 0,
        unwrapped: 0,
        copy_out_words: 0,
        unfinished: false,
        info: MessageInfo(0),
        badge: 0,
        sequence: 0,
        reply: ReplyName::NONE,
        bound: ObjectName::NONE,
        timer: TimerNode::IDLE,
        buffer: 0,
        fault_address: 0,
        fault_access: 0,
        words: [0; BUFFER_WORDS],
        capabilities: [0; MESSAGE_CAPABILITIES],
        badges: [0; MESSAGE_CAPABILITIES],
    };

    fn generation(&self) -> u32 {
        self.generation
    }
}
