//! Work for idle processors: frames zeroed in advance.
//!
//! A second thread of the lowest priority gets to run only where nothing else wants to. When the server wants work to be done
//! in idle time it wakes this thread, once; the thread, when it runs, tells the server that a processor idles, and waits
//! again. The server then does one small step. With nothing to do nobody is woken, and the machine rests.
//!
//! The server does the step at its own priority, for up to [`physmem_core::limits::ZERO_STOCK_STEP`] frames: that much a
//! request can come late.

use crate::kernel::IDLE_HANDLES;
use kernel_abi::boot::{FRAMES, NOTIFICATION, TASK};
use kernel_abi::{Handle, KernelError, Rights};
use kernel_runtime::syscall::{self, ThreadState};

/// The thread.
const THREAD: Handle = IDLE_HANDLES;
/// What the thread waits for.
const WANTED: Handle = IDLE_HANDLES.offset(1);
/// The same, to be signalled.
const WANT: Handle = IDLE_HANDLES.offset(2);
/// physmem's own notification, with the bit that says that a processor idles.
const IDLES: Handle = IDLE_HANDLES.offset(3);
/// Handles that this module uses.
pub const HANDLES: u32 = 4;

/// Number of frames for the thread and its notification.
pub const OWN_FRAMES: usize = 2;

/// These frames.
pub type OwnFrames = [u32; OWN_FRAMES];

/// Lowest of all priorities.
const PRIORITY: u8 = 0;

/// The thread makes two kernel calls; its stack is part of the image, so it never faults.
const STACK_BYTES: usize = 4096;

#[repr(align(16))]
struct Stack(#[allow(dead_code, reason = "only its address is used")] [u8; STACK_BYTES]);

static mut STACK: Stack = Stack([0; STACK_BYTES]);

/// Makes and starts the thread. `bit`: what physmem's notification says when a processor idles.
pub fn start([thread, notification]: OwnFrames, bit: u64) -> Result<(), KernelError> {
    syscall::notification_create(FRAMES, notification, 0, WANTED)?;
    syscall::capability_mint(WANTED, WANT, Rights::SEND, 1)?;
    syscall::capability_mint(NOTIFICATION, IDLES, Rights::SEND, bit)?;
    syscall::thread_create(FRAMES, thread, 0, THREAD, TASK)?;
    let state = ThreadState {
        instruction_pointer: tell as *const () as u64,
        // As after a call: the return address lies there.
        stack_pointer: &raw mut STACK as u64 + STACK_BYTES as u64 - 8,
        arguments: [0; 2],
        priority: PRIORITY,
        schedule: None,
    };
    syscall::thread_start(THREAD, &state)
}

/// Asks to be told when a processor idles.
pub fn want() {
    // It is physmem's own: the kernel cannot refuse.
    let _ = syscall::signal(WANT);
}

extern "C" fn tell() -> ! {
    loop {
        let _ = syscall::wait(WANTED, 0);
        let _ = syscall::signal(IDLES);
    }
}
