//! What the calls mean, page by page: each page of a map is nothing, or names bytes and says what may be done with them. No entries,
//! containers or messages.

use hurd_glue_vm_core::KernError::{InvalidAddress, InvalidArgument, NoSpace, ProtectionFailure};
use hurd_glue_vm_core::vm::Place;
use hurd_glue_vm_core::{Attributes, PAGE_BYTES, Protection, Result};
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

pub const PAGES: u64 = 48;
pub const OBJECT_PAGES: u64 = 12;
/// The second map ends where addresses end.
pub const BASES: [u64; 2] = [0x10_0000, (u64::MAX - PAGE_BYTES + 1) - PAGES * PAGE_BYTES];

pub type Bytes = Rc<RefCell<Vec<u8>>>;

pub fn bytes() -> Bytes {
    Rc::new(RefCell::new(vec![0; PAGE_BYTES as usize]))
}

#[derive(Clone)]
pub struct Page {
    pub bytes: Bytes,
    pub attributes: Attributes,
    pub is_shared: bool,
}

pub struct Model {
    pub maps: [Vec<Option<Page>>; 2],
    pub object: Vec<Bytes>,
}

fn wraps(address: u64, size: u64) -> bool {
    u128::from(address) + u128::from(size) > u128::from(u64::MAX - PAGE_BYTES + 1)
}

impl Model {
    /// Numbers of the pages that a range touches, which may lie outside of the map.
    pub fn numbers(&self, map: usize, address: u64, size: u64) -> Result<Range<i128>> {
        if wraps(address, size) {
            return Err(InvalidArgument);
        }
        let page = |at: u64| (i128::from(at) - i128::from(BASES[map])).div_euclid(i128::from(PAGE_BYTES));
        Ok(page(address)..page(address + size - 1) + 1)
    }

    pub fn page(&mut self, map: usize, number: i128) -> Option<&mut Page> {
        usize::try_from(number).ok().and_then(|number| self.maps[map].get_mut(number)?.as_mut())
    }

    pub fn all(&mut self, map: usize, numbers: &Range<i128>) -> Result<()> {
        // A range far larger than the map has holes.
        if numbers.end - numbers.start > i128::from(PAGES) {
            return Err(InvalidAddress);
        }
        let all = numbers.clone().all(|number| self.page(map, number).is_some());
        if all { Ok(()) } else { Err(InvalidAddress) }
    }

    pub fn allowing(
        &mut self,
        map: usize,
        address: u64,
        size: u64,
        protection: Protection,
    ) -> Result<Vec<u64>> {
        let numbers = self.numbers(map, address, size)?;
        self.all(map, &numbers)?;
        for number in numbers.clone() {
            let page = self.page(map, number).expect("all are there");
            if !page.attributes.protection.contains(protection) {
                return Err(ProtectionFailure);
            }
        }
        Ok(numbers.map(|number| number as u64).collect())
    }

    pub fn place(&mut self, map: usize, place: &Place) -> Result<u64> {
        let size = u128::from(place.size).div_ceil(u128::from(PAGE_BYTES));
        if size * u128::from(PAGE_BYTES) > u128::from(u64::MAX) {
            return Err(InvalidArgument);
        }
        let fits = |this: &Self, first: u64| {
            u128::from(first) + size <= u128::from(PAGES)
                && (first..first + size as u64).all(|page| this.maps[map][page as usize].is_none())
        };
        if place.anywhere {
            let from = place.address.saturating_sub(BASES[map]).div_ceil(PAGE_BYTES);
            let aligned = |first: u64| (BASES[map] + first * PAGE_BYTES) & place.mask == 0;
            let from = from.min(PAGES);
            return (from..PAGES).find(|&first| aligned(first) && fits(self, first)).ok_or(NoSpace);
        }
        let address = place.address / PAGE_BYTES * PAGE_BYTES;
        let end = u128::from(address) + size * u128::from(PAGE_BYTES);
        let inside = address >= BASES[map] && end <= u128::from(BASES[map] + PAGES * PAGE_BYTES);
        if !inside {
            return Err(InvalidAddress);
        }
        let first = (address - BASES[map]) / PAGE_BYTES;
        if fits(self, first) && address & place.mask == 0 { Ok(first) } else { Err(NoSpace) }
    }

    pub fn read(&mut self, map: usize, address: u64, size: u64) -> Vec<u8> {
        let byte = |this: &mut Self, at: u64| {
            let number = i128::from((at - BASES[map]) / PAGE_BYTES);
            let page = this.page(map, number).expect("it was checked");
            page.bytes.borrow()[(at % PAGE_BYTES) as usize]
        };
        (0..size).map(|index| byte(self, address + index)).collect()
    }

    pub fn write(&mut self, map: usize, address: u64, bytes: &[u8]) {
        for (index, &byte) in bytes.iter().enumerate() {
            let at = address + index as u64;
            let page = self.page(map, i128::from((at - BASES[map]) / PAGE_BYTES)).expect("it was checked");
            page.bytes.borrow_mut()[(at % PAGE_BYTES) as usize] = byte;
        }
    }

    pub fn put(&mut self, map: usize, first: u64, pages: Vec<Page>) -> u64 {
        for (index, page) in pages.into_iter().enumerate() {
            let slot = &mut self.maps[map][first as usize + index];
            assert!(slot.is_none());
            *slot = Some(page);
        }
        BASES[map] + first * PAGE_BYTES
    }
}

pub fn fresh(attributes: Attributes) -> Page {
    Page { bytes: bytes(), attributes, is_shared: false }
}

pub fn copied(page: &Page, attributes: Attributes) -> Page {
    Page { bytes: Rc::new(RefCell::new(page.bytes.borrow().clone())), attributes, is_shared: false }
}
