//! A physmem without frames or contracts: containers are maps of pages, an address space says which page lies where. It keeps physmem's
//! rules: nothing is mapped over what is mapped, what is copied has no page in common, nothing is writable and executable.

use containers_api::MemoryError;
use containers_api::space::MapProtection;
use hurd_glue_vm_core::memory::{Frames, Memory, Outcome};
use hurd_glue_vm_core::{MapId, PAGE_BYTES, Vm, WIRE_PAGES};
use std::collections::BTreeMap;
use std::ops::Range;

pub type Page = Box<[u8; PAGE_BYTES as usize]>;

#[derive(Default)]
pub struct Container {
    pub pages: BTreeMap<u64, Page>,
    pub size: u64,
    pub vital: bool,
    pub kept: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapped {
    pub container: usize,
    pub page: u64,
    pub protection: MapProtection,
}

#[derive(Default)]
pub struct Fake {
    pub containers: Vec<Option<Container>>,
    /// What lies at each page of each space.
    pub spaces: Vec<BTreeMap<u64, Mapped>>,
    /// Mappings that one container may have, as physmem limits them, and those made so far.
    pub mappings_max: u64,
    /// Requests that are carried out before one is refused.
    pub refuse_after: Option<u32>,
    pub refusal: Option<MemoryError>,
    /// Requests so far.
    pub requests: u64,
}

impl Fake {
    pub fn new(spaces: usize) -> Fake {
        Fake { spaces: vec![BTreeMap::new(); spaces], mappings_max: u64::MAX, ..Fake::default() }
    }

    fn request(&mut self) -> Outcome {
        self.requests += 1;
        let Some(left) = self.refuse_after else { return Ok(()) };
        self.refuse_after = left.checked_sub(1);
        match left {
            0 => Err(self.refusal.unwrap_or(MemoryError::ContractExhausted)),
            _ => Ok(()),
        }
    }

    pub fn container(&mut self, container: usize) -> Outcome<&mut Container> {
        self.containers.get_mut(container).and_then(Option::as_mut).ok_or(MemoryError::Stale)
    }

    pub fn make(&mut self, size: u64) -> usize {
        self.containers.push(Some(Container { size, ..Container::default() }));
        self.containers.len() - 1
    }

    /// What a load of a byte gives; `None`: a fault.
    pub fn load(&mut self, space: usize, address: u64) -> Option<u8> {
        let mapped = *self.spaces[space].get(&(address / PAGE_BYTES))?;
        let page = self.container(mapped.container).ok()?.pages.get(&mapped.page);
        Some(page.map_or(0, |page| page[(address % PAGE_BYTES) as usize]))
    }

    /// A store of a byte; whether it was allowed.
    pub fn store(&mut self, space: usize, address: u64, byte: u8) -> bool {
        let Some(&mapped) = self.spaces[space].get(&(address / PAGE_BYTES)) else { return false };
        if !mapped.protection.contains(MapProtection::WRITE) {
            return false;
        }
        let Ok(container) = self.container(mapped.container) else { return false };
        let page = container.pages.entry(mapped.page).or_insert_with(|| Box::new([0; 4096]));
        page[(address % PAGE_BYTES) as usize] = byte;
        true
    }

    fn in_range(&mut self, container: usize, pages: &Range<u64>) -> Outcome {
        let inside = !pages.is_empty() && pages.end <= self.container(container)?.size;
        if inside { Ok(()) } else { Err(MemoryError::OutOfRange) }
    }
}

fn touched(offset: u64, bytes: u64) -> Range<u64> {
    offset / PAGE_BYTES..(offset + bytes).div_ceil(PAGE_BYTES)
}

impl Memory for Fake {
    type Space = usize;
    type Contract = ();
    type Container = usize;

    fn create(&mut self, (): (), pages: u64) -> Outcome<usize> {
        self.request()?;
        Ok(self.make(pages))
    }

    fn destroy(&mut self, container: usize) {
        assert!(self.containers[container].take().is_some(), "destroyed twice");
    }

    fn keep(&mut self, container: usize) -> Outcome<usize> {
        self.request()?;
        self.container(container)?.kept += 1;
        Ok(container)
    }

    fn release(&mut self, container: usize) {
        self.container(container).expect("it was kept").kept -= 1;
    }

    fn size(&mut self, container: usize) -> Outcome<u64> {
        self.container(container).map(|container| container.size)
    }

    fn map(
        &mut self,
        space: usize,
        address: u64,
        container: usize,
        pages: Range<u64>,
        protection: MapProtection,
    ) -> Outcome {
        self.request()?;
        self.in_range(container, &pages)?;
        assert!(!protection.contains(MapProtection::WRITE | MapProtection::EXECUTE));
        let first = address / PAGE_BYTES;
        let addresses = first..first + (pages.end - pages.start);
        if self.spaces[space].range(addresses.clone()).next().is_some() {
            return Err(MemoryError::Mapped);
        }
        let used = self.spaces[space].values().filter(|mapped| mapped.container == container).count();
        if used as u64 >= self.mappings_max {
            return Err(MemoryError::Limit);
        }
        let there = addresses.zip(pages).map(|(at, page)| (at, Mapped { container, page, protection }));
        self.spaces[space].extend(there);
        Ok(())
    }

    fn unmap(&mut self, space: usize, range: Range<u64>) -> Outcome {
        self.request()?;
        let pages = range.start / PAGE_BYTES..range.end / PAGE_BYTES;
        self.spaces[space].retain(|page, _| !pages.contains(page));
        Ok(())
    }

