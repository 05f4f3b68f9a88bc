//! Starting the other processors (Intel SDM vol. 3, 8.4: INIT, start-up, start-up), one after the other.
//!
//! A processor begins in real mode at [`TRAMPOLINE`], a page below 1 MiB into which a few instructions were copied; these
//! lead it by the boot page tables into the kernel's image, onto the stack that was made for it. One that does not
//! report within [`LIMIT_NS`] is reset once more and left out; should it come all the same, it finds that it is not meant,
//! and halts.

use crate::layout::{direct, frame_pointer};
use crate::paging::{self, BootFrames};
use crate::processor::{self, Block, PerCpu, STACK_BYTES};
use crate::{apic, clock, traps};
use core::arch::global_asm;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use kernel_abi::FRAME_BYTES;
use x86_64::instructions::{hlt, interrupts};

/// Physical address of the page at which processors begin. It must be RAM that nothing else uses: the kernel keeps all RAM
/// below its image for itself.
pub const TRAMPOLINE: u64 = 0x8000;

/// Time that a processor has to report, in nanoseconds. Emulators on busy hosts are slow.
const LIMIT_NS: u64 = 1_000_000_000;
/// Time between INIT and start-up (Intel SDM vol. 3, 8.4.4.1).
const AFTER_INIT_NS: u64 = 10_000_000;
/// Time between the two start-ups.
const BETWEEN_STARTS_NS: u64 = 200_000;

/// Which processor is being started, for the code it begins with: APIC identifier, top page table, end of its stack.
#[unsafe(no_mangle)]
static STARTING_IDENTIFIER: AtomicU32 = AtomicU32::new(u32::MAX);
#[unsafe(no_mangle)]
static STARTING_ROOT: AtomicU64 = AtomicU64::new(0);
#[unsafe(no_mangle)]
static STARTING_STACK: AtomicU64 = AtomicU64::new(0);
static STARTING_BLOCK: AtomicU64 = AtomicU64::new(0);
static STARTING_NUMBER: AtomicU64 = AtomicU64::new(0);
/// Whether the one that is being started is still waited for; it or who waits takes this back.
static AWAITED: AtomicBool = AtomicBool::new(false);

global_asm!(
    r#"
    .section .rodata.trampoline, "a", @progbits
    .code16
    .global trampoline_start
trampoline_start:
    cli
    cld
    xor ax, ax
    mov ds, ax
    .byte 0x0f, 0x01, 0x16      // lgdt [...]
    .word {trampoline} + trampoline_gdt_pointer - trampoline_start
    mov eax, cr0
    or al, 1
    mov cr0, eax
    .byte 0x66, 0xea            // far jump, 32 bits
    .long {trampoline} + trampoline_protected - trampoline_start
    .word 8
    .code32
trampoline_protected:
    mov ax, 16
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov eax, cr4
    or eax, 0x20                // PAE
    mov cr4, eax
    mov eax, offset boot_root
    mov cr3, eax
    mov ecx, 0xc0000080         // EFER: SCE, LME, NXE
    rdmsr
    or eax, 0x901
    wrmsr
    mov eax, 0x80010033         // PG, WP, NE, ET, MP, PE
    mov cr0, eax
    .byte 0xea                  // far jump
    .long {trampoline} + trampoline_long - trampoline_start
    .word 24
    .code64
trampoline_long:
    movabs rax, offset processor_entry
    jmp rax
    .balign 8
trampoline_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff    // code, 32 bits
    .quad 0x00cf93000000ffff    // data
    .quad 0x00af9b000000ffff    // code, 64 bits
trampoline_gdt_pointer:
    .word 31
    .long {trampoline} + trampoline_gdt - trampoline_start
    .global trampoline_end
trampoline_end:

    .text
    .code64
processor_entry:
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    mov eax, 1                  // CPUID leaf 1: initial APIC identifier in EBX 31-24
    cpuid
    shr ebx, 24
    cmp ebx, [rip + STARTING_IDENTIFIER]
    jne 2f
    mov rax, [rip + STARTING_ROOT]
    mov rsp, [rip + STARTING_STACK]
    mov cr3, rax
    xor ebp, ebp
    call processor_main
2:  hlt
    jmp 2b
"#,
    trampoline = const TRAMPOLINE,
);

