//! Mappings: records that say which range of which container lies where in which address space.
//!
//! A mapping is in its space's tree and in its container's list. What is entered in the kernel's page tables is not
//! tracked: taking pages away means removing their addresses in every mapping, holes included, in one kernel call
//! an address space where mappings are neighbours in the list.

use crate::database::NOBODY;
use crate::layout::{CONTAINER_MAPPINGS, SPACE_MAPPINGS, mapping, space};
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_api::space::MapProtection;
use containers_core::frames::{Span, Whose};
use containers_core::layout::container;
use containers_core::mutations::{self, Mutation};
use containers_core::record::{Container, Grant, Mapping, Name, Records, Space};
use kernel_abi::pmap::{PageRange, Protection};
use kernel_abi::{FRAME_BYTES, Handle, KernelError};

/// Ranges that one kernel call takes at most.
pub(crate) const BATCH: usize = 32;

/// Ranges of one address space. They lie in [`Physmem::ranges`], which nobody else uses meanwhile.
struct Batch {
    space: Option<Name<Space>>,
    used: usize,
    protect: bool,
}

impl Batch {
    fn new(protect: bool) -> Batch {
        Batch { space: None, used: 0, protect }
    }
}

fn change_ranges(
    pmap: &mut impl Pmap,
    task: Handle,
    ranges: &[PageRange],
    protect: bool,
) -> Result<(), KernelError> {
    if protect { pmap.protect(task, ranges) } else { pmap.remove(task, ranges) }
}

/// A mapping's record, read at once. Not to be kept beyond a change of the mapping.
#[derive(Clone, Copy)]
pub(crate) struct Mapped {
    pub container: Option<Name<Container>>,
    pub via: Option<Name<Grant>>,
    pub address: u64,
    pub pages: u64,
    pub first_page: u64,
    pub protection: MapProtection,
}

impl Mapped {
    /// What it covers.
    pub fn addresses(&self) -> core::ops::Range<u64> {
        self.address..self.address + self.pages * FRAME_BYTES
    }

    /// The container's page at an address of it.
    pub fn page_at(&self, address: u64) -> u64 {
        self.first_page + (address - self.address) / FRAME_BYTES
    }
}

/// Protection bits of a mapping's record.
pub fn protection_bits(bits: u8) -> MapProtection {
    MapProtection::from_bits_retain(bits)
}

