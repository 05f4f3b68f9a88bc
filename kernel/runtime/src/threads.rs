//! Further threads of this task.
//!
//! ```text
//! lower addresses                                      higher
//! | guard page, never mapped | stack … grows down <─ | block |
//! ```
//!
//! A thread's stack and block stay until the task ends: threads are for servers that run for ever, and what
//! they cost is charged to the task's contract once.

use crate::containers::{Container, MemoryCallError, OwnContainer, create_thread_in, map_into};
use crate::current::{self, ThreadBlock};
use crate::ipc::CallError;
use crate::layout::SPACE;
use crate::syscall::{self, ThreadState};
use crate::{Handle, KernelError, handles, memory};
use alloc::boxed::Box;
use containers_api::container::SetEviction;
use containers_api::space::MapProtection;
use core::sync::atomic::{AtomicU8, Ordering};
use kernel_abi::FRAME_BYTES;
use kernel_abi::message::MESSAGE_CAPABILITIES;

/// Pages of stack unless more is asked for.
pub const STACK_PAGES: u64 = 16;

/// Priority of the first thread, as the startup block told.
static PRIORITY: AtomicU8 = AtomicU8::new(0);

pub(crate) fn set_priority(priority: u8) {
    PRIORITY.store(priority, Ordering::Relaxed);
}

/// What a new thread needs to know before it runs its work.
struct Start {
    work: Box<dyn FnOnce() + Send>,
    block: u64,
    window: Handle,
    stack_low: u64,
}

/// Has pages of the calling thread's stack be there, so that it takes no memory later: `BYTES` below where it stands now.
#[inline(never)]
pub fn touch_stack<const BYTES: usize>() {
    let mut room = [0_u8; BYTES];
    for page in room.chunks_mut(FRAME_BYTES as usize) {
        page[0] = 1;
    }
    core::hint::black_box(&mut room);
}

/// Starts a thread that does some work and ends; `stack_pages` of stack come as they are touched.
pub fn spawn(stack_pages: u64, work: impl FnOnce() + Send + 'static) -> Result<(), MemoryCallError> {
    spawn_at(PRIORITY.load(Ordering::Relaxed), stack_pages, work)
}

/// The same at another priority, at most the caller's own.
pub fn spawn_at(
    priority: u8,
    stack_pages: u64,
    work: impl FnOnce() + Send + 'static,
) -> Result<(), MemoryCallError> {
    spawn_prepared(priority, stack_pages, Box::new(work), |_| Ok(()))
}

/// The same for a thread that must be able to run when there are no frames: its stack is there before it starts, and is never
/// seized. Errors: also `NotAdmitted` (the guarantee has no room for the stack beside what is firm already).
pub fn spawn_resident(stack_pages: u64, work: impl FnOnce() + Send + 'static) -> Result<(), MemoryCallError> {
    let vital = SetEviction { rank: 0, discardable: false, vital: true };
    spawn_prepared(PRIORITY.load(Ordering::Relaxed), stack_pages, Box::new(work), |stack| {
        stack.allocate(0..stack_pages + 1, false)?;
        stack.set_eviction(&vital).map(drop)
    })
}

fn spawn_prepared(
    priority: u8,
    stack_pages: u64,
    work: Box<dyn FnOnce() + Send>,
    prepare: impl FnOnce(&Container) -> Result<(), MemoryCallError>,
) -> Result<(), MemoryCallError> {
    let no_room = || CallError::Kernel(KernelError::NoTable);
    let window = handles::allocate_successive(MESSAGE_CAPABILITIES as u32).ok_or_else(no_room)?;
    let pages = stack_pages + 1;
    let container = OwnContainer::new(pages)?;
    prepare(&container)?;
    let guard = memory::reserve(pages + 1).ok_or_else(no_room)?;
    let stack_low = guard + FRAME_BYTES;
    map_into(SPACE, stack_low, &container, 0..pages, MapProtection::WRITE)?;
    let thread = create_thread_in(SPACE)?;
    let block = stack_low + stack_pages * FRAME_BYTES;
    let start = Box::new(Start { work, block, window, stack_low });
    let state = ThreadState {
        instruction_pointer: entry_address(),
        stack_pointer: block,
        arguments: [Box::into_raw(start) as u64, 0],
        priority,
        schedule: None,
    };
    syscall::thread_start(thread.handle(), &state)?;
    // The container and the thread live until the task ends.
    container.keep().into_capability().into_handle();
    thread.into_handle();
    Ok(())
}

#[cfg(target_os = "none")]
core::arch::global_asm!(
    ".global kernel_runtime_thread",
    "kernel_runtime_thread:",
    "xor ebp, ebp",
    "and rsp, -16",
    "call {main}",
    "ud2",
    main = sym run,
);

#[cfg(target_os = "none")]
fn entry_address() -> u64 {
    unsafe extern "C" {
        fn kernel_runtime_thread();
    }
    kernel_runtime_thread as *const () as u64
}

#[cfg(not(target_os = "none"))]
fn entry_address() -> u64 {
    run as *const () as u64
}

extern "C" fn run(start: u64) -> ! {
    let Start { work, block, window, stack_low } = {
        // SAFETY: `spawn` passed the pointer to this thread and to nobody else.
        let start = unsafe { Box::from_raw(start as *mut Start) };
        *start
    };
    // SAFETY: the page above the stack is this thread's, stays mapped until the task ends, and zeros are a valid
    // block.
    let own = unsafe { &*(block as *const ThreadBlock) };
    current::adopt(own, window, stack_low, block);
    work();
    syscall::thread_exit(0)
}
