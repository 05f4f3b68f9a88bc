//! What outlives the pager: the layout of the region, and every change to it.
//!
//! ```text
//!  word 0      format, written last: without it there is nothing
//!       1      slots
//!       2..8   keys
//!       64..   lanes: a header and 64 entries each
//!       2048.. the table: a word for each slot
//! ```
//!
//! [`Ledger::set`] is the one way in which a slot changes, and counts what there is of each kind as it does. Zones,
//! counts and cursors are not in the region: [`Ledger::open`] finds them again by reading the table once.

use crate::limits::{BATCH_PAGES, CLUSTER_SLOTS, LANES, SECTORS_PER_PAGE, SLOTS_MAX, WRITES_PER_SLOT, ZONES};
use crate::outside::{Disk, OpenError, Region};
use crate::seal::{SECRET_BYTES, Secret};
use crate::word::{State, Word};
use alloc::boxed::Box;
use alloc::vec;

/// "TenSwap1".
const FORMAT: u64 = u64::from_le_bytes(*b"TenSwap1");
const FORMAT_WORD: usize = 0;
const SLOTS_WORD: usize = 1;
const SECRET_WORD: usize = 2;
const LANES_WORD: usize = 64;
const LANE_WORDS: usize = 1 + BATCH_PAGES;
const TABLE_WORD: usize = 2048;

const _: () = assert!(SECRET_WORD + SECRET_BYTES / 8 <= LANES_WORD);
const _: () = assert!(LANES_WORD + LANES * LANE_WORDS <= TABLE_WORD);

/// Words of the region that a table of so many slots needs, with all that stands before it.
pub const fn region_words(slots: u32) -> usize {
    TABLE_WORD + slots as usize
}

/// What there is in a part of the table.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Zone {
    /// Slots that can be had.
    pub free: u32,
    /// Pages that can be written out of the compressed tier.
    pub compressed: u32,
}

/// How many slots there are of each kind.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Slots {
    /// To be had.
    pub free: u32,
    /// On the way to a page.
    pub reserved: u32,
    /// Free, and written too often under this key.
    pub worn: u32,
    /// Pages on the disk.
    pub disk: u32,
    /// Pages in the compressed tier that can be written out.
    pub compressed: u32,
    /// Pages in the compressed tier that cannot.
    pub stuck: u32,
    /// Pages that repeat a word.
    pub fill: u32,
    /// Places that cannot be written.
    pub bad: u32,
    /// Pages that were spoilt in memory.
    pub lost: u32,
}

/// The region with what is derived from it.
pub(crate) struct Ledger<R> {
    region: R,
    slots: u32,
    zone_slots: u32,
    zones: Box<[Zone]>,
    counts: Slots,
    /// Where the search for free slots goes on.
    pub cursor: u32,
    /// Where the search for pages to write out goes on.
    pub write_cursor: u32,
}

/// Whether a pager has begun with this region: then the next one recovers what is there.
pub fn is_formatted(region: &impl Region) -> bool {
    region.words() > FORMAT_WORD && region.load(FORMAT_WORD) == FORMAT
}

/// Slots that region and disk have room for.
fn room(region: &impl Region, disk: &impl Disk) -> Result<u32, OpenError> {
    let in_table = region.words().checked_sub(TABLE_WORD).filter(|slots| *slots > 0);
    let in_table = in_table.ok_or(OpenError::RegionTooSmall { words: region_words(1) })? as u64;
    let on_disk = match disk.sectors() {
        0 => in_table,
        sectors if sectors < SECTORS_PER_PAGE => return Err(OpenError::DiskTooSmall { sectors }),
        sectors => sectors / SECTORS_PER_PAGE,
    };
    Ok(in_table.min(on_disk).min(u64::from(SLOTS_MAX)) as u32)
}

impl<R: Region> Ledger<R> {
    /// Makes an empty table under new keys. Cut off anywhere, it leaves a region that is not formatted.
    pub fn format(mut region: R, disk: &impl Disk, secret: &Secret) -> Result<Ledger<R>, OpenError> {
        let slots = room(&region, disk)?;
        region.store(FORMAT_WORD, 0);
        for word in SLOTS_WORD..region_words(slots) {
            region.store(word, 0);
        }
        region.store(SLOTS_WORD, u64::from(slots));
        for (index, bytes) in secret.0.as_chunks::<8>().0.iter().enumerate() {
            region.store(SECRET_WORD + index, u64::from_le_bytes(*bytes));
        }
        region.store(FORMAT_WORD, FORMAT);
        Ledger::open(region, disk)
    }

