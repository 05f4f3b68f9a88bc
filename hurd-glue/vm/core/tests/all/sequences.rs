//! Random calls, absurd ones among them, do the same to the library and to the model.

use crate::fake::{Fake, check};
use crate::model::{BASES, Model, OBJECT_PAGES, PAGES, Page, bytes, copied, fresh};
use crate::random::Random;
use hurd_glue_vm_core::KernError::{self, InvalidArgument, NoSpace, ProtectionFailure};
use hurd_glue_vm_core::vm::Place;
use hurd_glue_vm_core::{Attributes, Inheritance, MapId, PAGE_BYTES, Protection, Result, Vm};

struct Both {
    model: Model,
    vm: Vm<Fake>,
    maps: [MapId; 2],
    object: usize,
    random: Random,
    /// How often each outcome was seen, so that a run that tests nothing fails.
    outcomes: std::collections::BTreeMap<(&'static str, i32), u32>,
}

impl Both {
    fn new(seed: u64) -> Both {
        let mut vm = Vm::new(Fake::new(2));
        let object = vm.memory().make(OBJECT_PAGES);
        let bounds = |map: usize| BASES[map]..BASES[map] + PAGES * PAGE_BYTES;
        let maps = [0, 1].map(|map| vm.add_map(map, (), bounds(map)).expect("there is room"));
        let empty = || vec![None; PAGES as usize];
        let objects = (0..OBJECT_PAGES).map(|_| bytes()).collect();
        let model = Model { maps: [empty(), empty()], object: objects };
        Both { model, vm, maps, object, random: Random(seed), outcomes: Default::default() }
    }

    fn address(&mut self, map: usize) -> u64 {
        let unaligned = if self.random.chance(3) { self.random.below(PAGE_BYTES) } else { 0 };
        match self.random.below(20) {
            0 => self.random.number(),
            1 => u64::MAX - self.random.below(2 * PAGE_BYTES),
            2 => self.random.below(3) * PAGE_BYTES,
            3 => BASES[map].wrapping_sub(PAGE_BYTES).wrapping_add(unaligned),
            4 => BASES[map].wrapping_add(PAGES * PAGE_BYTES).wrapping_add(unaligned),
            _ => BASES[map] + self.random.below(PAGES) * PAGE_BYTES + unaligned,
        }
    }

    fn size(&mut self) -> u64 {
        match self.random.below(20) {
            0 => 0,
            1 => u64::MAX - self.random.below(2 * PAGE_BYTES),
            2 => self.random.number(),
            3..6 => 1 + self.random.below(PAGE_BYTES),
            _ => (1 + self.random.below(8)) * PAGE_BYTES - self.random.below(2) * self.random.below(99),
        }
    }

    fn protection(&mut self) -> Protection {
        let likely = [Protection::DEFAULT, Protection::READ, Protection::all(), Protection::empty()];
        match self.random.below(3) {
            0 => Protection::from_bits_truncate(self.random.below(8) as u32),
            _ => likely[self.random.below(4) as usize],
        }
    }

    fn inheritance(&mut self) -> Inheritance {
        Inheritance::from_number(self.random.below(3) as u32).expect("below three")
    }

    fn place(&mut self, map: usize) -> Place {
        let mask = if self.random.chance(4) { (PAGE_BYTES << self.random.below(4)) - 1 } else { 0 };
        let (address, size, anywhere) = (self.address(map), self.size(), self.random.chance(2));
        Place { address, size, mask, anywhere }
    }

    fn same<T: PartialEq + std::fmt::Debug>(
        &mut self,
        what: &'static str,
        real: Result<T>,
        model: Result<T>,
    ) {
        let number = real.as_ref().map_or_else(|error| error.code(), |_| 0);
        *self.outcomes.entry((what, number)).or_default() += 1;
        assert_eq!(real, model, "{what}");
    }

    fn step(&mut self) {
        let map = self.random.below(2) as usize;
        match self.random.below(15) {
            0..=2 => self.allocate(map),
            3 => self.deallocate(map),
            4 => self.protect(map),
            5 => self.inherit(map),
            6 | 7 => self.copy(map),
            8 => self.read(map),
            9 => self.map_object(map),
            10 => self.remap(map),
            11 => self.wire(map),
            12 => self.region(map),
            _ => self.touch(map),
        }
    }

