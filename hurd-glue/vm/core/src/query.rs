//! Calls that change nothing: `vm_region`, `vm_statistics`, `vm_msync`, `vm_object_sync`.

use crate::attributes::Attributes;
use crate::memory::Memory;
use crate::objects::ObjectId;
use crate::range::{count, pages_of};
use crate::{KernError, MapId, PAGE_BYTES, Result, Vm};
use bitflags::bitflags;
use core::ops::Range;

/// A region, as `vm_region` tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Region {
    /// Addresses.
    pub range: Range<u64>,
    /// What is allowed, and inherited.
    pub attributes: Attributes,
    /// Whether somebody else may change it.
    pub is_shared: bool,
    /// Regions with the same one are memory of the same object.
    pub object: ObjectId,
    /// Where in the object it begins, in bytes.
    pub offset: u64,
}

/// What `vm_statistics` can tell a task: about its own contract, in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Pages that the contract is still guaranteed.
    pub free: u64,
    /// Pages that have a frame.
    pub active: u64,
    /// Pages that the map has wired.
    pub wired: u64,
}

bitflags! {
    /// `vm_sync_t`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Sync: u32 {
        /// Begin, do not wait.
        const ASYNCHRONOUS = 1;
        /// Wait until it is done.
        const SYNCHRONOUS = 2;
        /// Forget what is cached.
        const INVALIDATE = 4;
    }
}

impl<M: Memory> Vm<M> {
    /// `vm_region`: the region that an address lies in, or the next one. Errors: `NoSpace` (there is none).
    pub fn region(&self, map: MapId, address: u64) -> Result<Region> {
        let entry = self.map(map)?.entries.at_or_after(address).ok_or(KernError::NoSpace)?;
        Ok(Region {
            range: entry.range.clone(),
            attributes: entry.attributes,
            is_shared: entry.is_shared,
            object: entry.object,
            offset: entry.page * PAGE_BYTES,
        })
    }

    /// `vm_statistics`. Errors: physmem's.
    pub fn statistics(&mut self, map: MapId) -> Result<Statistics> {
        let this = self.map(map)?;
        let contract = this.contract;
        let wired = this.entries.iter().filter(|entry| entry.wired > 0);
        let wired = wired.map(|entry| count(&entry.range)).sum();
        let frames = self.memory.frames(contract)?;
        Ok(Statistics { free: frames.free, active: frames.present, wired })
    }

    /// `vm_msync`: contents go to where they are kept. No container here has a pager, so they are there already; what is left is
    /// to check. Errors: `InvalidAddress` (a hole), `InvalidArgument` (flags that contradict, or unknown ones; it wraps).
    pub fn synchronise(&mut self, map: MapId, address: u64, size: u64, flags: u32) -> Result<()> {
        let flags = Sync::from_bits(flags).ok_or(KernError::InvalidArgument)?;
        if flags.contains(Sync::ASYNCHRONOUS | Sync::SYNCHRONOUS) {
            return Err(KernError::InvalidArgument);
        }
        let Some(range) = self.pages_in(map, address, size)? else { return Ok(()) };
        self.map(map)?.entries.covering(&range).map(drop)
    }

    /// `vm_object_sync`: the same for a part of an object. Errors: `InvalidArgument` (no
    /// container, or the range wraps).
    pub fn synchronise_object(&mut self, object: M::Container, offset: u64, size: u64) -> Result<()> {
        pages_of(offset, size)?;
        // There is nobody whom its pages could be sent to.
        self.memory.size(object)?;
        Ok(())
    }
}
