//! What belongs to a request in progress outside the disk: who is to be answered, and the lock on its frames.

use alloc::boxed::Box;
use containers_api::MemoryError;
use containers_api::contract::{Examine, ObjectKind};
use containers_api::lock::{LockRelease, LockRuns};
use filesystems_api::block::BlockError;
use filesystems_block_core::{Direction, PhysicalRuns, REQUESTS, Slot};
use kernel_protocol::{ErrorCode, Refusal};
use kernel_runtime::ipc::{CallError, call};
use kernel_runtime::layout::CONTRACT;
use kernel_runtime::server::SavedReply;
use kernel_runtime::{Capability, Deadline, Handle};

/// A lock that was passed to the driver, known to be physmem's.
pub struct PassedLock(Capability);

impl PassedLock {
    /// The device has let go, having written so many bytes from the start. Errors: they are not in the range, because the lock
    /// was over before.
    pub fn release(self, written_bytes: u64) -> Result<(), Refusal<BlockError>> {
        let release = LockRelease { written_bytes };
        match call(self.0.handle(), &release, &[], Deadline::NEVER) {
            Ok(released) if released.kept_bytes == written_bytes => Ok(()),
            Ok(_) => Err(Refusal::with_detail(BlockError::BadLock, u64::from(MemoryError::LockGone.code()))),
            Err(error) => Err(bad_lock(error)),
        }
    }

    /// The device has not let go and never will: the frames stay in quarantine, and the capability with them.
    pub fn keep(self) {
        self.0.into_handle();
    }
}

/// Makes sure that a capability is a lock of physmem's. Physical addresses that anybody else told would be written to.
pub fn examine(lock: Capability) -> Result<PassedLock, Refusal<BlockError>> {
    match call(CONTRACT, &Examine {}, &[lock.handle()], Deadline::NEVER) {
        Ok(examined) if examined.kind == ObjectKind::Lock => Ok(PassedLock(lock)),
        Ok(_) => Err(Refusal::new(BlockError::BadLock)),
        Err(error) => Err(bad_lock(error)),
    }
}

fn bad_lock(error: CallError<MemoryError>) -> Refusal<BlockError> {
    match error.refusal() {
        // The driver's own limit: as many frames as it may answer for are in flight.
        Some(MemoryError::PinLimit | MemoryError::ContractExhausted) => Refusal::new(BlockError::Busy),
        Some(error) => Refusal::with_detail(BlockError::BadLock, u64::from(error.code())),
        None => Refusal::new(BlockError::BadLock),
    }
}

/// The frames of a locked range. On a refusal the lock is released.
pub fn physical_runs(
    lock: &PassedLock,
    dma: Handle,
    direction: Direction,
    runs: &mut PhysicalRuns,
) -> Result<(), Refusal<BlockError>> {
    let result = ask_for_runs(lock.0.handle(), dma, direction, runs);
    if result.is_err() {
        let _ = call(lock.0.handle(), &LockRelease { written_bytes: 0 }, &[], Deadline::NEVER);
    }
    result
}

/// The frames of a range locked through `lock`.
pub fn ask_for_runs(
    lock: Handle,
    dma: Handle,
    direction: Direction,
    runs: &mut PhysicalRuns,
) -> Result<(), Refusal<BlockError>> {
    let is_read = direction == Direction::Write;
    runs.clear();
    loop {
        let request = LockRuns { first_page: runs.covered(), is_read };
        let answer = call(lock, &request, &[dma, CONTRACT], Deadline::NEVER).map_err(bad_lock)?;
        if runs.extend(&answer).map_err(|_| BlockError::BadLock)? {
            return Ok(());
        }
    }
}

/// A request in progress.
pub struct Pending {
    /// Who is to be answered, if that is possible.
    pub reply: Option<SavedReply>,
    /// The lock on the frames.
    pub lock: PassedLock,
    /// How many frames.
    pub frames: u64,
}

/// Requests in progress, each at the place that the disk gave it.
pub struct PendingTable(Box<[Option<Pending>]>);

impl PendingTable {
    /// No requests.
    pub fn new() -> PendingTable {
        PendingTable((0..REQUESTS).map(|_| None).collect())
    }

    /// Adds one.
    pub fn put(&mut self, slot: Slot, pending: Pending) {
        self.0[slot] = Some(pending);
    }

    /// Takes one out.
    pub fn take(&mut self, slot: Slot) -> Option<Pending> {
        self.0[slot].take()
    }
}
