//! Requests to an address space: mapping, unmapping, changing protections.
//!
//! Mapping enters nothing in the kernel but where asked to populate: pages come by faults. Protections are raised in
//! the record alone; the kernel's page tables only ever lose rights outside a fault.

use crate::layout::{mapping, space};
use crate::limits::{
    MAPPINGS_PER_CONTAINER, MAPPINGS_PER_SPACE, POPULATE_PAGES_MAX, STOCK_BATCH, UNSTOCK_PAGES,
};
use crate::machine::Physmem;
use crate::mapping::{kernel_protection, protection_bits};
use crate::pmap::{EnterError, Pmap, RecordMemory};
use containers_api::space::MapProtection;
use containers_api::{ContainerRights, MemoryError};
use containers_core::Access;
use containers_core::layout::container;
use containers_core::pages;
use containers_core::record::{Mapping, Name, Records, Space};
use kernel_abi::pmap::{Mapping as KernelMapping, PageRange};
use kernel_abi::{FRAME_BYTES, Handle, KernelError, USER_END};

/// A range of addresses, page-aligned, below the end of user memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressRange {
    /// First address.
    pub start: u64,
    /// Number of pages.
    pub pages: u64,
}

impl AddressRange {
    /// Checks it. Errors: `Unaligned`, `OutOfRange`.
    pub fn new(start: u64, pages: u64) -> Result<AddressRange, MemoryError> {
        if !start.is_multiple_of(FRAME_BYTES) {
            return Err(MemoryError::Unaligned);
        }
        let end = pages.checked_mul(FRAME_BYTES).and_then(|bytes| start.checked_add(bytes));
        if pages == 0 || end.is_none_or(|end| end > USER_END) {
            return Err(MemoryError::OutOfRange);
        }
        Ok(AddressRange { start, pages })
    }

    /// The address behind it.
    pub const fn end(self) -> u64 {
        self.start + self.pages * FRAME_BYTES
    }
}

