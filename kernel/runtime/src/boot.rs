//! What the kernel leaves for the first task. Only that one may look at it: in any other the addresses are not mapped.

use kernel_abi::boot::{BOOT_ARCHIVE_ADDRESS, BOOT_INFO_ADDRESS, BOOT_INFO_MAGIC, BootInfo};

/// The kernel's description of the machine. `None`: it is not what this program was built for.
pub fn info() -> Option<&'static BootInfo> {
    // SAFETY: the kernel maps the page at this address for the first task, for good and read-only.
    let info = unsafe { &*(BOOT_INFO_ADDRESS as *const BootInfo) };
    (info.magic == BOOT_INFO_MAGIC).then_some(info)
}

/// The boot archive.
pub fn archive(info: &BootInfo) -> &'static [u8] {
    // SAFETY: the kernel maps that many bytes at this address for the first task, for good and read-only; nobody writes
    // the archive's frames.
    unsafe {
        core::slice::from_raw_parts(BOOT_ARCHIVE_ADDRESS as *const u8, info.boot_archive_bytes as usize)
    }
}
