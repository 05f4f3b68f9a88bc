//! What may be done with memory, and what a child gets of it, with Mach's numbers.

use crate::{KernError, Result};
use bitflags::bitflags;
use containers_api::space::MapProtection;

bitflags! {
    /// `vm_prot_t`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Protection: u32 {
        /// Loads.
        const READ = 1;
        /// Stores.
        const WRITE = 2;
        /// Instruction fetches.
        const EXECUTE = 4;
    }
}

impl Protection {
    /// `VM_PROT_DEFAULT`.
    pub const DEFAULT: Protection = Protection::READ.union(Protection::WRITE);

    /// From Mach's number. Errors: `InvalidArgument`.
    pub fn from_number(number: u32) -> Result<Protection> {
        Protection::from_bits(number).ok_or(KernError::InvalidArgument)
    }

    /// What physmem is to enter; `None`: nothing is mapped. A page table cannot forbid reading what may be written or run.
    pub fn mapped(self) -> Option<MapProtection> {
        if self.is_empty() {
            return None;
        }
        let mut mapped = MapProtection::default();
        mapped.set(MapProtection::WRITE, self.contains(Protection::WRITE));
        mapped.set(MapProtection::EXECUTE, self.contains(Protection::EXECUTE));
        Some(mapped)
    }

    /// Tenure maps nothing that can be both written and run. Errors: `ProtectionFailure`.
    pub fn require_possible(self) -> Result<()> {
        match self.contains(Protection::WRITE | Protection::EXECUTE) {
            true => Err(KernError::ProtectionFailure),
            false => Ok(()),
        }
    }
}

/// `vm_inherit_t`: what a child's map gets of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Inheritance {
    /// The same memory.
    Share = 0,
    /// A copy, made copy-on-write.
    Copy = 1,
    /// Nothing.
    Nothing = 2,
}

impl Inheritance {
    /// From Mach's number. Errors: `InvalidArgument`.
    pub fn from_number(number: u32) -> Result<Inheritance> {
        match number {
            0 => Ok(Inheritance::Share),
            1 => Ok(Inheritance::Copy),
            2 => Ok(Inheritance::Nothing),
            _ => Err(KernError::InvalidArgument),
        }
    }
}

/// What an entry allows, and who gets it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attributes {
    /// What may be done now.
    pub protection: Protection,
    /// What may be allowed later.
    pub maximum: Protection,
    /// What a child gets.
    pub inheritance: Inheritance,
}

impl Attributes {
    /// Of fresh memory: read and write, anything later, copied to a child.
    pub const FRESH: Attributes = Attributes {
        protection: Protection::DEFAULT,
        maximum: Protection::all(),
        inheritance: Inheritance::Copy,
    };
}
