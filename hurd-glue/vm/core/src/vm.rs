//! The maps, and the calls that make and end regions: `vm_allocate`, `vm_deallocate`, `vm_map`.
//!
//! One message makes a region, however large: pages of the map's arena are mapped, and get frames as they are touched. Two messages end one: its
//! mappings are removed, then its pages give up their frames.

use crate::attributes::Attributes;
use crate::entries::{Entries, Entry};
use crate::memory::Memory;
use crate::objects::{Kind, ObjectId, Objects};
use crate::range::{common, count, pages_of, round_page, trunc_page};
use crate::transfer::Piece;
use crate::{ALLOCATION_PAGES_MAX, ARENA_PAGES, COPY_BYTES_MAX, KernError, MAPS_MAX, PAGE_BYTES, Result};
use alloc::vec::Vec;
use containers_api::MemoryError;
use core::ops::Range;

/// Names a map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MapId(pub u32);

/// A task's address map.
pub(crate) struct Map<M: Memory> {
    pub(crate) space: M::Space,
    pub(crate) contract: M::Contract,
    pub(crate) entries: Entries,
    pub(crate) arena: Option<ObjectId>,
}

/// The maps that a task works on.
pub struct Vm<M: Memory> {
    pub(crate) memory: M,
    pub(crate) maps: Vec<Option<Map<M>>>,
    pub(crate) objects: Objects<M::Container>,
}

/// Where a region is to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Address; for `anywhere`, of `vm_map` where to begin to look.
    pub address: u64,
    /// Bytes, rounded up to pages.
    pub size: u64,
    /// Bits that must be 0 in the address.
    pub mask: u64,
    /// The map may choose.
    pub anywhere: bool,
}

impl<M: Memory> core::fmt::Debug for Vm<M> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let entries: Vec<_> = self.maps.iter().flatten().map(|map| &map.entries).collect();
        formatter.debug_struct("Vm").field("maps", &entries).finish_non_exhaustive()
    }
}

impl<M: Memory> Vm<M> {
    /// No maps yet.
    pub const fn new(memory: M) -> Vm<M> {
        Vm { memory, maps: Vec::new(), objects: Objects::new() }
    }

    /// What stands for physmem.
    pub fn memory(&mut self) -> &mut M {
        &mut self.memory
    }

    /// The containers that entries name.
    pub fn objects(&self) -> &Objects<M::Container> {
        &self.objects
    }

    /// The entries of a map. Errors: `InvalidArgument`.
    pub fn entries(&self, map: MapId) -> Result<&Entries> {
        Ok(&self.map(map)?.entries)
    }

    /// Adds the map of a task, empty: addresses within `bounds` of `space`, paid for by `contract`. Nothing else may map there. Errors:
    /// `InvalidArgument` (bounds that are not pages), `ResourceShortage` ([`MAPS_MAX`]).
    pub fn add_map(&mut self, space: M::Space, contract: M::Contract, bounds: Range<u64>) -> Result<MapId> {
        if !(bounds.start | bounds.end).is_multiple_of(PAGE_BYTES) || bounds.is_empty() {
            return Err(KernError::InvalidArgument);
        }
        let free = self.maps.iter().position(Option::is_none).unwrap_or(self.maps.len());
        if free >= MAPS_MAX {
            return Err(KernError::ResourceShortage);
        }
        let map = Some(Map { space, contract, entries: Entries::new(bounds), arena: None });
        match self.maps.get_mut(free) {
            Some(slot) => *slot = map,
            None => self.maps.push(map),
        }
        Ok(MapId(free as u32))
    }

    /// Forgets a map, all of it deallocated. What other maps share stays. Errors: `InvalidArgument`; what a space that is gone refuses
    /// is passed over.
    pub fn remove_map(&mut self, map: MapId) -> Result<()> {
        let bounds = self.map(map)?.entries.bounds();
        let space = self.map(map)?.space;
        let _ = self.memory.unmap(space, bounds.clone());
        let _ = self.drop_entries(map, &bounds);
        let gone = self.maps.get_mut(map.0 as usize).and_then(Option::take);
        if let Some(arena) = gone.and_then(|map| map.arena) {
            self.objects.retire(&mut self.memory, arena);
        }
        Ok(())
    }

    pub(crate) fn map(&self, map: MapId) -> Result<&Map<M>> {
        let slot = self.maps.get(map.0 as usize).and_then(Option::as_ref);
        slot.ok_or(KernError::InvalidArgument)
    }

    pub(crate) fn map_mut(&mut self, map: MapId) -> Result<&mut Map<M>> {
        let slot = self.maps.get_mut(map.0 as usize).and_then(Option::as_mut);
        slot.ok_or(KernError::InvalidArgument)
    }