/// What the kernel is told of a protection.
pub fn kernel_protection(protection: MapProtection, writable: bool) -> Protection {
    let mut bits = Protection::empty();
    bits.set(Protection::WRITE, writable && protection.contains(MapProtection::WRITE));
    bits.set(Protection::EXECUTE, protection.contains(MapProtection::EXECUTE));
    bits
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// The address behind a mapping.
    pub(crate) fn mapping_end(&self, this: Name<Mapping>) -> u64 {
        self.get(this, mapping::ADDRESS) + self.get(this, mapping::PAGES) * FRAME_BYTES
    }

    /// The mapping that an address lies in.
    pub(crate) fn mapping_at(&self, space: Name<Space>, address: u64) -> Option<Name<Mapping>> {
        let root = self.get(space, space::MAPPINGS);
        let found = SPACE_MAPPINGS.at_or_before(self, root, address)?;
        (address < self.mapping_end(found)).then_some(found)
    }

    /// The same for a fault, with what is to be known of it.
    pub(crate) fn mapping_for_fault(&mut self, space: Name<Space>, address: u64) -> Option<Mapped> {
        let recent = self.get(space, space::RECENT);
        if let Some(found) = recent.map(|recent| self.mapped(recent))
            && found.addresses().contains(&address)
        {
            return Some(found);
        }
        let found = self.mapping_at(space, address)?;
        self.set(space, space::RECENT, Some(found));
        Some(self.mapped(found))
    }

    /// What a mapping's record says.
    pub(crate) fn mapped(&self, this: Name<Mapping>) -> Mapped {
        let view = self.view(this);
        Mapped {
            container: view.get(mapping::CONTAINER),
            via: view.get(mapping::VIA),
            address: view.get(mapping::ADDRESS),
            pages: view.get(mapping::PAGES),
            first_page: view.get(mapping::FIRST_PAGE),
            protection: protection_bits(view.get(mapping::PROTECTION)),
        }
    }

    /// The first mapping that reaches into a range of addresses.
    pub(crate) fn mapping_in(&self, space: Name<Space>, start: u64, end: u64) -> Option<Name<Mapping>> {
        if start >= end {
            return None;
        }
        if let Some(found) = self.mapping_at(space, start) {
            return Some(found);
        }
        let root = self.get(space, space::MAPPINGS);
        let found = SPACE_MAPPINGS.at_or_after(self, root, start)?;
        (self.get(found, mapping::ADDRESS) < end).then_some(found)
    }

    /// Puts a mapping, with all fields set, into its space and container.
    pub(crate) fn link_mapping(&mut self, this: Name<Mapping>) {
        let space = self.get(this, mapping::SPACE);
        self.plant(this);
        self.raise(space, space::MAPPING_COUNT, 1);
        self.raise(space, space::MAPPED_PAGES, self.get(this, mapping::PAGES));
        if let Some(container) = self.get(this, mapping::CONTAINER) {
            CONTAINER_MAPPINGS.push(self, container, this);
            self.raise(container, container::MAPPING_COUNT, 1);
        }
    }

    /// Ends a mapping's record. Its pages must have been removed, or the space is going.
    pub(crate) fn delete_mapping(&mut self, this: Name<Mapping>) {
        let space = self.get(this, mapping::SPACE);
        self.uproot(this);
        self.lower(space, space::MAPPING_COUNT, 1);
        self.lower(space, space::MAPPED_PAGES, self.get(this, mapping::PAGES));
        if let Some(container) = self.get(this, mapping::CONTAINER) {
            CONTAINER_MAPPINGS.remove(self, container, this);
            self.lower(container, container::MAPPING_COUNT, 1);
        }
        let payer = self.get(space, space::CONTRACT);
        self.delete(payer, this);
    }

    /// Puts a mapping into its space's tree.
    pub(crate) fn plant(&mut self, this: Name<Mapping>) {
        let space = self.get(this, mapping::SPACE);
        let root = self.get(space, space::MAPPINGS);
        let root = SPACE_MAPPINGS.insert(self, root, this);
        self.set(space, space::MAPPINGS, Some(root));
    }

    /// Takes a mapping out of its space's tree.
    pub(crate) fn uproot(&mut self, this: Name<Mapping>) {
        let space = self.get(this, mapping::SPACE);
        let root = self.get(space, space::MAPPINGS);
        let root = SPACE_MAPPINGS.remove(self, root, this);
        self.set(space, space::MAPPINGS, root);
        self.set(space, space::RECENT, None);
    }

    /// Removes pages of a container wherever they are mapped.
    pub(crate) fn remove_pages(&mut self, container: Name<Container>, span: Span, whose: Whose) {
        let mut batch = Batch::new(false);
        let mut next = CONTAINER_MAPPINGS.first(self, container);
        while let Some(this) = next {
            next = self.get(this, mapping::NEXT);
            if whose == Whose::Everybody || whose == Whose::Through(self.get(this, mapping::VIA)) {
                self.add_to_batch(&mut batch, this, span);
            }
        }
        self.run_batch(&mut batch);
    }

    /// Makes pages of a container read-only wherever they are mapped.
    pub(crate) fn protect_pages(&mut self, container: Name<Container>, span: Span) {
        let mut batch = Batch::new(true);
        let mut next = CONTAINER_MAPPINGS.first(self, container);
        while let Some(this) = next {
            next = self.get(this, mapping::NEXT);
            if protection_bits(self.get(this, mapping::PROTECTION)).contains(MapProtection::WRITE) {
                self.add_to_batch(&mut batch, this, span);
            }
        }
        self.run_batch(&mut batch);
    }

    fn add_to_batch(&mut self, batch: &mut Batch, this: Name<Mapping>, span: Span) {
        let first = self.get(this, mapping::FIRST_PAGE);
        let mapped = Span { first, pages: self.get(this, mapping::PAGES) };
        let Some(part) = mapped.intersection(span) else { return };
        let space = self.get(this, mapping::SPACE);
        if batch.space != Some(space) || batch.used == BATCH {
            self.run_batch(batch);
            batch.space = Some(space);
        }
        let address = self.get(this, mapping::ADDRESS) + (part.first - first) * FRAME_BYTES;
        self.ranges[batch.used] = PageRange { address, pages: part.pages };
        batch.used += 1;
    }

    fn run_batch(&mut self, batch: &mut Batch) {
        let Some(space) = batch.space else { return };
        let used = core::mem::take(&mut batch.used);
        let forgotten = if batch.protect { Mutation::ForgetWriteProtect } else { Mutation::ForgetUnmap };
        if used != 0 && !self.get(space, space::ENDED) && !mutations::has(forgotten) {
            let task = Handle(self.get(space, space::TASK));
            let result = change_ranges(&mut self.pmap, task, &self.ranges[..used], batch.protect);
            self.ranges_changed(space, result);
        }
    }

    /// Removes or protects ranges of a space. Where its task has ended, all its page tables go.
    pub(crate) fn change_ranges(&mut self, space: Name<Space>, ranges: &[PageRange], protect: bool) {
        let task = Handle(self.get(space, space::TASK));
        let result = change_ranges(&mut self.pmap, task, ranges, protect);
        self.ranges_changed(space, result);
    }

    fn ranges_changed(&mut self, space: Name<Space>, result: Result<(), KernelError>) {
        match result {
            Ok(()) => {}
            Err(KernelError::WrongState) => self.take_tables(space),
            Err(error) => panic!("the kernel refused to take mappings away: {error:?}"),
        }
    }

    /// Ends mappings of a container, with their pages.
    pub(crate) fn delete_mappings(&mut self, container: Name<Container>, whose: Whose) {
        let all = Span { first: 0, pages: u64::MAX };
        self.remove_pages(container, all, whose);
        let mut next = CONTAINER_MAPPINGS.first(self, container);
        while let Some(this) = next {
            next = self.get(this, mapping::NEXT);
            if whose == Whose::Everybody || whose == Whose::Through(self.get(this, mapping::VIA)) {
                self.delete_mapping(this);
            }
        }
    }

    /// Takes all page tables of an ended task back.
    pub(crate) fn take_tables(&mut self, space: Name<Space>) {
        self.set(space, space::ENDED, true);
        while self.unstock(space) {}
    }

    /// Takes spare page tables back; whether there may be more.
    pub(crate) fn unstock(&mut self, space: Name<Space>) -> bool {
        let mut frames = [0; crate::limits::STOCK_BATCH];
        let task = Handle(self.get(space, space::TASK));
        let taken = self.pmap.unstock(task, &mut frames);
        let payer = self.get(space, space::CONTRACT);
        for &frame in &frames[..taken] {
            let ring = self.database.ring_remove(self.get(space, space::TABLE_RING), frame);
            self.set(space, space::TABLE_RING, ring);
            self.lower(space, space::TABLE_COUNT, 1);
            self.database.free(frame, crate::database::State::Object, false, NOBODY);
            self.discharge(payer, crate::contract::Charge::Kernel, 1);
        }
        taken != 0
    }
}
