//! Latencies by size: eight buckets for each power of two, so that a quantile is at most an eighth too high, and the
//! worst one exactly. Recording is a few instructions and never fails.

/// Bits of a value, below its highest, that choose the bucket.
const SUB_BITS: u32 = 3;

/// Values from here on share the last bucket: 13 days in nanoseconds.
const VALUE_MAX: u64 = 1 << 50;

/// Number of buckets: one for each value below 8, then eight for each power of two.
pub const BUCKETS: usize = bucket(VALUE_MAX - 1) + 1;

/// Bucket of a value.
pub const fn bucket(value: u64) -> usize {
    let value = if value < VALUE_MAX { value } else { VALUE_MAX - 1 };
    if value < 1 << SUB_BITS {
        return value as usize;
    }
    let power = value.ilog2();
    let sub = value >> (power - SUB_BITS) & ((1 << SUB_BITS) - 1);
    ((power - SUB_BITS + 1) << SUB_BITS) as usize + sub as usize
}

/// Largest value of a bucket; the last one's is as if it ended there.
pub const fn bucket_end(index: usize) -> u64 {
    if index < 1 << SUB_BITS {
        return index as u64;
    }
    let power = (index as u32 >> SUB_BITS) + SUB_BITS - 1;
    let sub = index as u64 & ((1 << SUB_BITS) - 1);
    let step = 1u64 << (power - SUB_BITS);
    (((1 << SUB_BITS) + sub) << (power - SUB_BITS)) + (step - 1)
}

/// Counted values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Histogram {
    /// How many, by bucket.
    pub counts: [u64; BUCKETS],
    /// The largest.
    pub worst: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: [0; BUCKETS], worst: 0 }
    }
}

impl Histogram {
    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.counts[bucket(value)] += 1;
        self.worst = self.worst.max(value);
    }

    /// Adds what another one has counted.
    pub fn add(&mut self, other: &Histogram) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.wrapping_add(*more);
        }
        self.worst = self.worst.max(other.worst);
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.wrapping_add(*count))
    }

    /// A value that at least so many thousandths of all values do not exceed: the end of its bucket, or the worst. 0
    /// where nothing was counted.
    pub fn quantile(&self, thousandths: u64) -> u64 {
        let wanted = (self.count() as u128 * u128::from(thousandths)).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += u128::from(*count);
            if seen >= wanted {
                return bucket_end(index).min(self.worst);
            }
        }
        self.worst
    }
}

/// The same of a histogram as physmem tells it (`containers_api::control::Latencies`): counts of two bytes, four buckets for
/// each power of two, from 256 nanoseconds on.
pub fn told_quantile(buckets: &[u8], longest: u64, thousandths: u64) -> u64 {
    let counts = || buckets.as_chunks::<2>().0.iter().map(|count| u64::from(u16::from_le_bytes(*count)));
    let wanted = (counts().sum::<u64>() * thousandths).div_ceil(1000).max(1);
    let mut seen = 0;
    for (index, count) in counts().enumerate() {
        seen += count;
        if seen >= wanted {
            let (power, part) = (index as u32 / 4, index as u64 % 4);
            return (((5 + part) << (power + 6)) - 1).min(longest);
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_physmem_tells_has_quantiles() {
        // 98 values from 256 to 319, one from 320 on, one far up.
        let mut buckets = [0; 192];
        (buckets[0], buckets[2], buckets[100]) = (98, 1, 1);
        let quantiles = [500, 990, 1000].map(|thousandths| told_quantile(&buckets, 2_000_000, thousandths));
        assert_eq!(quantiles, [319, 383, (7 << 18) - 1]);
        assert_eq!(told_quantile(&buckets, 300, 500), 300);
        assert_eq!(told_quantile(&[], 0, 500), 0);
    }

    #[test]
    fn buckets_follow_each_other_without_gap_or_overlap() {
        let mut next = 0;
        for index in 0..BUCKETS {
            let end = bucket_end(index);
            assert_eq!((bucket(next), bucket(end)), (index, index));
            next = end + 1;
        }
        assert_eq!((next, bucket(u64::MAX)), (VALUE_MAX, BUCKETS - 1));
    }

    #[test]
    fn quantiles_are_at_most_an_eighth_too_high() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|value| histogram.record(value * 1000));
        for (thousandths, exact) in [(500, 500_000), (990, 990_000), (1000, 1_000_000)] {
            let found = histogram.quantile(thousandths);
            assert!((exact..=exact * 9 / 8).contains(&found), "{thousandths}: {found}");
        }
        assert_eq!((histogram.count(), histogram.worst), (1000, 1_000_000));
    }

    #[test]
    fn nothing_counted_is_zero_and_one_value_is_every_quantile() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(500), 0);
        histogram.record(77);
        assert_eq!((histogram.quantile(1), histogram.quantile(999)), (77, 77));
    }

    #[test]
    fn two_histograms_add_up() {
        let (mut left, mut right) = (Histogram::default(), Histogram::default());
        left.record(5);
        right.record(500);
        left.add(&right);
        assert_eq!((left.count(), left.worst, left.quantile(500)), (2, 500, 5));
    }
}
