//! The cache as plans see it: the index, or whatever stands between them and it.

use super::{CachedRun, FileKey, PageIndex, Reservation};

/// What a plan asks of the cache.
pub trait Places {
    /// See [`PageIndex::find`].
    fn find(&mut self, file: FileKey, page: u64, most: u32) -> Option<CachedRun>;
    /// See [`PageIndex::decline`].
    fn decline(&mut self, run: CachedRun);
    /// See [`PageIndex::uncached`].
    fn uncached(&mut self, file: FileKey, page: u64, most: u64) -> u64;
    /// See [`PageIndex::reserve`].
    fn reserve(&mut self, most: u32) -> Option<Reservation>;
}

impl Places for PageIndex {
    fn find(&mut self, file: FileKey, page: u64, most: u32) -> Option<CachedRun> {
        PageIndex::find(self, file, page, most)
    }

    fn decline(&mut self, run: CachedRun) {
        PageIndex::decline(self, run);
    }

    fn uncached(&mut self, file: FileKey, page: u64, most: u64) -> u64 {
        PageIndex::uncached(self, file, page, most)
    }

    fn reserve(&mut self, most: u32) -> Option<Reservation> {
        PageIndex::reserve(self, most)
    }
}
