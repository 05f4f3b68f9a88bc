//! Entering the kernel: the `syscall` instruction with its registers, as the table in [`kernel_abi`] says.
//!
//! LLVM keeps `rbx` for itself, so the deadline comes in `rcx` (which the instruction destroys anyway) and is
//! put into `rbx` for the time of the call.

use core::arch::asm;
use kernel_abi::{KernelError, SystemCall};

/// Registers after an IPC call.
#[derive(Clone, Copy, Debug)]
pub struct Returned {
    /// 0 or a [`KernelError`].
    pub status: u64,
    /// Badge of the sender.
    pub badge: u64,
    /// Descriptor of the message received.
    pub info: u64,
    /// Words 0 to 7.
    pub words: [u64; 8],
}

/// A call with words in registers and a deadline.
#[inline(always)]
pub fn message(call: SystemCall, first: u64, second: u64, words: [u64; 8], deadline: u64) -> Returned {
    let mut returned = Returned { status: 0, badge: 0, info: 0, words: [0; 8] };
    // SAFETY: the operands are exactly the registers that the call reads, writes and destroys; rbx is put back
    // before Rust code runs again. The kernel touches no memory of the caller but what the call's arguments
    // and the thread's message buffer name, and the asm block counts as reading and writing any memory.
    unsafe {
        asm!(
            "push rbx",
            "mov rbx, rcx",
            "syscall",
            "pop rbx",
            inlateout("rax") call as u64 => returned.status,
            inlateout("rdi") first => returned.badge,
            inlateout("rsi") second => returned.info,
            inlateout("rdx") words[0] => returned.words[0],
            inlateout("r10") words[1] => returned.words[1],
            inlateout("r8") words[2] => returned.words[2],
            inlateout("r9") words[3] => returned.words[3],
            inlateout("r12") words[4] => returned.words[4],
            inlateout("r13") words[5] => returned.words[5],
            inlateout("r14") words[6] => returned.words[6],
            inlateout("r15") words[7] => returned.words[7],
            inlateout("rcx") deadline => _,
            lateout("r11") _,
        );
    }
    returned
}

/// Registers after a call that carries no message.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    /// 0 or a [`KernelError`].
    pub status: u64,
    /// The value, `rdx`.
    pub value: u64,
}

/// A call with up to six arguments, without a deadline.
#[inline(always)]
pub fn value(call: SystemCall, arguments: [u64; 6]) -> Value {
    let mut returned = Value { status: 0, value: 0 };
    // SAFETY: as above; such a call reads six registers, and all that it may write are named.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") call as u64 => returned.status,
            inlateout("rdi") arguments[0] => _,
            inlateout("rsi") arguments[1] => _,
            inlateout("rdx") arguments[2] => returned.value,
            inlateout("r10") arguments[3] => _,
            inlateout("r8") arguments[4] => _,
            inlateout("r9") arguments[5] => _,
            lateout("r12") _,
            lateout("r13") _,
            lateout("r14") _,
            lateout("r15") _,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    returned
}

/// Like [`value`], with the status decoded.
#[inline(always)]
pub fn plain(call: SystemCall, arguments: [u64; 6]) -> Result<u64, KernelError> {
    let returned = value(call, arguments);
    status(returned.status).map(|()| returned.value)
}

/// A status register as a result. A number that means nothing counts as `InvalidCall`.
#[inline(always)]
pub fn status(status: u64) -> Result<(), KernelError> {
    match status {
        0 => Ok(()),
        number => Err(KernelError::from_status(number).unwrap_or(KernelError::InvalidCall)),
    }
}

/// A call whose number means nothing: what entering and leaving the kernel costs. The status.
#[inline(always)]
pub fn unknown(number: u64) -> u64 {
    let returned: u64;
    // SAFETY: the kernel answers such a number with a status; all registers that a call may change are named.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => returned,
            lateout("rdi") _,
            lateout("rsi") _,
            lateout("rdx") _,
            lateout("r10") _,
            lateout("r8") _,
            lateout("r9") _,
            lateout("r12") _,
            lateout("r13") _,
            lateout("r14") _,
            lateout("r15") _,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    returned
}