    fn allocate(&mut self, map: usize) {
        let Place { mut address, size, anywhere, .. } = self.place(map);
        let real = self.vm.allocate(self.maps[map], address, size, anywhere);
        if anywhere {
            address = BASES[map];
        }
        let model = if size == 0 {
            Ok(0)
        } else {
            self.model.place(map, &Place { address, size, mask: 0, anywhere }).map(|first| {
                let pages = (0..size.div_ceil(PAGE_BYTES)).map(|_| fresh(Attributes::FRESH)).collect();
                self.model.put(map, first, pages)
            })
        };
        self.same("allocate", real, model);
    }

    fn deallocate(&mut self, map: usize) {
        let (address, size) = (self.address(map), self.size());
        let real = self.vm.deallocate(self.maps[map], address, size);
        let model = if size == 0 { Ok(0..0) } else { self.model.numbers(map, address, size) };
        let model = model.map(|numbers| {
            for (index, page) in self.model.maps[map].iter_mut().enumerate() {
                if numbers.contains(&(index as i128)) {
                    *page = None;
                }
            }
        });
        self.same("deallocate", real, model);
    }

    fn protect(&mut self, map: usize) {
        let (address, size, new) = (self.address(map), self.size(), self.protection());
        let set_maximum = self.random.chance(6);
        let real = self.vm.protect(self.maps[map], address, size, set_maximum, new);
        let model = self.model_protect(map, address, size, set_maximum, new);
        self.same("protect", real, model);
    }

    fn model_protect(
        &mut self,
        map: usize,
        address: u64,
        size: u64,
        set_maximum: bool,
        new: Protection,
    ) -> Result<()> {
        if size == 0 {
            return Ok(());
        }
        let numbers = self.model.numbers(map, address, size)?;
        self.model.all(map, &numbers)?;
        let beyond = |page: &mut Page| !page.attributes.maximum.contains(new);
        if numbers.clone().any(|number| self.model.page(map, number).is_some_and(beyond)) {
            return Err(ProtectionFailure);
        }
        if !set_maximum && new.contains(Protection::WRITE | Protection::EXECUTE) {
            return Err(ProtectionFailure);
        }
        for number in numbers {
            let attributes = &mut self.model.page(map, number).expect("all are there").attributes;
            if set_maximum {
                attributes.maximum = new;
                attributes.protection &= new;
            } else {
                attributes.protection = new;
            }
        }
        Ok(())
    }

    fn inherit(&mut self, map: usize) {
        let (address, size, new) = (self.address(map), self.size(), self.inheritance());
        let real = self.vm.inherit(self.maps[map], address, size, new);
        let model = if size == 0 { Ok(0..0) } else { self.model.numbers(map, address, size) };
        let model = model.and_then(|numbers| {
            if size > 0 {
                self.model.all(map, &numbers)?;
            }
            for number in numbers {
                self.model.page(map, number).expect("all are there").attributes.inheritance = new;
            }
            Ok(())
        });
        self.same("inherit", real, model);
    }

    fn copy(&mut self, map: usize) {
        let other = self.random.below(2) as usize;
        let (source, destination, size) = (self.address(map), self.address(other), self.size());
        let real = self.vm.transfer((self.maps[map], source), (self.maps[other], destination), size);
        let model = if size == 0 {
            Ok(())
        } else {
            let checked = self.model.allowing(map, source, size, Protection::READ);
            checked.and_then(|_| self.model.allowing(other, destination, size, Protection::WRITE)).map(|_| {
                let bytes = self.model.read(map, source, size);
                self.model.write(other, destination, &bytes);
            })
        };
        self.same("copy", real, model);
    }

    fn read(&mut self, map: usize) {
        let into = self.random.below(2) as usize;
        let (address, size) = (self.address(map), self.size());
        let real = self.vm.read(self.maps[map], address, size, self.maps[into]);
        let model = if size == 0 { Ok(0) } else { self.model_read(map, address, size, into) };
        self.same("read", real, model);
    }

    fn model_read(&mut self, map: usize, address: u64, size: u64, into: usize) -> Result<u64> {
        let numbers = self.model.allowing(map, address, size, Protection::READ)?;
        let bytes = numbers.len() as u64 * PAGE_BYTES;
        let place = Place { address: BASES[into], size: bytes, mask: 0, anywhere: true };
        let first = self.model.place(into, &place)?;
        let page = |&number: &u64| {
            let page = self.model.maps[map][number as usize].as_ref().expect("all are there");
            copied(page, Attributes::FRESH)
        };
        let pages = numbers.iter().map(page).collect();
        Ok(self.model.put(into, first, pages) + address % PAGE_BYTES)
    }