fn check_protection(protection: MapProtection) -> Result<(), MemoryError> {
    if protection.contains(MapProtection::WRITE | MapProtection::EXECUTE) {
        return Err(MemoryError::WriteExecute);
    }
    Ok(())
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Maps a range of a container. Errors: see [`containers_api::space::Map`].
    pub(crate) fn map(
        &mut self,
        space: Name<Space>,
        range: AddressRange,
        access: &Access,
        first_page: u64,
        protection: MapProtection,
    ) -> Result<Name<Mapping>, MemoryError> {
        access.require(ContainerRights::MAP)?;
        check_protection(protection)?;
        let mut maximum = MapProtection::EXECUTE;
        maximum.set(MapProtection::WRITE, access.rights.contains(ContainerRights::WRITE));
        if !maximum.contains(protection) {
            return Err(MemoryError::MissingRight);
        }
        let span = access.span(self, first_page, range.pages)?;
        if protection.contains(MapProtection::WRITE) {
            access.require_unsealed(self)?;
        }
        if self.get(access.container, container::MAPPING_COUNT) >= MAPPINGS_PER_CONTAINER {
            return Err(MemoryError::Limit);
        }
        let made = self.new_mapping(space, range)?;
        self.set(made, mapping::CONTAINER, Some(access.container));
        self.set(made, mapping::VIA, access.via);
        self.set(made, mapping::FIRST_PAGE, span.first);
        self.set(made, mapping::PROTECTION, protection.bits());
        self.set(made, mapping::MAXIMUM, maximum.bits());
        self.link_mapping(made);
        Ok(made)
    }

    /// A mapping's record for a range that is free, in no tree yet.
    fn new_mapping(&mut self, space: Name<Space>, range: AddressRange) -> Result<Name<Mapping>, MemoryError> {
        if self.mapping_in(space, range.start, range.end()).is_some() {
            return Err(MemoryError::Mapped);
        }
        if self.get(space, space::MAPPING_COUNT) >= MAPPINGS_PER_SPACE {
            return Err(MemoryError::Limit);
        }
        let payer = self.get(space, space::CONTRACT);
        let made = self.create::<Mapping>(payer)?;
        self.set(made, mapping::SPACE, space);
        self.set(made, mapping::ADDRESS, range.start);
        self.set(made, mapping::PAGES, range.pages);
        Ok(made)
    }

    /// Maps device memory, at once and for good. Errors: `WrongObject`, and as `map`.
    pub(crate) fn map_device(
        &mut self,
        space: Name<Space>,
        range: AddressRange,
        device: Handle,
        first_page: u64,
    ) -> Result<(), MemoryError> {
        self.enter_for_good(space, range, |this, task| {
            this.pmap.enter_device(task, device, range.start, first_page, range.pages)
        })
    }

    /// Maps one frame that no container holds, read-only: the clock page, the pressure page, the contract page.
    pub(crate) fn map_fixed(
        &mut self,
        space: Name<Space>,
        range: AddressRange,
        frame: u32,
    ) -> Result<(), MemoryError> {
        let item = KernelMapping { address: range.start, frame, frames: 1 };
        self.enter_for_good(space, range, |this, task| this.pmap.enter(task, &[item]))?;
        if let Some(made) = self.mapping_at(space, range.start) {
            self.set(made, mapping::FIRST_PAGE, u64::from(frame));
        }
        Ok(())
    }

    fn enter_for_good(
        &mut self,
        space: Name<Space>,
        range: AddressRange,
        mut enter: impl FnMut(&mut Self, Handle) -> Result<(), EnterError>,
    ) -> Result<(), MemoryError> {
        let made = self.new_mapping(space, range)?;
        self.link_mapping(made);
        let task = Handle(self.get(space, space::TASK));
        let result = loop {
            match enter(self, task) {
                Ok(()) => break Ok(()),
                Err(EnterError::NeedTables(tables)) => {
                    if let Err(error) = self.stock(space, tables) {
                        break Err(error);
                    }
                }
                Err(EnterError::Lost) => break Err(MemoryError::Lost),
                Err(EnterError::Refused(KernelError::WrongState)) => break Err(MemoryError::Stale),
                Err(EnterError::Refused(KernelError::MapCountFull)) => break Err(MemoryError::Limit),
                Err(EnterError::Refused(KernelError::InvalidArgument)) => break Err(MemoryError::OutOfRange),
                Err(EnterError::Refused(_)) => break Err(MemoryError::WrongObject),
            }
        };
        if result.is_err() {
            self.change_ranges(space, &[PageRange { address: range.start, pages: range.pages }], false);
            self.delete_mapping(made);
        }
        result
    }

    /// Enters what is present of a mapping and not locked, up to [`POPULATE_PAGES_MAX`] pages; whether anything was entered
    /// writable. Where the contract cannot pay for page tables the rest comes by faults, too.
    pub(crate) fn populate(&mut self, this: Name<Mapping>) -> bool {
        let space = self.get(this, mapping::SPACE);
        let task = Handle(self.get(space, space::TASK));
        let found = self.mapped(this);
        let end = found.addresses().end;
        let (mut writable, mut entered) = (false, 0);
        let mut next = self.next_present_address(this, self.get(this, mapping::ADDRESS));
        while let Some(address) = next.filter(|_| entered < POPULATE_PAGES_MAX) {
            self.gather(&found, address, end, found.protection.contains(MapProtection::WRITE));
            self.flush();
            while !self.resolved.items().is_empty() {
                match self.enter_resolved(task, 0) {
                    Ok(()) => break,
                    Err(EnterError::NeedTables(tables)) if self.stock(space, tables).is_ok() => {}
                    Err(_) => return writable,
                }
            }
            writable |= self.resolved.writable;
            entered += (self.resolved.end - address) / FRAME_BYTES;
            next = self.next_present_address(this, self.resolved.end);
        }
        writable
    }

    /// The first address from one on at which a mapping has a page with a frame: holes cost nothing.
    fn next_present_address(&self, this: Name<Mapping>, address: u64) -> Option<u64> {
        let container = self.get(this, mapping::CONTAINER)?;
        let (start, first) = (self.get(this, mapping::ADDRESS), self.get(this, mapping::FIRST_PAGE));
        let from = first + (address - start) / FRAME_BYTES;
        let end = first + self.get(this, mapping::PAGES);
        let (page, _) = pages::next_present(self, container, from, end)?;
        Some(start + (page - first) * FRAME_BYTES)
    }

    /// Puts page-table frames into a space, at its contract's cost. Errors: `ContractExhausted`, `Stale`.
    pub(crate) fn stock(&mut self, space: Name<Space>, tables: u64) -> Result<(), MemoryError> {
        if self.get(space, space::ENDED) {
            return Err(MemoryError::Stale);
        }
        let tables = tables.clamp(1, STOCK_BATCH as u64);
        let payer = self.get(space, space::CONTRACT);
        self.charge(payer, crate::contract::Charge::Kernel, tables)?;
        let mut frames = [0; STOCK_BATCH];
        for frame in &mut frames[..tables as usize] {
            *frame = self.take_for_kernel();
            self.keep_table(space, *frame);
        }
        let task = Handle(self.get(space, space::TASK));
        match self.pmap.stock(task, &frames[..tables as usize]) {
            Ok(()) => Ok(()),
            Err(error) => {
                for &frame in &frames[..tables as usize] {
                    self.drop_table(space, frame);
                }
                if error != KernelError::WrongState {
                    // Only whoever lends to this physmem can refuse: it has no frames for it.
                    return Err(MemoryError::ContractExhausted);
                }
                self.take_tables(space);
                Err(MemoryError::Stale)
            }
        }
    }

    /// Removes whatever is mapped in a range. Errors: `NoRecord`, `Limit`.
    pub(crate) fn unmap_range(&mut self, space: Name<Space>, range: AddressRange) -> Result<(), MemoryError> {
        let Some(first) = self.mapping_in(space, range.start, range.end()) else { return Ok(()) };
        let splits = self.get(first, mapping::ADDRESS) < range.start && self.mapping_end(first) > range.end();
        if splits {
            self.split_mapping(first, range.end())?;
        }
        if !self.get(space, space::ENDED) {
            self.change_ranges(space, &[PageRange { address: range.start, pages: range.pages }], false);
        }
        while let Some(this) = self.mapping_in(space, range.start, range.end()) {
            self.cut_mapping(this, range);
        }
        if range.pages >= UNSTOCK_PAGES && !self.get(space, space::ENDED) {
            while self.unstock(space) {}
        }
        Ok(())
    }

    /// Shortens a mapping that reaches into a range, at one end, or ends it.
    fn cut_mapping(&mut self, this: Name<Mapping>, range: AddressRange) {
        let (start, end) = (self.get(this, mapping::ADDRESS), self.mapping_end(this));
        let space = self.get(this, mapping::SPACE);
        if start >= range.start && end <= range.end() {
            self.delete_mapping(this);
        } else if start < range.start {
            let cut = (end - range.start) / FRAME_BYTES;
            self.lower(this, mapping::PAGES, cut);
            self.lower(space, space::MAPPED_PAGES, cut);
        } else {
            let cut = (range.end() - start) / FRAME_BYTES;
            self.uproot(this);
            self.lower(this, mapping::PAGES, cut);
            self.raise(this, mapping::ADDRESS, cut * FRAME_BYTES);
            self.raise(this, mapping::FIRST_PAGE, cut);
            self.plant(this);
            self.lower(space, space::MAPPED_PAGES, cut);
        }
    }

    /// Makes two mappings of one, at an address within it. Errors: `NoRecord`, `Limit`.
    fn split_mapping(&mut self, this: Name<Mapping>, address: u64) -> Result<(), MemoryError> {
        let space = self.get(this, mapping::SPACE);
        let container = self.get(this, mapping::CONTAINER);
        let is_full = container
            .is_some_and(|container| self.get(container, container::MAPPING_COUNT) >= MAPPINGS_PER_CONTAINER);
        if is_full || self.get(space, space::MAPPING_COUNT) >= MAPPINGS_PER_SPACE {
            return Err(MemoryError::Limit);
        }
        let payer = self.get(space, space::CONTRACT);
        let made = self.create::<Mapping>(payer)?;
        let before = (address - self.get(this, mapping::ADDRESS)) / FRAME_BYTES;
        let after = self.get(this, mapping::PAGES) - before;
        self.set(this, mapping::PAGES, before);
        self.lower(space, space::MAPPED_PAGES, after);
        self.set(made, mapping::SPACE, space);
        self.set(made, mapping::CONTAINER, container);
        self.set(made, mapping::VIA, self.get(this, mapping::VIA));
        self.set(made, mapping::ADDRESS, address);
        self.set(made, mapping::PAGES, after);
        self.set(made, mapping::FIRST_PAGE, self.get(this, mapping::FIRST_PAGE) + before);
        self.set(made, mapping::PROTECTION, self.get(this, mapping::PROTECTION));
        self.set(made, mapping::MAXIMUM, self.get(this, mapping::MAXIMUM));
        self.link_mapping(made);
        Ok(())
    }

    /// Changes the protection of the mappings in a range. Errors: `OutOfRange` (there is none), `MissingRight`, `Sealed`,
    /// `WriteExecute`, `NoRecord`, `Limit`.
    pub(crate) fn protect_range(
        &mut self,
        space: Name<Space>,
        range: AddressRange,
        protection: MapProtection,
    ) -> Result<(), MemoryError> {
        check_protection(protection)?;
        let first = self.mapping_in(space, range.start, range.end()).ok_or(MemoryError::OutOfRange)?;
        let mut next = Some(first);
        while let Some(this) = next {
            self.check_protect(this, protection)?;
            next = self.mapping_in(space, self.mapping_end(this), range.end());
        }
        // A split by itself changes nothing that anybody can see, so a refused second one need not be undone.
        for edge in [range.start, range.end()] {
            let across = self.mapping_at(space, edge);
            if let Some(this) = across.filter(|&this| self.get(this, mapping::ADDRESS) < edge) {
                self.split_mapping(this, edge)?;
            }
        }
        next = self.mapping_in(space, range.start, range.end());
        while let Some(this) = next {
            self.set(this, mapping::PROTECTION, protection.bits());
            next = self.mapping_in(space, self.mapping_end(this), range.end());
        }
        if !self.get(space, space::ENDED) {
            let bits = kernel_protection(protection, false).bits();
            self.change_ranges(space, &[PageRange { address: range.start | bits, pages: range.pages }], true);
        }
        Ok(())
    }

    fn check_protect(&self, this: Name<Mapping>, protection: MapProtection) -> Result<(), MemoryError> {
        let Some(container) = self.get(this, mapping::CONTAINER) else {
            return Err(MemoryError::MissingRight);
        };
        if !protection_bits(self.get(this, mapping::MAXIMUM)).contains(protection) {
            return Err(MemoryError::MissingRight);
        }
        if protection.contains(MapProtection::WRITE) && self.get(container, container::SEALED) {
            return Err(MemoryError::Sealed);
        }
        Ok(())
    }
}
