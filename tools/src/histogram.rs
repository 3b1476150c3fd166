//! A log-linear histogram of durations in nanoseconds, after HdrHistogram.
//!
//! ```text
//! value:   0 … 127     one bucket each
//!          128 …       each power of two is cut into 64 equal buckets, so a bucket is at most 1/64 wide
//! ```
//! Recording is an increment in an array of 3,776 counters: no allocation, no sorting.

/// Buckets per power of two, as a power of two: 2^6 = 64, an error below 1.6 %.
const FINE_BITS: u32 = 6;
/// Values below this have a bucket each.
const LINEAR: u64 = 1 << (FINE_BITS + 1);
/// Enough buckets for every u64.
const BUCKETS: usize = LINEAR as usize + (64 - FINE_BITS as usize - 1) * (1 << FINE_BITS);

/// Counts of values by magnitude.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

/// The bucket of a value.
fn bucket(value: u64) -> usize {
    if value < LINEAR {
        return value as usize;
    }
    let shift = 63 - value.leading_zeros() - FINE_BITS;
    let fine = (value >> shift) as usize - (1 << FINE_BITS);
    LINEAR as usize + (shift as usize - 1) * (1 << FINE_BITS) + fine
}

/// The largest value that falls into a bucket.
fn upper_edge(bucket: usize) -> u64 {
    let Some(above) = bucket.checked_sub(LINEAR as usize) else { return bucket as u64 };
    let shift = (above >> FINE_BITS) as u32 + 1;
    let fine = (above & ((1 << FINE_BITS) - 1)) as u64 + (1 << FINE_BITS);
    (fine << shift) + ((1u64 << shift) - 1)
}

impl Histogram {
    /// An empty histogram.
    pub(crate) fn new() -> Histogram {
        Histogram { counts: vec![0; BUCKETS], total: 0, max: 0 }
    }

    /// Counts a value.
    #[inline]
    pub(crate) fn record(&mut self, value: u64) {
        self.counts[bucket(value)] += 1;
        self.total += 1;
        self.max = self.max.max(value);
    }

    /// How many values were counted.
    #[cfg(test)]
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The largest value, exactly.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// The value that `percent` of the values do not exceed, rounded up to its bucket's edge.
    pub(crate) fn percentile(&self, percent: f64) -> u64 {
        let rank = ((percent / 100.0 * self.total as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, &count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_edge(bucket).min(self.max);
            }
        }
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn buckets_touch_without_gap_or_overlap() {
        for b in 0..BUCKETS - 1 {
            let edge = upper_edge(b);
            assert_eq!(bucket(edge), b);
            assert_eq!(bucket(edge + 1), b + 1);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_agree_with_a_sorted_list() {
        let mut rng = Rng::new(3);
        let mut histogram = Histogram::new();
        let mut naive: Vec<u64> = (0..50_000)
            .map(|_| {
                let magnitude = rng.below(34) as u32;
                rng.bits() & ((1 << magnitude) | ((1 << magnitude) - 1))
            })
            .collect();
        naive.iter().for_each(|&value| histogram.record(value));
        naive.sort_unstable();
        for percent in [0.1, 25.0, 50.0, 90.0, 99.0, 99.9, 100.0] {
            let rank = (percent / 100.0 * naive.len() as f64).ceil() as usize;
            let exact = naive[rank - 1];
            let found = histogram.percentile(percent);
            assert!(found >= exact && found - exact <= exact / 64, "p{percent}: {found}, exactly {exact}");
        }
        assert_eq!(histogram.max(), *naive.last().unwrap());
        assert_eq!(histogram.total(), 50_000);
    }

    #[test]
    fn an_empty_histogram_answers_zero() {
        assert_eq!(Histogram::new().percentile(99.0), 0);
    }
}
