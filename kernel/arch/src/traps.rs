//! The Rust side of every entry into the kernel.

use crate::debug_console::{self, DebugConsole};
use crate::hardware::Hardware;
use crate::lock::{self, KernelGuard};
use crate::processor::PerCpu;
use crate::{apic, backtrace, requests, user_copy};
use core::fmt::Write;
use core::hint;
use core::sync::atomic::{AtomicBool, Ordering};
use kernel_core::objects::{Context, Thread};
use kernel_core::{Fast, Kernel, Machine};
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
const REQUEST: u64 = apic::REQUEST_VECTOR as u64;

/// Whether the kernel is there to be entered: processors that were started wait for it.
static RUNS: AtomicBool = AtomicBool::new(false);

/// Whether a processor says what all of them do and ends the machine.
static ENDS: AtomicBool = AtomicBool::new(false);

/// Attempts at the lock by a processor that is about to end the machine: whoever holds it may have stopped for ever.
const LAST_ATTEMPTS: u32 = 1 << 20;

/// The kernel, which this processor has entered.
#[inline(always)]
fn entered(guard: &mut KernelGuard) -> &mut Kernel<Hardware> {
    let kernel = guard.as_mut().expect("the kernel is set before anything can enter it");
    kernel.enter(PerCpu::own_number());
    kernel
}

/// Does something in the kernel, alone.
fn with_kernel<R>(work: impl FnOnce(&mut Kernel<Hardware>) -> R) -> R {
    let mut guard = lock::try_take().unwrap_or_else(lock::wait);
    work(entered(&mut guard))
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

/// Runs user code for ever, on this processor and those that were started; every return to the kernel comes through the
/// entries below.
pub fn run(kernel: Kernel<Hardware>) -> ! {
    *lock::wait() = Some(kernel);
    RUNS.store(true, Ordering::Release);
    resume()
}

/// Has a processor that was started take part as soon as the kernel runs.
pub fn join() -> ! {
    while !RUNS.load(Ordering::Acquire) {
        hint::spin_loop();
    }
    resume()
}

fn resume() -> ! {
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
        // That it has come is enough: on the way out it looks at the queues.
        apic::CALL_VECTOR => {}
        _ => kernel.device_interrupt(vector - apic::FIRST_VECTOR),
    }
    apic::end_of_interrupt();
}

#[unsafe(no_mangle)]
extern "C" fn system_call() -> *mut Context {
    let Some(mut guard) = lock::try_take() else { return contended_system_call() };
    let kernel = entered(&mut guard);
    match kernel.fast_system_call() {
        Fast::Runs(link) => &raw mut kernel.machine.object::<Thread>(link).context,
        Fast::Untaken => general_system_call(guard),
        Fast::Taken => choose_and_leave(guard),
    }
}

#[inline(never)]
fn general_system_call(mut guard: KernelGuard) -> *mut Context {
    let kernel = guard.as_mut().expect("the kernel is set before anything can enter it");
    kernel.system_call();
    leave(guard)
}

#[cold]
fn choose_and_leave(guard: KernelGuard) -> *mut Context {
    leave(guard)
}

/// The same for a processor that has to wait. It may be stopped meanwhile: then the call comes to nothing.
#[cold]
fn contended_system_call() -> *mut Context {
    enter(Kernel::system_call)
}

#[unsafe(no_mangle)]
extern "C" fn trap_from_user(vector: u64, code: u64) -> *mut Context {
    // Read before the lock is waited for: a fault of the kernel itself would overwrite it.
    let address = Cr2::read_raw();
    match vector {
        PAGE_FAULT => page_fault(address, code & 0x13),
        NON_MASKABLE => end_machine(None),
        REQUEST => {
            apic::end_of_interrupt();
            if requests::answer() { enter(|_| {}) } else { PerCpu::get().context() }
        }
        0..32 => enter(|kernel| kernel.exception(vector as u32)),
        _ => enter(|kernel| interrupt(kernel, vector as u32)),
    }
}

fn page_fault(address: u64, access: u64) -> *mut Context {
    let mut guard = lock::try_take().unwrap_or_else(lock::wait);
    let kernel = entered(&mut guard);
    if let Some(link) = kernel.fast_page_fault(address, access) {
        return &raw mut kernel.machine.object::<Thread>(link).context;
    }
    kernel.page_fault(address, access);
    leave(guard)
}

/// Leaves the kernel after what had to be done there.
#[inline(always)]
fn leave(mut guard: KernelGuard) -> *mut Context {
    let kernel = guard.as_mut().expect("the kernel is set before anything can enter it");
    if let Some(link) = kernel.fast_leave() {
        return &raw mut kernel.machine.object::<Thread>(link).context;
    }
    let context = context_to_run(kernel);
    drop(guard);
    context.unwrap_or_else(idle)
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
        REQUEST => {
            requests::answer();
            apic::end_of_interrupt();
        }
        32..64 => PerCpu::get().pending |= 1 << frame.vector,
        PAGE_FAULT if let Some(exit) = user_copy::fix_up(frame.instruction) => {
            PerCpu::get().note_fault(Cr2::read_raw(), frame.code & 0x13);
            frame.instruction = exit;
        }
        NON_MASKABLE => end_machine(Some((frame.instruction, base))),
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

/// Says what everybody does, for a person or a runner that gave up waiting, and ends the emulator. `interrupted`: instruction
/// and frame pointer of the kernel. All processors may get here at once: the first speaks.
fn end_machine(interrupted: Option<(u64, u64)>) -> ! {
    if ENDS.swap(true, Ordering::AcqRel) {
        loop {
            interrupts::disable();
            x86_64::instructions::hlt();
        }
    }
    let place = if interrupted.is_some() { "the kernel" } else { "user code" };
    log::error!("non-maskable interrupt in {place}: giving up");
    let attempts = if interrupted.is_some() { 1 } else { LAST_ATTEMPTS };
    let mut guard = (0..attempts).find_map(|_| {
        hint::spin_loop();
        lock::try_take()
    });
    if let Some(Some(kernel)) = guard.as_deref_mut() {
        kernel.enter(PerCpu::own_number());
        kernel.describe(&mut DebugConsole);
    }
    if let Some((instruction, base)) = interrupted {
        let _ = writeln!(DebugConsole, "backtrace: kernel {instruction:#x} fault");
        backtrace::print_from(base);
    }
    debug_console::exit(EXIT_PANIC)
}
