//! One place of the cache, in few bytes: there is one for each page that the cache can ever have.

use super::FileKey;

/// No place.
pub(super) const NONE: u32 = u32::MAX;

/// Memory that the index takes for a place: the place itself, at most two entries of the hash table, and a few bits.
pub const BYTES_PER_PLACE: u64 = (size_of::<Place>() + 2 * size_of::<u32>() + 1) as u64;

/// A place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// 0: it holds no page.
    inode: u32,
    generation: u32,
    /// Page of the file. Files of the formats that are read end far below 2^32 pages.
    page: u32,
    /// Next place with the same hash.
    pub next: u32,
}

impl Place {
    pub const EMPTY: Place = Place { inode: 0, generation: 0, page: 0, next: NONE };

    /// Whether it holds this page.
    pub fn holds(&self, file: FileKey, page: u64) -> bool {
        let FileKey { inode, generation } = file;
        inode != 0 && self.inode == inode && self.generation == generation && u64::from(self.page) == page
    }

    /// Has it hold a page. False: there can be no such page.
    pub fn put(&mut self, file: FileKey, page: u64) -> bool {
        let Ok(page) = u32::try_from(page) else { return false };
        (self.inode, self.generation, self.page) = (file.inode, file.generation, page);
        file.inode != 0
    }

    /// Has it hold none; which one it was.
    pub fn take(&mut self) -> Option<(FileKey, u64)> {
        let file = FileKey { inode: self.inode, generation: self.generation };
        self.inode = 0;
        (file.inode != 0).then_some((file, u64::from(self.page)))
    }
}
