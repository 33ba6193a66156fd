//! A shared limit of records per second, for demonstrations and tests.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::Host;

/// Lets the sources of a job together emit so many records per second.
#[derive(Debug)]
pub(crate) struct RateLimit {
    records_per_s: f64,
    host: Arc<dyn Host>,
    /// When the next record may go, by the host's time.
    next: Mutex<Duration>,
}

impl RateLimit {
    pub(crate) fn new(records_per_s: f64, host: Arc<dyn Host>) -> Self {
        Self { records_per_s, host, next: Mutex::new(Duration::ZERO) }
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
        let wait = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = self.host.now();
            let due = now.max(*next);
            *next = due + Duration::from_secs_f64(records as f64 / self.records_per_s);
            due.saturating_sub(now)
        };
        self.host.sleep(wait).await;
    }
}
