//! What to do next for a read into a client's container.
//!
//! ```text
//!   file pages       |   7   |   8   |   9   |  10   |  11   |
//!   asked for            [=================================]         container page alike: offset within a page equal
//!                      edge    whole, whole, whole      edge
//!
//!   cached                     -> Copy      logical for whole pages, bytes at the edges
//!   whole, on disk             -> Direct    the disk writes into the client's frames
//!   whole or not, a hole       -> Zero      a copy of pages that were never there
//!   edge, or not alike         -> Fill      the disk writes into the cache; then Copy
//!   data and holes in one page -> Assemble  the processor puts the page together in the cache; then Copy
//! ```
//! A page at the end of the file counts as whole if the request covers all of it, with what lies beyond the end.
//! Each step is small enough for one lock and one disk request, so that a read costs a constant number of messages a step.

use crate::cache::{CachedRun, FileKey, Places, Reservation};
use crate::map::Backing;
use crate::{Inode, PAGE_BYTES, Source, Volume, VolumeError};
use filesystems_api::block::{Extent, Extents, SECTOR_BYTES};

/// Pages of a client's that a step locks and has the disk fill at most. All threads of the server together must stay within the
/// pages that the driver may answer for at a time: see [`step_pages`].
pub const STEP_PAGES: u64 = 256;

/// Pages that a step has, however little the driver may answer for; where that is not enough for all threads, some of them wait.
pub const STEP_PAGES_MIN: u64 = 64;

/// Pages of the cache that a step locks and has the disk fill at most: so many for each thread are in the server's own pin limit.
pub const FILL_PAGES: u64 = 64;

/// Pages of a step, for one of so many threads behind a driver that may answer for `pages_in_flight`.
pub fn step_pages(pages_in_flight: u64, threads: u64) -> u64 {
    (pages_in_flight / threads.max(1)).clamp(STEP_PAGES_MIN, STEP_PAGES)
}

/// Pages that a step copies at most.
pub const COPY_PAGES: u64 = 4096;

/// A read, as asked for. `offset + bytes` and `container_offset + bytes` do not overflow.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// The file.
    pub inode: Inode,
    /// First byte of the file.
    pub offset: u64,
    /// Bytes wanted.
    pub bytes: u64,
    /// First byte in the container.
    pub container_offset: u64,
    /// The disk may write into the container; without it everything goes through the cache.
    pub direct: bool,
    /// Pages that the disk fills in one step, at most [`STEP_PAGES`]; 1 to find out how far a bad disk can be read.
    pub disk_pages: u64,
}

/// One step. `valid` counts the bytes of the file that are in their place when the step is done.
#[derive(PartialEq, Eq, Debug)]
pub enum Step {
    /// All that the file has was read.
    Done,
    /// Copy from the cache container, then release the run.
    Copy {
        /// Where it lies.
        run: CachedRun,
        /// First byte in the cache container.
        source_offset: u64,
        /// First byte in the client's container.
        destination_offset: u64,
        /// Bytes to copy: up to the end of a whole page that the file ends in.
        bytes: u64,
        /// Of them, bytes of the file.
        valid: u64,
    },
    /// Copy as much from pages that were never there.
    Zero {
        /// First byte in the client's container.
        destination_offset: u64,
        /// Bytes to copy.
        bytes: u64,
        /// Of them, bytes of the file.
        valid: u64,
    },
    /// Lock, read from the disk, cache, unlock.
    Direct {
        /// First page of the client's container.
        first_page: u64,
        /// Pages to lock.
        pages: u64,
        /// What goes where in the locked range.
        extents: Extents,
        /// Bytes of the file.
        valid: u64,
        /// First page of the file, for the cache.
        file_page: u64,
    },
    /// Read from the disk into the reserved places.
    Fill {
        /// Where to.
        reservation: Reservation,
        /// What goes where in the reserved range.
        extents: Extents,
        /// Bytes of the file; what follows in the last page is to be zero.
        filled: u64,
        /// First page of the file.
        file_page: u64,
    },
    /// Put one page together.
    Assemble {
        /// Where to.
        reservation: Reservation,
        /// Page of the file.
        file_page: u64,
    },
    /// The cache has no place that is not in use.
    NoPlace,
}

