//! A small cache of disk pages for metadata: all metadata, and file contents that travel in a message, pass through it.
//!
//! Its memory is taken once, at mount. A page is four sectors-aligned kilobytes of the disk whatever the block size,
//! so that one page holds whole blocks. Replacement is by clock. A page that could not be read is not kept.

use crate::{PAGE_BYTES, Source, SourceError};
use alloc::vec;
use alloc::vec::Vec;
use filesystems_api::block::SECTOR_BYTES;

/// Pages kept.
pub const METADATA_PAGES: usize = 64;

const PAGE: usize = PAGE_BYTES as usize;

#[derive(Clone, Copy)]
struct Place {
    page: Option<u64>,
    referenced: bool,
}

/// The cache. Nothing on the disk changes while it is mounted, so nothing in here grows stale.
pub struct MetadataCache {
    places: Vec<Place>,
    bytes: Vec<u8>,
    hand: usize,
}

impl MetadataCache {
    /// An empty cache.
    pub fn new() -> MetadataCache {
        MetadataCache {
            places: vec![Place { page: None, referenced: false }; METADATA_PAGES],
            bytes: vec![0; METADATA_PAGES * PAGE],
            hand: 0,
        }
    }

    /// The disk page with this number. What lies beyond the end of the disk reads as zeros.
    pub fn page(&mut self, source: &mut impl Source, page: u64) -> Result<&[u8], SourceError> {
        let place = match self.places.iter().position(|place| place.page == Some(page)) {
            Some(place) => place,
            None => self.load(source, page)?,
        };
        self.places[place].referenced = true;
        Ok(&self.bytes[place * PAGE..(place + 1) * PAGE])
    }

    fn load(&mut self, source: &mut impl Source, page: u64) -> Result<usize, SourceError> {
        let first = page.checked_mul(PAGE_BYTES / SECTOR_BYTES).ok_or(SourceError::Beyond)?;
        let sectors = source.sectors().checked_sub(first).ok_or(SourceError::Beyond)?;
        let bytes = PAGE.min(usize::try_from(sectors).unwrap_or(PAGE).saturating_mul(SECTOR_BYTES as usize));
        if bytes == 0 {
            return Err(SourceError::Beyond);
        }
        let place = self.victim();
        self.places[place].page = None;
        let room = &mut self.bytes[place * PAGE..(place + 1) * PAGE];
        room[bytes..].fill(0);
        source.read(first, &mut room[..bytes])?;
        self.places[place].page = Some(page);
        Ok(place)
    }

    fn victim(&mut self) -> usize {
        loop {
            let place = self.hand;
            self.hand = (self.hand + 1) % METADATA_PAGES;
            if !core::mem::take(&mut self.places[place].referenced) {
                return place;
            }
        }
    }
}
