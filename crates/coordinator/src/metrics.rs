//! How long the parts of a checkpoint took, and how much they wrote.
//!
//! Source: Flink `CheckpointMetrics`, `SubtaskStateStats`.

/// What a task measured of one checkpoint. All are 0 where they do not apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubtaskMetrics {
    /// From the trigger to the first barrier, in milliseconds.
    pub start_delay_ms: u64,
    /// From the first barrier to the last, in milliseconds.
    pub alignment_ms: u64,
    /// Time in which no record was processed because state was frozen, in milliseconds.
    pub sync_ms: u64,
    /// Time to write what was frozen, in milliseconds.
    pub async_ms: u64,
    /// Bytes of records that were processed while the barriers came.
    pub processed_bytes: u64,
    /// Bytes of records in flight that were written into the checkpoint.
    pub persisted_bytes: u64,
    /// Whether its barrier overtook records.
    pub is_unaligned: bool,
}

/// Least, greatest, mean and percentiles of the last samples of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Summary {
    /// How many samples there were in all.
    pub count: u64,
    /// The least.
    pub min: u64,
    /// The greatest.
    pub max: u64,
    /// The mean, rounded down.
    pub avg: u64,
    /// Half of the samples are not above it.
    pub p50: u64,
    /// 90 % are not.
    pub p90: u64,
    /// 95 % are not.
    pub p95: u64,
    /// 99 % are not.
    pub p99: u64,
    /// 99.9 % are not.
    pub p999: u64,
}

impl Summary {
    /// Sums samples up, of which the last 1,000 count.
    pub fn of(samples: impl IntoIterator<Item = u64>) -> Self {
        let mut kept = Samples::default();
        samples.into_iter().for_each(|sample| kept.add(sample));
        kept.summary()
    }
}

/// How many samples a [`Summary`] looks back.
const SAMPLES: usize = 1_000;

/// The last samples of a figure.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Samples {
    /// A ring once it is full.
    last: Vec<u64>,
    count: u64,
}

impl Samples {
    pub(crate) fn add(&mut self, sample: u64) {
        let at = usize::try_from(self.count % SAMPLES as u64).unwrap_or(0);
        match self.last.get_mut(at) {
            Some(oldest) => *oldest = sample,
            None => self.last.push(sample),
        }
        self.count += 1;
    }

    pub(crate) fn summary(&self) -> Summary {
        let mut sorted = self.last.clone();
        sorted.sort_unstable();
        let at = |permille: usize| {
            let rank = (sorted.len() * permille).div_ceil(1_000).max(1);
            sorted.get(rank - 1).copied().unwrap_or(0)
        };
        let sum: u128 = sorted.iter().copied().map(u128::from).sum();
        let avg = sum / (sorted.len().max(1) as u128);
        Summary {
            count: self.count,
            min: at(0),
            max: at(1_000),
            avg: u64::try_from(avg).unwrap_or(u64::MAX),
            p50: at(500),
            p90: at(900),
            p95: at(950),
            p99: at(990),
            p999: at(999),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let mut samples = Samples::default();
        assert_eq!(samples.summary(), Summary::default());
        samples.add(7);
        let all = samples.summary();
        assert_eq!((all.min, all.p50, all.p999, all.max, all.avg), (7, 7, 7, 7, 7));
        let mut samples = Samples::default();
        (1..=200).rev().for_each(|sample| samples.add(sample));
        let all = samples.summary();
        assert_eq!((all.count, all.min, all.max, all.avg), (200, 1, 200, 100));
        assert_eq!((all.p50, all.p90, all.p95, all.p99, all.p999), (100, 180, 190, 198, 200));
    }

    #[test]
    fn only_the_last_samples_count_and_the_greatest_do_not_overflow() {
        let mut samples = Samples::default();
        samples.add(5);
        (0..SAMPLES).for_each(|_| samples.add(u64::MAX));
        let all = samples.summary();
        assert_eq!((all.count, all.min, all.avg), (SAMPLES as u64 + 1, u64::MAX, u64::MAX));
    }
}
