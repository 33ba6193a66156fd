//! The background load of a restored backend, next to the task that uses the backend.
//!
//! Invariants: a failure or a panic of the load ends the task, as if the task itself had met it;
//! the load is not waited for, neither by the first record nor by the end of the task. A task that
//! ends drops its backend, and the load ends soon after; a process waits for that.

use std::panic;
use std::pin::Pin;
use std::task::{Context, Poll};

use alluvium_state::{BackgroundLoad, StateError};

use crate::running::{End, Work, blocking};
use crate::{Host, TaskError};

#[derive(Debug, Default)]
pub(crate) struct Loading(Option<Work<Result<(), StateError>>>);

impl Loading {
    /// Begins where it may block, if there is anything to load.
    pub(super) fn start(load: Option<BackgroundLoad>, host: &dyn Host) -> Self {
        Self(load.map(|load| blocking(host, "background load", || load.run())))
    }

    /// Ready once, when the load has ended; never when there is none.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TaskError>> {
        let Some(work) = &mut self.0 else { return Poll::Pending };
        let Poll::Ready(end) = Pin::new(work).poll(context) else { return Poll::Pending };
        self.0 = None;
        Poll::Ready(match end {
            End::Finished(loaded) => loaded.map_err(TaskError::from),
            End::Panicked(panic) => panic::resume_unwind(panic),
            End::Dropped => Err("the background load was dropped before its end".into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::TokioHost;

    async fn end_of(
        load: impl FnOnce() -> Result<(), StateError> + Send + 'static,
    ) -> Result<(), TaskError> {
        let mut loading = Loading::start(Some(BackgroundLoad::new(load)), &TokioHost::new());
        let ended = poll_fn(|context| loading.poll(context)).await;
        assert!(loading.0.is_none(), "it ends once");
        ended
    }

    #[tokio::test]
    async fn a_failure_keeps_its_type() {
        assert!(end_of(|| Ok(())).await.is_ok());
        let error = end_of(|| Err(StateError::ForeignHandle)).await.unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(StateError::ForeignHandle)), "{error}");
    }

    #[tokio::test]
    #[should_panic(expected = "a codec of the user")]
    async fn a_panic_goes_on_in_the_task() {
        let _ = end_of(|| panic!("a codec of the user")).await;
    }

    #[tokio::test]
    async fn without_anything_to_load_nothing_ever_ends() {
        let mut loading = Loading::start(None, &TokioHost::new());
        let polled = poll_fn(|context| Poll::Ready(loading.poll(context))).await;
        assert!(polled.is_pending());
    }
}