    /// `vm_allocate`: fresh memory, zeros, at its address. Errors: `InvalidAddress` (outside of the map), `NoSpace` (taken, or no
    /// room), `InvalidArgument` (the size wraps), `ResourceShortage`.
    pub fn allocate(&mut self, map: MapId, address: u64, size: u64, anywhere: bool) -> Result<u64> {
        let lowest = self.map(map)?.entries.bounds().start;
        if size == 0 {
            return Ok(0);
        }
        let address = if anywhere { lowest } else { trunc_page(address) };
        let range = self.place(map, &Place { address, size, mask: 0, anywhere })?;
        self.enter_fresh(map, &range, Attributes::FRESH)?;
        Ok(range.start)
    }

    /// `vm_deallocate`: whatever is in the range is gone; holes do not matter. Errors: `InvalidArgument` (it wraps),
    /// `ResourceShortage` (a region would be split, and the record cannot be paid).
    pub fn deallocate(&mut self, map: MapId, address: u64, size: u64) -> Result<()> {
        let this = self.map(map)?;
        if size == 0 {
            return Ok(());
        }
        let range = common(&pages_of(address, size)?, &this.entries.bounds());
        if this.entries.meeting(&range).next().is_none() {
            return Ok(());
        }
        let space = this.space;
        self.memory.unmap(space, range.clone())?;
        self.drop_entries(map, &range)
    }

    /// `vm_map` of a container, or of fresh memory where there is none: shared, or as a copy. Returns the address. Errors: as `allocate`;
    /// `InvalidArgument` (size 0, an offset that is not a page's or reaches beyond the container, a current protection that
    /// the maximum does not hold), `ProtectionFailure` (the capability does not allow that, or it is writable and executable).
    pub fn map_object(
        &mut self,
        map: MapId,
        place: &Place,
        object: Option<(M::Container, u64)>,
        copy: bool,
        attributes: Attributes,
    ) -> Result<u64> {
        self.map(map)?;
        let offset = object.map_or(0, |(_, offset)| offset);
        if place.size == 0
            || !offset.is_multiple_of(PAGE_BYTES)
            || !attributes.maximum.contains(attributes.protection)
        {
            return Err(KernError::InvalidArgument);
        }
        attributes.protection.require_possible()?;
        let range = self.place(map, &Place { address: trunc_page(place.address), ..*place })?;
        let Some((container, _)) = object else {
            return self.enter_fresh(map, &range, attributes).map(|()| range.start);
        };
        let first = offset / PAGE_BYTES;
        let size = self.memory.size(container)?;
        if first.checked_add(count(&range)).is_none_or(|end| end > size) {
            return Err(KernError::InvalidArgument);
        }
        match copy {
            true => {
                let bytes = range.end - range.start;
                self.enter_copy(map, &range, &[Piece { container, offset, bytes }], attributes)?
            }
            false => self.enter_foreign(map, &range, (container, first), attributes)?,
        }
        Ok(range.start)
    }

    fn enter_foreign(
        &mut self,
        map: MapId,
        range: &Range<u64>,
        (container, page): (M::Container, u64),
        attributes: Attributes,
    ) -> Result<()> {
        let object = self.objects.foreign(&mut self.memory, container)?;
        let entry = Entry { range: range.clone(), object, page, attributes, wired: 0, is_shared: true };
        let entered = self.enter(map, &entry);
        match entered {
            Ok(()) => {
                self.objects.name(object, &entry.pages());
                self.map_mut(map)?.entries.insert(entry);
            }
            Err(_) => self.objects.retire(&mut self.memory, object),
        }
        Ok(entered?)
    }

    /// A copy of bytes, in fresh pages at free addresses. Errors: `ResourceShortage` (also: more than [`COPY_BYTES_MAX`]), physmem's.
    pub(crate) fn enter_copy(
        &mut self,
        map: MapId,
        range: &Range<u64>,
        source: &[Piece<M::Container>],
        attributes: Attributes,
    ) -> Result<()> {
        let bytes = range.end - range.start;
        if bytes > COPY_BYTES_MAX {
            return Err(KernError::ResourceShortage);
        }
        let (object, page) = self.take_pages(map, count(range))?;
        let pages = page..page + count(range);
        self.objects.name(object, &pages);
        let container = self.objects.get(object).container;
        let destination = Piece { container, offset: page * PAGE_BYTES, bytes };
        let entry = Entry { range: range.clone(), object, page, attributes, wired: 0, is_shared: false };
        let copied = self.copy_pieces(source, &[destination]);
        if let Err(error) = copied.and_then(|()| Ok(self.enter(map, &entry)?)) {
            let _ = self.forget(map, object, &pages);
            return Err(error);
        }
        self.map_mut(map)?.entries.insert(entry);
        Ok(())
    }

