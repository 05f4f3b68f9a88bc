//! A machine whose writes can be cut off after any number of them: words of the region, bytes of the store, sectors
//! of the disk. After the cut everything goes on as if nothing had happened, and none of it will have happened: what
//! the cut left is kept aside, and comes back with [`Words::thaw`] and its like.

use default_pager_core::limits::{BATCH_PAGES, OPERATIONS, PAGE_BYTES, SECTOR_BYTES};
use default_pager_core::{Direction, Disk, DiskError, Pager, Region, Store, Transfer};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

/// Writes that are still made.
#[derive(Default)]
pub struct Fuse {
    left: Cell<Option<u64>>,
    /// Writes made.
    pub spent: Cell<u64>,
}

impl Fuse {
    /// Lets so many writes through; none is all of them.
    pub fn set(&self, writes: Option<u64>) {
        self.left.set(writes);
    }

    /// Whether a write was cut off, or the next one will be.
    pub fn is_blown(&self) -> bool {
        self.left.get() == Some(0)
    }

    /// A write is about to happen to `now`: beyond the cut, what was there before the first one is kept.
    fn spend<T: Clone>(&self, now: &T, kept: &mut Option<T>) {
        if self.is_blown() {
            kept.get_or_insert_with(|| now.clone());
            return;
        }
        self.left.set(self.left.get().map(|left| left - 1));
        self.spent.set(self.spent.get() + 1);
    }
}

pub struct Words {
    pub words: Vec<u64>,
    kept: Option<Vec<u64>>,
    fuse: Rc<Fuse>,
}

impl Words {
    /// Goes back to the cut.
    pub fn thaw(&mut self) {
        self.words = self.kept.take().unwrap_or(std::mem::take(&mut self.words));
    }
}

impl Region for Words {
    fn words(&self) -> usize {
        self.words.len()
    }

    fn load(&self, index: usize) -> u64 {
        self.words[index]
    }

    fn store(&mut self, index: usize, value: u64) {
        self.fuse.spend(&self.words, &mut self.kept);
        self.words[index] = value;
    }
}

pub struct Bytes {
    pub bytes: Vec<u8>,
    kept: Option<Vec<u8>>,
    fuse: Rc<Fuse>,
}

impl Bytes {
    /// Goes back to the cut.
    pub fn thaw(&mut self) {
        self.bytes = self.kept.take().unwrap_or(std::mem::take(&mut self.bytes));
    }
}

impl Store for Bytes {
    fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn slice(&self, offset: usize, bytes: usize) -> &[u8] {
        &self.bytes[offset..offset + bytes]
    }

    /// Two writes: one that is cut off between them is torn.
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let half = bytes.len() / 2;
        for (start, end) in [(0, half), (half, bytes.len())] {
            self.fuse.spend(&self.bytes, &mut self.kept);
            self.bytes[offset + start..offset + end].copy_from_slice(&bytes[start..end]);
        }
    }
}

pub struct Device {
    pub platter: Vec<u8>,
    pub buffers: Vec<Vec<u8>>,
    pub queue: Vec<Transfer>,
    kept: Option<Vec<u8>>,
    fuse: Rc<Fuse>,
    pub is_writable: bool,
    /// Sectors that cannot be read.
    pub unreadable: BTreeSet<u64>,
    /// Sectors that cannot be written.
    pub unwritable: BTreeSet<u64>,
    /// Pages of each transfer that was begun.
    pub runs: Vec<(Direction, usize)>,
}

impl Disk for Device {
    fn sectors(&self) -> u64 {
        (self.platter.len() / SECTOR_BYTES) as u64
    }

    fn is_writable(&self) -> bool {
        self.is_writable
    }

    fn buffer(&mut self, index: usize) -> &mut [u8] {
        &mut self.buffers[index]
    }

    fn submit(&mut self, transfer: Transfer) {
        assert!(transfer.pages > 0 && transfer.first_page + transfer.pages <= BATCH_PAGES);
        self.runs.push((transfer.direction, transfer.pages));
        self.queue.push(transfer);
    }
}

impl Device {
    /// Goes back to the cut.
    pub fn thaw(&mut self) {
        self.platter = self.kept.take().unwrap_or(std::mem::take(&mut self.platter));
    }

    /// Does a transfer, sector by sector, until one fails.
    pub fn perform(&mut self, transfer: Transfer) -> Result<(), DiskError> {
        let sectors = transfer.pages * PAGE_BYTES / SECTOR_BYTES;
        for index in 0..sectors {
            let sector = transfer.sector + index as u64;
            let on_disk = sector as usize * SECTOR_BYTES..(sector as usize + 1) * SECTOR_BYTES;
            let start = transfer.first_page * PAGE_BYTES + index * SECTOR_BYTES;
            let in_buffer = start..start + SECTOR_BYTES;
            let buffer = &mut self.buffers[transfer.buffer][in_buffer];
            match transfer.direction {
                Direction::Read if self.unreadable.contains(&sector) => return Err(DiskError),
                Direction::Read => buffer.copy_from_slice(&self.platter[on_disk]),
                Direction::Write if self.unwritable.contains(&sector) => return Err(DiskError),
                Direction::Write => {
                    self.fuse.spend(&self.platter, &mut self.kept);
                    self.platter[on_disk].copy_from_slice(buffer);
                }
            }
        }
        Ok(())
    }
}

pub type TestPager = Pager<Words, Bytes, Device>;

/// The parts of a machine with so many slots and blocks of the store.
pub fn parts(slots: u32, store_bytes: usize, disk_slots: u32) -> (Words, Bytes, Device, Rc<Fuse>) {
    let fuse = Rc::new(Fuse::default());
    let words = vec![0; default_pager_core::region_words(slots)];
    let device = Device {
        platter: vec![0xa5; disk_slots as usize * PAGE_BYTES],
        buffers: vec![vec![0; BATCH_PAGES * PAGE_BYTES]; OPERATIONS],
        queue: Vec::new(),
        kept: None,
        fuse: fuse.clone(),
        is_writable: true,
        unreadable: BTreeSet::new(),
        unwritable: BTreeSet::new(),
        runs: Vec::new(),
    };
    let bytes = Bytes { bytes: vec![0x5a; store_bytes], kept: None, fuse: fuse.clone() };
    (Words { words, kept: None, fuse: fuse.clone() }, bytes, device, fuse)
}
