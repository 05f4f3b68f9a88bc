//! Containers mapped into the task's own address space, as bytes.
//!
//! A [`Mapping`] owns its address range and unmaps it when dropped. Its bytes are the container's pages, so
//! somebody who holds the container too can change them: a file server fills them while this task waits for
//! its answer. Reading through `as_slice` while such a request is out sees old or new bytes; after a lock took
//! the pages away it waits in a page fault until they are back. Nothing in the task's own data depends on
//! what those bytes are.

use crate::clock::Deadline;
use crate::containers::{Container, MemoryCallError};
use crate::ipc::{CallError, call};
use crate::layout::{MAPPINGS_BASE, MAPPINGS_END, SPACE};
use crate::ranges::FreeRanges;
use crate::sync::Mutex;
use containers_api::MemoryError;
use containers_api::space::{Map, MapProtection, Unmap};
use core::ops::Range;
use core::sync::atomic::AtomicU64;
use kernel_abi::FRAME_BYTES;
use kernel_protocol::Refusal;

static FREE: Mutex<Option<FreeRanges>> = Mutex::new(None);

fn with_free<T>(work: impl FnOnce(&mut FreeRanges) -> T) -> T {
    work(FREE.lock().get_or_insert_with(|| FreeRanges::new(MAPPINGS_BASE..MAPPINGS_END)))
}

/// Addresses for a mapping that the caller makes itself.
pub fn reserve(pages: u64) -> Option<u64> {
    with_free(|free| free.take(pages.checked_mul(FRAME_BYTES)?))
}

/// Gives addresses from [`reserve`] back, with nothing mapped there any more.
pub fn release(address: u64, pages: u64) {
    with_free(|free| free.give(address..address + pages * FRAME_BYTES));
}

/// A range of a container, mapped here.
#[derive(Debug)]
pub struct Mapping {
    address: u64,
    pages: u64,
    writable: bool,
}

impl Mapping {
    /// Maps pages of a container that are there at once, so that they need no faults.
    pub fn new(
        container: &Container,
        first_page: u64,
        pages: u64,
        protection: MapProtection,
    ) -> Result<Mapping, MemoryCallError> {
        let out_of_range = CallError::Refused(Refusal::new(MemoryError::OutOfRange));
        let address = reserve(pages).ok_or(out_of_range)?;
        let request = Map { address, pages, first_page, protection, populate: true };
        match call(SPACE, &request, &[container.handle()], Deadline::NEVER) {
            Ok(_) => Ok(Mapping { address, pages, writable: protection.contains(MapProtection::WRITE) }),
            Err(error) => {
                release(address, pages);
                Err(error)
            }
        }
    }

    /// Number of bytes.
    pub fn bytes(&self) -> usize {
        (self.pages * FRAME_BYTES) as usize
    }

    /// Where it lies.
    pub fn addresses(&self) -> Range<u64> {
        self.address..self.address + self.pages * FRAME_BYTES
    }

    /// The words, for several threads or holders of the container to use at the same time.
    ///
    /// # Panics
    /// If the mapping is not writable: a processor may write to look at an atomic word.
    pub fn as_words(&self) -> &[AtomicU64] {
        assert!(self.writable, "atomic words of a mapping that is not writable");
        // SAFETY: the range is mapped, writable, and stays so as long as `self` lives; any bits are a value. Others who
        // have the container change words as atomically as a processor does.
        unsafe { core::slice::from_raw_parts(self.address as *const AtomicU64, self.bytes() / 8) }
    }

    /// The words, where somebody else may be writing them: to be looked at by plain loads, without an ordering of their own.
    pub fn as_shared_words(&self) -> &[AtomicU64] {
        // SAFETY: the range is mapped and stays so as long as `self` lives; any bits are a value. A load of eight bytes without
        // an ordering does not write on x86_64, so that a read-only page suffices; who calls a store faults as by any other
        // write to it.
        unsafe { core::slice::from_raw_parts(self.address as *const AtomicU64, self.bytes() / 8) }
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: the range is mapped, readable, and stays so as long as `self` lives. What other holders of the
        // container do to it is in the module's header.
        unsafe { core::slice::from_raw_parts(self.address as *const u8, self.bytes()) }
    }

    /// The bytes, to be changed.
    ///
    /// # Panics
    /// If it was mapped read-only.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        assert!(self.writable, "the mapping is read-only");
        // SAFETY: as above, and writable; `self` is borrowed mutably and no two mappings of this task share addresses.
        unsafe { core::slice::from_raw_parts_mut(self.address as *mut u8, self.bytes()) }
    }

    /// The bytes for the rest of the task's life.
    pub fn leak(self) -> &'static [u8] {
        // SAFETY: as in `as_slice`; forgetting `self` keeps the range mapped.
        let bytes = unsafe { core::slice::from_raw_parts(self.address as *const u8, self.bytes()) };
        core::mem::forget(self);
        bytes
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let request = Unmap { address: self.address, pages: self.pages };
        // Addresses that could not be unmapped must not be used again.
        if call(SPACE, &request, &[], Deadline::NEVER).is_ok() {
            release(self.address, self.pages);
        }
    }
}

/// Device memory mapped into the task's space, read and written in whole registers.
#[derive(Debug)]
pub struct DeviceMapping {
    address: u64,
    bytes: u64,
}

impl DeviceMapping {
    /// Maps pages of the device memory that a capability names, for the rest of the task's life.
    pub fn new(device: crate::Handle, first_page: u64, pages: u64) -> Result<DeviceMapping, MemoryCallError> {
        let out_of_range = CallError::Refused(Refusal::new(MemoryError::OutOfRange));
        let address = reserve(pages).ok_or(out_of_range)?;
        let request = containers_api::space::MapDevice { address, first_page, pages };
        match call(SPACE, &request, &[device], Deadline::NEVER) {
            Ok(_) => Ok(DeviceMapping { address, bytes: pages * FRAME_BYTES }),
            Err(error) => {
                release(address, pages);
                Err(error)
            }
        }
    }

    /// Number of bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where it lies.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Reads a register.
    ///
    /// # Panics
    /// If the register does not lie within the mapping, aligned to its size.
    pub fn read<T: Register>(&self, offset: u64) -> T {
        let register = self.register::<T>(offset);
        // SAFETY: `register` lies within the mapping and is aligned; any bits are a value of the number types.
        unsafe { core::ptr::read_volatile(register) }
    }

    /// Writes a register.
    ///
    /// # Panics
    /// As [`DeviceMapping::read`].
    pub fn write<T: Register>(&self, offset: u64, value: T) {
        let register = self.register::<T>(offset);
        // SAFETY: as above. Device memory is no Rust object, so nobody has a reference into it.
        unsafe { core::ptr::write_volatile(register, value) }
    }

    fn register<T: Register>(&self, offset: u64) -> *mut T {
        let size = size_of::<T>() as u64;
        let fits = offset.checked_add(size).is_some_and(|end| end <= self.bytes);
        assert!(fits && offset.is_multiple_of(size), "no register at {offset:#x}");
        (self.address + offset) as *mut T
    }
}

/// A number as wide as a device register.
pub trait Register: Copy + sealed::Sealed {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! registers {
    ($($type:ty),*) => { $(impl sealed::Sealed for $type {} impl Register for $type {})* };
}

registers!(u8, u16, u32, u64);
