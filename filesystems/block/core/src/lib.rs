//! The block driver's logic: finding a virtio disk on the PCI bus, bringing it up, splitting requests into device
//! operations, and keeping the books of the queue. No system call, no pointer, no clock.
//!
//! What touches hardware comes in through three traits: [`ConfigurationSpace`] (PCI), [`Registers`] (a mapped window),
//! [`QueueMemory`] (memory that the device reads and writes too). [`Disk`] joins them.
//!
//! The device is not believed. What it writes is copied once and checked; a device that breaks the rules is reset and
//! its requests fail, and one that cannot even be reset is left alone from then on, with the frames it may still write to.
//! References are to the virtio specification 1.2.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod disk;
mod operation;
mod pci;
mod queue;
mod request;
mod runs;
mod transport;

pub use disk::{Completion, Disk, DiskState, REQUEST_TIMEOUT_NS};
pub use operation::{Direction, OPERATIONS, SEGMENTS};
pub use pci::{ConfigurationSpace, DiskUse, Function, PciDisk, PciError, SWAP_DEVICE, find_disk};
pub use queue::{QUEUE_MEMORY_PAGES, QueueMemory};
pub use request::{REQUESTS, Slot};
pub use runs::{PhysicalRuns, RUNS_MAX, Segment};
pub use transport::{Places, Registers, Transport, TransportError, Window};
