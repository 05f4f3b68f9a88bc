//! A task: address space, capability table, threads.

use super::Object;
use crate::frame_table::FrameKind;
use crate::name::{Link, ObjectName};
use kernel_abi::capability::CAPABILITY_FRAMES_PER_TASK;
use kernel_abi::object::TASKS_PER_FRAME;
use kernel_abi::task::TaskStatus;

/// See the module. Lives from creation to the reclaim of its frame; ended tasks keep their status until then.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Task {
    /// Generation of the slot.
    pub generation: u32,
    /// The slot holds a task, alive or ended.
    pub live: bool,
    /// Alive, or how it ended.
    pub status: TaskStatus,
    /// Top page table; 0 once it was given back.
    pub root: u32,
    /// First frame of the stock; each holds the number of the next in its first word.
    pub stock: u32,
    /// Frames in the stock.
    pub stock_frames: u32,
    /// The kernel's count of switches when its address space was made active last.
    pub last_run: u64,
    /// First of its threads.
    pub threads: Link,
    /// Its threads that have not ended.
    pub thread_count: u32,
    /// Reply capabilities in its table: calls to fail when it ends.
    pub saved_replies: u32,
    /// Where its page faults go.
    pub fault_endpoint: ObjectName,
    /// Badge they carry.
    pub fault_badge: u64,
    /// Who is told of its end.
    pub death_notice: ObjectName,
    /// Bits they get.
    pub death_bits: u64,
    /// Nanoseconds that it has used, with what servers used to answer its calls.
    pub used: u64,
    /// What people call it, filled with zeros; the kernel only repeats it.
    pub name: [u8; 16],
    /// Frames of its capability table; 0 where there is none.
    pub table: [u32; CAPABILITY_FRAMES_PER_TASK as usize],
}

impl Object for Task {
    const KIND: FrameKind = FrameKind::Task;
    const PER_FRAME: u32 = TASKS_PER_FRAME;
    const EMPTY: Self = Task {
        generation: 0,
        live: false,
        status: TaskStatus::Alive,
        root: 0,
        stock: 0,
        stock_frames: 0,
        last_run: 0,
        threads: Link::NONE,
        thread_count: 0,
        saved_replies: 0,
        fault_endpoint: ObjectName::NONE,
        fault_badge: 0,
        death_notice: ObjectName::NONE,
        death_bits: 0,
        used: 0,
        name: [0; 16],
        table: [0; CAPABILITY_FRAMES_PER_TASK as usize],
    };

    fn generation(&self) -> u32 {
        self.generation
    }
}

impl Task {
    /// Whether it has not ended.
    pub fn is_alive(&self) -> bool {
        self.live && self.status == TaskStatus::Alive
    }
}
