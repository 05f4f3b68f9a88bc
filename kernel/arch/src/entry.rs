//! Assembly: the way from the boot loader into Rust, and between user mode and the kernel.
//!
//! # Boot
//! QEMU and other PVH loaders enter at `pvh_entry` in 32-bit protected mode without paging, `ebx` pointing to the start
//! information (Xen, "x86/HVM direct boot ABI"). The code maps the low 4 GiB twice, at 0 and at the direct map, and the
//! image's first GiB at its link address, with 2 MiB pages, and calls `kernel_main(start_info)`. These tables are replaced
//! by [`crate::paging`].
//!
//! # User mode and back
//! On entry the user registers go straight into the context of the current thread, whose address is in GS:0; the kernel
//! then runs on the one stack of the processor, and leaves by loading the context that the Rust side returns. A context made
//! by `syscall` returns by `sysret`; its instruction pointer is below `USER_END`, so it is canonical.

use core::arch::global_asm;
use core::mem::offset_of;
use kernel_abi::{KernelError, SystemCall};
use kernel_core::objects::Context;

global_asm!(
    r#"
    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 8, 18              // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pvh_entry

    .section .boot.text, "ax", @progbits
    .code32
    .global pvh_entry
pvh_entry:
    cld
    cli
    mov esi, ebx
    mov esp, offset boot_stack_end
    // Page directories: 2048 entries of 2 MiB.
    mov edi, offset boot_directories
    mov eax, 0x83
    mov ecx, 2048
boot_fill:
    mov [edi], eax
    mov dword ptr [edi + 4], 0
    add eax, 0x200000
    add edi, 8
    dec ecx
    jnz boot_fill
    // Directory pointers for 0 and the direct map: four directories.
    mov edi, offset boot_pointers_low
    mov eax, offset boot_directories
    or eax, 3
    mov ecx, 4
boot_link:
    mov [edi], eax
    add eax, 4096
    add edi, 8
    dec ecx
    jnz boot_link
    mov eax, offset boot_directories
    or eax, 3
    mov [boot_pointers_high + 510 * 8], eax
    mov eax, offset boot_pointers_low
    or eax, 3
    mov [boot_root], eax
    mov [boot_root + 256 * 8], eax
    mov eax, offset boot_pointers_high
    or eax, 3
    mov [boot_root + 511 * 8], eax
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
    lgdt [boot_gdt_pointer]
    push 8
    mov eax, offset boot_long
    push eax
    retf
    .code64
boot_long:
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    movabs rsp, offset kernel_stack_end
    mov edi, esi
    xor ebp, ebp
    movabs rax, offset kernel_main
    call rax
    ud2

    .section .boot.data, "aw", @progbits
    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
boot_gdt_pointer:
    .word 15
    .long boot_gdt
    .balign 4096
    .global boot_root
boot_root:
    .fill 512, 8, 0
boot_pointers_low:
    .fill 512, 8, 0
boot_pointers_high:
    .fill 512, 8, 0
boot_directories:
    .fill 2048, 8, 0
boot_stack:
    .fill 64, 8, 0
boot_stack_end:

    .section .bss.kernel_stack, "aw", @nobits
    .balign 4096
    .global kernel_stack
kernel_stack:
    .skip 65536
    .global kernel_stack_end
kernel_stack_end:
    .text
"#
);

