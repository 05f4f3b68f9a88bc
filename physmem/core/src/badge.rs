//! Badges: what a capability to physmem's endpoint names. Chosen by physmem, carried by the kernel, so nobody can
//! forge one; what can happen is that the object is gone, which the generation in the name tells.
//!
//! Kind 3 bits, rights 8, name of the record 53 (frame 25, slot 5, generation 23).

use containers_core::record::NAME_BITS;

/// What a badge names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum BadgeKind {
    /// A contract.
    Contract = 1,
    /// A container; the rights are [`containers_api::ContainerRights`].
    Container = 2,
    /// A grant; the same.
    Grant = 3,
    /// A lock that was passed on.
    Lock = 4,
    /// An address space.
    Space = 5,
    /// All of physmem; the rights are [`containers_api::control::ControlRights`].
    Control = 6,
    /// The authority to be told physical addresses; names the contract that answers for the frames, the rights are
    /// the device's number.
    Dma = 7,
}

/// A badge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Badge(pub u64);

impl Badge {
    /// A badge for a record, given by its name as a word.
    pub const fn new(kind: BadgeKind, rights: u8, name: u64) -> Badge {
        Badge((kind as u64) << 61 | (rights as u64) << NAME_BITS | name)
    }

    /// What kind it names; `None`: no badge of ours.
    pub const fn kind(self) -> Option<BadgeKind> {
        Some(match self.0 >> 61 {
            1 => BadgeKind::Contract,
            2 => BadgeKind::Container,
            3 => BadgeKind::Grant,
            4 => BadgeKind::Lock,
            5 => BadgeKind::Space,
            6 => BadgeKind::Control,
            7 => BadgeKind::Dma,
            _ => return None,
        })
    }

    /// The rights.
    pub const fn rights(self) -> u8 {
        (self.0 >> NAME_BITS) as u8
    }

    /// The record's name as a word.
    pub const fn name(self) -> u64 {
        self.0 & ((1 << NAME_BITS) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_badge_keeps_its_parts() {
        let name = (1 << NAME_BITS) - 1;
        let badge = Badge::new(BadgeKind::Dma, 0xff, name);
        assert_eq!((badge.kind(), badge.rights(), badge.name()), (Some(BadgeKind::Dma), 0xff, name));
        assert_eq!(Badge(0).kind(), None);
    }
}
