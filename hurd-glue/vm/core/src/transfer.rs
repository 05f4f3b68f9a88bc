//! `vm_copy`, `vm_read`, `vm_write`, `vm_remap`: memory from one region to another, of the same map or of two.
//!
//! Containers copy logically: whole pages that lie alike become shared copy-on-write between the two, and physmem's amap and anon are what
//! Mach's shadow objects were. So an entry needs no mark that says "copy before writing", and a copy of a copy is no chain. Bytes
//! move only where the offsets within a page differ, and at the edges.

use crate::attributes::{Attributes, Inheritance, Protection};
use crate::entries::Entry;
use crate::memory::Memory;
use crate::objects::{Kind, ObjectId};
use crate::range::{common, count, pages_of, trunc_page};
use crate::vm::Place;
use crate::{COPY_BYTES_MAX, KernError, MapId, PAGE_BYTES, Result, Vm};
use alloc::vec::Vec;
use core::ops::Range;

/// Successive bytes of a container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Piece<C> {
    pub(crate) container: C,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// What a remapped region is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remapped {
    /// Where it begins.
    pub address: u64,
    /// What is allowed everywhere in it.
    pub protection: Protection,
    /// What can be allowed everywhere in it.
    pub maximum: Protection,
}

impl<M: Memory> Vm<M> {
    /// `vm_copy`: as if by way of a copy of its own, so ranges may overlap. Errors: `InvalidAddress` (a hole in either range),
    /// `ProtectionFailure` (source not readable, destination not writable), `InvalidArgument` (a range wraps), `ResourceShortage` (more than
    /// [`COPY_BYTES_MAX`], or no frames).
    pub fn copy(&mut self, map: MapId, source: u64, size: u64, destination: u64) -> Result<()> {
        self.transfer((map, source), (map, destination), size)
    }

    /// `vm_write` where the data lie in some map: the same between two maps.
    pub fn transfer(&mut self, source: (MapId, u64), destination: (MapId, u64), size: u64) -> Result<()> {
        self.map(source.0)?;
        self.map(destination.0)?;
        if size == 0 {
            return Ok(());
        }
        let from = self.allowing(source.0, &pages_of(source.1, size)?, Protection::READ)?;
        let to = self.allowing(destination.0, &pages_of(destination.1, size)?, Protection::WRITE)?;
        if size > COPY_BYTES_MAX {
            return Err(KernError::ResourceShortage);
        }
        let source_pieces = self.pieces(&from, &(source.1..source.1 + size));
        let destination_pieces = self.pieces(&to, &(destination.1..destination.1 + size));
        if !self.may_overlap(&from, &to) {
            self.copy_pieces(&source_pieces, &destination_pieces)?;
            return self.fill_wired(&to);
        }
        // physmem copies between pages that have none in common: by way of pages of its own.
        let offset = source.1 % PAGE_BYTES;
        let pages = count(&pages_of(offset, size)?);
        let (object, first) = self.take_pages(destination.0, pages)?;
        self.objects.name(object, &(first..first + pages));
        let container = self.objects.get(object).container;
        let between = [Piece { container, offset: first * PAGE_BYTES + offset, bytes: size }];
        let copied = self
            .copy_pieces(&source_pieces, &between)
            .and_then(|()| self.copy_pieces(&between, &destination_pieces));
        copied.and(self.forget(destination.0, object, &(first..first + pages)))?;
        self.fill_wired(&to)
    }

    /// A copy of pages without frames takes frames away: pages of wired objects get theirs back, through whichever entry it was.
    fn fill_wired(&mut self, parts: &[Entry]) -> Result<()> {
        for part in parts {
            let object = self.objects.get(part.object);
            if object.kind == Kind::Wired {
                self.memory.allocate(object.container, part.pages())?;
            }
        }
        Ok(())
    }

    /// `vm_read`: a copy of the pages that the range touches, in fresh memory of `into`; returns the address of the first byte asked for.
    /// Errors: `InvalidAddress`, `ProtectionFailure`, `NoSpace`, `InvalidArgument`, `ResourceShortage`.
    pub fn read(&mut self, map: MapId, address: u64, size: u64, into: MapId) -> Result<u64> {
        self.map(into)?;
        let Some(pages) = self.pages_in(map, address, size)? else { return Ok(0) };
        let parts = self.allowing(map, &pages, Protection::READ)?;
        let lowest = self.map(into)?.entries.bounds().start;
        let place = Place { address: lowest, size: pages.end - pages.start, mask: 0, anywhere: true };
        let range = self.place(into, &place)?;
        let pieces = self.pieces(&parts, &pages);
        self.enter_copy(into, &range, &pieces, Attributes::FRESH)?;
        Ok(range.start + address % PAGE_BYTES)
    }

