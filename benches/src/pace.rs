//! The pace of a disk.

use std::thread;
use std::time::{Duration, Instant};

/// Bytes per second that a snapshot is written with while something else is measured: about what
/// a local disk takes. Without it a snapshot would end as soon as it has begun, and every few
/// updates would be the first ones after a freeze.
const BYTES_PER_S: f64 = 1e9;
/// Shorter waits are put off.
const SHORTEST: Duration = Duration::from_millis(1);

/// Holds a writer back.
#[derive(Debug)]
pub struct Pace {
    start: Instant,
    bytes: u64,
}

impl Pace {
    /// Begins now.
    pub fn begin() -> Self {
        Self { start: Instant::now(), bytes: 0 }
    }

    /// Waits until a disk would have taken so many bytes more.
    pub fn take(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        let due = Duration::from_secs_f64(self.bytes as f64 / BYTES_PER_S);
        let ahead = due.saturating_sub(self.start.elapsed());
        if ahead >= SHORTEST {
            thread::sleep(ahead);
        }
    }
}
