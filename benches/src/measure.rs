//! Times, samples and rounds.

use std::time::{Duration, Instant};

/// Runs a body and says how long it took.
pub fn timed<R>(body: impl FnOnce() -> R) -> (Duration, R) {
    let start = Instant::now();
    let result = body();
    (start.elapsed(), result)
}

/// Values of one quantity, in the order in which they were measured.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds a value.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The value that a share of all values lies at or below.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        // The first position whose share of values is large enough.
        let below = |at: usize| (at as f64 + 1.0) < share * sorted.len() as f64;
        let at = (0..sorted.len()).position(|at| !below(at)).unwrap_or_default();
        sorted.get(at).copied().unwrap_or(f64::NAN)
    }

    /// The value in the middle.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The least value.
    pub fn min(&self) -> f64 {
        self.quantile(0.0)
    }

    /// The greatest value.
    pub fn max(&self) -> f64 {
        self.quantile(1.0)
    }

    /// How many values there are.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What each value becomes.
    #[must_use]
    pub fn map(&self, change: impl FnMut(f64) -> f64) -> Self {
        Self(self.0.iter().copied().map(change).collect())
    }

    /// The values, in the order in which they were measured.
    pub fn iter(&self) -> impl Iterator<Item = f64> + '_ {
        self.0.iter().copied()
    }

    /// Quotients of values of the same round.
    #[must_use]
    pub fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(own, other)| own / other).collect())
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// The geometric mean of several quantities, round by round; as many rounds as all of them have.
pub fn geometric_means(quantities: &[Samples]) -> Samples {
    let rounds = quantities.iter().map(Samples::len).min().unwrap_or_default();
    let mean_of = |round: usize| {
        let logarithms = quantities.iter().filter_map(|samples| samples.0.get(round));
        let sum: f64 = logarithms.map(|value| value.ln()).sum();
        (sum / quantities.len() as f64).exp()
    };
    (0..rounds).map(mean_of).collect()
}

/// Runs each of some contenders in every round, in an order that turns around from round to round,
/// after one round that does not count. `run` is told the contender and the round, and gives the
/// seconds that it took.
pub fn in_turns(
    rounds: usize,
    contenders: usize,
    mut run: impl FnMut(usize, usize) -> f64,
) -> Vec<Samples> {
    let mut seconds = vec![Samples::default(); contenders];
    for round in 0..=rounds {
        for turn in 0..contenders {
            let contender = if round % 2 == 0 { turn } else { contenders - 1 - turn };
            let took = run(contender, round);
            if let (1.., Some(samples)) = (round, seconds.get_mut(contender)) {
                samples.push(took);
            }
        }
    }
    seconds
}

/// Latencies of single operations, in microseconds.
#[derive(Debug)]
pub struct Latencies {
    /// Nanoseconds; room for them is made and touched before the first one.
    nanos: Vec<u32>,
    room: usize,
}

impl Latencies {
    /// Room for so many latencies.
    pub fn with_room(room: usize) -> Self {
        let mut nanos = vec![1; room];
        std::hint::black_box(&mut nanos);
        nanos.clear();
        Self { nanos, room }
    }

    /// Repeats an operation, with the numbers from 0 on, for a time or until the room is full.
    pub fn watch(&mut self, limit: Duration, mut operation: impl FnMut(usize)) {
        self.nanos.clear();
        let start = Instant::now();
        for number in 0..self.room {
            let before = Instant::now();
            operation(number);
            let after = Instant::now();
            let nanos = u32::try_from((after - before).as_nanos());
            self.nanos.push(nanos.unwrap_or(u32::MAX));
            if after - start > limit {
                break;
            }
        }
    }

    /// How many operations were watched.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.nanos.len()
    }

    /// The latency that a share of all operations does not exceed.
    pub fn quantile(&mut self, share: f64) -> f64 {
        self.nanos.sort_unstable();
        let mut at = self.nanos.len().saturating_sub(1);
        // From the end: only the rare, slow ones are of interest.
        while at > 0 && at as f64 >= share * self.nanos.len() as f64 {
            at -= 1;
        }
        self.nanos.get(at).map_or(f64::NAN, |nanos| f64::from(*nanos) / 1_000.0)
    }

    /// The longest latency.
    pub fn worst(&self) -> f64 {
        self.nanos.iter().max().map_or(f64::NAN, |nanos| f64::from(*nanos) / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_geometric_mean_is_that_of_one_round() {
        let [twice, eight_times]: [Samples; 2] =
            [[2.0, 1.0].into_iter().collect(), [8.0, 4.0, 100.0].into_iter().collect()];
        let means: Vec<f64> = geometric_means(&[twice, eight_times]).iter().collect();
        assert_eq!(means.len(), 2, "the third round has one value only");
        assert!((means[0] - 4.0).abs() < 1e-9, "{means:?}");
        assert!((means[1] - 2.0).abs() < 1e-9, "{means:?}");
        assert_eq!(geometric_means(&[]).len(), 0);
    }
}
