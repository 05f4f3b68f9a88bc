//! What the pager tells about itself: what there is, and what has happened since it began.

use crate::ledger::Slots;
use crate::limits::PAGE_BYTES;
use crate::outside::{Direction, Disk, Region, Store};
use crate::pager::Pager;
use crate::seal::{CipherBackend, cipher_backend};

/// Numbers that only grow, since the pager began. Rates are differences of two looks.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counters {
    /// Pages that were asked to be put out, and got a slot.
    pub pages_out: u64,
    /// Of these, such as repeat a word.
    pub filled: u64,
    /// Of these, such as went into the compressed tier.
    pub compressed: u64,
    /// Of these, such as went straight to the disk.
    pub direct: u64,
    /// Pages that would not have become much smaller.
    pub incompressible: u64,
    /// Pages that left the compressed tier for the disk.
    pub written_out: u64,
    /// Clusters of them.
    pub clusters_written_out: u64,
    /// Pages brought from their word.
    pub in_from_word: u64,
    /// Pages brought from the compressed tier.
    pub in_from_tier: u64,
    /// Pages brought from the disk.
    pub in_from_disk: u64,
    /// Names given back.
    pub freed: u64,
    /// Reads of the disk, and their pages.
    pub reads: u64,
    /// Pages that they were to bring.
    pub pages_read: u64,
    /// Writes to the disk.
    pub writes: u64,
    /// Pages that they were to take.
    pub pages_written: u64,
    /// Transfers that failed.
    pub transfer_errors: u64,
    /// Ends of transfers that were never begun.
    pub unknown_transfers: u64,
    /// Pages refused for want of a slot.
    pub refused_full: u64,
    /// Pages refused for want of a disk, or by it.
    pub refused_unwritable: u64,
    /// Pages that the disk could not read.
    pub unreadable: u64,
    /// Accesses to pages that were not what was put there.
    pub corrupt: u64,
    /// Pages of the compressed tier found spoilt outside an access.
    pub spoilt: u64,
    /// Names that were nobody's.
    pub stale: u64,
    /// Page-outs answered a second time.
    pub replayed: u64,
    /// Page-outs undone at the beginning.
    pub undone: u32,
}

impl Counters {
    pub(crate) fn transferred(&mut self, direction: Direction, pages: usize) {
        match direction {
            Direction::Read => {
                self.reads += 1;
                self.pages_read += pages as u64;
            }
            Direction::Write => {
                self.writes += 1;
                self.pages_written += pages as u64;
            }
        }
    }
}

/// A look at the pager.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Statistics {
    /// Slots there are.
    pub slots_total: u32,
    /// What they are.
    pub slots: Slots,
    /// Bytes that the compressed tier could have.
    pub tier_capacity_bytes: u64,
    /// Bytes beyond which it is written out.
    pub tier_limit_bytes: u64,
    /// Bytes that it has, rounded up to places.
    pub tier_used_bytes: u64,
    /// Transfers that the disk has.
    pub transfers_in_flight: usize,
    /// Whether the disk takes pages.
    pub disk_is_writable: bool,
    /// Which code the cipher runs on.
    pub cipher: CipherBackend,
    /// What has happened.
    pub counters: Counters,
}

impl Statistics {
    /// Bytes that the compressed tier has for each 1000 bytes of the pages in it; none if it is empty.
    pub fn tier_permille(&self) -> Option<u64> {
        let pages = u64::from(self.slots.compressed + self.slots.stuck);
        (self.tier_used_bytes * 1000).checked_div(pages * PAGE_BYTES as u64)
    }
}

impl<R: Region, S: Store, D: Disk> Pager<R, S, D> {
    /// Looks at the pager.
    pub fn statistics(&self) -> Statistics {
        Statistics {
            slots_total: self.ledger.slots(),
            slots: self.ledger.counts(),
            tier_capacity_bytes: self.tier.capacity(),
            tier_limit_bytes: self.tier_limit,
            tier_used_bytes: self.tier.used_bytes(),
            transfers_in_flight: self.operations.in_flight(),
            disk_is_writable: self.can_write(),
            cipher: cipher_backend(),
            counters: self.counters,
        }
    }
}
