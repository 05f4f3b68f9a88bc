//! Copies between kernel and user memory, the only accesses to user memory in the kernel.
//!
//! A page fault inside them does not panic: [`fix_up`] sends the copy to its failing exit, and the caller learns address
//! and kind of the access from the processor's record.

use crate::processor::PerCpu;
use core::arch::global_asm;
use kernel_core::UserFault;

global_asm!(
    r#"
    .global user_copy_start
user_copy_start:
    // rdi: destination, rsi: source, rdx: words; rax: 0, or 1 after a fault
    .global copy_user_words
copy_user_words:
    stac
    test rdx, rdx
    jz 3f
2:  mov rax, [rsi]
    mov [rdi], rax
    add rsi, 8
    add rdi, 8
    dec rdx
    jnz 2b
3:  xor eax, eax
    clac
    ret
    // the same for bytes
    .global copy_user_bytes
copy_user_bytes:
    mov rcx, rdx
    stac
    rep movsb
    xor eax, eax
    clac
    ret
    .global user_copy_end
user_copy_end:
    .global user_copy_failed
user_copy_failed:
    mov eax, 1
    clac
    ret
"#
);

unsafe extern "C" {
    static user_copy_start: u8;
    static user_copy_end: u8;
    static user_copy_failed: u8;
    fn copy_user_words(destination: *mut u64, source: *const u64, words: usize) -> u64;
    fn copy_user_bytes(destination: *mut u8, source: *const u8, bytes: usize) -> u64;
}

/// Where to go on after a page fault at this instruction, if it is one of the copies'.
pub fn fix_up(instruction: u64) -> Option<u64> {
    let start = &raw const user_copy_start as u64;
    let end = &raw const user_copy_end as u64;
    (start..end).contains(&instruction).then_some(&raw const user_copy_failed as u64)
}

fn outcome(failed: u64) -> Result<(), UserFault> {
    if failed == 0 { Ok(()) } else { Err(PerCpu::get().user_fault()) }
}

/// Reads words of user memory. The caller has checked that the range is user memory.
pub fn read_words(address: u64, words: &mut [u64]) -> Result<(), UserFault> {
    // SAFETY: the destination is a slice; reading any user address at worst faults, which is caught.
    outcome(unsafe { copy_user_words(words.as_mut_ptr(), address as *const u64, words.len()) })
}

/// Writes words of user memory. The caller has checked that the range is user memory.
pub fn write_words(address: u64, words: &[u64]) -> Result<(), UserFault> {
    // SAFETY: the source is a slice; user memory is nothing that the kernel relies on.
    outcome(unsafe { copy_user_words(address as *mut u64, words.as_ptr(), words.len()) })
}

/// Reads bytes of user memory. The caller has checked that the range is user memory.
pub fn read_bytes(address: u64, bytes: &mut [u8]) -> Result<(), UserFault> {
    // SAFETY: the destination is a slice; reading any user address at worst faults, which is caught.
    outcome(unsafe { copy_user_bytes(bytes.as_mut_ptr(), address as *const u8, bytes.len()) })
}

/// Writes bytes of user memory. The caller has checked that the range is user memory.
pub fn write_bytes(address: u64, bytes: &[u8]) -> Result<(), UserFault> {
    // SAFETY: the source is a slice; user memory is nothing that the kernel relies on.
    outcome(unsafe { copy_user_bytes(address as *mut u8, bytes.as_ptr(), bytes.len()) })
}
