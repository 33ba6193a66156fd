//! A shared limit of records per second, for demonstrations and tests.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// Lets the sources of a job together emit so many records per second.
#[derive(Debug)]
pub(crate) struct RateLimit {
    records_per_s: f64,
    next: Mutex<Option<Instant>>,
}

impl RateLimit {
    pub(crate) fn new(records_per_s: f64) -> Self {
        Self { records_per_s, next: Mutex::new(None) }
    }

    /// How many records to take at a time, so that about fifty batches make a second.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range of a batch"
    )]
    pub(crate) fn batch_len(&self, limit: usize) -> usize {
        ((self.records_per_s / 50.0).clamp(1.0, 1e6) as usize).min(limit)
    }

    /// Waits until a number of records may go.
    #[expect(clippy::cast_precision_loss, reason = "a batch is far below 2^52 records")]
    pub(crate) async fn wait(&self, records: usize) {
        let due = {
            let mut next = self.next.lock().await;
            // tokio's clock, so that a paused test clock works.
            let now = Instant::now();
            let due = next.map_or(now, |next| next.max(now));
            *next = Some(due + Duration::from_secs_f64(records as f64 / self.records_per_s));
            due
        };
        sleep_until(due).await;
    }
}
