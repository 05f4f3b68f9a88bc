//! Bytes of the task's own memory as the map has them: single loads and stores, and `vm_write` of data that no map holds.
//!
//! No safe reference points into the task's map: regions come and go by number. What is here looks at the map first and keeps the lock while it
//! touches memory, so nobody takes the region away meanwhile. A page that has no frame comes by a fault, and one that
//! cannot be had ends the thread, as any other touch would.

use crate::{OWN, with};
use hurd_glue_vm_core::{KernError, MapId, Protection, Result};

/// The byte at an address. Errors: `InvalidAddress`, `ProtectionFailure`.
pub fn load(address: u64) -> Result<u8> {
    with(|vm| {
        let region = vm.region(OWN, address).map_err(|_| KernError::InvalidAddress)?;
        if !region.range.contains(&address) {
            return Err(KernError::InvalidAddress);
        }
        if !region.attributes.protection.contains(Protection::READ) {
            return Err(KernError::ProtectionFailure);
        }
        // SAFETY: the region is mapped readable and stays so while the lock is held; any bits are a byte. Others may write there:
        // that is why it is volatile.
        Ok(unsafe { core::ptr::read_volatile(address as *const u8) })
    })
}

/// Stores a byte. Errors: as [`load`].
pub fn store(address: u64, byte: u8) -> Result<()> {
    with(|vm| {
        let region = vm.region(OWN, address).map_err(|_| KernError::InvalidAddress)?;
        if !region.range.contains(&address) {
            return Err(KernError::InvalidAddress);
        }
        if !region.attributes.protection.contains(Protection::WRITE) {
            return Err(KernError::ProtectionFailure);
        }
        // SAFETY: as above, and writable; no reference points there.
        unsafe { core::ptr::write_volatile(address as *mut u8, byte) };
        Ok(())
    })
}

/// `vm_write` of bytes that lie anywhere in the task: by way of fresh memory of its map, which then is copied. Errors: as
/// [`hurd_glue_vm_core::Vm::transfer`].
pub fn write(map: MapId, address: u64, data: &[u8]) -> Result<()> {
    with(|vm| {
        let size = data.len() as u64;
        if size == 0 {
            return vm.transfer((OWN, 0), (map, address), 0);
        }
        let between = vm.allocate(OWN, 0, size, true)?;
        // SAFETY: the region was mapped writable just now, is as long, and nobody else knows of it.
        unsafe { core::ptr::copy_nonoverlapping(data.as_ptr(), between as *mut u8, data.len()) };
        let written = vm.transfer((OWN, between), (map, address), size);
        written.and(vm.deallocate(OWN, between, size))
    })
}