/// Successive pages of a file that are backed alike.
#[expect(clippy::large_enum_variant, reason = "it lives on the stack for one step")]
enum Gathered {
    /// On disk: what goes where, and how many bytes of the file that is.
    Disk { extents: Extents, pages: u64, bytes: u64 },
    /// Zeros.
    Zero { pages: u64 },
    /// The first page is partly this, partly that.
    Mixed,
}

impl Read {
    fn key(&self) -> FileKey {
        FileKey { inode: self.inode.number, generation: self.inode.generation }
    }

    /// Pages from the one that begins at `position` on that the request covers whole; 0 where file and container pages
    /// do not lie alike.
    fn whole_pages(&self, position: u64, destination: u64) -> u64 {
        if !position.is_multiple_of(PAGE_BYTES) || !destination.is_multiple_of(PAGE_BYTES) {
            return 0;
        }
        (self.offset + self.bytes - position) / PAGE_BYTES
    }

    /// Copying all that is wanted from the cache, where it lies there in one run; the step that `next` would tell.
    pub fn cached(&self, index: &mut impl Places) -> Option<Step> {
        let end = self.end();
        if self.offset >= end {
            return None;
        }
        let whole = self.copy(index, 0, end)?;
        match whole {
            Step::Copy { valid, .. } if valid == end - self.offset => Some(whole),
            Step::Copy { run, .. } => {
                index.decline(run);
                None
            }
            _ => None,
        }
    }

    /// Where the contents that are wanted end in the file.
    fn end(&self) -> u64 {
        self.inode.size.min(self.offset + self.bytes)
    }

    /// Bytes to copy and valid bytes among them, where so many pages are at hand for the page at `position`.
    fn extent(&self, position: u64, whole: u64, end: u64, pages: u64) -> (u64, u64) {
        let valid = (pages * PAGE_BYTES - position % PAGE_BYTES).min(end - position);
        let bytes = if pages <= whole { pages * PAGE_BYTES } else { valid };
        (bytes, valid)
    }

    /// Copying what is cached from a place before `end` on.
    fn copy(&self, index: &mut impl Places, done: u64, end: u64) -> Option<Step> {
        let position = self.offset + done;
        let destination_offset = self.container_offset + done;
        let (page, within) = (position / PAGE_BYTES, position % PAGE_BYTES);
        let wanted = (end - page * PAGE_BYTES).div_ceil(PAGE_BYTES).min(COPY_PAGES);
        let run = index.find(self.key(), page, wanted as u32)?;
        let whole = self.whole_pages(position, destination_offset);
        let (bytes, valid) = self.extent(position, whole, end, u64::from(run.pages));
        let source_offset = u64::from(run.place) * PAGE_BYTES + within;
        Some(Step::Copy { run, source_offset, destination_offset, bytes, valid })
    }

