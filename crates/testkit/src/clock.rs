//! A clock that stands still until it is moved.
//!
//! Invariants: clones show the same time; nothing here reads the clock of the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_state::Clock;

/// A clock under the control of a test. Clones are the same clock.
///
/// Units: milliseconds, since whatever the test takes for the beginning.
#[derive(Debug, Clone, Default)]
pub struct ManualClock {
    now_ms: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock that shows a time.
    pub fn new(now_ms: u64) -> Self {
        Self { now_ms: Arc::new(AtomicU64::new(now_ms)) }
    }

    /// The time it shows.
    pub fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    /// The same clock for states with a time to live; times above `i64::MAX` are that.
    pub fn state_clock(&self) -> Clock {
        let clock = self.clone();
        Clock::new(move || i64::try_from(clock.now_ms()).unwrap_or(i64::MAX))
    }

    /// Sets the time, forwards or backwards.
    pub fn set(&self, now_ms: u64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
    }

    /// Moves the time forward and gives the time after that.
    ///
    /// Panics: when the time would pass `u64::MAX`.
    pub fn advance(&self, by_ms: u64) -> u64 {
        let before = self.now_ms.fetch_add(by_ms, Ordering::SeqCst);
        before.checked_add(by_ms).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_only_when_it_is_moved_and_for_all_clones() {
        let clock = ManualClock::new(1_000);
        let same = clock.clone();
        assert_eq!(same.now_ms(), 1_000);
        assert_eq!(clock.advance(250), 1_250);
        assert_eq!(same.now_ms(), 1_250);
        same.set(10);
        assert_eq!(clock.now_ms(), 10);
        assert_eq!(ManualClock::default().now_ms(), 0);
    }
}
