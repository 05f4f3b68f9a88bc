//! How a task begins: `_start`, the runtime's own set-up, then the program's `main`.
//!
//! A program names its `main` by [`program!`](crate::program): `fn main(startup: Startup<'static>) -> i32`. The
//! first task of all, physmem, which has no startup block, does it by [`first_task!`](crate::first_task).

use crate::logging;
use kernel_abi::Handle;

/// Exit status of a task that panicked.
pub const STATUS_PANIC: u32 = 101;
/// Exit status of a task whose startup block is none.
pub const STATUS_NO_STARTUP: u32 = 102;

// The kernel starts a thread with rsp at the end of its stack and the arguments in rdi and rsi. A zero frame
// pointer ends the chain for backtraces.
#[cfg(target_os = "none")]
core::arch::global_asm!(
    ".global _start",
    "_start:",
    "xor ebp, ebp",
    "and rsp, -16",
    "call {main}",
    "ud2",
    main = sym start,
);

#[cfg(target_os = "none")]
unsafe extern "C" {
    /// Made by [`crate::program!`] or [`crate::first_task!`].
    safe fn kernel_runtime_main(address: u64, bytes: u64) -> i32;
}

#[cfg(target_os = "none")]
extern "C" fn start(address: u64, bytes: u64) -> ! {
    crate::current::adopt_first();
    let status = kernel_runtime_main(address, bytes);
    crate::syscall::task_exit(status as u32)
}

/// Set-up of the first task: no startup block, no space, no contract.
pub fn run_first_task(name: &'static str, log: Handle, free_handles: Handle, main: fn() -> i32) -> i32 {
    crate::handles::start(free_handles);
    logging::start(name, log);
    main()
}

/// Set-up of every other task.
#[cfg(feature = "heap")]
pub fn run_program(
    name: &'static str,
    address: u64,
    bytes: u64,
    main: fn(crate::startup::Startup<'static>) -> i32,
) -> i32 {
    use crate::layout;
    // Reading the block needs the heap, and the heap needs an entry: not one that the block may name.
    let named = layout::FREE_HANDLES.0..layout::FREE_HANDLES.0 + layout::NAMED_CAPABILITIES_MAX;
    crate::handles::start(Handle(named.end));
    logging::start(name, layout::LOG);
    let Some(startup) = startup_block(address, bytes).and_then(crate::startup::Startup::decode) else {
        log::error!("there is no startup block at {address:#x}, {bytes} bytes");
        return STATUS_NO_STARTUP as i32;
    };
    logging::rename(startup.name);
    crate::handles::add_room(layout::FREE_HANDLES, layout::NAMED_CAPABILITIES_MAX);
    for &(_, entry) in startup.capabilities.iter().chain(&startup.mounts) {
        crate::handles::reserve(Handle(entry));
    }
    crate::threads::set_priority(startup.priority);
    main(startup)
}

#[cfg(feature = "heap")]
fn startup_block(address: u64, bytes: u64) -> Option<&'static [u8]> {
    use crate::layout;
    if address != layout::STARTUP_BLOCK || bytes > layout::STARTUP_BLOCK_BYTES as u64 {
        return None;
    }
    // SAFETY: whoever starts a task maps the block there, read-only, for the life of the task, and fills it
    // before the first thread runs.
    Some(unsafe { core::slice::from_raw_parts(address as *const u8, bytes as usize) })
}

/// Makes `fn main(startup: Startup<'static>) -> i32` the program's entry. Its result is the exit status.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        #[unsafe(no_mangle)]
        extern "C" fn kernel_runtime_main(address: u64, bytes: u64) -> i32 {
            $crate::entry::run_program(env!("CARGO_BIN_NAME"), address, bytes, $main)
        }
    };
}

/// Makes `fn main() -> i32` the entry of physmem, which starts with what [`kernel_abi::boot`] says.
#[macro_export]
macro_rules! first_task {
    ($main:path) => {
        #[unsafe(no_mangle)]
        extern "C" fn kernel_runtime_main(_: u64, _: u64) -> i32 {
            $crate::entry::run_first_task(
                env!("CARGO_BIN_NAME"),
                $crate::entry::FIRST_TASK_LOG,
                $crate::entry::FIRST_TASK_FREE_HANDLES,
                $main,
            )
        }
    };
}

/// physmem's log.
pub const FIRST_TASK_LOG: Handle = kernel_abi::boot::LOG;
/// First handle that physmem may give out.
pub const FIRST_TASK_FREE_HANDLES: Handle = kernel_abi::boot::FREE_HANDLES;
