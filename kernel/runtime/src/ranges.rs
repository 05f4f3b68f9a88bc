//! Which addresses of the task's own space are free for mappings: a list of free ranges in address order,
//! first fit. No kernel calls.

use alloc::vec::Vec;
use core::ops::Range;

/// Free address ranges, sorted, neither touching nor overlapping.
#[derive(Debug)]
pub struct FreeRanges {
    free: Vec<Range<u64>>,
}

impl FreeRanges {
    /// Everything in the range is free.
    pub fn new(range: Range<u64>) -> FreeRanges {
        let mut free = Vec::new();
        if !range.is_empty() {
            free.push(range);
        }
        FreeRanges { free }
    }

    /// Takes `bytes` from the first range that is large enough. `None`: there is none, or `bytes` is 0.
    pub fn take(&mut self, bytes: u64) -> Option<u64> {
        if bytes == 0 {
            return None;
        }
        let index = self.free.iter().position(|range| range.end - range.start >= bytes)?;
        let range = &mut self.free[index];
        let start = range.start;
        range.start += bytes;
        if range.is_empty() {
            self.free.remove(index);
        }
        Some(start)
    }

    /// Gives a range back that was taken.
    ///
    /// # Panics
    /// If part of it is free already.
    pub fn give(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let index = self.free.partition_point(|free| free.start < range.start);
        let after = self.free.get(index).map_or(u64::MAX, |free| free.start);
        let before = index.checked_sub(1).map_or(0, |index| self.free[index].end);
        assert!(before <= range.start && range.end <= after, "addresses given back twice");
        match (index > 0 && before == range.start, after == range.end) {
            (true, true) => {
                self.free[index - 1].end = self.free[index].end;
                self.free.remove(index);
            }
            (true, false) => self.free[index - 1].end = range.end,
            (false, true) => self.free[index].start = range.start,
            (false, false) => self.free.insert(index, range),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_come_back_whole_in_any_order() {
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1]] {
            let mut ranges = FreeRanges::new(0x1000..0x4000);
            let taken: Vec<u64> = (0..3).map(|_| ranges.take(0x1000).unwrap()).collect();
            assert_eq!((taken.as_slice(), ranges.take(1)), (&[0x1000, 0x2000, 0x3000][..], None));
            for index in order {
                ranges.give(taken[index]..taken[index] + 0x1000);
            }
            assert_eq!(ranges.free.as_slice(), core::slice::from_ref(&(0x1000..0x4000)), "{order:?}");
        }
    }

    #[test]
    fn the_first_hole_that_fits_is_used() {
        let mut ranges = FreeRanges::new(0..0x10000);
        let first = ranges.take(0x1000).unwrap();
        ranges.take(0x1000).unwrap();
        ranges.give(first..first + 0x1000);
        assert_eq!(ranges.take(0x2000), Some(0x2000));
        assert_eq!(ranges.take(0x1000), Some(0));
        assert_eq!((ranges.take(0), ranges.take(u64::MAX)), (None, None));
    }

    #[test]
    #[should_panic(expected = "given back twice")]
    fn giving_back_the_end_of_a_free_range_is_noticed() {
        let mut ranges = FreeRanges::new(0..0x4000);
        ranges.take(0x4000).unwrap();
        ranges.give(0..0x2000);
        ranges.give(0x1000..0x3000);
    }

    #[test]
    #[should_panic(expected = "given back twice")]
    fn giving_back_twice_is_noticed() {
        let mut ranges = FreeRanges::new(0..0x4000);
        let start = ranges.take(0x1000).unwrap();
        ranges.give(start..start + 0x1000);
        ranges.give(start..start + 0x1000);
    }
}