    /// Where a region goes: free addresses, whole pages. Errors: `InvalidAddress`, `NoSpace`, `InvalidArgument`, `ResourceShortage` (larger
    /// than any container).
    pub(crate) fn place(&mut self, map: MapId, place: &Place) -> Result<Range<u64>> {
        let entries = &mut self.map_mut(map)?.entries;
        let bytes = round_page(place.size).ok_or(KernError::InvalidArgument)?;
        let range = if place.anywhere {
            entries.find(place.address, bytes, place.mask)?
        } else {
            let end = place.address.checked_add(bytes).ok_or(KernError::InvalidAddress)?;
            let range = place.address..end;
            entries.require_inside(&range)?;
            let taken = entries.meeting(&range).next().is_some();
            if taken || place.address & place.mask != 0 {
                return Err(KernError::NoSpace);
            }
            range
        };
        if count(&range) > ALLOCATION_PAGES_MAX { Err(KernError::ResourceShortage) } else { Ok(range) }
    }

    /// Fresh pages of the map's arena at free addresses.
    pub(crate) fn enter_fresh(
        &mut self,
        map: MapId,
        range: &Range<u64>,
        attributes: Attributes,
    ) -> Result<()> {
        let mut retried = false;
        loop {
            let (object, page) = self.take_pages(map, count(range))?;
            let entry = Entry { range: range.clone(), object, page, attributes, wired: 0, is_shared: false };
            self.objects.name(object, &entry.pages());
            match self.enter(map, &entry) {
                Ok(()) => {
                    self.map_mut(map)?.entries.insert(entry);
                    return Ok(());
                }
                Err(error) => {
                    let _ = self.forget(map, object, &entry.pages());
                    if error != MemoryError::Limit || retried {
                        return Err(error.into());
                    }
                    // A container can be mapped in so many places only; a new one may have room.
                    self.leave_arena(map)?;
                    retried = true;
                }
            }
        }
    }

    /// Maps what an entry says.
    pub(crate) fn enter(&mut self, map: MapId, entry: &Entry) -> core::result::Result<(), MemoryError> {
        let Some(protection) = entry.attributes.protection.mapped() else { return Ok(()) };
        let Ok(Map { space, .. }) = self.map(map) else { return Err(MemoryError::Stale) };
        let space = *space;
        let container = self.objects.get(entry.object).container;
        self.memory.map(space, entry.range.start, container, entry.pages(), protection)
    }

    /// Pages that nobody has, in the map's arena or a new one. More than an arena has get a container of their own.
    pub(crate) fn take_pages(&mut self, map: MapId, pages: u64) -> Result<(ObjectId, u64)> {
        let this = self.map(map)?;
        let (contract, arena) = (this.contract, this.arena);
        if pages > ARENA_PAGES {
            let container = self.memory.create(contract, pages)?;
            return Ok((self.objects.add(container, Kind::Arena, pages), 0));
        }
        if let Some(arena) = arena {
            if let Some(first) = self.objects.take(arena, pages) {
                return Ok((arena, first));
            }
            self.leave_arena(map)?;
        }
        let container = self.memory.create(contract, ARENA_PAGES)?;
        let arena = self.objects.add(container, Kind::Arena, ARENA_PAGES);
        self.map_mut(map)?.arena = Some(arena);
        let first = self.objects.take(arena, pages).ok_or(KernError::Failure)?;
        Ok((arena, first))
    }

    fn leave_arena(&mut self, map: MapId) -> Result<()> {
        if let Some(arena) = self.map_mut(map)?.arena.take() {
            self.objects.retire(&mut self.memory, arena);
        }
        Ok(())
    }

    /// One entry of the map less names the pages.
    pub(crate) fn forget(&mut self, map: MapId, object: ObjectId, pages: &Range<u64>) -> Result<()> {
        let is_arena = self.map(map)?.arena == Some(object)
            || self.maps.iter().flatten().any(|map| map.arena == Some(object));
        Ok(self.objects.forget(&mut self.memory, object, pages, is_arena)?)
    }

    /// Takes entries out whose mappings are gone, and gives up what nobody else names. Neighbouring pages go in one request.
    pub(crate) fn drop_entries(&mut self, map: MapId, range: &Range<u64>) -> Result<()> {
        let entries = &mut self.map_mut(map)?.entries;
        let parts = entries.parts(range);
        entries.remove(range);
        let mut runs: Vec<(ObjectId, Range<u64>)> = Vec::with_capacity(parts.len());
        for part in parts {
            match runs.last_mut() {
                Some((object, run)) if *object == part.object && run.end == part.page => {
                    run.end = part.pages().end
                }
                _ => runs.push((part.object, part.pages())),
            }
        }
        let mut result = Ok(());
        for (object, run) in runs {
            result = result.and(self.forget(map, object, &run));
        }
        result
    }
}