unsafe extern "C" {
    static trampoline_start: u8;
    static trampoline_end: u8;
}

/// Copies the first instructions to where processors begin.
///
/// # Safety
/// The page at [`TRAMPOLINE`] must be RAM of the direct map that nothing uses.
pub unsafe fn prepare() {
    let start = &raw const trampoline_start;
    let bytes = &raw const trampoline_end as usize - start as usize;
    assert!(bytes <= FRAME_BYTES as usize);
    // SAFETY: the caller's promise; the code is constant.
    unsafe { core::ptr::copy_nonoverlapping(start, direct(TRAMPOLINE) as *mut u8, bytes) };
}

/// Starts the processor with this APIC identifier as number `number`, with a block and a stack out of these frames. False: it
/// did not report; its frames are lost.
pub fn start(frames: &mut impl BootFrames, number: usize, identifier: u32) -> bool {
    let block: *mut Block = take(frames, size_of::<Block>());
    let stack: *mut u8 = take(frames, STACK_BYTES);
    STARTING_ROOT.store(paging::kernel_root_address(), Ordering::Relaxed);
    STARTING_STACK.store(stack as u64 + STACK_BYTES as u64, Ordering::Relaxed);
    STARTING_BLOCK.store(block as u64, Ordering::Relaxed);
    STARTING_NUMBER.store(number as u64, Ordering::Relaxed);
    apic::note_identifier(number, identifier);
    AWAITED.store(true, Ordering::Release);
    STARTING_IDENTIFIER.store(identifier, Ordering::Release);
    apic::send_init(identifier);
    wait_until(AFTER_INIT_NS, || false);
    apic::send_startup(identifier, TRAMPOLINE);
    let reported = || !AWAITED.load(Ordering::Acquire);
    if !wait_until(BETWEEN_STARTS_NS, reported) {
        apic::send_startup(identifier, TRAMPOLINE);
        wait_until(LIMIT_NS, reported);
    }
    // Whoever takes the flag back has decided.
    let is_late = AWAITED.swap(false, Ordering::AcqRel);
    if is_late {
        apic::send_init(identifier);
    }
    !is_late
}

/// Successive frames for a value of so many bytes.
fn take<T>(frames: &mut impl BootFrames, bytes: usize) -> *mut T {
    let first = frames.take();
    for frame in 1..bytes.div_ceil(FRAME_BYTES as usize) {
        assert_eq!(frames.take(), first + frame as u32, "frames at boot follow each other");
    }
    frame_pointer(first)
}

fn wait_until(nanoseconds: u64, condition: impl Fn() -> bool) -> bool {
    let end = clock::now() + nanoseconds;
    while clock::now() < end {
        if condition() {
            return true;
        }
        // No `pause`: an emulator that counts instructions may stop the clock at it.
    }
    condition()
}

/// Where a processor that was started comes into Rust, on its own stack.
#[unsafe(no_mangle)]
extern "C" fn processor_main() -> ! {
    let number = STARTING_NUMBER.load(Ordering::Relaxed) as usize;
    let block = STARTING_BLOCK.load(Ordering::Relaxed) as *mut Block;
    let stack_end = STARTING_STACK.load(Ordering::Relaxed);
    if AWAITED.compare_exchange(true, false, Ordering::AcqRel, Ordering::Acquire).is_err() {
        loop {
            interrupts::disable();
            hlt();
        }
    }
    // SAFETY: the block was made of fresh frames for this processor alone.
    unsafe { processor::initialise_on(block, number, stack_end) };
    apic::initialise_local();
    debug_assert!(PerCpu::own_number() == number);
    traps::join()
}
