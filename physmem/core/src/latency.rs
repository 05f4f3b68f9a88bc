//! Histograms of times, four buckets to a power of two: enough to read a median and a 99th percentile off them.

use containers_api::control::{LATENCY_BUCKETS, Latencies};
use kernel_protocol::Bytes;

/// Times below `4 << SHIFT_MIN` nanoseconds share the first bucket.
const SHIFT_MIN: u32 = 6;

/// A histogram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Histogram {
    buckets: [u16; LATENCY_BUCKETS],
    count: u64,
    longest: u64,
    sum: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: [0; LATENCY_BUCKETS], count: 0, longest: 0, sum: 0 }
    }
}

/// The bucket of a time in nanoseconds.
fn bucket_of(time: u64) -> usize {
    let scaled = time >> SHIFT_MIN;
    if scaled < 4 {
        return 0;
    }
    let exponent = scaled.ilog2() - 2;
    let mantissa = (scaled >> exponent) & 3;
    (4 * exponent as usize + mantissa as usize).min(LATENCY_BUCKETS - 1)
}

impl Histogram {
    /// Counts a time.
    pub fn add(&mut self, time: u64) {
        let bucket = &mut self.buckets[bucket_of(time)];
        *bucket = bucket.saturating_add(1);
        self.count += 1;
        self.longest = self.longest.max(time);
        self.sum = self.sum.saturating_add(time);
    }

    /// As it is told to who asks.
    pub fn told(&self) -> Latencies {
        let mut bytes = [0; 2 * LATENCY_BUCKETS];
        for (pair, count) in bytes.chunks_exact_mut(2).zip(self.buckets) {
            pair.copy_from_slice(&count.to_le_bytes());
        }
        let buckets = Bytes::new(&bytes).unwrap_or_else(|| unreachable!("as many bytes as the message has"));
        Latencies { count: self.count, longest: self.longest, sum: self.sum, buckets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_lies_between_its_bucket_and_the_next() {
        let start = |bucket: usize| (4 + bucket as u64 % 4) << (bucket as u32 / 4 + SHIFT_MIN);
        for time in (0..1 << 20).step_by(37).chain([1 << 29, (1 << 29) - 1, 7 << 27]) {
            let bucket = bucket_of(time);
            assert!(bucket == 0 || start(bucket) <= time, "{time} in {bucket}");
            assert!(time < start(bucket + 1), "{time} in {bucket}");
        }
        assert_eq!(bucket_of(u64::MAX), LATENCY_BUCKETS - 1);
    }
}
