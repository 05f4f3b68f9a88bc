//! One disk of the driver's: its hardware, the requests that it has, and the frames that it may have at a time.

use crate::bring_up::Hardware;
use crate::pending::{self, Pending, PendingTable, physical_runs};
use filesystems_api::block::{BlockError, BlockStatus, Extents};
use filesystems_block_core::{Completion, Direction, DiskState, DiskUse, PhysicalRuns};
use kernel_abi::FRAME_BYTES;
use kernel_abi::trace::EventKind;
use kernel_protocol::Refusal;
use kernel_runtime::events::Events;
use kernel_runtime::ipc::Received;
use kernel_runtime::server::{Outgoing, save_reply};
use kernel_runtime::{Handle, clock, syscall};

/// A disk, or the place of one that is not there.
pub struct Unit {
    used_for: DiskUse,
    hardware: Option<Hardware>,
    /// Authority for physical addresses.
    dma: Handle,
    pending: PendingTable,
    /// The frames of the request that is being taken over.
    runs: PhysicalRuns,
    /// Frames that it has, and may have: so one disk's requests never take what the other one's need.
    frames: u64,
    frames_max: u64,
}

impl Unit {
    /// What was brought up, or nothing.
    pub fn new(used_for: DiskUse, hardware: Option<Hardware>, dma: Handle) -> Unit {
        Unit {
            used_for,
            hardware,
            dma,
            pending: PendingTable::new(),
            runs: PhysicalRuns::new(),
            frames: 0,
            frames_max: 0,
        }
    }

    /// Whether there is a disk.
    pub fn is_there(&self) -> bool {
        self.hardware.is_some()
    }

    /// Sets how many frames it may have at a time.
    pub fn set_frames_max(&mut self, frames: u64) {
        self.frames_max = frames;
    }

    /// How the disk is.
    pub fn status(&self) -> Result<BlockStatus, Refusal<BlockError>> {
        self.hardware.as_ref().ok_or(BlockError::NoDisk)?.disk.status(self.frames_max)
    }

    /// Takes the interrupt back from the device, then lets the line through again.
    pub fn take_interrupt(&mut self) {
        if let Some(hardware) = &mut self.hardware {
            hardware.disk.take_interrupt();
            if let Err(error) = syscall::interrupt_acknowledge(hardware.interrupt) {
                log::error!("the interrupt is lost: {error:?}");
            }
        }
    }

    /// Moment at which the disk is late with something.
    pub fn deadline(&self) -> Option<u64> {
        self.hardware.as_ref().and_then(|hardware| hardware.disk.deadline())
    }

    /// Starts a read or write and saves the caller. A refusal comes with the lock released.
    pub fn submit(
        &mut self,
        direction: Direction,
        extents: &Extents,
        received: Received,
        events: &Events,
    ) -> Result<(), Refusal<BlockError>> {
        let lock = received.take(0).map_err(|_| BlockError::BadLock)?;
        let lock = pending::examine(lock)?;
        let Some(hardware) = self.hardware.as_mut() else {
            let _ = lock.release(0);
            return Err(BlockError::NoDisk.into());
        };
        if !hardware.disk.has_room() {
            let _ = lock.release(0);
            return Err(BlockError::Busy.into());
        }
        physical_runs(&lock, self.dma, direction, &mut self.runs)?;
        let (bytes, frames) = (self.runs.bytes(), self.runs.bytes() / FRAME_BYTES);
        let submitted = if self.frames + frames > self.frames_max {
            Err(BlockError::Busy)
        } else {
            hardware.disk.submit(direction, extents, &self.runs, clock::now())
        };
        let slot = match submitted {
            Ok(slot) => slot,
            Err(error) => {
                // The device was never told the frames.
                let _ = lock.release(0);
                return Err(error.into());
            }
        };
        events.write(EventKind::DiskRead, [self.place(slot), bytes, direction as u64, 0]);
        self.frames += frames;
        // Where the caller cannot be saved its call fails, and the disk's answer ends the lock all the same.
        let reply = save_reply().ok();
        self.pending.put(slot, Pending { reply, lock, frames });
        Ok(())
    }

    /// Answers whatever is over.
    pub fn finish(&mut self, events: &Events) {
        loop {
            let Some(hardware) = &mut self.hardware else { return };
            let was = hardware.disk.state();
            let completion = hardware.disk.next_completion(clock::now());
            if was != hardware.disk.state() && hardware.disk.state() == DiskState::Dead {
                log::error!("the {} did not come up again after a reset; it is given up", self.used_for);
            }
            let Some(completion) = completion else { return };
            let failed = completion.result.is_err();
            let what = [self.place(completion.slot), completion.written, failed.into(), 0];
            events.write(EventKind::DiskDone, what);
            self.answer(completion);
        }
    }

    /// Ends the lock, then answers the caller.
    fn answer(&mut self, completion: Completion) {
        let Some(Pending { reply, lock, frames }) = self.pending.take(completion.slot) else { return };
        let mut result = completion.result;
        if completion.frames_safe {
            self.frames -= frames;
            // What was read into frames that are not the caller's any more was not read.
            let released = lock.release(completion.written);
            result = result.and_then(|done| released.map(|()| done));
        } else {
            lock.keep();
        }
        // What a caller brings about by ending its lock is not worth a line: it can do so as often as it likes.
        if let Err(refusal) = result
            && refusal.error != BlockError::BadLock
        {
            log::warn!("{}: a request failed: {} ({})", self.used_for, refusal.error, refusal.detail);
        }
        if let Some(reply) = reply {
            // A caller that is gone needs no answer.
            let _ = reply.send(Outgoing::answer(&result));
        }
    }

    /// A request's place among those of all disks, for the events.
    fn place(&self, slot: usize) -> u64 {
        (self.used_for as usize * filesystems_block_core::REQUESTS + slot) as u64
    }
}
