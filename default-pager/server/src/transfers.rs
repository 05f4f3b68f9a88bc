//! Moving pages between the pager's buffers and the swap disk, one request at a time.
//!
//! ```text
//!   lock (fill) ─> pass to the driver (dma) ─> BlockRead or BlockWrite ─> unlock
//! ```
//! The disk reads and writes the buffers' own frames; nothing is copied. The driver is a lower layer and trusted to answer: no deadline.

use alloc::sync::Arc;
use containers_api::LockMode;
use containers_api::space::MapProtection;
use core::ops::Range;
use core::time::Duration;
use default_pager_core::header::HEADER_SECTORS;
use default_pager_core::limits::{BATCH_PAGES, OPERATIONS, PAGE_BYTES};
use default_pager_core::{Direction, DiskError, Transfer};
use filesystems_api::block::{BlockDone, BlockError, BlockRead, BlockWrite, Extent, Extents};
use kernel_runtime::containers::{MemoryCallError, OwnContainer};
use kernel_runtime::ipc::{CallError, call};
use kernel_runtime::memory::Mapping;
use kernel_runtime::notification::Notification;
use kernel_runtime::{Deadline, Handle, KernelError};

/// Pages of all buffers.
pub const BUFFER_PAGES: u64 = (OPERATIONS * BATCH_PAGES) as u64;

/// How long the disk may have a buffer: more than the driver gives it.
const TERM_NS: u64 = 60_000_000_000;

/// Times that a transfer is tried whose driver was busy, or ended in the middle: for about a second.
const TRIES: u32 = 500;
/// Time between them.
const PAUSE: Duration = Duration::from_millis(2);

/// The buffers and the way to the disk, shared by all who transfer.
pub struct Wire {
    buffers: OwnContainer,
    block: Handle,
}

impl Wire {
    /// Buffers that are there from now on, and their bytes.
    pub fn new(block: Handle) -> Result<(Arc<Wire>, Mapping), MemoryCallError> {
        let buffers = OwnContainer::new(BUFFER_PAGES)?;
        buffers.allocate(0..BUFFER_PAGES, false)?;
        let mapping = Mapping::new(&buffers, 0, BUFFER_PAGES, MapProtection::WRITE)?;
        Ok((Arc::new(Wire { buffers, block }), mapping))
    }

    /// Does a transfer of slots.
    pub fn transfer(&self, transfer: &Transfer, pause: &Notification) -> Result<(), DiskError> {
        let first = (transfer.buffer * BATCH_PAGES + transfer.first_page) as u64;
        let pages = first..first + transfer.pages as u64;
        self.move_pages(transfer.direction, transfer.sector + HEADER_SECTORS, pages, pause)
    }

    /// Moves pages of the buffers from or to these sectors. What a driver did that ended in the middle is done once more: the
    /// next one has stopped the disk before it serves.
    pub fn move_pages(
        &self,
        direction: Direction,
        sector: u64,
        pages: Range<u64>,
        pause: &Notification,
    ) -> Result<(), DiskError> {
        for _ in 0..TRIES {
            match self.try_to_move(direction, sector, pages.clone()) {
                Ok(()) => return Ok(()),
                Err(CallError::Kernel(KernelError::PeerDied)) => {}
                Err(error) if error.refusal() == Some(BlockError::Busy) => {}
                Err(error) => {
                    let detail = if let CallError::Refused(refusal) = error { refusal.detail } else { 0 };
                    log::warn!("a transfer failed: {error} ({detail})");
                    return Err(DiskError);
                }
            }
            // Nobody signals but to hand out work, and there is none while this is not done.
            let _ = pause.wait(Deadline::after(PAUSE));
        }
        log::warn!("a transfer failed: the driver is busy, or gone");
        Err(DiskError)
    }

    fn try_to_move(
        &self,
        direction: Direction,
        sector: u64,
        pages: Range<u64>,
    ) -> Result<(), CallError<BlockError>> {
        let bytes = (pages.end - pages.start) * PAGE_BYTES as u64;
        let mut extents = Extents::EMPTY;
        extents.push(Extent { sector, offset: 0, bytes: bytes as u32 }).map_err(|_| CallError::Violation)?;
        let lock = self.buffers.lock(pages, LockMode::Fill, TERM_NS).map_err(not_locked)?.lock;
        let result = self.ask(direction, extents, lock);
        // A lock that is over needs no end.
        let _ = self.buffers.unlock(lock, bytes);
        match result {
            Ok(done) if done.bytes == bytes => Ok(()),
            Ok(_) => Err(CallError::Violation),
            Err(error) => Err(error),
        }
    }

    fn ask(
        &self,
        direction: Direction,
        extents: Extents,
        lock: u64,
    ) -> Result<BlockDone, CallError<BlockError>> {
        let passed = self.buffers.lock_pass(lock, LockMode::Dma, TERM_NS).map_err(not_locked)?.1;
        let with = [passed.handle()];
        match direction {
            Direction::Read => call(self.block, &BlockRead { extents }, &with, Deadline::NEVER),
            Direction::Write => call(self.block, &BlockWrite { extents }, &with, Deadline::NEVER),
        }
    }
}

/// physmem refused a lock on the pager's own buffers.
fn not_locked(error: MemoryCallError) -> CallError<BlockError> {
    log::error!("a buffer cannot be locked: {error}");
    CallError::Violation
}
