//! The split virtqueue (virtio 1.2, 2.7): descriptor table, available ring, used ring, all in one page.
//!
//! ```text
//!   page 0     0     descriptors, 16 bytes each
//!              2048  available ring: flags, index, heads
//!              2560  used ring: flags, index, (head, written) ...
//!   page 1     0     headers of the operations, 16 bytes each; from 1024: their status bytes
//!   page 2...        a table of indirect descriptors for each operation, two a page
//! ```
//! No part crosses a page, so that the pages need not lie one after the other.

use crate::operation::{OPERATIONS, SEGMENTS};

/// Entries of the queue at most.
pub const QUEUE_ENTRIES: u16 = 128;

const AVAILABLE: usize = 2048;
const USED: usize = 2560;
const HEADERS: usize = 4096;
const STATUSES: usize = HEADERS + 1024;
const TABLES: usize = 8192;
const DESCRIPTOR_BYTES: usize = 16;
const HEADER_BYTES: usize = 16;

/// Bytes of an operation's own table: header, data segments, status.
const TABLE_BYTES: usize = (SEGMENTS + 2) * DESCRIPTOR_BYTES;

/// Pages of queue memory.
pub const QUEUE_MEMORY_PAGES: usize = (TABLES + OPERATIONS * TABLE_BYTES).div_ceil(4096);

const _: () = assert!(4096 % TABLE_BYTES == 0 && QUEUE_ENTRIES as usize * DESCRIPTOR_BYTES <= AVAILABLE);
const _: () = assert!(USED + 6 + QUEUE_ENTRIES as usize * 8 <= HEADERS && OPERATIONS * HEADER_BYTES <= 1024);

/// The device only writes what this marks (2.7.5).
pub const WRITE: u16 = 2;
/// The descriptor points to a table of descriptors.
pub const INDIRECT: u16 = 4;
const NEXT: u16 = 1;

/// Memory shared with the device, by byte offset; every access is one load or store of its width, in program order as
/// the device sees it. Offsets are aligned and within [`QUEUE_MEMORY_PAGES`].
pub trait QueueMemory {
    /// Loads a byte.
    fn load8(&self, offset: usize) -> u8;
    /// Loads two bytes.
    fn load16(&self, offset: usize) -> u16;
    /// Loads four bytes.
    fn load32(&self, offset: usize) -> u32;
    /// Stores a byte.
    fn store8(&mut self, offset: usize, value: u8);
    /// Stores two bytes.
    fn store16(&mut self, offset: usize, value: u16);
    /// Stores four bytes.
    fn store32(&mut self, offset: usize, value: u32);
    /// Stores eight bytes.
    fn store64(&mut self, offset: usize, value: u64);
    /// Physical address of a page of this memory.
    fn page_address(&self, page: usize) -> u64;
}

/// Physical address of a byte of queue memory.
fn address(memory: &impl QueueMemory, offset: usize) -> u64 {
    memory.page_address(offset / 4096) + (offset % 4096) as u64
}

/// A descriptor to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Descriptor {
    /// Physical address.
    pub address: u64,
    /// Number of bytes.
    pub bytes: u32,
    /// [`WRITE`], [`INDIRECT`].
    pub flags: u16,
}

/// A head that the device has used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Used {
    /// Head of the chain.
    pub head: u16,
    /// Bytes that the device says it wrote.
    pub written: u32,
}

/// The device broke the rules of the ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Misbehaved;

/// The driver's books of the queue. What the device could overwrite is never read back, except the used ring.
pub struct Queue<M> {
    memory: M,
    entries: u16,
    /// Free descriptors, as a list through `next`; chains in use are lists too.
    next: [u16; QUEUE_ENTRIES as usize],
    first_free: u16,
    free: u16,
    available_index: u16,
    used_index: u16,
}

/// Where the three parts lie.
pub fn addresses(memory: &impl QueueMemory) -> crate::transport::QueueAddresses {
    crate::transport::QueueAddresses {
        descriptors: address(memory, 0),
        available: address(memory, AVAILABLE),
        used: address(memory, USED),
    }
}

impl<M: QueueMemory> Queue<M> {
    /// An empty queue; the memory is cleared. The device must be in reset.
    pub fn new(memory: M) -> Queue<M> {
        let mut queue = Queue {
            memory,
            entries: 0,
            next: [0; QUEUE_ENTRIES as usize],
            first_free: 0,
            free: 0,
            available_index: 0,
            used_index: 0,
        };
        queue.clear();
        queue
    }

    /// Forgets everything in flight. The device must be in reset.
    pub fn clear(&mut self) {
        for (entry, next) in self.next.iter_mut().enumerate() {
            *next = entry as u16 + 1;
        }
        self.first_free = 0;
        self.set_entries(QUEUE_ENTRIES);
        (self.available_index, self.used_index) = (0, 0);
        for offset in (0..HEADERS).step_by(8) {
            self.memory.store64(offset, 0);
        }
    }

