//! What happened when: the load in slices of equal length.

use std::time::Duration;

use crate::latencies::nanos;
use crate::report::Slice;

/// Slices that a load has.
const SLICES: u32 = 200;
/// Shortest slice.
const SHORTEST: Duration = Duration::from_millis(5);

/// Counts updates by when they were done.
#[derive(Debug)]
pub(crate) struct Timeline {
    slice: Duration,
    slices: Vec<Counted>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    updates: u64,
    busy: Duration,
    slowest_ns: u64,
}

impl Timeline {
    pub(crate) fn new(load: Duration) -> Self {
        Self { slice: (load / SLICES).max(SHORTEST), slices: Vec::new() }
    }

    /// Some updates were begun at a time after the beginning of the load.
    pub(crate) fn add(&mut self, at: Duration, updates: u64, busy: Duration, slowest_ns: u64) {
        let slice = nanos(at) / nanos(self.slice).max(1);
        let Ok(slice) = usize::try_from(slice) else { return };
        if slice >= self.slices.len() {
            self.slices.resize(slice + 1, Counted::default());
        }
        if let Some(counted) = self.slices.get_mut(slice) {
            counted.updates += updates;
            counted.busy += busy;
            counted.slowest_ns = counted.slowest_ns.max(slowest_ns);
        }
    }

    /// All slices in which something was done.
    pub(crate) fn slices(&self) -> Vec<Slice> {
        let begin = |at: usize| self.slice.as_secs_f64() * at as f64;
        let slices = self.slices.iter().enumerate().filter(|(_, counted)| counted.updates > 0);
        let slices = slices.map(|(at, counted)| Slice {
            begin_s: begin(at),
            end_s: begin(at + 1),
            updates: counted.updates,
            busy_s: counted.busy.as_secs_f64(),
            slowest_us: counted.slowest_ns as f64 / 1e3,
        });
        slices.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_hold_what_was_begun_in_them() {
        let mut timeline = Timeline::new(Duration::from_secs(2));
        let ms = Duration::from_millis;
        timeline.add(ms(1), 10, ms(2), 100);
        timeline.add(ms(9), 20, ms(3), 5_000);
        timeline.add(ms(35), 1, ms(1), 7);
        let slices = timeline.slices();
        assert_eq!(slices.iter().map(|slice| slice.updates).collect::<Vec<_>>(), [30, 1]);
        assert!((slices[0].busy_s - 0.005).abs() < 1e-9);
        assert!((slices[0].slowest_us - 5.0).abs() < 1e-9);
        assert!((slices[1].begin_s - 0.03).abs() < 1e-9, "{}", slices[1].begin_s);
        assert!((slices[1].end_s - 0.04).abs() < 1e-9);
    }
}
