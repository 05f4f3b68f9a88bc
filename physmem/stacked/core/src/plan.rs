//! How a stacked physmem divides what its contract leaves.

/// Frames set aside for the parent's records of banks, spaces and mappings, beside the part of all that grows with them.
const ASIDE_FRAMES: u64 = 16;
/// One frame in so many is set aside beyond that.
const ASIDE_PART: u64 = 16;
/// Frames that can hold records at least.
const RECORDS_MIN: u64 = 16;
/// One frame in so many can hold records beyond that.
const RECORDS_PART: u64 = 8;
/// With fewer frames there is nothing to serve with.
const FRAMES_MIN: u64 = 64;

/// The division.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Frames to lend to children and to keep records in.
    pub frames: u64,
    /// Frames left for what the parent keeps on this contract.
    pub aside: u64,
    /// How many of the frames can hold records at a time. The parent keeps so many of the guarantee from whatever cannot be taken
    /// back at once.
    pub records: u64,
}

impl Plan {
    /// Divides a guarantee of which so many frames are used already. None: it is too small.
    pub fn new(guaranteed: u64, used: u64) -> Option<Plan> {
        let left = guaranteed.checked_sub(used)?;
        let aside = ASIDE_FRAMES + left / ASIDE_PART;
        let frames = left.checked_sub(aside).filter(|&frames| frames >= FRAMES_MIN)?;
        Some(Plan { frames, aside, records: RECORDS_MIN + frames / RECORDS_PART })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_divided_and_too_little_is_refused() {
        assert_eq!(Plan::new(512, 192), Some(Plan { frames: 284, aside: 36, records: 51 }));
        assert_eq!(Plan::new(100, 30), None);
        assert_eq!(Plan::new(30, 100), None);
    }
}
