//! How far event time has come at a task with many inputs.
//!
//! Pure: watermarks go in, the time of the task comes out.
//!
//! Invariants: event time is what the slowest input has come to, and never goes back; an input that
//! has ended holds nothing up.
//!
//! Source: Flink `StatusWatermarkValve`.

use alluvium_core::museum::{self, Mistake};

/// Event time of one task.
#[derive(Debug)]
pub(crate) struct EventTime {
    /// Watermarks of the inputs, in milliseconds; `None` before the first.
    inputs: Vec<Option<i64>>,
    now_ms: Option<i64>,
}

impl EventTime {
    /// Event time over a number of inputs.
    pub(crate) fn new(inputs: usize) -> Self {
        Self { inputs: vec![None; inputs], now_ms: None }
    }

    /// A watermark came from an input; gives the time of the task when that has grown.
    pub(crate) fn watermark(&mut self, input: usize, watermark_ms: i64) -> Option<i64> {
        if let Some(known) = self.inputs.get_mut(input) {
            *known = (*known).max(Some(watermark_ms));
        }
        let mut slowest = self.inputs.iter().copied().min().flatten();
        if museum::makes(Mistake::FollowsFastestWatermark) {
            slowest = self.inputs.iter().copied().max().flatten();
        }
        if slowest <= self.now_ms {
            return None;
        }
        self.now_ms = slowest;
        slowest
    }

    /// An input has ended: event time is at its end there.
    pub(crate) fn end(&mut self, input: usize) -> Option<i64> {
        self.watermark(input, i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_input_decides() {
        let mut time = EventTime::new(3);
        assert_eq!(time.watermark(0, 50), None);
        assert_eq!(time.watermark(1, -20), None);
        assert_eq!(time.watermark(2, 10), Some(-20));
        assert_eq!(time.watermark(1, 40), Some(10));
        assert_eq!(time.watermark(1, 60), None, "input 2 is behind");
        assert_eq!(time.watermark(2, 60), Some(50));
    }

    #[test]
    fn time_never_goes_back_and_the_ends_of_all_inputs_are_its_end() {
        let mut time = EventTime::new(2);
        assert_eq!(time.end(0), None);
        assert_eq!(time.watermark(1, 7), Some(7));
        assert_eq!(time.watermark(1, 3), None);
        assert_eq!(time.end(1), Some(i64::MAX));
        assert_eq!(time.end(1), None);
        assert_eq!(time.watermark(9, 1), None, "no such input");
    }

    #[test]
    fn the_smallest_time_is_one() {
        let mut time = EventTime::new(1);
        assert_eq!(time.watermark(0, i64::MIN), Some(i64::MIN));
    }
}
