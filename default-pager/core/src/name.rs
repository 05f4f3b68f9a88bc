//! What a page is called while it is out.

use crate::limits::PAGE_BYTES;

/// The bytes of a page.
pub type Page = [u8; PAGE_BYTES];

/// The name of a page that is out: a slot, and which of its tenants. 48 bits.
///
/// Holders of a copy-on-write page share one name; who holds the page-to-slot map counts them, and frees the name
/// once, with the last. A name that was freed is refused as stale until its version comes round after 65 536
/// tenants.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SlotName(u64);

impl SlotName {
    /// Bits that a name takes.
    pub const BITS: u32 = 48;

    /// The name of a tenant of a slot.
    pub const fn new(slot: u32, version: u16) -> SlotName {
        SlotName(slot as u64 | (version as u64) << 32)
    }

    /// A name from its bits; none if there are more than 48.
    pub const fn from_bits(bits: u64) -> Option<SlotName> {
        if bits >> Self::BITS == 0 { Some(SlotName(bits)) } else { None }
    }

    /// The bits of the name.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Which slot.
    pub const fn slot(self) -> u32 {
        self.0 as u32
    }

    /// Which of its tenants.
    pub const fn version(self) -> u16 {
        (self.0 >> 32) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::SlotName;

    #[test]
    fn a_name_is_its_48_bits_and_no_more() {
        let name = SlotName::new(0x89ab_cdef, 0x4567);
        assert_eq!(name.bits(), 0x4567_89ab_cdef);
        assert_eq!((name.slot(), name.version()), (0x89ab_cdef, 0x4567));
        assert_eq!(SlotName::from_bits(name.bits()), Some(name));
        assert_eq!(SlotName::from_bits(1 << 48), None);
    }
}