    /// `vm_remap`: the memory of a range also at another place, or a copy of it; with the protections it has. Errors: `InvalidArgument` (size
    /// 0, a range wraps), `InvalidAddress` (a hole), `NoSpace`, `ResourceShortage`. After an error nothing new is mapped.
    pub fn remap(
        &mut self,
        map: MapId,
        place: &Place,
        source: (MapId, u64),
        copy: bool,
        inheritance: Inheritance,
    ) -> Result<Remapped> {
        self.map(map)?;
        let Some(pages) = self.pages_in(source.0, source.1, place.size)? else {
            return Err(KernError::InvalidArgument);
        };
        let parts = self.map(source.0)?.entries.covering(&pages)?;
        let (address, size) = (trunc_page(place.address), pages.end - pages.start);
        let range = self.place(map, &Place { address, size, ..*place })?;
        let both = parts.iter().fold((Protection::all(), Protection::all()), |both, part| {
            (both.0 & part.attributes.protection, both.1 & part.attributes.maximum)
        });
        for part in parts {
            let start = range.start + (part.range.start - pages.start);
            let target = start..start + (part.range.end - part.range.start);
            let attributes = Attributes { inheritance, ..part.attributes };
            let done = match copy {
                true => self.enter_copy_of(map, &target, &part, attributes),
                false => self.enter_shared(map, &target, source.0, &part, attributes),
            };
            if let Err(error) = done {
                self.undo(map, &(range.start..target.start))?;
                return Err(error);
            }
        }
        Ok(Remapped { address: range.start, protection: both.0, maximum: both.1 })
    }

    /// Takes away what a call has made before it failed.
    pub(crate) fn undo(&mut self, map: MapId, range: &Range<u64>) -> Result<()> {
        self.deallocate(map, range.start, range.end - range.start)
    }

    /// A copy of a part of a map at free addresses.
    pub(crate) fn enter_copy_of(
        &mut self,
        map: MapId,
        range: &Range<u64>,
        part: &Entry,
        attributes: Attributes,
    ) -> Result<()> {
        let pieces = self.pieces(core::slice::from_ref(part), &part.range);
        self.enter_copy(map, range, &pieces, attributes)
    }

    /// The memory of a part of a map also at free addresses of this or another one.
    pub(crate) fn enter_shared(
        &mut self,
        map: MapId,
        range: &Range<u64>,
        source: MapId,
        part: &Entry,
        attributes: Attributes,
    ) -> Result<()> {
        let (object, page) = (part.object, part.page);
        let entry = Entry { range: range.clone(), object, page, attributes, wired: 0, is_shared: true };
        self.enter(map, &entry)?;
        self.objects.share(object, &part.pages());
        self.map_mut(map)?.entries.insert(entry);
        self.map_mut(source)?.entries.replace(Entry { is_shared: true, ..part.clone() });
        Ok(())
    }

    /// The bytes of a range that parts of a map cover.
    pub(crate) fn pieces(&self, parts: &[Entry], range: &Range<u64>) -> Vec<Piece<M::Container>> {
        let piece = |part: &Entry| {
            let bytes = common(&part.range, range);
            let offset = part.page * PAGE_BYTES + (bytes.start - part.range.start);
            let container = self.objects.get(part.object).container;
            Piece { container, offset, bytes: bytes.end - bytes.start }
        };
        parts.iter().map(piece).collect()
    }

    /// Whether some page is in both. Two foreign objects may be the same container.
    fn may_overlap(&self, one: &[Entry], other: &[Entry]) -> bool {
        let is_foreign = |object: ObjectId| self.objects.get(object).kind == Kind::Foreign;
        let meet = |one: &Entry, other: &Entry| match one.object == other.object {
            true => !common(&one.pages(), &other.pages()).is_empty(),
            false => is_foreign(one.object) && is_foreign(other.object),
        };
        one.iter().any(|one| other.iter().any(|other| meet(one, other)))
    }

    /// Copies the bytes of some pieces to those of others, of which there are as many.
    pub(crate) fn copy_pieces(
        &mut self,
        source: &[Piece<M::Container>],
        destination: &[Piece<M::Container>],
    ) -> Result<()> {
        let (mut sources, mut destinations) = (source.iter().copied(), destination.iter().copied());
        let (mut from, mut to) = (sources.next(), destinations.next());
        while let (Some(source), Some(destination)) = (from, to) {
            let bytes = source.bytes.min(destination.bytes);
            self.memory.copy(
                (source.container, source.offset),
                (destination.container, destination.offset),
                bytes,
            )?;
            from = rest(source, bytes).or_else(|| sources.next());
            to = rest(destination, bytes).or_else(|| destinations.next());
        }
        Ok(())
    }
}

/// What of a piece lies behind its first bytes.
fn rest<C>(piece: Piece<C>, bytes: u64) -> Option<Piece<C>> {
    let left = piece.bytes - bytes;
    (left > 0).then(|| Piece { offset: piece.offset + bytes, bytes: left, ..piece })
}
