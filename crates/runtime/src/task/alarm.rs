//! Wakes a task when its clock has come to a time.
//!
//! How long to wait is computed from the clock that the job was given; the waiting itself is the
//! host's. A clock that runs otherwise makes the task look again, never fire too early.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::{Clock, Host, HostTask};

/// Longest time between two looks at the clock, in case it is set.
const LONGEST: Duration = Duration::from_mins(1);

pub(crate) struct Alarm {
    clock: Arc<dyn Clock>,
    host: Arc<dyn Host>,
    /// The time it is set for, in milliseconds, and when to look at the clock.
    set: Option<(i64, HostTask)>,
}

impl Alarm {
    pub(crate) fn new(clock: Arc<dyn Clock>, host: Arc<dyn Host>) -> Self {
        Self { clock, host, set: None }
    }

    /// The time of the clock, in milliseconds.
    fn now_ms(&self) -> i64 {
        i64::try_from(self.clock.now_ms()).unwrap_or(i64::MAX)
    }

    /// Sets it for a time in milliseconds, or for none.
    pub(super) fn set(&mut self, time_ms: Option<i64>) {
        if self.set.as_ref().map(|(ms, _)| *ms) == time_ms {
            return;
        }
        self.set = time_ms.map(|ms| (ms, self.host.sleep(self.until(ms))));
    }

    fn until(&self, time_ms: i64) -> Duration {
        let left = u64::try_from(time_ms.saturating_sub(self.now_ms())).unwrap_or(0);
        Duration::from_millis(left).min(LONGEST)
    }

    /// Ready with the time of the clock once that has come to the time that was set; then it is set
    /// for none.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<i64> {
        loop {
            let now_ms = self.now_ms();
            let Some((time_ms, sleep)) = &mut self.set else { return Poll::Pending };
            let time_ms = *time_ms;
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if now_ms >= time_ms {
                self.set = None;
                return Poll::Ready(now_ms);
            }
            // The clock is behind: a millisecond at least, so that this ends.
            let again = self.until(time_ms).max(Duration::from_millis(1));
            self.set = Some((time_ms, self.host.sleep(again)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::TokioHost;

    #[derive(Debug)]
    struct Steps(AtomicU64);

    impl Clock for Steps {
        /// Each look is 2 ms later.
        fn now_ms(&self) -> u64 {
            self.0.fetch_add(2, Ordering::SeqCst)
        }
    }

    fn alarm() -> Alarm {
        Alarm::new(Arc::new(Steps(AtomicU64::new(100))), Arc::new(TokioHost::new()))
    }

    #[tokio::test]
    async fn it_never_rings_before_its_time() {
        let mut alarm = alarm();
        alarm.set(Some(120));
        assert!(poll_fn(|context| alarm.poll(context)).await >= 120);
        assert!(poll_fn(|context| Poll::Ready(alarm.poll(context))).await.is_pending());
    }

    #[tokio::test]
    async fn a_time_that_has_passed_rings_at_once_and_an_earlier_one_replaces_a_later() {
        let mut alarm = alarm();
        alarm.set(Some(i64::MAX));
        alarm.set(Some(i64::MIN));
        assert!(poll_fn(|context| alarm.poll(context)).await >= 100);
        alarm.set(Some(0));
        alarm.set(None);
        assert!(poll_fn(|context| Poll::Ready(alarm.poll(context))).await.is_pending());
    }
}
