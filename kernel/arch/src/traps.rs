//! The Rust side of every entry into the kernel.

use crate::debug_console::{self, DebugConsole};
use crate::hardware::Hardware;
use crate::processor::PerCpu;
use crate::{apic, backtrace, user_copy};
use core::fmt::Write;
use core::ptr::addr_of_mut;
use kernel_core::objects::{Context, Thread};
use kernel_core::{Kernel, Machine};
use x86_64::instructions::interrupts;
use x86_64::registers::control::Cr2;

/// Index of the stack for double faults.
pub const DOUBLE_FAULT_STACK: u16 = 0;
/// Index of the stack for machine checks and non-maskable interrupts.
pub const MACHINE_STACK: u16 = 1;

/// Exit code for the emulator: the kernel panicked.
pub const EXIT_PANIC: u32 = 100;

const NON_MASKABLE: u64 = 2;
const PAGE_FAULT: u64 = 14;

static mut KERNEL: Option<Kernel<Hardware>> = None;

/// The one kernel.
fn kernel() -> &'static mut Kernel<Hardware> {
    // SAFETY: one processor with interrupts off; each entry takes the reference once, and entries do not nest (traps in
    // the kernel do not use it).
    unsafe { (*addr_of_mut!(KERNEL)).as_mut() }.expect("the kernel is set before anything can enter it")
}

/// Runs user code for ever; every return to the kernel comes through the entries below.
pub fn run(kernel: Kernel<Hardware>) -> ! {
    // SAFETY: called once, before any user code runs.
    unsafe { *addr_of_mut!(KERNEL) = Some(kernel) };
    let context = next();
    // SAFETY: `resume` takes a context in RAX and never returns.
    unsafe { core::arch::asm!("jmp resume", in("rax") context, options(noreturn)) }
}

/// Leaves the kernel: the context to run on with, after waiting for one if need be.
fn next() -> *mut Context {
    loop {
        let kernel = kernel();
        if let Some(link) = kernel.leave() {
            return &raw mut kernel.machine.object::<Thread>(link).context;
        }
        idle();
    }
}

/// Waits for interrupts and takes them.
pub fn idle() {
    // Interrupts are enabled by the instruction before the halt, so none is missed in between.
    interrupts::enable_and_hlt();
    interrupts::disable();
    let mut pending = core::mem::take(&mut PerCpu::get().pending);
    while pending != 0 {
        let vector = pending.trailing_zeros();
        pending &= pending - 1;
        interrupt(vector);
    }
}

fn interrupt(vector: u32) {
    match vector {
        apic::TIMER_VECTOR => kernel().timer_interrupt(),
        apic::SPURIOUS_VECTOR => return,
        _ => kernel().device_interrupt(vector - apic::FIRST_VECTOR),
    }
    apic::end_of_interrupt();
}

#[unsafe(no_mangle)]
extern "C" fn system_call() -> *mut Context {
    let kernel = kernel();
    if let Some(link) = kernel.fast_system_call() {
        return &raw mut kernel.machine.object::<Thread>(link).context;
    }
    kernel.system_call();
    next()
}

#[unsafe(no_mangle)]
extern "C" fn trap_from_user(vector: u64, code: u64) -> *mut Context {
    match vector {
        PAGE_FAULT => kernel().page_fault(Cr2::read_raw(), code & 0x13),
        NON_MASKABLE => dump_and_exit("non-maskable interrupt in user code"),
        0..32 => kernel().exception(vector as u32),
        _ => interrupt(vector as u32),
    }
    next()
}

/// What the processor and the stub have pushed.
#[repr(C)]
struct KernelFrame {
    vector: u64,
    code: u64,
    instruction: u64,
    code_segment: u64,
    flags: u64,
    stack: u64,
}

#[unsafe(no_mangle)]
extern "C" fn trap_in_kernel(frame: &mut KernelFrame) {
    match frame.vector {
        32..64 => PerCpu::get().pending |= 1 << frame.vector,
        PAGE_FAULT if let Some(exit) = user_copy::fix_up(frame.instruction) => {
            PerCpu::get().note_fault(Cr2::read_raw(), frame.code & 0x13);
            frame.instruction = exit;
        }
        NON_MASKABLE => dump_and_exit("non-maskable interrupt in the kernel"),
        vector => {
            let _ = writeln!(DebugConsole, "backtrace: kernel {:#x} fault", frame.instruction);
            panic!(
                "exception {vector} (code {:#x}) in the kernel at {:#x}, stack {:#x}, address {:#x}",
                frame.code,
                frame.instruction,
                frame.stack,
                Cr2::read_raw()
            );
        }
    }
}

/// Says where things stand, for a person or a runner that gave up waiting, and ends the emulator.
fn dump_and_exit(what: &str) -> ! {
    log::error!("{what}: giving up");
    if let Some(kernel) = kernel_if_set() {
        kernel.describe(&mut DebugConsole);
    }
    backtrace::print();
    debug_console::exit(EXIT_PANIC)
}

fn kernel_if_set() -> Option<&'static mut Kernel<Hardware>> {
    // SAFETY: only on the way to the end of everything.
    unsafe { (*addr_of_mut!(KERNEL)).as_mut() }
}
