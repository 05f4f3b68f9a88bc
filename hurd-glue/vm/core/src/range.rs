//! Mach's rounding: a start down, an end up, to whole pages.

use crate::{KernError, PAGE_BYTES, Result};
use core::ops::Range;

/// The page that an address lies in.
pub const fn trunc_page(address: u64) -> u64 {
    address & !(PAGE_BYTES - 1)
}

/// The next page boundary; `None` beyond the last one.
pub const fn round_page(address: u64) -> Option<u64> {
    match address.checked_add(PAGE_BYTES - 1) {
        Some(sum) => Some(trunc_page(sum)),
        None => None,
    }
}

/// All pages that `size` bytes from `address` on touch. Errors: `InvalidArgument` (it wraps).
pub fn pages_of(address: u64, size: u64) -> Result<Range<u64>> {
    let end = address.checked_add(size).and_then(round_page).ok_or(KernError::InvalidArgument)?;
    Ok(trunc_page(address)..end)
}

/// Pages of a range of whole pages.
pub fn count(range: &Range<u64>) -> u64 {
    (range.end - range.start) / PAGE_BYTES
}

/// What two ranges have in common; empty where they do not meet.
pub fn common(one: &Range<u64>, other: &Range<u64>) -> Range<u64> {
    let start = one.start.max(other.start);
    start..one.end.min(other.end).max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_rounded_outwards_and_never_wrap() {
        assert_eq!(pages_of(0x1001, 1), Ok(0x1000..0x2000));
        assert_eq!(pages_of(0x1fff, 2), Ok(0x1000..0x3000));
        assert_eq!(pages_of(0x1800, 0), Ok(0x1000..0x2000));
        assert_eq!(pages_of(u64::MAX, 1), Err(KernError::InvalidArgument));
        assert_eq!(pages_of(u64::MAX - 0xfff, 0xfff), Err(KernError::InvalidArgument));
        assert_eq!(pages_of(0x1000, u64::MAX), Err(KernError::InvalidArgument));
    }

    #[test]
    fn ranges_that_do_not_meet_have_nothing_in_common() {
        assert_eq!(common(&(0..4), &(2..6)), 2..4);
        assert!(common(&(0..2), &(4..6)).is_empty());
        assert!(common(&(4..6), &(0..2)).is_empty());
    }
}
