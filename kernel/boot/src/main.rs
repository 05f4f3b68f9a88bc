//! The kernel's binary: bring-up in order, and nothing else.
//!
//! 1. Read what the boot loader left.
//! 2. Lay out memory.
//! 3. Build the final page tables.
//! 4. Set up processor, interrupt controllers, clock.
//! 5. Start the other processors, which wait for 7.
//! 6. Make the first task from the boot archive.
//! 7. Run.
//!
//! What cannot be brought up is said in the log, and the emulator ends with [`EXIT_BOOT`].
#![no_std]
#![no_main]

mod first_task;
mod memory;
mod processors;
mod start_info;

use core::fmt::Write;
use core::panic::PanicInfo;
use kernel_abi::trace::ring_pages;
use kernel_arch::debug_console::{self, DebugConsole};
use kernel_arch::hardware::Hardware;
use kernel_arch::{apic, backtrace, clock, paging, processor, traps};
use kernel_core::Kernel;
use kernel_core::trace::Tracer;
use memory::Memory;
use start_info::StartInfo;

/// Exit code for the emulator: the system could not be brought up.
const EXIT_BOOT: u32 = 102;

/// Entered from the boot code with the physical address of the start information.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(start_info: u32) -> ! {
    clock::start();
    debug_console::initialise_log();
    // SAFETY: the boot code passes on what the loader gave it.
    let info = unsafe { StartInfo::read(start_info) }.unwrap_or_else(|error| refuse(error));
    let mut memory = Memory::lay_out(&info).unwrap_or_else(|error| refuse(error));
    let table = memory.take_frame_table();
    let root = paging::build(&mut memory, info.ram());
    processor::initialise();
    apic::initialise();
    let processors = processors::start(&mut memory, &info);
    memory.close_kernel(table);
    // SAFETY: the table covers all RAM; `close_kernel` marked as plain only what nothing uses. This is the only machine.
    let mut kernel = Kernel::new(unsafe { Hardware::new(table, root) });
    for _ in 1..processors {
        kernel.add_processor().expect("no more were started");
    }
    trace(&mut kernel, &mut memory, &info, processors).unwrap_or_else(|error| refuse(error));
    let (mebibytes, free) = (info.ram_bytes() >> 20, memory.free_frames());
    log::info!("processors: {processors}; {mebibytes} MiB of RAM, {free} frames free");
    let started = first_task::start(&mut kernel, &mut memory, &info);
    started.unwrap_or_else(|error| refuse(error));
    traps::run(kernel)
}

/// Has the kernel write events, if the command line asks for it.
fn trace(
    kernel: &mut Kernel<Hardware>,
    memory: &mut Memory,
    info: &StartInfo,
    processors: usize,
) -> Result<(), BootError> {
    let command_line = &info.command_line[..info.command_line_bytes];
    match ring_pages(command_line).ok_or("the command line asks for rings of no sensible size")? {
        0 => Ok(()),
        pages => {
            let rings = memory.take_rings(pages * processors as u64)?;
            kernel.trace_into(Tracer::new(rings, pages as usize, processors));
            Ok(())
        }
    }
}

/// Why the system cannot be brought up.
type BootError = &'static str;

fn refuse(error: BootError) -> ! {
    log::error!("cannot boot: {error}");
    debug_console::exit(EXIT_BOOT)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = writeln!(DebugConsole, "kernel PANIC: {info}");
    backtrace::print();
    debug_console::exit(traps::EXIT_PANIC)
}