    /// How many entries were agreed on; all free.
    pub fn set_entries(&mut self, entries: u16) {
        self.entries = entries.min(QUEUE_ENTRIES);
        self.free = self.entries;
    }

    /// The memory, for [`addresses`].
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// Descriptors that are free.
    pub fn free(&self) -> u16 {
        self.free
    }

    /// Makes a chain available to the device; its head. `None`: not enough free descriptors, nothing changed.
    pub fn push(&mut self, chain: &[Descriptor]) -> Option<u16> {
        if chain.is_empty() || chain.len() > usize::from(self.free) {
            return None;
        }
        let head = self.first_free;
        let mut entry = head;
        for (index, descriptor) in chain.iter().enumerate() {
            let last = index + 1 == chain.len();
            let following = self.next[usize::from(entry)];
            write(
                &mut self.memory,
                usize::from(entry) * DESCRIPTOR_BYTES,
                descriptor,
                (!last).then_some(following),
            );
            if last {
                self.first_free = following;
                self.next[usize::from(entry)] = QUEUE_ENTRIES;
            }
            entry = following;
        }
        self.free -= chain.len() as u16;
        let place = usize::from(self.available_index % self.entries);
        self.memory.store16(AVAILABLE + 4 + 2 * place, head);
        self.available_index = self.available_index.wrapping_add(1);
        self.memory.store16(AVAILABLE + 2, self.available_index);
        Some(head)
    }

    /// The next chain that the device is done with. It is not free before [`Self::release`].
    pub fn pop(&mut self) -> Result<Option<Used>, Misbehaved> {
        let index = self.memory.load16(USED + 2);
        if index == self.used_index {
            return Ok(None);
        }
        if index.wrapping_sub(self.used_index) > self.entries {
            return Err(Misbehaved);
        }
        let place = USED + 4 + 8 * usize::from(self.used_index % self.entries);
        let (head, written) = (self.memory.load32(place), self.memory.load32(place + 4));
        self.used_index = self.used_index.wrapping_add(1);
        let head = u16::try_from(head).ok().filter(|&head| head < self.entries).ok_or(Misbehaved)?;
        Ok(Some(Used { head, written }))
    }

    /// Frees the chain at a head that was pushed and not yet released.
    pub fn release(&mut self, head: u16) {
        let (mut last, mut count) = (head, 1);
        while self.next[usize::from(last)] != QUEUE_ENTRIES {
            last = self.next[usize::from(last)];
            count += 1;
        }
        self.next[usize::from(last)] = self.first_free;
        self.first_free = head;
        self.free += count;
    }

    /// Writes an operation's header (5.2.6: type, reserved, sector); the descriptor for it.
    pub fn header(&mut self, operation: usize, kind: u32, sector: u64) -> Descriptor {
        let place = HEADERS + operation * HEADER_BYTES;
        self.memory.store32(place, kind);
        self.memory.store32(place + 4, 0);
        self.memory.store64(place + 8, sector);
        Descriptor { address: address(&self.memory, place), bytes: HEADER_BYTES as u32, flags: 0 }
    }

    /// Sets an operation's status byte to a value that no device writes; the descriptor for it.
    pub fn status_place(&mut self, operation: usize) -> Descriptor {
        self.memory.store8(STATUSES + operation, u8::MAX);
        Descriptor { address: address(&self.memory, STATUSES + operation), bytes: 1, flags: WRITE }
    }

    /// An operation's status byte.
    pub fn status(&self, operation: usize) -> u8 {
        self.memory.load8(STATUSES + operation)
    }

    /// Writes an operation's own table; the descriptor for it.
    pub fn table(&mut self, operation: usize, chain: &[Descriptor]) -> Descriptor {
        let start = TABLES + operation * TABLE_BYTES;
        for (index, descriptor) in chain.iter().enumerate() {
            let next = (index + 1 < chain.len()).then_some(index as u16 + 1);
            write(&mut self.memory, start + index * DESCRIPTOR_BYTES, descriptor, next);
        }
        let bytes = (chain.len() * DESCRIPTOR_BYTES) as u32;
        Descriptor { address: address(&self.memory, start), bytes, flags: INDIRECT }
    }
}

fn write(memory: &mut impl QueueMemory, place: usize, descriptor: &Descriptor, next: Option<u16>) {
    memory.store64(place, descriptor.address);
    memory.store32(place + 8, descriptor.bytes);
    memory.store16(place + 12, descriptor.flags | if next.is_some() { NEXT } else { 0 });
    memory.store16(place + 14, next.unwrap_or(0));
}
