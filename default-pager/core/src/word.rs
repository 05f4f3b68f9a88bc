//! The word of a slot: all that the pager remembers of a page that is out.
//!
//! ```text
//!   63                              23 22              3 2     0
//!  +----------------------------------+-----------------+-------+
//!  | payload                          | write count     | state |
//!  +----------------------------------+-----------------+-------+
//!   disk:        41 bits of the tag
//!   compressed:  22 bits place in the tier, 19 bits of the tag
//!   fill:        the repeated word, where 41 bits can say it
//! ```
//!
//! One word is changed by one store, so a slot's change is whole or absent, and no page costs more than these eight
//! bytes. The write count says which tenant of the slot is meant: its low 16 bits are the version in the name, all
//! of it goes into nonce and tag, and it never comes back under one key.

use crate::limits::{GRANULE_BYTES, TIER_BYTES_MAX, WRITES_PER_SLOT};

const STATE_BITS: u32 = 3;
const COUNT_BITS: u32 = 20;
const PLACE_BITS: u32 = 22;
const PAYLOAD_SHIFT: u32 = STATE_BITS + COUNT_BITS;
/// Bits of a payload.
const PAYLOAD_BITS: u32 = 64 - PAYLOAD_SHIFT;

const _: () = assert!(WRITES_PER_SLOT == (1 << COUNT_BITS) - 1);
const _: () = assert!(TIER_BYTES_MAX / GRANULE_BYTES == 1 << PLACE_BITS);

/// Bits of the tag that are kept of a page on the disk.
pub const DISK_TAG_BITS: u32 = PAYLOAD_BITS;

/// Bits of the tag that are kept of a page in the compressed tier.
pub const TIER_TAG_BITS: u32 = PAYLOAD_BITS - PLACE_BITS;

/// Where in the compressed tier a page is, and the tag of what is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Object {
    /// First granule.
    pub place: u32,
    /// Tag, [`TIER_TAG_BITS`] of it.
    pub tag: u64,
}

/// What became of a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Nobody's. A slot that is reserved is being written, and still nobody's after a crash.
    Free {
        /// An operation is about to use it, or has it with the disk.
        reserved: bool,
    },
    /// The page is on the disk, at the slot's own place.
    Disk {
        /// Tag, [`DISK_TAG_BITS`] of it.
        tag: u64,
    },
    /// The page is in the compressed tier.
    Compressed(Object),
    /// The same, and its place on the disk could not be written: it stays.
    Stuck(Object),
    /// The page repeats this word.
    Fill(u64),
    /// The page repeats a word that lies in the compressed tier, and never goes to the disk.
    StoredFill(Object),
    /// The place on the disk cannot be written. Never used again.
    Bad,
    /// The page was in the compressed tier, and is spoilt. Its holders are told so when they need it.
    Lost,
}

/// A slot's word, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Word {
    /// Tenants that the slot has had.
    pub count: u32,
    /// What became of it.
    pub state: State,
}

impl Word {
    /// The version of the present tenant.
    pub fn version(self) -> u16 {
        self.count as u16
    }

    /// Takes a word apart. Every word means something: what no store of ours left is found out by its tag.
    pub fn decode(bits: u64) -> Word {
        let payload = bits >> PAYLOAD_SHIFT;
        let object = Object { place: payload as u32 & ((1 << PLACE_BITS) - 1), tag: payload >> PLACE_BITS };
        let state = match bits & ((1 << STATE_BITS) - 1) {
            0 => State::Free { reserved: payload != 0 },
            1 => State::Disk { tag: payload },
            2 => State::Compressed(object),
            3 => State::Stuck(object),
            4 => State::Fill(expand(payload)),
            5 => State::StoredFill(object),
            6 => State::Bad,
            _ => State::Lost,
        };
        Word { count: (bits >> STATE_BITS) as u32 & WRITES_PER_SLOT, state }
    }

    /// Puts a word together.
    pub fn encode(self) -> u64 {
        let packed = |object: Object| {
            debug_assert!(object.place < 1 << PLACE_BITS && object.tag < 1 << TIER_TAG_BITS);
            u64::from(object.place) | object.tag << PLACE_BITS
        };
        let (state, payload) = match self.state {
            State::Free { reserved } => (0, u64::from(reserved)),
            State::Disk { tag } => (1, tag),
            State::Compressed(object) => (2, packed(object)),
            State::Stuck(object) => (3, packed(object)),
            State::Fill(word) => (4, contract(word).unwrap_or_default()),
            State::StoredFill(object) => (5, packed(object)),
            State::Bad => (6, 0),
            State::Lost => (7, 0),
        };
        debug_assert!(self.count <= WRITES_PER_SLOT && payload < 1 << PAYLOAD_BITS);
        state | u64::from(self.count) << STATE_BITS | payload << PAYLOAD_SHIFT
    }
}

/// Whether a slot's word can hold a repeated word itself.
pub fn fits(word: u64) -> bool {
    contract(word).is_some()
}

/// A repeated word in 41 bits: lowest bit 0 and the rest a number with a sign, or lowest bit 1 and the rest the half
/// that repeats.
fn contract(word: u64) -> Option<u64> {
    let half = word as u32;
    if (word >> 32) as u32 == half {
        return Some(u64::from(half) << 1 | 1);
    }
    let unused = 64 - (PAYLOAD_BITS - 1);
    let signed = (word as i64) << unused >> unused;
    (signed as u64 == word).then_some((word << 1) & ((1 << PAYLOAD_BITS) - 1))
}

fn expand(payload: u64) -> u64 {
    let rest = payload >> 1;
    if payload & 1 == 1 {
        let half = rest & 0xffff_ffff;
        return half << 32 | half;
    }
    let unused = 64 - (PAYLOAD_BITS - 1);
    ((rest << unused) as i64 >> unused) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(state: State) {
        for count in [0, 1, 0x1_0000, WRITES_PER_SLOT] {
            let word = Word { count, state };
            assert_eq!(Word::decode(word.encode()), word);
        }
    }

    #[test]
    fn every_state_survives_being_packed() {
        let object = Object { place: (1 << PLACE_BITS) - 1, tag: (1 << TIER_TAG_BITS) - 1 };
        for state in [
            State::Free { reserved: false },
            State::Free { reserved: true },
            State::Disk { tag: (1 << DISK_TAG_BITS) - 1 },
            State::Compressed(object),
            State::Stuck(object),
            State::StoredFill(object),
            State::Bad,
            State::Lost,
        ] {
            there_and_back(state);
        }
    }

    #[test]
    fn a_zeroed_table_is_a_table_of_free_slots() {
        assert_eq!(Word::decode(0), Word { count: 0, state: State::Free { reserved: false } });
    }

    #[test]
    fn common_repeated_words_fit_and_others_are_told_apart() {
        for word in [0, 1, u64::MAX, 0xffff_ff80_0000_0000, 0x7f_ffff_ffff, 0xdead_beef_dead_beef] {
            assert!(fits(word), "{word:#x}");
            there_and_back(State::Fill(word));
        }
        for word in [0x80_0000_0000, 0x0123_4567_89ab_cdef, 0xffff_ff7f_ffff_ffff] {
            assert!(!fits(word), "{word:#x}");
        }
    }
}
