//! From the compressed tier to the disk, a cluster at a time.
//!
//! The cursor goes through the slots in their order, which is about the order in which they were filled: what was
//! put out long ago goes first, and neighbours go in one write. A page stays in the tier, and can be read and freed,
//! until the disk has it; then one store to its word moves it.

use crate::limits::{CLUSTER_SLOTS, WRITE_OUTS, ZONES};
use crate::operation::{Purpose, indices};
use crate::outside::{Disk, Region, Store};
use crate::pager::{Pager, Progress};
use crate::word::{DISK_TAG_BITS, Object, State, Word};

impl<R: Region, S: Store, D: Disk> Pager<R, S, D> {
    /// Writes everything out of the compressed tier that can be. Under way, an event tells the end.
    pub fn flush(&mut self) -> Progress {
        self.flushing = true;
        self.balance();
        if core::mem::take(&mut self.flushed) { Progress::Done } else { Progress::UnderWay }
    }

    /// Writes out while the tier is larger than it may be.
    pub(crate) fn balance(&mut self) {
        while self.can_write() && (self.flushing || self.tier.used_bytes() > self.tier_limit) {
            if self.write_outs() == WRITE_OUTS || !self.write_out_next() {
                break;
            }
        }
        let nothing_left = self.ledger.counts().compressed == 0 || !self.can_write();
        if self.flushing && self.write_outs() == 0 && nothing_left {
            self.flushing = false;
            self.flushed = true;
        }
    }

    fn write_outs(&self) -> usize {
        self.operations.count(|purpose| *purpose == Purpose::WriteOut)
    }

    /// Sends the next cluster. False if there is none, or no operation is idle.
    fn write_out_next(&mut self) -> bool {
        let Some(index) = self.operations.idle() else { return false };
        let Some(first) = self.next_cluster() else { return false };
        let end = (first + CLUSTER_SLOTS).min(self.ledger.slots());
        self.ledger.write_cursor = end % self.ledger.slots();
        self.operations.get(index).begin(Purpose::WriteOut, 0);
        for slot in first..end {
            let word = self.ledger.word(slot);
            if let State::Compressed(object) = word.state {
                self.unpack(index, slot, word, object);
            }
        }
        self.counters.clusters_written_out += 1;
        self.pump();
        self.settle(index);
        true
    }

    /// The next cluster with a page to write out that is not being written out.
    fn next_cluster(&self) -> Option<u32> {
        let slots = self.ledger.slots();
        let mut cluster = self.ledger.write_cursor / CLUSTER_SLOTS * CLUSTER_SLOTS;
        let (mut zones, mut passed) = (0, 0);
        while self.ledger.counts().compressed > 0 && zones <= ZONES && passed < slots + CLUSTER_SLOTS {
            let (zone, zone_end) = self.ledger.zone(cluster);
            if zone.compressed == 0 {
                zones += 1;
                cluster = zone_end;
            } else {
                let end = (cluster + CLUSTER_SLOTS).min(slots);
                let has_some =
                    (cluster..end).any(|slot| matches!(self.ledger.word(slot).state, State::Compressed(_)));
                if has_some && !self.is_cluster_busy(cluster) {
                    return Some(cluster);
                }
                passed += CLUSTER_SLOTS;
                cluster = end;
            }
            if cluster >= slots {
                cluster = 0;
            }
        }
        None
    }

    /// Whether the cluster of a slot is on its way to the disk.
    fn is_cluster_busy(&self, slot: u32) -> bool {
        let mut writing = self.operations.iter().filter(|(_, one)| one.purpose == Purpose::WriteOut);
        writing.any(|(_, one)| one.pages > 0 && one.slots[0] / CLUSTER_SLOTS == slot / CLUSTER_SLOTS)
    }

    /// Whether a page of the tier is on its way to the disk.
    pub(crate) fn is_being_written_out(&self, slot: u32) -> bool {
        let mut writing = self.operations.iter().filter(|(_, one)| one.purpose == Purpose::WriteOut);
        writing.any(|(_, one)| {
            let same_cluster = one.pages > 0 && one.slots[0] / CLUSTER_SLOTS == slot / CLUSTER_SLOTS;
            same_cluster && one.slots[..one.pages].contains(&slot)
        })
    }

    /// Puts a page of the tier into the buffer, for the disk.
    fn unpack(&mut self, index: usize, slot: u32, word: Word, object: Object) {
        let page = self.operations.get(index).pages;
        let mut bytes = [0; crate::limits::PAGE_BYTES];
        if !self.restore(slot, word, object, false, &mut bytes) {
            self.ledger.set(slot, Word { state: State::Lost, ..word });
            self.drop_object(object.place);
            self.counters.spoilt += 1;
            return;
        }
        let operation = self.operations.get(index);
        operation.pages += 1;
        (operation.slots[page], operation.counts[page]) = (slot, word.count);
        operation.tags[page] = self.seal.tag(slot, word.count, &bytes, DISK_TAG_BITS);
        operation.todo |= 1 << page;
        let buffer = Self::buffer_page(&mut self.disk, index, page);
        buffer.copy_from_slice(&bytes);
        self.seal.crypt(slot, word.count, buffer);
    }

    /// The disk is done with a cluster: pages that it took leave the tier, slots that were freed in the meantime are
    /// free. A page that it did not take stays, and is not tried again under this pager: its name says where it
    /// would go.
    pub(crate) fn finish_write_out(&mut self, index: usize) {
        let operation = self.operations.get(index);
        let (done, failed) = (operation.done, operation.failed);
        operation.purpose = Purpose::Idle;
        for page in indices(done | failed) {
            let operation = self.operations.get(index);
            let (slot, count, tag) = (operation.slots[page], operation.counts[page], operation.tags[page]);
            let taken = done >> page & 1 == 1;
            let word = self.ledger.word(slot);
            debug_assert_eq!(word.count, count, "a slot on its way to the disk has another tenant");
            match word.state {
                State::Compressed(object) if taken => {
                    self.ledger.set(slot, Word { count, state: State::Disk { tag } });
                    self.drop_object(object.place);
                    self.counters.written_out += 1;
                }
                State::Compressed(object) => {
                    self.ledger.set(slot, Word { count, state: State::Stuck(object) });
                }
                State::Free { reserved: true } => self.ledger.release(slot),
                _ => {}
            }
        }
    }
}
