//! What the pager stands on: memory that outlives it, and a disk.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

/// Words that outlive the pager: key, page-outs under way, the slot table.
///
/// A store is whole or absent, and stores are seen in the order in which they were made, by who comes after a crash
/// too. That is all that recovery relies on.
pub trait Region {
    /// Words there are.
    fn words(&self) -> usize;
    /// Reads a word.
    fn load(&self, index: usize) -> u64;
    /// Changes a word.
    fn store(&mut self, index: usize, value: u64);
}

/// Mapped memory. Release stores, so that the compiler keeps their order, and that of what was written to the
/// [`Store`] before.
impl Region for &[AtomicU64] {
    fn words(&self) -> usize {
        self.len()
    }

    fn load(&self, index: usize) -> u64 {
        self[index].load(Ordering::Acquire)
    }

    fn store(&mut self, index: usize, value: u64) {
        self[index].store(value, Ordering::Release);
    }
}

/// The memory of the compressed tier. It outlives the pager as the [`Region`] does; a write may be torn by a crash,
/// but is there before any later store to the region.
pub trait Store {
    /// Bytes there are.
    fn bytes(&self) -> usize;
    /// Reads.
    fn slice(&self, offset: usize, bytes: usize) -> &[u8];
    /// Writes.
    fn write(&mut self, offset: usize, bytes: &[u8]);
}

/// Mapped memory, or an array.
impl Store for &mut [u8] {
    fn bytes(&self) -> usize {
        self.len()
    }

    fn slice(&self, offset: usize, bytes: usize) -> &[u8] {
        &self[offset..offset + bytes]
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        self[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

/// Which way data goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the disk into the buffer.
    Read,
    /// From the buffer to the disk.
    Write,
}

/// Work for the disk: whole pages, adjacent on the disk and in the buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// By this number it is completed. Not used again soon.
    pub number: u32,
    /// Which way.
    pub direction: Direction,
    /// First sector.
    pub sector: u64,
    /// Which buffer.
    pub buffer: usize,
    /// First page of the buffer.
    pub first_page: usize,
    /// Pages.
    pub pages: usize,
}

/// A transfer failed, for good or not: the pager tries other places and smaller pieces itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskError;

/// The disk, and the memory that it can reach.
pub trait Disk {
    /// Sectors; 0 is no disk.
    fn sectors(&self) -> u64;
    /// Whether it takes writes.
    fn is_writable(&self) -> bool;
    /// One of [`crate::limits::OPERATIONS`] buffers of [`crate::limits::BATCH_PAGES`] pages.
    fn buffer(&mut self, index: usize) -> &mut [u8];
    /// Begins a transfer. It ends, sooner or later, by [`crate::Pager::completed`], never within this call; until
    /// then the disk has its part of the buffer. At most [`crate::limits::TRANSFERS`] are begun at a time.
    fn submit(&mut self, transfer: Transfer);
}

/// Why a pager cannot begin with a region and a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// Nothing is in the region, or a formatting that was cut off: format it, under a new key.
    NotFormatted,
    /// The region is too small for even one slot.
    RegionTooSmall {
        /// Words that it needs at least.
        words: usize,
    },
    /// The disk cannot hold a page.
    DiskTooSmall {
        /// Sectors that it has.
        sectors: u64,
    },
    /// The region speaks of more slots than region or disk have now: it is not that region, or not that disk.
    Shrunk {
        /// Slots that it speaks of.
        slots: u64,
        /// Slots that there is room for.
        room: u64,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::NotFormatted => write!(f, "the region is not formatted"),
            OpenError::RegionTooSmall { words } => write!(f, "the region has fewer than {words} words"),
            OpenError::DiskTooSmall { sectors } => {
                write!(f, "a swap disk of {sectors} sectors holds no page")
            }
            OpenError::Shrunk { slots, room } => {
                write!(f, "{slots} slots are in use, there is room for {room}")
            }
        }
    }
}
