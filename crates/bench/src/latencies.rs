//! How long single things took.
//!
//! Shape: a histogram to three digits, from 1 ns to 17 minutes; longer times count as those. The longest
//! time is kept to the nanosecond.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::report::Spread;

/// Digits that are kept of each time.
const DIGITS: u8 = 3;
/// Longest time that is told from longer ones.
const LONGEST: Duration = Duration::from_secs(1_024);

/// Times of one kind of thing.
#[derive(Debug)]
pub(crate) struct Latencies {
    /// `None` if the bounds above are no bounds.
    histogram: Option<Histogram<u64>>,
    count: u64,
    longest_ns: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, nanos(LONGEST), DIGITS).ok();
        Self { histogram, count: 0, longest_ns: 0 }
    }
}

impl Latencies {
    pub(crate) fn record(&mut self, took: Duration) {
        self.record_ns(nanos(took));
    }

    pub(crate) fn record_ns(&mut self, took_ns: u64) {
        self.count += 1;
        self.longest_ns = self.longest_ns.max(took_ns);
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(took_ns);
        }
    }

    /// Quantiles of what was recorded; `None` if nothing was.
    pub(crate) fn spread(&self) -> Option<Spread> {
        let histogram = self.histogram.as_ref().filter(|_| self.count > 0)?;
        // The histogram gives the upper end of a range of values that it does not tell apart.
        let quantile = |share| micros(histogram.value_at_quantile(share).min(self.longest_ns));
        Some(Spread {
            count: self.count,
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            p999_us: quantile(0.999),
            max_us: micros(self.longest_ns),
        })
    }
}

/// Nanoseconds, as many as fit.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.spread(), None);
        for micros in 1..=1_000 {
            latencies.record(Duration::from_micros(micros));
        }
        let spread = latencies.spread().unwrap();
        assert_eq!(spread.count, 1_000);
        for (found, expected) in
            [(spread.p50_us, 500.0), (spread.p99_us, 990.0), (spread.p999_us, 999.0)]
        {
            assert!((found / expected - 1.0).abs() < 0.002, "{found}, {expected}");
        }
        assert!((spread.max_us - 1_000.0).abs() < 1e-9, "{}", spread.max_us);
    }

    #[test]
    fn the_longest_time_is_exact_and_bounds_all_quantiles() {
        let mut latencies = Latencies::default();
        latencies.record_ns(1_234_567);
        latencies.record(Duration::from_secs(5_000));
        let spread = latencies.spread().unwrap();
        assert!((spread.max_us - 5e9).abs() < 1e-3, "{}", spread.max_us);
        let mut one = Latencies::default();
        one.record_ns(1_234_567);
        assert!(one.spread().unwrap().p50_us <= 1_234.567);
    }
}
