//! What belongs to a processor: its record, descriptor tables, control registers.

use crate::traps::{DOUBLE_FAULT_STACK, MACHINE_STACK};
use core::arch::asm;
use core::arch::x86_64::__cpuid_count;
use core::mem::MaybeUninit;
use core::ptr::addr_of_mut;
use kernel_core::UserFault;
use kernel_core::objects::Context;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags, Efer, EferFlags};
use x86_64::registers::model_specific::{GsBase, KernelGsBase, LStar, Msr, SFMask, Star};
use x86_64::registers::rflags::RFlags;
use x86_64::structures::gdt::{Descriptor, DescriptorFlags, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::idt::InterruptDescriptorTable;
use x86_64::structures::tss::TaskStateSegment;
use x86_64::{PrivilegeLevel, VirtAddr};

/// Reached through GS. The first five fields are known to assembly by their places.
#[repr(C, align(128))]
pub struct PerCpu {
    context: *mut Context,
    stack_end: u64,
    user_stack: u64,
    this: *mut PerCpu,
    number: usize,
    /// FS base that is set.
    pub local_base: u64,
    /// Vectors (32 to 63) of interrupts taken while idle, as bits.
    pub pending: u64,
    fault_address: u64,
    fault_code: u64,
}

/// Bytes of the stack that a processor runs the kernel on.
pub const STACK_BYTES: usize = 64 << 10;

const TRAP_STACK_BYTES: usize = 16 << 10;

#[repr(align(16))]
struct Stack(#[allow(dead_code, reason = "only its address is used")] [u8; TRAP_STACK_BYTES]);

/// Everything that a processor has for itself but its stack.
pub struct Block {
    record: PerCpu,
    tss: TaskStateSegment,
    gdt: GlobalDescriptorTable,
    double_fault: Stack,
    machine: Stack,
}

static mut BOOT_BLOCK: MaybeUninit<Block> = MaybeUninit::uninit();
static mut IDT: InterruptDescriptorTable = InterruptDescriptorTable::new();

unsafe extern "C" {
    static kernel_stack_end: u8;
    static trap_stubs: [u64; 64];
    fn system_call_entry();
}

impl PerCpu {
    /// This processor's record.
    #[inline]
    pub fn get() -> &'static mut PerCpu {
        let this: *mut PerCpu;
        // SAFETY: GS points to the record while the kernel runs, and its fourth field to itself. Only this processor uses
        // it, interrupts off, and no caller keeps the reference across a call that takes it again.
        unsafe {
            asm!("mov {}, gs:[24]", out(reg) this, options(nostack, preserves_flags, readonly, pure));
            &mut *this
        }
    }

    /// This processor's number.
    #[inline(always)]
    pub fn own_number() -> usize {
        let number;
        // SAFETY: GS points to the record while the kernel runs; the number is its fifth field and never changes.
        unsafe {
            asm!("mov {}, gs:[32]", out(reg) number, options(nostack, preserves_flags, readonly, pure))
        };
        number
    }

    /// The context that user code of this processor runs on, or ran on last.
    pub fn context(&self) -> *mut Context {
        self.context
    }

    /// The user access that a copy failed on.
    pub fn user_fault(&self) -> UserFault {
        UserFault { address: self.fault_address, access: self.fault_code & 0x13 }
    }

    /// Notes a page fault of a user copy.
    pub fn note_fault(&mut self, address: u64, code: u64) {
        (self.fault_address, self.fault_code) = (address, code);
    }
}

/// Sets up the processor that boots: descriptor tables, control registers, the system-call entry.
pub fn initialise() {
    // SAFETY: called once, before other processors run; nobody uses the statics yet.
    unsafe {
        fill_idt(&mut *addr_of_mut!(IDT));
        initialise_on((*addr_of_mut!(BOOT_BLOCK)).as_mut_ptr(), 0, &raw const kernel_stack_end as u64);
    }
}

/// Sets up the processor that this runs on, with a block that becomes its own.
///
/// # Safety
/// The block must be writable for ever and nobody else's; the stack that ends at `stack_end` this processor's.
pub unsafe fn initialise_on(block: *mut Block, number: usize, stack_end: u64) {
    // SAFETY: the caller's promises; each part is written before it is used.
    unsafe {
        (&raw mut (*block).record).write(PerCpu {
            context: core::ptr::null_mut(),
            stack_end,
            user_stack: 0,
            this: &raw mut (*block).record,
            number,
            local_base: 0,
            pending: 0,
            fault_address: 0,
            fault_code: 0,
        });
        load_tables(block, stack_end);
        GsBase::write(VirtAddr::new(&raw mut (*block).record as u64));
        KernelGsBase::write(VirtAddr::zero());
    }
    enable_features();
    set_system_call_entry();
}

/// Makes the descriptor tables in a block and loads them.
///
/// # Safety
/// As for [`initialise_on`].
unsafe fn load_tables(block: *mut Block, kernel_stack: u64) {
    // SAFETY: the caller's promises; the table of interrupts is complete.
    unsafe {
        let mut tss = TaskStateSegment::new();
        tss.privilege_stack_table[0] = VirtAddr::new(kernel_stack);
        tss.interrupt_stack_table[usize::from(DOUBLE_FAULT_STACK)] =
            stack_end(&raw mut (*block).double_fault);
        tss.interrupt_stack_table[usize::from(MACHINE_STACK)] = stack_end(&raw mut (*block).machine);
        (&raw mut (*block).tss).write(tss);
        let mut gdt = GlobalDescriptorTable::empty();
        gdt.append(Descriptor::kernel_code_segment());
        gdt.append(Descriptor::UserSegment(DescriptorFlags::KERNEL_DATA.bits()));
        gdt.append(Descriptor::user_data_segment());
        gdt.append(Descriptor::user_code_segment());
        let tss: &'static TaskStateSegment = &(*block).tss;
        let tss_selector = gdt.append(Descriptor::tss_segment(tss));
        (&raw mut (*block).gdt).write(gdt);
        let gdt: &'static GlobalDescriptorTable = &(*block).gdt;
        gdt.load();
        load_segments();
        x86_64::instructions::tables::load_tss(tss_selector);
        (*addr_of_mut!(IDT)).load();
    }
}

fn stack_end(stack: *mut Stack) -> VirtAddr {
    VirtAddr::new(stack as u64 + TRAP_STACK_BYTES as u64)
}

/// Loads the kernel's segments.
///
/// # Safety
/// The descriptor table must be loaded.
unsafe fn load_segments() {
    use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
    let code = SegmentSelector::new(1, PrivilegeLevel::Ring0);
    let stack = SegmentSelector::new(2, PrivilegeLevel::Ring0);
    // SAFETY: selectors 1 and 2 are the kernel's code and data.
    unsafe {
        CS::set_reg(code);
        SS::set_reg(stack);
        DS::set_reg(SegmentSelector::NULL);
        ES::set_reg(SegmentSelector::NULL);
    }
}

/// Points every vector that is used to its stub.
///
/// # Safety
/// The stubs must be linked, which they are.
unsafe fn fill_idt(idt: &mut InterruptDescriptorTable) {
    let address = |vector: usize| {
        // SAFETY: the table of stubs is constant.
        VirtAddr::new(unsafe { trap_stubs[vector] })
    };
    // SAFETY: each address is a stub that keeps to the processor's convention for its vector.
    unsafe {
        idt.divide_error.set_handler_addr(address(0));
        idt.debug.set_handler_addr(address(1));
        idt.non_maskable_interrupt.set_handler_addr(address(2)).set_stack_index(MACHINE_STACK);
        idt.breakpoint.set_handler_addr(address(3)).set_privilege_level(PrivilegeLevel::Ring3);
        idt.overflow.set_handler_addr(address(4));
        idt.bound_range_exceeded.set_handler_addr(address(5));
        idt.invalid_opcode.set_handler_addr(address(6));
        idt.device_not_available.set_handler_addr(address(7));
        idt.double_fault.set_handler_addr(address(8)).set_stack_index(DOUBLE_FAULT_STACK);
        idt.invalid_tss.set_handler_addr(address(10));
        idt.segment_not_present.set_handler_addr(address(11));
        idt.stack_segment_fault.set_handler_addr(address(12));
        idt.general_protection_fault.set_handler_addr(address(13));
        idt.page_fault.set_handler_addr(address(14));
        idt.x87_floating_point.set_handler_addr(address(16));
        idt.alignment_check.set_handler_addr(address(17));
        idt.machine_check.set_handler_addr(address(18)).set_stack_index(MACHINE_STACK);
        idt.simd_floating_point.set_handler_addr(address(19));
        for vector in 32..64u8 {
            idt[vector].set_handler_addr(address(usize::from(vector)));
        }
    }
}

/// Turns on write protection, SMEP, SMAP and UMIP; user threads have no floating-point state, so using it traps.
fn enable_features() {
    // CPUID leaf 7: EBX bits 7 (SMEP) and 20 (SMAP), ECX bit 2 (UMIP).
    let features = __cpuid_count(7, 0);
    let complete = features.ebx & (1 << 7 | 1 << 20) == (1 << 7 | 1 << 20) && features.ecx & (1 << 2) != 0;
    assert!(complete, "the processor lacks SMEP, SMAP or UMIP");
    // SAFETY: the kernel keeps to what these bits demand: it writes no read-only page, runs no user page, and touches
    // user memory between `stac` and `clac` only.
    unsafe {
        Cr0::update(|flags| {
            flags.insert(Cr0Flags::WRITE_PROTECT | Cr0Flags::TASK_SWITCHED | Cr0Flags::MONITOR_COPROCESSOR)
        });
        Cr4::update(|flags| {
            flags.insert(
                Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION
                    | Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION
                    | Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION
                    | Cr4Flags::PAGE_GLOBAL,
            )
        });
        Efer::update(|flags| flags.insert(EferFlags::SYSTEM_CALL_EXTENSIONS | EferFlags::NO_EXECUTE_ENABLE));
        asm!("clac", options(nomem, nostack));
    }
}

fn set_system_call_entry() {
    let user_code = SegmentSelector::new(4, PrivilegeLevel::Ring3);
    let user_data = SegmentSelector::new(3, PrivilegeLevel::Ring3);
    let kernel_code = SegmentSelector::new(1, PrivilegeLevel::Ring0);
    let kernel_data = SegmentSelector::new(2, PrivilegeLevel::Ring0);
    Star::write(user_code, user_data, kernel_code, kernel_data)
        .expect("the selectors lie as SYSCALL wants them");
    LStar::write(VirtAddr::new(system_call_entry as *const () as u64));
    SFMask::write(
        RFlags::INTERRUPT_FLAG
            | RFlags::DIRECTION_FLAG
            | RFlags::TRAP_FLAG
            | RFlags::ALIGNMENT_CHECK
            | RFlags::NESTED_TASK
            | RFlags::IOPL_HIGH
            | RFlags::IOPL_LOW,
    );
}

/// Sets the FS base (Intel SDM vol. 3, 3.4.4).
pub fn set_local_base(address: u64) {
    // SAFETY: the kernel uses no FS-relative data.
    unsafe { Msr::new(0xc000_0100).write(address) };
}
