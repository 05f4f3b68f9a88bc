//! The block that every thread has of its own: its message buffer, where it receives capabilities, the bounds
//! of its stack. FS base points at it; the first word is its own address, so that one load finds it.
//!
//! A block is set up once, by its own thread, before anything else runs in that thread, and lives as long as
//! the thread. Everything in it is the thread's own; the kernel reads and writes the message buffer on the
//! thread's behalf only while the thread is in a system call.

use crate::layout;
use crate::syscall;
use core::cell::{Cell, UnsafeCell};
use kernel_abi::message::{BUFFER_WORDS, MESSAGE_CAPABILITIES};
use kernel_abi::{Handle, MessageBuffer};

/// Bytes set aside for a block.
pub const BLOCK_BYTES: usize = 1024;

/// A thread's own block. Aligned to its size rounded up, so that the buffer lies within one page.
#[repr(C, align(1024))]
pub struct ThreadBlock {
    address: Cell<u64>,
    window: Cell<u32>,
    receives: Cell<u32>,
    stack_low: Cell<u64>,
    stack_high: Cell<u64>,
    buffer: UnsafeCell<MessageBuffer>,
}

const _: () = assert!(size_of::<ThreadBlock>() == BLOCK_BYTES);

/// The first thread's block.
struct FirstBlock(ThreadBlock);

// SAFETY: only the first thread uses it; other threads have blocks of their own.
unsafe impl Sync for FirstBlock {}

static FIRST_BLOCK: FirstBlock = FirstBlock(ThreadBlock::new());

impl ThreadBlock {
    /// A block that is not set up.
    pub const fn new() -> ThreadBlock {
        ThreadBlock {
            address: Cell::new(0),
            window: Cell::new(0),
            receives: Cell::new(0),
            stack_low: Cell::new(0),
            stack_high: Cell::new(0),
            buffer: UnsafeCell::new(MessageBuffer::EMPTY),
        }
    }

    /// Makes this the calling thread's block and tells the kernel.
    fn adopt(&'static self, window: Handle, stack_low: u64, stack_high: u64) {
        self.address.set(core::ptr::from_ref(self) as u64);
        self.window.set(window.0);
        self.stack_low.set(stack_low);
        self.stack_high.set(stack_high);
        let told = syscall::thread_local_base(self.address.get())
            .and_then(|()| syscall::thread_buffer(self.buffer.get() as u64, window));
        if told.is_err() {
            // Nothing works without it, and there is no log yet.
            syscall::task_exit(crate::entry::STATUS_PANIC);
        }
    }

    /// First of the four handles in which the thread receives capabilities.
    pub fn window(&self) -> Handle {
        Handle(self.window.get())
    }

    /// Counts uses of window and buffer, by receiving and by long messages: what was there before the last one
    /// is gone.
    pub fn receives(&self) -> u32 {
        self.receives.get()
    }

    /// To be called for each system call that receives.
    pub(crate) fn count_receive(&self) -> u32 {
        self.receives.set(self.receives.get().wrapping_add(1));
        self.receives.get()
    }

    /// Lowest and highest address of the thread's stack.
    pub fn stack(&self) -> core::ops::Range<u64> {
        self.stack_low.get()..self.stack_high.get()
    }

    /// Puts words 8 and up where the kernel looks for them.
    pub(crate) fn put_words(&self, words: &[u64]) {
        // SAFETY: only this thread touches its buffer, the kernel not outside a call, and no reference into
        // it outlives a method of this type.
        let buffer = unsafe { &mut *self.buffer.get() };
        buffer.words[..words.len()].copy_from_slice(words);
        self.count_receive();
    }

    /// Takes words 8 and up.
    pub(crate) fn take_words(&self, words: &mut [u64]) {
        let count = words.len().min(BUFFER_WORDS);
        // SAFETY: as above.
        let buffer = unsafe { &*self.buffer.get() };
        words[..count].copy_from_slice(&buffer.words[..count]);
    }

    /// Puts the capabilities to send.
    pub fn put_capabilities(&self, handles: &[Handle]) {
        // SAFETY: as above.
        let buffer = unsafe { &mut *self.buffer.get() };
        for (slot, handle) in buffer.capabilities.iter_mut().zip(handles) {
            *slot = handle.0;
        }
    }

    /// Badge of an unwrapped capability.
    pub(crate) fn badge(&self, index: usize) -> u64 {
        debug_assert!(index < MESSAGE_CAPABILITIES);
        // SAFETY: as above.
        let buffer = unsafe { &*self.buffer.get() };
        buffer.badges[index]
    }
}

impl Default for ThreadBlock {
    fn default() -> Self {
        ThreadBlock::new()
    }
}

/// Sets up the first thread, whose stack is the one of [`layout`].
pub(crate) fn adopt_first() {
    let low = layout::FIRST_STACK_END - layout::FIRST_STACK_BYTES;
    FIRST_BLOCK.0.adopt(layout::FIRST_WINDOW, low, layout::FIRST_STACK_END);
}

/// Sets up a further thread with a block that nobody else uses and that outlives it.
#[cfg(feature = "heap")]
pub(crate) fn adopt(block: &'static ThreadBlock, window: Handle, stack_low: u64, stack_high: u64) {
    block.adopt(window, stack_low, stack_high);
}

/// The calling thread's block.
#[inline(always)]
pub fn current() -> &'static ThreadBlock {
    let address: u64;
    // SAFETY: FS base is set before any other code of the thread runs, and points at a block that outlives
    // the thread and whose first word is its own address.
    unsafe {
        core::arch::asm!("mov {}, fs:[0]", out(reg) address, options(nostack, pure, readonly, preserves_flags));
        &*(address as *const ThreadBlock)
    }
}
