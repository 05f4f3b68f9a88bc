//! Page tables of a task: regions of 512 pages, each in need of a frame.

use kernel_abi::pmap::Protection;

const REGION: u64 = 512;

/// What a page is mapped to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// The frame.
    pub frame: u32,
    /// Stores are allowed.
    pub writable: bool,
    /// It was reached since the bit was cleared.
    pub referenced: bool,
    /// It was written since the bit was cleared.
    pub dirty: bool,
}

impl Page {
    const PRESENT: u64 = 1;
    const WRITABLE: u64 = 2;
    const REFERENCED: u64 = 4;
    const DIRTY: u64 = 8;

    fn pack(self) -> u64 {
        let bit = |is_set: bool, bit: u64| if is_set { bit } else { 0 };
        u64::from(self.frame) << 8
            | Page::PRESENT
            | bit(self.writable, Page::WRITABLE)
            | bit(self.referenced, Page::REFERENCED)
            | bit(self.dirty, Page::DIRTY)
    }

    fn unpack(word: u64) -> Option<Page> {
        let page = Page {
            frame: (word >> 8) as u32,
            writable: word & Page::WRITABLE != 0,
            referenced: word & Page::REFERENCED != 0,
            dirty: word & Page::DIRTY != 0,
        };
        (word & Page::PRESENT != 0).then_some(page)
    }
}

struct Region {
    number: u64,
    table: u32,
    used: u32,
    words: Box<[u64; REGION as usize]>,
}

/// The page tables in use.
#[derive(Default)]
pub struct Tables {
    regions: Vec<Region>,
}

impl Tables {
    /// Page tables in use.
    pub fn count(&self) -> usize {
        self.regions.len()
    }

    /// Pages mapped.
    pub fn pages(&self) -> usize {
        self.regions.iter().map(|region| region.used as usize).sum()
    }

    fn find(&self, number: u64) -> Option<&Region> {
        self.regions.iter().find(|region| region.number == number)
    }

    /// Whether the page table for a page is there.
    pub fn has_table(&self, page: u64) -> bool {
        self.find(page / REGION).is_some()
    }

    /// Puts a page table in its place.
    pub fn add_table(&mut self, page: u64, table: u32) {
        let words = Box::new([0; REGION as usize]);
        self.regions.push(Region { number: page / REGION, table, used: 0, words });
    }

    /// What a page is mapped to.
    pub fn get(&self, page: u64) -> Option<Page> {
        Page::unpack(self.find(page / REGION)?.words[(page % REGION) as usize])
    }

    /// Changes what is noted of the use of a page that is mapped.
    pub fn note_use(&mut self, page: u64, referenced: bool, dirty: bool) {
        let region = self.regions.iter_mut().find(|region| region.number == page / REGION);
        let Some(word) = region.map(|region| &mut region.words[(page % REGION) as usize]) else { return };
        if let Some(old) = Page::unpack(*word) {
            *word = Page { referenced, dirty, ..old }.pack();
        }
    }

    /// Maps a page, whose table is there; what it was mapped to.
    pub fn set(&mut self, page: u64, frame: u32, protection: Protection) -> Option<Page> {
        let region = self.regions.iter_mut().find(|region| region.number == page / REGION)?;
        let writable = protection.contains(Protection::WRITE);
        let new = Page { frame, writable, referenced: false, dirty: false };
        let word = &mut region.words[(page % REGION) as usize];
        let old = Page::unpack(std::mem::replace(word, new.pack()));
        region.used += u32::from(old.is_none());
        old
    }

    /// The pages mapped in a range, in no order.
    pub fn range(&self, first: u64, end: u64) -> impl Iterator<Item = (u64, Page)> + '_ {
        self.regions.iter().flat_map(move |region| {
            let start = region.number * REGION;
            let (low, high) = (first.max(start), end.min(start + REGION));
            (low..high.max(low))
                .filter_map(move |page| Some((page, Page::unpack(region.words[(page - start) as usize])?)))
        })
    }

    /// Unmaps a range: `gone` is told each frame, `spare` each page table that is empty by that.
    pub fn remove(&mut self, first: u64, end: u64, mut gone: impl FnMut(u32), mut spare: impl FnMut(u32)) {
        for region in &mut self.regions {
            let start = region.number * REGION;
            let (low, high) = (first.max(start), end.min(start + REGION));
            for page in low..high.max(low) {
                let word = std::mem::take(&mut region.words[(page - start) as usize]);
                if let Some(page) = Page::unpack(word) {
                    gone(page.frame);
                    region.used -= 1;
                }
            }
        }
        self.regions.retain(|region| {
            if region.used == 0 {
                spare(region.table);
            }
            region.used != 0
        });
    }

    /// Changes what is allowed in a range.
    pub fn protect(&mut self, first: u64, end: u64, protection: Protection) {
        let writable = protection.contains(Protection::WRITE);
        for region in &mut self.regions {
            let start = region.number * REGION;
            let (low, high) = (first.max(start), end.min(start + REGION));
            for page in low..high.max(low) {
                let word = &mut region.words[(page - start) as usize];
                if let Some(old) = Page::unpack(*word) {
                    *word = Page { writable, ..old }.pack();
                }
            }
        }
    }
}
