//! `vm_wire`: pages that are there and stay.
//!
//! physmem spares containers that are *vital*, whole, within their contract's guarantee. An arena is far too large for that; so pages that are wired
//! move, with their frames, into a container of their own, at most [`WIRE_PAGES`] together. Nobody may touch them while that happens: a
//! thread that does ends, as it would at a hole. Wired pages are spared until the last of those that were wired together is unwired.

use crate::attributes::Protection;
use crate::entries::Entry;
use crate::memory::{Memory, Outcome};
use crate::objects::{Kind, ObjectId};
use crate::range::count;
use crate::{KernError, MapId, PAGE_BYTES, Result, Vm, WIRE_PAGES};
use core::ops::Range;

impl<M: Memory> Vm<M> {
    /// `vm_wire`: wires the pages of a range for some access, or with none unwires them once. Mach's `host_priv` has no counterpart: what
    /// may be wired is what the contract is guaranteed. Errors: `InvalidAddress` (a hole), `ProtectionFailure` (that access is not allowed),
    /// `InvalidArgument` (it wraps; unwiring what is not wired), `Failure` (shared memory, and what is somebody's object),
    /// `ResourceShortage` (beyond the guarantee). After an error nothing is wired that was not.
    pub fn wire(&mut self, map: MapId, address: u64, size: u64, access: Protection) -> Result<()> {
        let Some(range) = self.pages_in(map, address, size)? else { return Ok(()) };
        if access.is_empty() {
            return self.unwire(map, &range);
        }
        let parts = self.allowing(map, &range, access)?;
        let cannot = |part: &Entry| part.wired == 0 && self.cannot_move(part);
        if parts.iter().any(cannot) {
            return Err(KernError::Failure);
        }
        if parts.iter().any(|part| part.wired == u16::MAX) {
            return Err(KernError::ResourceShortage);
        }
        for part in parts {
            let start = part.range.start;
            if let Err(error) = self.wire_part(map, part) {
                if start > range.start {
                    self.unwire(map, &(range.start..start))?;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn cannot_move(&self, part: &Entry) -> bool {
        let kind = self.objects.get(part.object).kind;
        kind == Kind::Foreign || self.objects.is_shared(part.object, &part.pages())
    }

    /// Wires a part of an entry once more, whole or not at all.
    fn wire_part(&mut self, map: MapId, part: Entry) -> Result<()> {
        if part.wired > 0 || self.objects.get(part.object).kind == Kind::Wired {
            if part.wired == 0 {
                self.memory.set_vital(self.objects.get(part.object).container, true)?;
            }
            let wired = part.wired + 1;
            self.map_mut(map)?.entries.replace(Entry { wired, ..part });
            return Ok(());
        }
        let mut start = part.range.start;
        while start < part.range.end {
            let end = part.range.end.min(start.saturating_add(WIRE_PAGES * PAGE_BYTES));
            if let Err(error) = self.wire_together(map, &part.within(&(start..end))) {
                if start > part.range.start {
                    self.unwire(map, &(part.range.start..start))?;
                }
                return Err(error);
            }
            start = end;
        }
        Ok(())
    }

    /// Moves some pages of an arena to a vital container of their own.
    fn wire_together(&mut self, map: MapId, part: &Entry) -> Result<()> {
        let pages = count(&part.range);
        let (space, contract) = (self.map(map)?.space, self.map(map)?.contract);
        let container = self.memory.create(contract, pages)?;
        let object = self.objects.add(container, Kind::Wired, pages);
        let wired = Entry { object, page: 0, wired: 1, ..part.clone() };
        let vital = self.memory.set_vital(container, true);
        if let Err(error) = vital.and_then(|()| self.memory.unmap(space, part.range.clone())) {
            self.objects.retire(&mut self.memory, object);
            return Err(error.into());
        }
        if let Err(error) = self.settle(map, part, &wired) {
            self.objects.retire(&mut self.memory, object);
            if self.enter(map, part).is_err() {
                // It was mapped a moment ago, and physmem has no record for that any more: the memory is lost to the caller.
                self.drop_entries(map, &part.range)?;
            }
            return Err(error.into());
        }
        self.objects.name(object, &wired.pages());
        self.map_mut(map)?.entries.replace(wired);
        self.forget(map, part.object, &part.pages())
    }

    /// Has the frames change containers, fills the holes, maps the new container. After an error the frames are where they were.
    fn settle(&mut self, map: MapId, part: &Entry, wired: &Entry) -> Outcome {
        let source = (self.objects.get(part.object).container, part.page);
        let (container, pages) = (self.objects.get(wired.object).container, count(&part.range));
        self.memory.move_pages(source, (container, 0), pages)?;
        let mapped = self.memory.allocate(container, 0..pages).and_then(|()| self.enter(map, wired));
        if mapped.is_err() {
            self.memory.move_pages((container, 0), source, pages)?;
        }
        mapped
    }

    fn unwire(&mut self, map: MapId, range: &Range<u64>) -> Result<()> {
        let parts = self.map(map)?.entries.covering(range)?;
        if parts.iter().any(|part| part.wired == 0) {
            return Err(KernError::InvalidArgument);
        }
        for part in parts {
            let (object, wired) = (part.object, part.wired - 1);
            self.map_mut(map)?.entries.replace(Entry { wired, ..part });
            if wired == 0 && !self.is_wired(object) {
                self.memory.set_vital(self.objects.get(object).container, false)?;
            }
        }
        Ok(())
    }

    fn is_wired(&self, object: ObjectId) -> bool {
        let mut entries = self.maps.iter().flatten().flat_map(|map| map.entries.iter());
        entries.any(|entry| entry.object == object && entry.wired > 0)
    }
}
