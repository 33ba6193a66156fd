//! Waiting for a time of the simulation.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::Executor;

/// Ends at a time.
pub(crate) struct Sleep {
    executor: Arc<Executor>,
    until_us: u64,
    /// Where its waker is kept, once it was polled.
    key: Option<(u64, u64)>,
}

impl Sleep {
    pub(crate) fn new(executor: Arc<Executor>, for_us: u64) -> Self {
        let until_us = executor.state().now_us.saturating_add(for_us);
        Self { executor, until_us, key: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let executor = Arc::clone(&self.executor);
        let mut state = executor.state();
        if let Some(key) = self.key.take() {
            state.due.remove(&key);
        }
        if state.now_us >= self.until_us {
            return Poll::Ready(());
        }
        self.key = Some(state.wake_at(self.until_us, context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.executor.state().due.remove(&key);
        }
    }
}