    fn map_object(&mut self, map: usize) {
        let place = self.place(map);
        let attributes = Attributes {
            protection: self.protection(),
            maximum: self.protection() | self.protection(),
            inheritance: self.inheritance(),
        };
        let copy = self.random.chance(2);
        let unaligned = u64::from(self.random.chance(8));
        let offset = self.random.below(OBJECT_PAGES) * PAGE_BYTES + unaligned;
        let object = (!self.random.chance(4)).then_some((self.object, offset));
        let real = self.vm.map_object(self.maps[map], &place, object, copy, attributes);
        let model = self.model_map(map, &place, object.map(|(_, offset)| offset), copy, attributes);
        self.same("map", real, model);
    }

    fn model_map(
        &mut self,
        map: usize,
        place: &Place,
        object: Option<u64>,
        copy: bool,
        attributes: Attributes,
    ) -> Result<u64> {
        let offset = object.unwrap_or(0);
        let bad_offset = !offset.is_multiple_of(PAGE_BYTES);
        if place.size == 0 || bad_offset || !attributes.maximum.contains(attributes.protection) {
            return Err(InvalidArgument);
        }
        if attributes.protection.contains(Protection::WRITE | Protection::EXECUTE) {
            return Err(ProtectionFailure);
        }
        let address = place.address / PAGE_BYTES * PAGE_BYTES;
        let first = self.model.place(map, &Place { address, ..*place })?;
        let (from, count) = (offset / PAGE_BYTES, place.size.div_ceil(PAGE_BYTES));
        if object.is_some() && from + count > OBJECT_PAGES {
            return Err(InvalidArgument);
        }
        let page = |index: u64| match object {
            None => fresh(attributes),
            Some(_) => {
                let bytes = self.model.object[(from + index) as usize].clone();
                let page = Page { bytes, attributes, is_shared: true };
                if copy { copied(&page, attributes) } else { page }
            }
        };
        let pages = (0..count).map(page).collect();
        Ok(self.model.put(map, first, pages))
    }

    fn remap(&mut self, map: usize) {
        let (from, copy) = (self.random.below(2) as usize, self.random.chance(2));
        let (place, source, inheritance) = (self.place(map), self.address(from), self.inheritance());
        let real = self.vm.remap(self.maps[map], &place, (self.maps[from], source), copy, inheritance);
        let model = self.model_remap(map, &place, from, source, copy, inheritance);
        let real = real.map(|remapped| (remapped.address, remapped.protection, remapped.maximum));
        self.same("remap", real, model);
    }

    fn model_remap(
        &mut self,
        map: usize,
        place: &Place,
        from: usize,
        source: u64,
        copy: bool,
        inheritance: Inheritance,
    ) -> Result<(u64, Protection, Protection)> {
        if place.size == 0 {
            return Err(InvalidArgument);
        }
        let numbers = self.model.numbers(from, source, place.size)?;
        self.model.all(from, &numbers)?;
        let size = (numbers.end - numbers.start) as u64 * PAGE_BYTES;
        let address = place.address / PAGE_BYTES * PAGE_BYTES;
        let first = self.model.place(map, &Place { address, size, ..*place })?;
        let mut both = (Protection::all(), Protection::all());
        let mut pages = Vec::new();
        for number in numbers {
            let page = self.model.page(from, number).expect("all are there");
            both = (both.0 & page.attributes.protection, both.1 & page.attributes.maximum);
            let attributes = Attributes { inheritance, ..page.attributes };
            pages.push(if copy {
                copied(page, attributes)
            } else {
                page.is_shared = true;
                Page { attributes, ..page.clone() }
            });
        }
        Ok((self.model.put(map, first, pages), both.0, both.1))
    }

    /// Wiring and unwiring again: contents stay what they are. What may be wired is a matter of objects, which the model has not.
    fn wire(&mut self, map: usize) {
        let (address, size) = (self.address(map), self.size());
        let access = if self.random.chance(2) { Protection::READ } else { Protection::DEFAULT };
        let real = self.vm.wire(self.maps[map], address, size, access);
        if size > 0 {
            let allowed = self.model.allowing(map, address, size, access).map(drop);
            if allowed.is_err() || real != Err(KernError::Failure) {
                self.same("wire", real, allowed);
            }
        }
        if real.is_ok() && self.random.chance(2) {
            self.check();
            assert_eq!(self.vm.wire(self.maps[map], address, size, Protection::empty()), Ok(()));
        }
    }