    fn protect(&mut self, space: usize, range: Range<u64>, protection: MapProtection) -> Outcome {
        self.request()?;
        let pages = range.start / PAGE_BYTES..range.end / PAGE_BYTES;
        let mut changed = 0;
        for (_, mapped) in self.spaces[space].range_mut(pages) {
            mapped.protection = protection;
            changed += 1;
        }
        if changed == 0 { Err(MemoryError::OutOfRange) } else { Ok(()) }
    }

    fn copy(&mut self, source: (usize, u64), destination: (usize, u64), bytes: u64) -> Outcome {
        self.request()?;
        let (from, to) = (touched(source.1, bytes), touched(destination.1, bytes));
        self.in_range(source.0, &from)?;
        self.in_range(destination.0, &to)?;
        if source.0 == destination.0 && from.start < to.end && to.start < from.end {
            return Err(MemoryError::OutOfRange);
        }
        let source_pages = self.container(source.0)?.pages.clone();
        let destination_pages = &mut self.container(destination.0)?.pages;
        let mut done = 0;
        while done < bytes {
            let (from, to) = (source.1 + done, destination.1 + done);
            let (from_in, to_in) = (from % PAGE_BYTES, to % PAGE_BYTES);
            let part = (bytes - done).min(PAGE_BYTES - from_in.max(to_in));
            let page = source_pages.get(&(from / PAGE_BYTES));
            if part == PAGE_BYTES {
                match page {
                    Some(page) => destination_pages.insert(to / PAGE_BYTES, page.clone()),
                    None => destination_pages.remove(&(to / PAGE_BYTES)),
                };
            } else {
                let target = destination_pages.entry(to / PAGE_BYTES).or_insert_with(|| Box::new([0; 4096]));
                let target = &mut target[to_in as usize..(to_in + part) as usize];
                match page {
                    Some(page) => target.copy_from_slice(&page[from_in as usize..(from_in + part) as usize]),
                    None => target.fill(0),
                }
            }
            done += part;
        }
        Ok(())
    }

    fn move_pages(&mut self, source: (usize, u64), destination: (usize, u64), pages: u64) -> Outcome {
        self.request()?;
        assert!(pages <= WIRE_PAGES);
        self.in_range(source.0, &(source.1..source.1 + pages))?;
        self.in_range(destination.0, &(destination.1..destination.1 + pages))?;
        for page in 0..pages {
            let moved = self.container(source.0)?.pages.remove(&(source.1 + page));
            let there = &mut self.container(destination.0)?.pages;
            match moved {
                Some(moved) => there.insert(destination.1 + page, moved),
                None => there.remove(&(destination.1 + page)),
            };
        }
        Ok(())
    }

    fn allocate(&mut self, container: usize, pages: Range<u64>) -> Outcome {
        self.request()?;
        self.in_range(container, &pages)?;
        let there = &mut self.container(container)?.pages;
        for page in pages {
            there.entry(page).or_insert_with(|| Box::new([0; 4096]));
        }
        Ok(())
    }

    fn deallocate(&mut self, container: usize, pages: Range<u64>) -> Outcome {
        self.request()?;
        self.in_range(container, &pages)?;
        self.container(container)?.pages.retain(|page, _| !pages.contains(page));
        Ok(())
    }

    fn set_vital(&mut self, container: usize, vital: bool) -> Outcome {
        self.request()?;
        self.container(container)?.vital = vital;
        Ok(())
    }

    fn frames(&mut self, (): ()) -> Outcome<Frames> {
        let present = self.containers.iter().flatten().map(|container| container.pages.len() as u64);
        Ok(Frames { free: 0, present: present.sum() })
    }
}

/// What is mapped is what the entries say, and what has a frame is named. `foreign`: containers that are not the library's.
pub fn check(vm: &mut Vm<Fake>, maps: &[MapId], foreign: &[usize], frames_may_be_left: bool) {
    let mut named: BTreeMap<(usize, u64), u32> = BTreeMap::new();
    let mut expected = vec![BTreeMap::new(); maps.len()];
    for (space, &map) in maps.iter().enumerate() {
        let entries: Vec<_> = vm.entries(map).expect("the map is there").iter().cloned().collect();
        for entry in &entries {
            let container = vm.objects().get(entry.object).container;
            for (index, page) in entry.pages().enumerate() {
                *named.entry((container, page)).or_default() += 1;
                if let Some(protection) = entry.attributes.protection.mapped() {
                    let at = entry.range.start / PAGE_BYTES + index as u64;
                    expected[space].insert(at, Mapped { container, page, protection });
                }
            }
            if entry.wired > 0 {
                let container = vm.memory().container(container).expect("it is named");
                assert!(container.vital && entry.pages().all(|page| container.pages.contains_key(&page)));
            }
        }
        for pair in entries.windows(2) {
            assert!(pair[0].range.end <= pair[1].range.start);
        }
    }
    for (space, expected) in expected.iter().enumerate() {
        assert_eq!(vm.memory().spaces[space], *expected, "what is mapped in space {space}");
    }
    for (number, container) in vm.memory().containers.iter().enumerate() {
        let Some(container) = container.as_ref().filter(|_| !foreign.contains(&number)) else { continue };
        for &page in container.pages.keys().filter(|_| !frames_may_be_left) {
            assert!(named.contains_key(&(number, page)), "page {page} of {number} has a frame for nobody");
        }
    }
}