global_asm!(
    r#"
    .global system_call_entry
system_call_entry:
    swapgs
    mov gs:[16], rsp
    mov rsp, gs:[0]
    mov [rsp + {rax}], rax
    mov [rsp + {rbx}], rbx
    mov [rsp + {rdx}], rdx
    mov [rsp + {rsi}], rsi
    mov [rsp + {rdi}], rdi
    mov [rsp + {rbp}], rbp
    mov [rsp + {r8}], r8
    mov [rsp + {r9}], r9
    mov [rsp + {r10}], r10
    mov [rsp + {r12}], r12
    mov [rsp + {r13}], r13
    mov [rsp + {r14}], r14
    mov [rsp + {r15}], r15
    mov [rsp + {rip}], rcx
    mov [rsp + {rflags}], r11
    mov qword ptr [rsp + {by_system_call}], 1
    mov rcx, gs:[16]
    mov [rsp + {rsp}], rcx
    cmp rax, {last_call}
    ja unknown_system_call
    mov rsp, gs:[8]
    xor ebp, ebp
    call system_call
    // rax: the context to run on with

    .global resume
resume:
    mov gs:[0], rax
    mov rbx, [rax + {rbx}]
    mov rdx, [rax + {rdx}]
    mov rsi, [rax + {rsi}]
    mov rdi, [rax + {rdi}]
    mov rbp, [rax + {rbp}]
    mov r8, [rax + {r8}]
    mov r9, [rax + {r9}]
    mov r10, [rax + {r10}]
    mov r12, [rax + {r12}]
    mov r13, [rax + {r13}]
    mov r14, [rax + {r14}]
    mov r15, [rax + {r15}]
    cmp qword ptr [rax + {by_system_call}], 0
    je resume_by_iret
    mov rcx, [rax + {rip}]
    mov r11, [rax + {rflags}]
    mov rsp, [rax + {rsp}]
    mov rax, [rax + {rax}]
    swapgs
    sysretq
    // A number that means nothing needs nothing of the kernel. The answer is that of `Kernel::system_call`.
unknown_system_call:
    mov rax, rsp
    mov qword ptr [rax + {rax}], {invalid_call}
    mov qword ptr [rax + {rdx}], 0
    jmp resume

resume_by_iret:
    push 0x1b                   // user data
    push qword ptr [rax + {rsp}]
    push qword ptr [rax + {rflags}]
    push 0x23                   // user code
    push qword ptr [rax + {rip}]
    mov rcx, [rax + {rcx}]
    mov r11, [rax + {r11}]
    mov rax, [rax + {rax}]
    swapgs
    iretq

    // Stack: vector, error code, rip, cs, rflags, rsp, ss
trap_common:
    test byte ptr [rsp + 24], 3
    jz trap_from_kernel
    swapgs
    push rax
    mov rax, gs:[0]
    mov [rax + {rbx}], rbx
    mov [rax + {rcx}], rcx
    mov [rax + {rdx}], rdx
    mov [rax + {rsi}], rsi
    mov [rax + {rdi}], rdi
    mov [rax + {rbp}], rbp
    mov [rax + {r8}], r8
    mov [rax + {r9}], r9
    mov [rax + {r10}], r10
    mov [rax + {r11}], r11
    mov [rax + {r12}], r12
    mov [rax + {r13}], r13
    mov [rax + {r14}], r14
    mov [rax + {r15}], r15
    pop rbx
    mov [rax + {rax}], rbx
    pop rdi                     // vector
    pop rsi                     // error code
    pop rbx
    mov [rax + {rip}], rbx
    pop rbx
    pop rbx
    mov [rax + {rflags}], rbx
    pop rbx
    mov [rax + {rsp}], rbx
    mov qword ptr [rax + {by_system_call}], 0
    mov rsp, gs:[8]
    cld
    xor ebp, ebp
    call trap_from_user
    jmp resume

trap_from_kernel:
    push rax
    push rcx
    push rdx
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    push rbp
    mov rsi, rbp
    mov rbp, rsp
    lea rdi, [rsp + 80]
    and rsp, -16
    cld
    call trap_in_kernel
    mov rsp, rbp
    pop rbp
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rax
    add rsp, 16
    iretq
"#,
    rax = const offset_of!(Context, rax),
    rbx = const offset_of!(Context, rbx),
    rcx = const offset_of!(Context, rcx),
    rdx = const offset_of!(Context, rdx),
    rsi = const offset_of!(Context, rsi),
    rdi = const offset_of!(Context, rdi),
    rbp = const offset_of!(Context, rbp),
    rsp = const offset_of!(Context, rsp),
    r8 = const offset_of!(Context, r8),
    r9 = const offset_of!(Context, r9),
    r10 = const offset_of!(Context, r10),
    r11 = const offset_of!(Context, r11),
    r12 = const offset_of!(Context, r12),
    r13 = const offset_of!(Context, r13),
    r14 = const offset_of!(Context, r14),
    r15 = const offset_of!(Context, r15),
    rip = const offset_of!(Context, rip),
    rflags = const offset_of!(Context, rflags),
    by_system_call = const offset_of!(Context, by_system_call),
    last_call = const SystemCall::LAST,
    invalid_call = const KernelError::InvalidCall as u64,
);

// One stub a vector: it pushes an error code where the processor does not (Intel SDM vol. 3, 6.13), and the vector.
global_asm!(
    r#"
    .altmacro
    .macro trap_stub vector
trap_\vector:
    .if (\vector == 8) || (\vector == 10) || (\vector == 11) || (\vector == 12) || (\vector == 13) || (\vector == 14) || (\vector == 17) || (\vector == 21) || (\vector == 29) || (\vector == 30)
    .else
    push 0
    .endif
    push \vector
    jmp trap_common
    .endm
    .macro trap_address vector
    .quad trap_\vector
    .endm
    .set i, 0
    .rept 64
    trap_stub %i
    .set i, i + 1
    .endr

    .section .rodata.trap_stubs, "a", @progbits
    .balign 8
    .global trap_stubs
trap_stubs:
    .set i, 0
    .rept 64
    trap_address %i
    .set i, i + 1
    .endr
    .text
"#
);
