//! Requests to a lock that was passed on: what a driver does with the range it fills.

use crate::MemoryError;
use kernel_protocol::{Field, Malformed, Message, Reader, Writer, message, protocol};

/// Physical runs that one answer carries at most.
pub const RUNS_PER_ANSWER: usize = 60;

/// Successive frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Run {
    /// First frame.
    pub frame: u32,
    /// Number of frames.
    pub frames: u32,
}

/// Answer to [`LockRuns`]: the physical frames of a locked range, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Runs {
    /// Pages of the locked range, from its start.
    pub range_pages: u64,
    /// Runs in use.
    pub count: usize,
    /// The runs.
    pub runs: [Run; RUNS_PER_ANSWER],
}

impl Message for Runs {
    const MAX_WORDS: usize = 1 + RUNS_PER_ANSWER;

    fn encode(&self, out: &mut [u64]) -> usize {
        let mut writer = Writer::new(out);
        self.range_pages.put(&mut writer);
        for run in &self.runs[..self.count] {
            writer.word(u64::from(run.frame) | u64::from(run.frames) << 32);
        }
        writer.used()
    }

    fn decode(words: &[u64]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(words);
        let range_pages = u64::take(&mut reader)?;
        let count = words.len().saturating_sub(1);
        let mut runs = [Run::default(); RUNS_PER_ANSWER];
        for run in runs.get_mut(..count).ok_or(Malformed)? {
            let word = reader.word()?;
            *run = Run { frame: word as u32, frames: (word >> 32) as u32 };
        }
        Ok(Runs { range_pages, count, runs })
    }
}

message! {
    /// A release.
    pub struct Released {
        /// Bytes of the device that are in the owner's range: all that it wrote, or none where the lock had ended before and the
        /// owner got other frames.
        kept_bytes: u64,
    }
}

protocol! {
    error MemoryError;

    /// The physical frames of the range, from a page on, as many as fit the answer. With the driver's authority for
    /// physical addresses ([`crate::control`]) and, second, the contract that answers for the frames should the lock end
    /// before the device lets go; without it the authority's own. Mode dma only. Errors: `LockGone`, `NotTrusted`, `PinLimit`
    /// (of that contract), `NoRecord`, `NoContents` (the device is to read what nobody has written).
    48 LockRuns {
        /// First page wanted.
        first_page: u64,
        /// The device will read the frames: what is in them must be the range's contents.
        is_read: bool,
    } => Runs;

    /// The device has let go of every frame. Ends the passed lock, also a broken one: frames in quarantine
    /// are free again. Only what was written is kept. Errors: `LockGone`, `OutOfRange`.
    49 LockRelease { /** Bytes that the device wrote. */ written_bytes: u64 } => Released;
}
