//! Callers that wait for frames which their guarantee covers, first come, first served.
//!
//! Nothing of a request is kept: what waits is a saved reply, at a handle of physmem's table, and how many frames its
//! contract lacks. When they are there the contract gets a claim on them, and the caller is told to make its request, or
//! its access, again. Each wait is an entry of a table with one place a handle, so it needs no record that somebody
//! would have to pay for just when frames are short.

use crate::layout::contract;
use crate::limits::WAITERS_PER_CONTRACT;
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_api::MemoryError;
use containers_core::record::{Contract, Name, Records};
use kernel_abi::Handle;
use kernel_abi::fault::RESUME;
use kernel_protocol::ErrorCode;

/// Pages whose page array fills a frame of records, at worst.
const PAGES_PER_RECORD_FRAME: u64 = 256;
/// Frames of records that any request needs at most beside those.
const RECORD_FRAMES: u64 = 8;

/// A place of the table. All zero: empty.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct FrameWait {
    /// Name of the contract, as a word: it may be gone when its turn comes.
    contract: u64,
    /// Since when.
    since: u64,
    frames: u32,
    /// Handle of the next one; 0: this is the last.
    next: u32,
    is_fault: u64,
}

/// A charge that the guarantee covers and that found no frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shortage {
    /// Whose charge.
    pub payer: Name<Contract>,
    /// All that the contract would have been charged for.
    pub total: u64,
}

/// All who wait.
pub struct FrameWaits<'a> {
    table: &'a mut [FrameWait],
    first: u32,
    last: u32,
    count: u64,
    frames: u64,
}

impl<'a> FrameWaits<'a> {
    /// Nobody waits. The table has a place for each handle that physmem may use.
    pub fn new(table: &'a mut [FrameWait]) -> FrameWaits<'a> {
        FrameWaits { table, first: 0, last: 0, count: 0, frames: 0 }
    }

    /// How many wait.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Frames that they need together.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    fn push(&mut self, handle: Handle, wait: FrameWait) {
        self.frames += u64::from(wait.frames);
        self.count += 1;
        self.table[handle.0 as usize] = wait;
        match self.last {
            0 => self.first = handle.0,
            last => self.table[last as usize].next = handle.0,
        }
        self.last = handle.0;
    }

    /// Who waits for one contract's frames waits for another's.
    pub(crate) fn pass_on(&mut self, from: Name<Contract>, to: Name<Contract>) {
        let mut next = self.first;
        while next != 0 {
            let wait = &mut self.table[next as usize];
            if wait.contract == from.word() {
                wait.contract = to.word();
            }
            next = wait.next;
        }
    }

    fn first(&self) -> Option<FrameWait> {
        (self.first != 0).then(|| self.table[self.first as usize])
    }

    fn pop(&mut self) -> Handle {
        let handle = self.first;
        let wait = core::mem::take(&mut self.table[handle as usize]);
        self.first = wait.next;
        if wait.next == 0 {
            self.last = 0;
        }
        self.count -= 1;
        self.frames -= u64::from(wait.frames);
        Handle(handle)
    }
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Has a caller wait for what was short: where to save its reply. `None`: there are enough frames by now, or no handle
    /// is left, or too many of this contract wait; it is to try again at once.
    pub(crate) fn wait_for_frames(&mut self, short: Shortage, is_fault: bool) -> Option<Handle> {
        let Shortage { payer, total } = short;
        let charged = self.charged(payer);
        let missing = total.saturating_sub(charged);
        if missing <= self.room_for(payer) || self.get(payer, contract::WAITERS) >= WAITERS_PER_CONTRACT {
            return None;
        }
        let handle = self.handles.take()?;
        self.raise(payer, contract::WAITERS, 1);
        // With its bookkeeping, so that the request need not wait a second time.
        let covered = self.get(payer, contract::GUARANTEED).saturating_sub(charged);
        let frames = (missing + missing / PAGES_PER_RECORD_FRAME + RECORD_FRAMES).min(covered);
        let wait = FrameWait {
            contract: payer.word(),
            since: self.now,
            frames: frames as u32,
            next: 0,
            is_fault: u64::from(is_fault),
        };
        self.waits.push(handle, wait);
        self.counters.waited += 1;
        self.is_new_shortage = true;
        Some(handle)
    }

    /// Answers those whose frames are there.
    pub(crate) fn serve_waits(&mut self) {
        while let Some(first) = self.waits.first() {
            if let Some(payer) = self.resolve::<Contract>(first.contract) {
                // The guarantee may have become smaller meanwhile, and other callers have claims on it.
                let covered = self.get(payer, contract::GUARANTEED).saturating_sub(self.charged(payer));
                let unclaimed = covered.saturating_sub(self.get(payer, contract::CLAIMED));
                let missing = u64::from(first.frames).min(unclaimed);
                if missing > self.room() {
                    return;
                }
                self.claim(payer, missing);
                self.lower(payer, contract::WAITERS, 1);
                self.latencies.wait.add(self.now - first.since);
            }
            let handle = self.waits.pop();
            let label = if first.is_fault != 0 { RESUME } else { MemoryError::Again.code() };
            self.pmap.answer(handle, label, &[]);
            self.handles.give(handle);
        }
    }
}
