//! The physical frames of a locked range, and the segments that a byte range of it falls into.

use containers_api::lock::{Run, Runs};
use kernel_abi::{FRAME_BYTES, FRAME_SHIFT};

/// Runs that a request's range may consist of at most: a range of so many pages fits however it is scattered.
pub const RUNS_MAX: usize = 256;

/// Successive physical bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// First byte.
    pub address: u64,
    /// Number of bytes.
    pub bytes: u32,
}

/// A locked range as frames.
pub struct PhysicalRuns {
    runs: [Run; RUNS_MAX],
    count: usize,
    /// Pages that the runs cover.
    covered: u64,
    /// Pages of the range.
    pages: u64,
}

/// physmem's answer does not add up, or the range is too scattered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadRuns;

impl Default for PhysicalRuns {
    fn default() -> Self {
        PhysicalRuns::new()
    }
}

impl PhysicalRuns {
    /// A range of which nothing is known yet.
    pub fn new() -> PhysicalRuns {
        PhysicalRuns { runs: [Run::default(); RUNS_MAX], count: 0, covered: 0, pages: 0 }
    }

    /// Takes over an answer for the pages from [`Self::covered`] on. `Ok(true)`: the range is complete.
    pub fn extend(&mut self, answer: &Runs) -> Result<bool, BadRuns> {
        self.pages = answer.range_pages;
        for run in answer.runs.get(..answer.count).ok_or(BadRuns)? {
            if run.frames == 0 {
                return Err(BadRuns);
            }
            *self.runs.get_mut(self.count).ok_or(BadRuns)? = *run;
            self.count += 1;
            self.covered += u64::from(run.frames);
        }
        if self.covered > self.pages || (answer.count == 0 && self.covered < self.pages) {
            return Err(BadRuns);
        }
        Ok(self.covered == self.pages)
    }

    /// Pages known so far.
    pub fn covered(&self) -> u64 {
        self.covered
    }

    /// Bytes of the range.
    pub fn bytes(&self) -> u64 {
        self.pages.saturating_mul(FRAME_BYTES)
    }

    /// Knows nothing any more.
    pub fn clear(&mut self) {
        (self.count, self.covered, self.pages) = (0, 0, 0);
    }

    /// Becomes the same as others, without touching places that neither uses.
    pub fn assign(&mut self, others: &PhysicalRuns) {
        self.runs[..others.count].copy_from_slice(&others.runs[..others.count]);
        (self.count, self.covered, self.pages) = (others.count, others.covered, others.pages);
    }

    /// The segments from a byte of the range on, for going through them in order.
    pub fn from(&self, offset: u64) -> Segments<'_> {
        let mut left = offset;
        let mut index = 0;
        while let Some(run) = self.runs[..self.count].get(index)
            && left >= length(run)
        {
            left -= length(run);
            index += 1;
        }
        Segments { runs: &self.runs[index..self.count], within: left }
    }

    /// The successive physical bytes at `offset` of the range, at most `bytes`.
    pub fn segment(&self, offset: u64, bytes: u32) -> Option<Segment> {
        self.from(offset).next(bytes)
    }
}

fn length(run: &Run) -> u64 {
    u64::from(run.frames) << FRAME_SHIFT
}

/// The segments of a range from one place on.
pub struct Segments<'a> {
    runs: &'a [Run],
    /// Bytes of the first run that lie before that place.
    within: u64,
}

impl Segments<'_> {
    /// The next successive physical bytes, at most `bytes`.
    pub fn next(&mut self, bytes: u32) -> Option<Segment> {
        let (run, rest) = self.runs.split_first()?;
        let address = (u64::from(run.frame) << FRAME_SHIFT) + self.within;
        let bytes = u64::from(bytes).min(length(run) - self.within) as u32;
        self.within += u64::from(bytes);
        if self.within == length(run) {
            (self.runs, self.within) = (rest, 0);
        }
        Some(Segment { address, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use containers_api::lock::RUNS_PER_ANSWER;

    fn answer(range_pages: u64, list: &[(u32, u32)]) -> Runs {
        let mut runs = [Run::default(); RUNS_PER_ANSWER];
        for (run, &(frame, frames)) in runs.iter_mut().zip(list) {
            *run = Run { frame, frames };
        }
        Runs { range_pages, count: list.len(), runs }
    }

    #[test]
    fn a_range_comes_in_parts_and_falls_into_segments() {
        let mut runs = PhysicalRuns::new();
        assert_eq!(runs.extend(&answer(4, &[(10, 1), (20, 2)])), Ok(false));
        assert_eq!(runs.covered(), 3);
        assert_eq!(runs.extend(&answer(4, &[(5, 1)])), Ok(true));
        let segment = |offset, bytes| runs.segment(offset, bytes).map(|s| (s.address, s.bytes));
        assert_eq!(segment(512, 10_000), Some((10 * 4096 + 512, 3584)));
        assert_eq!(segment(4096, 10_000), Some((20 * 4096, 8192)));
        assert_eq!(segment(8192, 512), Some((21 * 4096, 512)));
        assert_eq!(segment(12_288, 9000), Some((5 * 4096, 4096)));
        assert_eq!(segment(16_384, 1), None);
    }

    #[test]
    fn answers_that_do_not_add_up_are_refused() {
        assert_eq!(PhysicalRuns::new().extend(&answer(4, &[(1, 5)])), Err(BadRuns), "more than the range");
        assert_eq!(PhysicalRuns::new().extend(&answer(4, &[])), Err(BadRuns), "no progress");
        assert_eq!(PhysicalRuns::new().extend(&answer(4, &[(1, 0)])), Err(BadRuns), "an empty run");
        let mut runs = PhysicalRuns::new();
        for _ in 0..RUNS_MAX / 32 {
            assert_eq!(runs.extend(&answer(1000, &[(1, 1); 32])), Ok(false));
        }
        assert_eq!(runs.extend(&answer(1000, &[(1, 1)])), Err(BadRuns), "too scattered");
    }
}