    /// The step that follows when `done` bytes are in their places.
    pub fn next<S: Source>(
        &self,
        volume: &mut Volume<S>,
        index: &mut impl Places,
        done: u64,
    ) -> Result<Step, VolumeError> {
        let position = self.offset + done;
        let end = self.end();
        if position >= end {
            return Ok(Step::Done);
        }
        if let Some(step) = self.copy(index, done, end) {
            return Ok(step);
        }
        let destination_offset = self.container_offset + done;
        let page = position / PAGE_BYTES;
        let whole = self.whole_pages(position, destination_offset);
        let wanted = (end - page * PAGE_BYTES).div_ceil(PAGE_BYTES).min(COPY_PAGES);
        let direct = self.direct && whole > 0;
        let zeros = if whole > 0 { wanted.min(whole) } else { wanted };
        let (bound, most) = if direct { (STEP_PAGES, zeros) } else { (FILL_PAGES, wanted) };
        let most = self.disk_pages.clamp(1, bound).min(most);
        let uncached = index.uncached(self.key(), page, most);
        Ok(match gather(volume, &self.inode, page, uncached, zeros)? {
            Gathered::Zero { pages } => {
                let (bytes, valid) = self.extent(position, whole, end, pages);
                Step::Zero { destination_offset, bytes, valid }
            }
            Gathered::Mixed => match index.reserve(1) {
                Some(reservation) => Step::Assemble { reservation, file_page: page },
                None => Step::NoPlace,
            },
            Gathered::Disk { extents, pages, bytes } if direct => {
                let first_page = destination_offset / PAGE_BYTES;
                Step::Direct { first_page, pages, extents, valid: bytes, file_page: page }
            }
            Gathered::Disk { extents, pages, bytes } => match index.reserve(pages as u32) {
                Some(reservation) => {
                    let filled = bytes.min(u64::from(reservation.pages) * PAGE_BYTES);
                    let extents = truncate(&extents, filled.next_multiple_of(SECTOR_BYTES));
                    Step::Fill { reservation, extents, filled, file_page: page }
                }
                None => Step::NoPlace,
            },
        })
    }
}

/// What backs the pages from `page` on, up to so many of the disk or of zeros.
fn gather<S: Source>(
    volume: &mut Volume<S>,
    inode: &Inode,
    page: u64,
    most: u64,
    most_zeros: u64,
) -> Result<Gathered, VolumeError> {
    let block_bytes = u64::from(volume.geometry().block_bytes);
    let start = page * PAGE_BYTES;
    let is_zero = volume.run(inode, start / block_bytes)?.backing == Backing::Zero;
    let end = inode.size.min(start + if is_zero { most_zeros } else { most } * PAGE_BYTES);
    let mut extents = Extents::EMPTY;
    let mut cursor = start;
    while cursor < end {
        let run = volume.run(inode, cursor / block_bytes)?;
        if is_zero != (run.backing == Backing::Zero) {
            break;
        }
        let bytes = run.blocks.saturating_mul(block_bytes).min(end - cursor);
        if let Backing::Disk(block) = run.backing {
            let sector = block * (block_bytes / SECTOR_BYTES);
            let offset = (cursor - start) as u32;
            let bytes = bytes.next_multiple_of(SECTOR_BYTES) as u32;
            if append(&mut extents, Extent { sector, offset, bytes }).is_err() {
                break;
            }
        }
        cursor += bytes;
    }
    let pages =
        if cursor == end { (end - start).div_ceil(PAGE_BYTES) } else { (cursor - start) / PAGE_BYTES };
    if pages == 0 {
        return Ok(Gathered::Mixed);
    }
    if is_zero {
        return Ok(Gathered::Zero { pages });
    }
    let bytes = (pages * PAGE_BYTES).min(end - start);
    Ok(Gathered::Disk { extents: truncate(&extents, bytes.next_multiple_of(SECTOR_BYTES)), pages, bytes })
}

/// Appends an extent, as part of the last one where it continues it.
fn append(extents: &mut Extents, extent: Extent) -> Result<(), Extent> {
    if let Some(last) = extents.last_mut() {
        let continues = last.sector + u64::from(last.bytes) / SECTOR_BYTES == extent.sector;
        if continues && last.offset + last.bytes == extent.offset {
            last.bytes += extent.bytes;
            return Ok(());
        }
    }
    extents.push(extent)
}

/// The part of the extents that lies below `end` in the range.
fn truncate(extents: &Extents, end: u64) -> Extents {
    let mut kept = Extents::EMPTY;
    for extent in extents.as_slice() {
        let bytes = u64::from(extent.bytes).min(end.saturating_sub(u64::from(extent.offset))) as u32;
        if bytes > 0 && kept.push(Extent { bytes, ..*extent }).is_err() {
            break;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_as_large_as_the_driver_can_answer_for() {
        assert_eq!(
            [0, 128, 256, 400, 1024, u64::MAX].map(|pages| step_pages(pages, 4)),
            [64, 64, 64, 100, 256, 256]
        );
        assert_eq!(step_pages(100, 0), 100);
    }
}
