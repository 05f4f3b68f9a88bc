//! Requests to a block driver. Data goes by DMA between the disk and a locked range of somebody's container;
//! the driver never maps it.

use kernel_protocol::{Field, Malformed, Message, Reader, Writer, error_codes, message, protocol};

/// Bytes of a sector, the unit of disk addresses whatever the disk's own block size (virtio 1.2, 5.2.6).
pub const SECTOR_BYTES: u64 = 512;

/// Extents that one request carries at most.
pub const EXTENTS_PER_REQUEST: usize = 28;

error_codes! {
    /// Why a disk request failed. For `Io`, the detail is the first sector of the extent that failed.
    pub enum BlockError, other Protocol {
        /// The request's words are malformed.
        Malformed = 1, Caller, "malformed request";
        /// No lock was sent along, or physmem refused its physical addresses (detail: the memory error).
        BadLock = 2, Caller, "the lock sent along is no good";
        /// Sectors beyond the end of the disk, or bytes beyond the locked range.
        OutOfRange = 3, Caller, "beyond the end of the disk or of the locked range";
        /// Lengths and offsets must be whole sectors, and extents must not be empty.
        Unaligned = 4, Caller, "not whole sectors";
        /// As many requests are in flight as the driver has room for.
        Busy = 5, System, "too many requests in flight";
        /// The disk reported an error.
        Io = 6, System, "the disk reported an error";
        /// The disk does not support the operation.
        Unsupported = 7, System, "the disk does not support it";
        /// The disk did not answer in time.
        TimedOut = 8, System, "the disk did not answer";
        /// The peer does not keep to the protocol.
        Protocol = 9, Peer, "the peer does not keep to the protocol";
        /// There is no disk, or none that the driver can drive.
        NoDisk = 10, System, "there is no disk";
        /// The disk cannot be written.
        ReadOnly = 11, Caller, "the disk cannot be written";
    }
}

/// Successive sectors and where in the locked range they go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Extent {
    /// First sector.
    pub sector: u64,
    /// First byte within the locked range.
    pub offset: u32,
    /// Number of bytes.
    pub bytes: u32,
}

/// A list of extents; two words each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extents {
    count: usize,
    extents: [Extent; EXTENTS_PER_REQUEST],
}

impl Extents {
    /// No extents.
    pub const EMPTY: Extents =
        Extents { count: 0, extents: [Extent { sector: 0, offset: 0, bytes: 0 }; EXTENTS_PER_REQUEST] };

    /// Appends an extent, unless the list is full.
    pub fn push(&mut self, extent: Extent) -> Result<(), Extent> {
        let slot = self.extents.get_mut(self.count).ok_or(extent)?;
        *slot = extent;
        self.count += 1;
        Ok(())
    }

    /// Becomes the same as others, without touching places that neither uses.
    pub fn assign(&mut self, others: &Extents) {
        self.extents[..others.count].copy_from_slice(others.as_slice());
        self.count = others.count;
    }

    /// The last extent, to be extended by one that continues it.
    pub fn last_mut(&mut self) -> Option<&mut Extent> {
        self.extents[..self.count].last_mut()
    }

    /// The extents in use.
    pub fn as_slice(&self) -> &[Extent] {
        &self.extents[..self.count]
    }

    /// Whether no more fits.
    pub fn is_full(&self) -> bool {
        self.count == EXTENTS_PER_REQUEST
    }
}

impl Field for Extents {
    const MAX_WORDS: usize = 1 + 2 * EXTENTS_PER_REQUEST;

    fn put(&self, writer: &mut Writer<'_>) {
        writer.word(self.count as u64);
        for extent in self.as_slice() {
            writer.word(extent.sector);
            writer.word(u64::from(extent.offset) << 32 | u64::from(extent.bytes));
        }
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut extents = Extents::EMPTY;
        for _ in 0..reader.word()? {
            let sector = reader.word()?;
            let place = reader.word()?;
            let extent = Extent { sector, offset: (place >> 32) as u32, bytes: place as u32 };
            extents.push(extent).map_err(|_| Malformed)?;
        }
        Ok(extents)
    }
}

message! {
    /// What a disk is.
    pub struct BlockStatus {
        /// Its size in sectors.
        sectors: u64,
        /// It cannot be written.
        read_only: bool,
        /// Requests that may be in flight.
        queue_depth: u32,
        /// Requests that are in flight.
        in_flight: u32,
        /// Pages that they may have in all: for so many the driver can answer.
        pages_in_flight: u64,
        /// Requests completed since the driver started.
        requests: u64,
        /// Bytes read since the driver started.
        bytes_read: u64,
        /// Bytes written since the driver started.
        bytes_written: u64,
    }
}

message! {
    /// A read or write that is done.
    pub struct BlockDone {
        /// Bytes moved between the disk and the locked range.
        bytes: u64,
    }
}

protocol! {
    error BlockError;

    /// What the disk is.
    1 BlockStat {} => BlockStatus;

    /// Reads sectors into the range whose lock (mode dma, see [`containers_api::lock`]) is sent along. The reply comes
    /// when the device is done with all extents; the lock is released by then, in every case.
    2 BlockRead { /** What goes where. */ extents: Extents } => BlockDone;

    /// Writes sectors from the range whose lock is sent along. To the disk only: its own write cache, where it has one, is its
    /// affair. The lock is one passed in mode dma from a *fill* lock, whose holder vouches for the contents: pages under a
    /// dma lock proper have none. Reply and lock as with [`BlockRead`]. The contents stay as they are.
    3 BlockWrite { /** What goes where. */ extents: Extents } => BlockDone;
}

const _: () = assert!(<BlockRead as Message>::MAX_WORDS == 57);
