//! Where things lie in the address space of a native task. Only the stack and the startup block must be where
//! their maker puts them; everything else is the task's own affair. Here too: which handles a task starts with, and the
//! priorities of the kinds of tasks.

use kernel_abi::Handle;

/// First address of a program's image; its linker script says the same.
pub const IMAGE_BASE: u64 = 0x40_0000;
/// End of what an image may occupy: code is compiled for the lowest 2 GiB.
pub const IMAGE_END: u64 = 0x1000_0000;
/// The startup block, one page, read-only.
pub const STARTUP_BLOCK: u64 = 0x1000_0000;
/// Bytes of a startup block at most.
pub const STARTUP_BLOCK_BYTES: usize = 4096;
/// The clock page, mapped when the task first asks for the time.
pub const CLOCK_PAGE: u64 = 0x1000_1000;
/// The pressure page, mapped when the task first asks how short frames are.
pub const PRESSURE_PAGE: u64 = 0x1000_2000;
/// The contract page, mapped when the task begins to watch its calls.
pub const CONTRACT_PAGE: u64 = 0x1000_3000;
/// The heap grows from here.
pub const HEAP_BASE: u64 = 0x10_0000_0000;
/// End of the heap's room.
pub const HEAP_END: u64 = 0x20_0000_0000;
/// Containers and stacks of further threads are mapped from here.
pub const MAPPINGS_BASE: u64 = 0x20_0000_0000;
/// End of the room for containers.
pub const MAPPINGS_END: u64 = 0x6000_0000_0000;
/// The map of a task that uses Mach's `vm_*` calls; nothing else is mapped there.
pub const VM_BASE: u64 = 0x6000_0000_0000;
/// End of that map.
pub const VM_END: u64 = 0x6800_0000_0000;
/// Highest address of the first thread's stack, which grows down.
pub const FIRST_STACK_END: u64 = 0x7000_0000_0000;
/// Bytes of the first thread's stack; frames come as they are touched.
pub const FIRST_STACK_BYTES: u64 = 256 << 10;

/// The task itself.
pub const TASK: Handle = Handle(1);
/// Its first thread.
pub const FIRST_THREAD: Handle = Handle(2);
/// Its address space.
pub const SPACE: Handle = Handle(3);
/// The contract that pays for it.
pub const CONTRACT: Handle = Handle(4);
/// The system log.
pub const LOG: Handle = Handle(5);
/// The schedule that pays for it: a part of its maker's, or the maker's own.
pub const SCHEDULE: Handle = Handle(6);
/// First of the four handles in which the first thread receives capabilities.
pub const FIRST_WINDOW: Handle = Handle(8);
/// First handle that the task gives out itself, but for those that the startup block names.
pub const FREE_HANDLES: Handle = Handle(16);
/// Handles from there on that the startup block can name at most.
pub const NAMED_CAPABILITIES_MAX: u32 = 64;

/// Priority of init.
pub const PRIORITY_INIT: u8 = 24;
/// Priority of device drivers and the console, which hold nobody up for long.
pub const PRIORITY_DRIVER: u8 = 22;
/// Priority of file servers.
pub const PRIORITY_FILE_SERVER: u8 = 20;
/// Priority of the shell, which must be able to end what runs wild.
pub const PRIORITY_SHELL: u8 = 12;
/// Priority of programs.
pub const PRIORITY_PROGRAM: u8 = 8;
