//! The kernel's half of the address space, and how physical memory is reached in it.

use kernel_abi::FRAME_BYTES;

/// Where physical address 0 appears: all RAM, writable, never executable.
pub const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;

/// Where the kernel's image is linked: the top 2 GiB, so that the code model reaches it.
pub const IMAGE_BASE: u64 = 0xffff_ffff_8000_0000;

/// Where the local APIC's registers are mapped.
pub const LOCAL_APIC: u64 = 0xffff_ff00_0000_0000;

/// Where the I/O APIC's registers are mapped.
pub const IO_APIC: u64 = 0xffff_ff00_0000_1000;

/// The kernel's address for a physical address of RAM.
pub const fn direct(physical: u64) -> u64 {
    DIRECT_MAP + physical
}

/// The kernel's pointer to a frame of RAM. Whoever follows it answers for aliasing.
pub fn frame_pointer<T>(frame: u32) -> *mut T {
    direct(u64::from(frame) * FRAME_BYTES) as *mut T
}

/// The physical address of something in the kernel's image.
pub fn image_physical(address: u64) -> u64 {
    address - IMAGE_BASE
}