    /// Finds what is there, and counts it.
    pub fn open(region: R, disk: &impl Disk) -> Result<Ledger<R>, OpenError> {
        let room = u64::from(room(&region, disk)?);
        if region.load(FORMAT_WORD) != FORMAT {
            return Err(OpenError::NotFormatted);
        }
        let slots = region.load(SLOTS_WORD);
        if slots == 0 || slots > room {
            return Err(OpenError::Shrunk { slots, room });
        }
        let slots = slots as u32;
        let zone_slots = slots.div_ceil(ZONES).next_multiple_of(CLUSTER_SLOTS);
        let zones = vec![Zone::default(); slots.div_ceil(zone_slots) as usize].into_boxed_slice();
        let counts = Slots::default();
        let mut ledger = Ledger { region, slots, zone_slots, zones, counts, cursor: 0, write_cursor: 0 };
        for slot in 0..slots {
            let word = ledger.word(slot);
            ledger.count(slot, word, true);
        }
        Ok(ledger)
    }

    /// The region alone.
    pub fn into_region(self) -> R {
        self.region
    }

    /// The keys.
    pub fn secret(&self) -> Secret {
        let mut secret = Secret([0; SECRET_BYTES]);
        for (index, bytes) in secret.0.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            *bytes = self.region.load(SECRET_WORD + index).to_le_bytes();
        }
        secret
    }

    /// Slots there are.
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// How many there are of each kind.
    pub fn counts(&self) -> Slots {
        self.counts
    }

    /// The zone of a slot, and the first slot behind it.
    pub fn zone(&self, slot: u32) -> (Zone, u32) {
        let zone = slot / self.zone_slots;
        (self.zones[zone as usize], ((zone + 1) * self.zone_slots).min(self.slots))
    }

    /// What a slot is. The slot must be below [`Ledger::slots`].
    pub fn word(&self, slot: u32) -> Word {
        Word::decode(self.region.load(TABLE_WORD + slot as usize))
    }

    /// Changes a slot: one store.
    pub fn set(&mut self, slot: u32, word: Word) {
        let old = self.word(slot);
        self.region.store(TABLE_WORD + slot as usize, word.encode());
        self.count(slot, old, false);
        self.count(slot, word, true);
    }

    fn count(&mut self, slot: u32, word: Word, more: bool) {
        let zone = &mut self.zones[(slot / self.zone_slots) as usize];
        let counts = &mut self.counts;
        let (kind, in_zone) = match word.state {
            State::Free { reserved: true } => (&mut counts.reserved, None),
            State::Free { .. } if word.count == WRITES_PER_SLOT => (&mut counts.worn, None),
            State::Free { .. } => (&mut counts.free, Some(&mut zone.free)),
            State::Disk { .. } => (&mut counts.disk, None),
            State::Compressed(_) => (&mut counts.compressed, Some(&mut zone.compressed)),
            State::Stuck(_) => (&mut counts.stuck, None),
            State::Fill(_) | State::StoredFill(_) => (&mut counts.fill, None),
            State::Bad => (&mut counts.bad, None),
            State::Lost => (&mut counts.lost, None),
        };
        for number in [Some(kind), in_zone].into_iter().flatten() {
            *number = if more { *number + 1 } else { *number - 1 };
        }
    }

    /// The header of a lane.
    pub fn lane(&self, lane: usize) -> u64 {
        self.region.load(LANES_WORD + lane * LANE_WORDS)
    }

    /// Changes the header of a lane.
    pub fn set_lane(&mut self, lane: usize, header: u64) {
        self.region.store(LANES_WORD + lane * LANE_WORDS, header);
    }

    /// An entry of a lane.
    pub fn lane_entry(&self, lane: usize, index: usize) -> u64 {
        self.region.load(LANES_WORD + lane * LANE_WORDS + 1 + index)
    }

    /// Changes an entry of a lane.
    pub fn set_lane_entry(&mut self, lane: usize, index: usize, entry: u64) {
        self.region.store(LANES_WORD + lane * LANE_WORDS + 1 + index, entry);
    }
}