    fn region(&mut self, map: usize) {
        let address = self.address(map);
        let real = self.vm.region(self.maps[map], address).map(|region| {
            assert!(region.range.end > address);
            region.range.start.max(address)
        });
        let from = i128::from(address) - i128::from(BASES[map]);
        let first = (from.max(0) / i128::from(PAGE_BYTES)).min(i128::from(PAGES)) as u64;
        let model = (first..PAGES).find(|&page| self.model.maps[map][page as usize].is_some());
        let model = model.map(|page| (BASES[map] + page * PAGE_BYTES).max(address)).ok_or(NoSpace);
        self.same("region", real, model);
    }

    /// A load and a store as a program makes them.
    fn touch(&mut self, map: usize) {
        let (address, byte) = (self.address(map), self.random.number() as u8);
        let number = (i128::from(address) - i128::from(BASES[map])).div_euclid(i128::from(PAGE_BYTES));
        let at = (address % PAGE_BYTES) as usize;
        let page = self.model.page(map, number);
        let mapped = page.filter(|page| !page.attributes.protection.is_empty());
        let expected = mapped.map(|page| page.bytes.borrow()[at]);
        assert_eq!(self.vm.memory().load(map, address), expected);
        let page = self.model.page(map, number);
        let writable = page.filter(|page| page.attributes.protection.contains(Protection::WRITE));
        assert_eq!(self.vm.memory().store(map, address, byte), writable.is_some());
        if let Some(page) = writable {
            page.bytes.borrow_mut()[at] = byte;
        }
    }

    fn check(&mut self) {
        let object = self.object;
        check(&mut self.vm, &self.maps, &[object], false);
        for (map, base) in BASES.into_iter().enumerate() {
            for index in 0..PAGES as usize {
                let address = base + index as u64 * PAGE_BYTES;
                let region = self.vm.region(self.maps[map], address);
                let region = region.ok().filter(|region| region.range.contains(&address));
                let page = self.model.maps[map][index].as_ref();
                let attributes = |page: &Page| (page.attributes, page.is_shared);
                let real = region.map(|region| (region.attributes, region.is_shared));
                assert_eq!(real, page.map(attributes), "{address:#x}");
                let Some(page) = page else { continue };
                let here = self.vm.memory().spaces[map].get(&(address / PAGE_BYTES)).copied();
                let Some(here) = here else { continue };
                let container = self.vm.memory().container(here.container).expect("it is mapped");
                let zeros = [0; PAGE_BYTES as usize];
                let there = container.pages.get(&here.page).map_or(&zeros, |page| page);
                assert!(there[..] == page.bytes.borrow()[..], "contents at {address:#x}");
            }
        }
    }
}

#[test]
fn random_calls_do_what_the_model_does() {
    let mut outcomes = std::collections::BTreeMap::new();
    for seed in 0..12 {
        let mut both = Both::new(seed);
        for step in 0..1500 {
            both.step();
            if step % 8 == 0 {
                both.check();
            }
        }
        both.check();
        for map in both.maps {
            both.vm.remove_map(map).expect("it is there");
        }
        assert!(both.vm.objects().is_empty());
        let object = both.object;
        assert_eq!(both.vm.memory().container(object).map(|container| container.kept), Ok(0));
        assert_eq!(both.vm.memory().containers.iter().flatten().count(), 1, "containers are left");
        for (outcome, count) in both.outcomes {
            *outcomes.entry(outcome).or_insert(0) += count;
        }
    }
    let calls =
        ["allocate", "deallocate", "protect", "inherit", "copy", "read", "map", "remap", "wire", "region"];
    for call in calls {
        assert!(
            outcomes.get(&(call, 0)).is_some_and(|&count| count > 100),
            "{call} never works: {outcomes:?}"
        );
    }
    for (call, code) in [
        ("allocate", 1),
        ("allocate", 3),
        ("allocate", 4),
        ("deallocate", 4),
        ("protect", 1),
        ("protect", 2),
        ("protect", 4),
        ("inherit", 1),
        ("copy", 1),
        ("copy", 2),
        ("copy", 4),
        ("read", 2),
        ("map", 2),
        ("map", 3),
        ("map", 4),
        ("remap", 1),
        ("remap", 3),
        ("remap", 4),
        ("wire", 1),
        ("wire", 2),
        ("region", 3),
    ] {
        assert!(outcomes.contains_key(&(call, code)), "{call} never fails with {code}: {outcomes:?}");
    }
}
