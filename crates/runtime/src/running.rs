//! What was started on a host, and how it ended.
//!
//! Invariants: whatever was started is reported once: that it finished, that it panicked, or that it
//! was dropped before its end; by then it exists no more. A set that is dropped aborts its tasks.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{mpsc, oneshot};

use crate::JobError;
use crate::error::panic_text;
use crate::host::{AbortHandle, Host};

/// How something ended.
pub(crate) enum End<T> {
    Finished(T),
    /// With what the panic said.
    Panicked(Box<dyn Any + Send>),
    /// It was aborted, or its host ends.
    Dropped,
}

impl<T> End<T> {
    /// For what has neither a reason to panic nor one to be dropped.
    ///
    /// Errors: [`JobError::Internal`].
    pub(crate) fn finished(self, what: &'static str) -> Result<T, JobError> {
        match self {
            Self::Finished(value) => Ok(value),
            Self::Panicked(panic) => Err(JobError::Internal { what, reason: panic_text(&*panic) }),
            Self::Dropped => {
                let reason = "it was dropped before its end".to_owned();
                Err(JobError::Internal { what, reason })
            }
        }
    }
}

/// Runs what blocks; nobody has to wait for it.
pub(crate) fn blocking<T: Send + 'static>(
    host: &dyn Host,
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Work<T> {
    let (sender, receiver) = oneshot::channel();
    let work = move || {
        // A caller that went away does not need to know.
        let _ = sender.send(panic::catch_unwind(AssertUnwindSafe(work)));
    };
    host.spawn_blocking(name, Box::new(work));
    Work(receiver)
}

/// Work whose end can be waited for.
#[derive(Debug)]
pub(crate) struct Work<T>(oneshot::Receiver<std::thread::Result<T>>);

impl<T> Future for Work<T> {
    type Output = End<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<End<T>> {
        Pin::new(&mut self.0).poll(context).map(|received| match received {
            Ok(Ok(value)) => End::Finished(value),
            Ok(Err(panic)) => End::Panicked(panic),
            Err(_) => End::Dropped,
        })
    }
}

/// Tasks and work that were started and not yet reported, each under its name.
pub(crate) struct Running<N, T> {
    host: Arc<dyn Host>,
    /// How many were ever started.
    started: u64,
    /// Work cannot be aborted.
    unreported: BTreeMap<u64, (N, Option<AbortHandle>)>,
    sender: mpsc::UnboundedSender<(u64, End<T>)>,
    ends: mpsc::UnboundedReceiver<(u64, End<T>)>,
}

impl<N: Display, T: Send + 'static> Running<N, T> {
    pub(crate) fn new(host: Arc<dyn Host>) -> Self {
        let (sender, ends) = mpsc::unbounded_channel();
        Self { host, started: 0, unreported: BTreeMap::new(), sender, ends }
    }

    pub(crate) fn spawn(&mut self, name: N, task: impl Future<Output = T> + Send + 'static) {
        let task = Reported { task: Some(Box::pin(task)), reporter: self.reporter() };
        let abort = self.host.spawn(&name.to_string(), Box::pin(task));
        self.unreported.insert(self.started, (name, Some(abort)));
    }

    pub(crate) fn spawn_blocking(&mut self, name: N, work: impl FnOnce() -> T + Send + 'static) {
        let mut reporter = self.reporter();
        let work = move || reporter.report(panic::catch_unwind(AssertUnwindSafe(work)));
        self.host.spawn_blocking(&name.to_string(), Box::new(work));
        self.unreported.insert(self.started, (name, None));
    }

    fn reporter(&mut self) -> Reporter<T> {
        self.started += 1;
        Reporter { id: self.started, sender: Some(self.sender.clone()) }
    }

    /// The next one that has ended; `None` when nothing runs.
    pub(crate) async fn next(&mut self) -> Option<(N, End<T>)> {
        if self.unreported.is_empty() {
            return None;
        }
        let (id, end) = self.ends.recv().await?;
        self.unreported.remove(&id).map(|(name, _)| (name, end))
    }

    /// Aborts all tasks, and waits until they and all work have ended.
    pub(crate) async fn shut_down(&mut self) {
        self.abort_all();
        while self.next().await.is_some() {}
    }
}

impl<N, T> Running<N, T> {
    fn abort_all(&self) {
        self.unreported
            .values()
            .filter_map(|(_, abort)| abort.as_ref())
            .for_each(AbortHandle::abort);
    }
}

impl<N, T> Drop for Running<N, T> {
    fn drop(&mut self) {
        self.abort_all();
    }
}

/// Reports one end, at the latest when it is dropped.
struct Reporter<T> {
    id: u64,
    /// `None` once it has reported.
    sender: Option<mpsc::UnboundedSender<(u64, End<T>)>>,
}

impl<T> Reporter<T> {
    fn report(&mut self, end: std::thread::Result<T>) {
        let end = end.map_or_else(End::Panicked, End::Finished);
        self.send(end);
    }

    fn send(&mut self, end: End<T>) {
        if let Some(sender) = self.sender.take() {
            // Without a receiver nobody wants to know.
            let _ = sender.send((self.id, end));
        }
    }
}

impl<T> Drop for Reporter<T> {
    fn drop(&mut self) {
        self.send(End::Dropped);
    }
}

type BoxedTask<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A task that reports its end. The task is dropped before that.
struct Reported<T> {
    task: Option<BoxedTask<T>>,
    reporter: Reporter<T>,
}

impl<T> Future for Reported<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(mut task) = self.task.take() else { return Poll::Ready(()) };
        let polled = panic::catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(context)));
        let end = match polled {
            Ok(Poll::Pending) => {
                self.task = Some(task);
                return Poll::Pending;
            }
            Ok(Poll::Ready(value)) => Ok(value),
            Err(panic) => Err(panic),
        };
        // What it held may panic as well; that adds nothing.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| drop(task)));
        self.reporter.report(end);
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests;
