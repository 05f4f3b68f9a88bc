//! Requests of clients: what is asked for, how much of it the device has, and how it is going.

use crate::operation::Direction;
use crate::runs::PhysicalRuns;
use filesystems_api::block::{BlockError, Extent, Extents, SECTOR_BYTES};
use kernel_protocol::Refusal;

/// Requests in progress at most.
pub const REQUESTS: usize = 16;

/// Place of a request in the table; the server keeps the reply and the lock of it at the same place.
pub type Slot = usize;

/// A request in progress, or the place of one. It is large and never moved.
pub struct Request {
    extents: Extents,
    /// Which way the data goes.
    pub direction: Direction,
    /// Where in memory the data is, or goes.
    pub runs: PhysicalRuns,
    /// The extent that the device is to be given next, and how much of it is given already.
    extent: usize,
    given: u32,
    /// Operations that the device has.
    pub in_flight: u32,
    /// Bytes done.
    pub done: u64,
    /// Why it fails, once something of it has failed; then nothing more of it is given.
    pub failure: Option<Refusal<BlockError>>,
    /// Moment at which the device is late.
    pub deadline: u64,
}

/// Checks a request against the disk and the locked range.
pub fn check(extents: &Extents, sectors: u64, range_bytes: u64) -> Result<(), BlockError> {
    if extents.as_slice().is_empty() {
        return Err(BlockError::Malformed);
    }
    for extent in extents.as_slice() {
        let (offset, bytes) = (u64::from(extent.offset), u64::from(extent.bytes));
        if bytes == 0 || !bytes.is_multiple_of(SECTOR_BYTES) || !offset.is_multiple_of(SECTOR_BYTES) {
            return Err(BlockError::Unaligned);
        }
        let end = extent.sector.checked_add(bytes / SECTOR_BYTES).ok_or(BlockError::OutOfRange)?;
        if end > sectors || offset + bytes > range_bytes {
            return Err(BlockError::OutOfRange);
        }
    }
    Ok(())
}

impl Request {
    /// The place of a request.
    pub fn vacant() -> Request {
        Request {
            extents: Extents::EMPTY,
            direction: Direction::Read,
            runs: PhysicalRuns::new(),
            extent: 0,
            given: 0,
            in_flight: 0,
            done: 0,
            failure: None,
            deadline: 0,
        }
    }

    /// Begins a request that was checked.
    pub fn begin(&mut self, direction: Direction, extents: &Extents, runs: &PhysicalRuns, deadline: u64) {
        self.direction = direction;
        self.extents.assign(extents);
        self.runs.assign(runs);
        (self.extent, self.given, self.in_flight, self.done) = (0, 0, 0, 0);
        (self.failure, self.deadline) = (None, deadline);
    }

    /// What is to be given to the device next.
    pub fn rest(&self) -> Option<Extent> {
        if self.failure.is_some() {
            return None;
        }
        let extent = self.extents.as_slice().get(self.extent)?;
        Some(Extent {
            sector: extent.sector + u64::from(self.given) / SECTOR_BYTES,
            offset: extent.offset + self.given,
            bytes: extent.bytes - self.given,
        })
    }

    /// The device has been given this much more.
    pub fn give(&mut self, bytes: u32) {
        self.given += bytes;
        self.in_flight += 1;
        if self.extents.as_slice().get(self.extent).is_some_and(|extent| self.given >= extent.bytes) {
            self.extent += 1;
            self.given = 0;
        }
    }

    /// Bytes of the locked range, from its start without a gap, that the device has written once the request is done.
    pub fn prefix(&self) -> u64 {
        let has_written = self.failure.is_none() && self.direction == Direction::Read;
        let mut end = 0;
        for extent in self.extents.as_slice().iter().filter(|_| has_written) {
            if u64::from(extent.offset) != end {
                break;
            }
            end += u64::from(extent.bytes);
        }
        end
    }

    /// Whether nothing of it is with the device and nothing is left to give.
    pub fn is_over(&self) -> bool {
        self.in_flight == 0 && self.rest().is_none()
    }
}
