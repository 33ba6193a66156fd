//! When a job has begun to read and has processed everything, by the clock, the processor and memory.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::machine;

/// Measures one run.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    begin: OnceLock<Moment>,
    end: Mutex<Option<(Moment, Option<u64>)>>,
}

#[derive(Debug, Clone, Copy)]
struct Moment {
    at: Instant,
    /// Time of all processors that this process has had.
    cpu: Option<Duration>,
}

impl Moment {
    fn now() -> Self {
        Self { at: Instant::now(), cpu: machine::cpu_time() }
    }
}

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lap {
    pub(crate) elapsed: Duration,
    pub(crate) cpu: Option<Duration>,
    /// Most memory that the process had until the end, in bytes.
    pub(crate) peak_bytes: Option<u64>,
}

impl Stopwatch {
    /// A source is about to read; the first one counts.
    pub(crate) fn start(&self) {
        self.begin.get_or_init(Moment::now);
    }

    /// A subtask has processed everything; the last one counts.
    pub(crate) fn stop(&self) {
        let end = (Moment::now(), machine::peak_resident_bytes());
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    }

    /// `None` unless it was started and stopped.
    pub(crate) fn lap(&self) -> Option<Lap> {
        let begin = self.begin.get()?;
        let (end, peak_bytes) = (*self.end.lock().unwrap_or_else(PoisonError::into_inner))?;
        let cpu = end.cpu.zip(begin.cpu).map(|(end, begin)| end.saturating_sub(begin));
        Some(Lap { elapsed: end.at.saturating_duration_since(begin.at), cpu, peak_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lap_has_a_beginning_and_the_last_end() {
        let stopwatch = Stopwatch::default();
        stopwatch.stop();
        assert!(stopwatch.lap().is_none());
        stopwatch.start();
        stopwatch.stop();
        let first = stopwatch.lap().unwrap();
        stopwatch.start();
        stopwatch.stop();
        assert!(stopwatch.lap().unwrap().elapsed >= first.elapsed);
    }
}
