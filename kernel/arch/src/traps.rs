//! The Rust side of every entry into the kernel.

use crate::debug_console::{self, DebugConsole};
use crate::hardware::Hardware;
use crate::processor::PerCpu;
use crate::{apic, backtrace, user_copy};
use core::fmt::Write;
use kernel_core::objects::{Context, Thread};
use kernel_core::{Kernel, Machine};
use spin::Mutex;
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

/// The one kernel, and the one lock: taken at every entry, released on the way out and while a processor idles.
static KERNEL: Mutex<Option<Kernel<Hardware>>> = Mutex::new(None);

/// Does something in the kernel, alone.
fn with_kernel<R>(work: impl FnOnce(&mut Kernel<Hardware>) -> R) -> R {
    let mut kernel = KERNEL.lock();
    work(kernel.as_mut().expect("the kernel is set before anything can enter it"))
}

/// One entry into the kernel: does what it is about, and says which context to run on with, after waiting for one if
/// need be.
fn enter(work: impl FnOnce(&mut Kernel<Hardware>)) -> *mut Context {
    let context = with_kernel(|kernel| {
        work(kernel);
        context_to_run(kernel)
    });
    context.unwrap_or_else(idle)
}

fn context_to_run(kernel: &mut Kernel<Hardware>) -> Option<*mut Context> {
    let link = kernel.leave()?;
    Some(&raw mut kernel.machine.object::<Thread>(link).context)
}

/// Runs user code for ever; every return to the kernel comes through the entries below.
pub fn run(kernel: Kernel<Hardware>) -> ! {
    *KERNEL.lock() = Some(kernel);
    let context = enter(|_| {});
    // SAFETY: `resume` takes a context in RAX and never returns.
    unsafe { core::arch::asm!("jmp resume", in("rax") context, options(noreturn)) }
}

/// Waits for interrupts and takes them, until there is a context to run.
fn idle() -> *mut Context {
    loop {
        // Interrupts are enabled by the instruction before the halt, so none is missed in between.
        interrupts::enable_and_hlt();
        interrupts::disable();
        let mut pending = core::mem::take(&mut PerCpu::get().pending);
        let context = with_kernel(|kernel| {
            while pending != 0 {
                interrupt(kernel, pending.trailing_zeros());
                pending &= pending - 1;
            }
            context_to_run(kernel)
        });
        if let Some(context) = context {
            return context;
        }
    }
}

fn interrupt(kernel: &mut Kernel<Hardware>, vector: u32) {
    match vector {
        apic::TIMER_VECTOR => kernel.timer_interrupt(),
        apic::SPURIOUS_VECTOR => return,
        _ => kernel.device_interrupt(vector - apic::FIRST_VECTOR),
    }
    apic::end_of_interrupt();
}

#[unsafe(no_mangle)]
extern "C" fn system_call() -> *mut Context {
    let context = with_kernel(|kernel| match kernel.fast_system_call() {
        Some(link) => Some(&raw mut kernel.machine.object::<Thread>(link).context),
        None => {
            kernel.system_call();
            context_to_run(kernel)
        }
    });
    context.unwrap_or_else(idle)
}

#[unsafe(no_mangle)]
extern "C" fn trap_from_user(vector: u64, code: u64) -> *mut Context {
    enter(|kernel| match vector {
        PAGE_FAULT => kernel.page_fault(Cr2::read_raw(), code & 0x13),
        NON_MASKABLE => {
            log::error!("non-maskable interrupt in user code: giving up");
            kernel.describe(&mut DebugConsole);
            debug_console::exit(EXIT_PANIC);
        }
        0..32 => kernel.exception(vector as u32),
        _ => interrupt(kernel, vector as u32),
    })
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
extern "C" fn trap_in_kernel(frame: &mut KernelFrame, base: u64) {
    match frame.vector {
        32..64 => PerCpu::get().pending |= 1 << frame.vector,
        PAGE_FAULT if let Some(exit) = user_copy::fix_up(frame.instruction) => {
            PerCpu::get().note_fault(Cr2::read_raw(), frame.code & 0x13);
            frame.instruction = exit;
        }
        NON_MASKABLE => dump_and_exit(frame.instruction, base),
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

/// Says where the kernel stands, for a person or a runner that gave up waiting, and ends the emulator.
fn dump_and_exit(instruction: u64, base: u64) -> ! {
    log::error!("non-maskable interrupt in the kernel: giving up");
    if let Some(Some(kernel)) = KERNEL.try_lock().as_deref_mut() {
        kernel.describe(&mut DebugConsole);
    }
    let _ = writeln!(DebugConsole, "backtrace: kernel {instruction:#x} fault");
    backtrace::print_from(base);
    debug_console::exit(EXIT_PANIC)
}
