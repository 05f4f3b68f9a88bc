//! Zero before reuse: which frame is handed over, what of it must be cleared, and the stock zeroed in advance.
//!
//! | contents asked for | frame taken | cleared |
//! |---|---|---|
//! | zero | zeroed in advance, else dirty | where dirty |
//! | own | dirty and left by the payer itself, else as zero | where not its own |
//! | overwritten, raw | dirty, else zeroed | never: nobody sees it before it is overwritten |
//!
//! Clearing is collected and done in one kernel call before anything can see the frames: before a copy, before
//! mappings are entered, before an answer. Until that flush the frames are in nobody's reach.

use crate::database::{NOBODY, State};
use crate::limits::{OWN_SEARCH, ZERO_STOCK, ZERO_STOCK_STEP};
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_core::frames::Contents;
use containers_core::mutations::{self, Mutation};
use kernel_abi::FRAME_BYTES;
use kernel_abi::pmap::FrameRange;

/// Ranges collected at most.
const QUEUE_RANGES: usize = 64;

/// Ranges that must be cleared before anybody can see them.
pub struct ZeroQueue {
    ranges: [FrameRange; QUEUE_RANGES],
    used: usize,
}

impl ZeroQueue {
    /// Whether what is to be cleared is this frame, all of it, and nothing else.
    pub fn is_whole_frame(&self, frame: u32) -> bool {
        let whole = FrameRange { frame, offset: 0, bytes: FRAME_BYTES as u16 };
        self.used == 1 && self.ranges[0] == whole
    }

    /// It is cleared otherwise.
    pub fn forget(&mut self) {
        self.used = 0;
    }
}

impl Default for ZeroQueue {
    fn default() -> Self {
        ZeroQueue { ranges: [FrameRange::default(); QUEUE_RANGES], used: 0 }
    }
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// Has a part of a frame cleared before the next flush returns.
    pub(crate) fn queue_zero(&mut self, frame: u32, offset: u64, bytes: u64) {
        if self.zero_queue.used == QUEUE_RANGES {
            self.flush();
        }
        let range = FrameRange { frame, offset: offset as u16, bytes: bytes as u16 };
        self.zero_queue.ranges[self.zero_queue.used] = range;
        self.zero_queue.used += 1;
    }

    /// Clears everything that is queued.
    #[inline(always)]
    pub(crate) fn flush(&mut self) {
        if self.zero_queue.used != 0 {
            self.clear_queued();
        }
    }

    fn clear_queued(&mut self) {
        self.pmap.zero(&self.zero_queue.ranges[..self.zero_queue.used]);
        self.zero_queue.used = 0;
    }

    /// A free frame for a page of a principal. Admission has made sure that there is one.
    pub(crate) fn take_frame(&mut self, principal: u64, contents: Contents) -> u32 {
        let found = match contents {
            Contents::Overwritten | Contents::Raw => self.database.take_to_hold(false, principal),
            Contents::Own => {
                let found = self.database.take_own(principal, OWN_SEARCH, State::Held);
                found.inspect(|&frame| self.database.hold(frame, principal))
            }
            Contents::Zero => None,
        };
        if let Some(frame) = found {
            self.counters.zeroing_skipped += 1;
            return frame;
        }
        if let Some(frame) = self.database.take_to_hold(true, principal) {
            self.counters.pre_zeroed += 1;
            return frame;
        }
        let frame = self.database.take_to_hold(false, principal).expect("what is charged finds a frame");
        if !mutations::has(Mutation::SkipZeroing) {
            self.queue_zero(frame, 0, FRAME_BYTES);
        }
        self.counters.zeroed += 1;
        frame
    }

    /// A frame for the kernel, whatever it contains: the kernel clears what it uses.
    pub(crate) fn take_for_kernel(&mut self) -> u32 {
        self.flush();
        let dirty = self.database.take(false, State::Object);
        let frame = dirty.or_else(|| self.database.take(true, State::Object));
        frame.expect("what is charged finds a frame")
    }

    /// Whether [`Physmem::idle`] would do anything.
    pub fn wants_idle(&self) -> bool {
        self.database.count(State::FreeZero) < u64::from(ZERO_STOCK)
            && self.database.count(State::FreeDirty) != 0
    }

    /// Zeroes some free frames in advance. To be called when there is nothing else to do; whether anything was done.
    pub fn idle(&mut self) -> bool {
        let missing = u64::from(ZERO_STOCK).saturating_sub(self.database.count(State::FreeZero));
        let mut ranges = [FrameRange::default(); ZERO_STOCK_STEP];
        let mut used = 0;
        while used < ZERO_STOCK_STEP.min(missing as usize) {
            let Some(frame) = self.database.take(false, State::Held) else { break };
            ranges[used] = FrameRange { frame, offset: 0, bytes: FRAME_BYTES as u16 };
            used += 1;
        }
        if used != 0 {
            self.pmap.zero(&ranges[..used]);
            for range in &ranges[..used] {
                self.database.free(range.frame, State::Held, true, NOBODY);
            }
        }
        used != 0
    }
}
