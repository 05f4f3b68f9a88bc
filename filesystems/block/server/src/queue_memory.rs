//! Memory that the disk reads and writes by itself: the only unsafe code of the driver.
//!
//! The container is init's and outlives the driver, for the disk goes on reading and writing it whatever becomes of the
//! driver, until the next one has reset the disk. The frames are learned through a dma lock, which is ended at once, since
//! nobody may map a range under it. They stay where they are: init has allocated them and holds nothing beyond its
//! guarantee, so nothing of it is ever seized, and only the driver is given the container.
#![allow(unsafe_code)]

use crate::pending::ask_for_runs;
use alloc::vec::Vec;
use containers_api::LockMode;
use containers_api::lock::LockRelease;
use containers_api::space::MapProtection;
use core::fmt;
use core::sync::atomic::{Ordering, fence};
use filesystems_api::block::BlockError;
use filesystems_block_core::{Direction, PhysicalRuns, QUEUE_MEMORY_PAGES, QueueMemory};
use kernel_abi::FRAME_BYTES;
use kernel_protocol::Refusal;
use kernel_runtime::containers::{Container, MemoryCallError};
use kernel_runtime::ipc::call;
use kernel_runtime::memory::Mapping;
use kernel_runtime::{Deadline, Handle};

const PAGES: u64 = QUEUE_MEMORY_PAGES as u64;

/// How long the frames may take to be told.
const TERM_NS: u64 = 1_000_000_000;

/// Why there is no queue memory.
#[derive(Debug)]
pub enum QueueMemoryError {
    /// physmem refused.
    Memory(MemoryCallError),
    /// It did not tell the frames.
    Runs(Refusal<BlockError>),
}

impl fmt::Display for QueueMemoryError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueueMemoryError::Memory(error) => error.fmt(formatter),
            QueueMemoryError::Runs(refusal) => write!(formatter, "{} ({})", refusal.error, refusal.detail),
        }
    }
}

impl From<MemoryCallError> for QueueMemoryError {
    fn from(error: MemoryCallError) -> Self {
        QueueMemoryError::Memory(error)
    }
}

/// The memory, mapped, with its physical addresses.
pub struct DeviceShared {
    mapping: Mapping,
    addresses: Vec<u64>,
}

impl DeviceShared {
    /// In the pages that init keeps for the disk, which must be in reset.
    pub fn new(dma: Handle, container: Container) -> Result<DeviceShared, QueueMemoryError> {
        let lock = container.lock(0..PAGES, LockMode::Dma, TERM_NS)?.lock;
        let (_, passed) = container.lock_pass(lock, LockMode::Dma, TERM_NS)?;
        let mut runs = PhysicalRuns::new();
        ask_for_runs(passed.handle(), dma, Direction::Read, &mut runs).map_err(QueueMemoryError::Runs)?;
        let page_address =
            |page| runs.segment(page * FRAME_BYTES, FRAME_BYTES as u32).map(|segment| segment.address);
        let addresses = (0..PAGES).filter_map(page_address).collect();
        call(passed.handle(), &LockRelease { written_bytes: PAGES * FRAME_BYTES }, &[], Deadline::NEVER)?;
        container.unlock(lock, PAGES * FRAME_BYTES)?;
        let mapping = Mapping::new(&container, 0, PAGES, MapProtection::WRITE)?;
        container.into_capability().into_handle();
        Ok(DeviceShared { mapping, addresses })
    }

    fn pointer<T>(&self, offset: usize) -> *mut T {
        assert!(
            offset.is_multiple_of(size_of::<T>()) && offset + size_of::<T>() <= self.mapping.bytes(),
            "no queue memory at {offset}"
        );
        (self.mapping.addresses().start + offset as u64) as *mut T
    }

    /// Loads a number; nothing that the program loads later is loaded before it (virtio 1.2, 2.7.13).
    fn load<T: Copy>(&self, offset: usize) -> T {
        // SAFETY: `pointer` lies in the mapping, which lives as long as `self`, and is aligned. Only this module
        // touches the mapping, by volatile accesses of plain numbers, for which any bits are a value; the device is the
        // other party.
        let value = unsafe { core::ptr::read_volatile(self.pointer::<T>(offset)) };
        fence(Ordering::Acquire);
        value
    }

    /// Stores a number; everything that the program stored before is there before it.
    fn store<T: Copy>(&mut self, offset: usize, value: T) {
        fence(Ordering::Release);
        // SAFETY: as above; the mapping is writable.
        unsafe { core::ptr::write_volatile(self.pointer::<T>(offset), value) }
    }
}

impl QueueMemory for DeviceShared {
    fn load8(&self, offset: usize) -> u8 {
        self.load(offset)
    }

    fn load16(&self, offset: usize) -> u16 {
        self.load(offset)
    }

    fn load32(&self, offset: usize) -> u32 {
        self.load(offset)
    }

    fn store8(&mut self, offset: usize, value: u8) {
        self.store(offset, value);
    }

    fn store16(&mut self, offset: usize, value: u16) {
        self.store(offset, value);
    }

    fn store32(&mut self, offset: usize, value: u32) {
        self.store(offset, value);
    }

    fn store64(&mut self, offset: usize, value: u64) {
        self.store(offset, value);
    }

    fn page_address(&self, page: usize) -> u64 {
        self.addresses[page]
    }
}
