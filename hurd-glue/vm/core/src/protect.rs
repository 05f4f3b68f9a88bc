//! `vm_protect` and `vm_inherit`: what may be done with regions.

use crate::attributes::{Attributes, Inheritance, Protection};
use crate::entries::Entry;
use crate::memory::Memory;
use crate::range::pages_of;
use crate::{KernError, MapId, Result, Vm};
use alloc::vec::Vec;
use core::ops::Range;

impl<M: Memory> Vm<M> {
    /// `vm_protect`: the current protection, or with `set_maximum` the maximum, which the current one then keeps within. Errors:
    /// `InvalidAddress` (a hole), `ProtectionFailure` (beyond the maximum, or writable and executable), `InvalidArgument` (it wraps),
    /// `ResourceShortage`. Nothing is changed but by a shortage in the middle.
    pub fn protect(
        &mut self,
        map: MapId,
        address: u64,
        size: u64,
        set_maximum: bool,
        protection: Protection,
    ) -> Result<()> {
        let Some(range) = self.pages_in(map, address, size)? else { return Ok(()) };
        let parts = self.map(map)?.entries.covering(&range)?;
        if !parts.iter().all(|part| part.attributes.maximum.contains(protection)) {
            return Err(KernError::ProtectionFailure);
        }
        if !set_maximum {
            protection.require_possible()?;
        }
        for part in parts {
            let old = part.attributes;
            let attributes = match set_maximum {
                true => Attributes { maximum: protection, protection: old.protection & protection, ..old },
                false => Attributes { protection, ..old },
            };
            self.change(map, part, attributes)?;
        }
        Ok(())
    }

    /// Gives a part of the map other attributes.
    fn change(&mut self, map: MapId, old: Entry, attributes: Attributes) -> Result<()> {
        let space = self.map(map)?.space;
        let new = Entry { attributes, ..old };
        match (old.attributes.protection.mapped(), attributes.protection.mapped()) {
            (before, after) if before == after => {}
            (_, None) => self.memory.unmap(space, new.range.clone())?,
            (None, Some(_)) => self.enter(map, &new)?,
            (Some(_), Some(after)) => self.memory.protect(space, new.range.clone(), after)?,
        }
        self.map_mut(map)?.entries.replace(new);
        Ok(())
    }

    /// `vm_inherit`: what a child's map will get. Errors: `InvalidAddress` (a hole), `InvalidArgument` (it wraps).
    pub fn inherit(&mut self, map: MapId, address: u64, size: u64, inheritance: Inheritance) -> Result<()> {
        let Some(range) = self.pages_in(map, address, size)? else { return Ok(()) };
        let entries = &mut self.map_mut(map)?.entries;
        for part in entries.covering(&range)? {
            let attributes = Attributes { inheritance, ..part.attributes };
            entries.replace(Entry { attributes, ..part });
        }
        Ok(())
    }

    /// The pages of a range; `None`: its size is 0. Errors: `InvalidArgument` (no such map, or it wraps).
    pub(crate) fn pages_in(&self, map: MapId, address: u64, size: u64) -> Result<Option<Range<u64>>> {
        self.map(map)?;
        if size == 0 { Ok(None) } else { pages_of(address, size).map(Some) }
    }

    /// The parts of entries that a range covers, all of which must allow something. Errors: `InvalidAddress`, `ProtectionFailure`.
    pub(crate) fn allowing(
        &self,
        map: MapId,
        range: &Range<u64>,
        protection: Protection,
    ) -> Result<Vec<Entry>> {
        let parts = self.map(map)?.entries.covering(range)?;
        match parts.iter().all(|part| part.attributes.protection.contains(protection)) {
            true => Ok(parts),
            false => Err(KernError::ProtectionFailure),
        }
    }
}
