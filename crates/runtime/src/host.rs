//! Where a job runs: who starts its tasks, runs what blocks, and waits.
//!
//! Programs take [`TokioHost`]. Another host can run a whole job on a clock and a schedule of its
//! own, since the runtime starts nothing and waits for nothing but through it. The channels between
//! tasks are tokio's, which need no executor of tokio.
//!
//! Invariants: the runtime learns how a task ended from what it hands over, not from the host, so a
//! host has nothing to report; which of several things a task takes first never depends on chance,
//! so the same schedule gives the same run.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

/// Something to be polled to its end.
pub type HostTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Something that blocks, to be called on a thread that may.
pub type HostWork = Box<dyn FnOnce() + Send>;

/// Runs tasks. Names are for people: no decision hangs on them.
pub trait Host: fmt::Debug + Send + Sync {
    /// Starts a task, which runs beside the caller. It does not panic.
    fn spawn(&self, name: &str, task: HostTask) -> AbortHandle;

    /// Runs work on a thread that may block. It does not panic; a host that ends may drop work
    /// that it has not begun.
    fn spawn_blocking(&self, name: &str, work: HostWork);

    /// Ends when a time has passed, with the precision of a millisecond.
    fn sleep(&self, duration: Duration) -> HostTask;

    /// Time since some moment that stays the same; it never goes back.
    fn now(&self) -> Duration;

    /// Delivers what a task reports of a checkpoint. By default at once and once, as in one process;
    /// where a network lies between, a report may come late, more than once or never, and the
    /// protocol bears that.
    fn relay(&self, deliver: Box<dyn Fn() + Send>) {
        deliver();
    }
}

/// Aborts one task: it is dropped where it waits, soon afterwards. Fine when it has ended.
#[must_use = "a task that nobody can abort runs to its end"]
pub struct AbortHandle(Box<dyn Fn() + Send + Sync>);

impl AbortHandle {
    /// Wraps what aborts the task.
    pub fn new(abort: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Box::new(abort))
    }

    /// Aborts the task.
    pub fn abort(&self) {
        (self.0)();
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AbortHandle")
    }
}

/// The tokio runtime that the job is called in; its timer must be on.
#[derive(Debug, Clone, Copy)]
pub struct TokioHost {
    beginning: Instant,
}

impl TokioHost {
    /// The runtime that will call it.
    pub fn new() -> Self {
        Self { beginning: Instant::now() }
    }
}

impl Default for TokioHost {
    fn default() -> Self {
        Self::new()
    }
}

impl Host for TokioHost {
    fn spawn(&self, _name: &str, task: HostTask) -> AbortHandle {
        let handle = tokio::spawn(task).abort_handle();
        AbortHandle::new(move || handle.abort())
    }

    fn spawn_blocking(&self, _name: &str, work: HostWork) {
        drop(tokio::task::spawn_blocking(work));
    }

    fn sleep(&self, duration: Duration) -> HostTask {
        Box::pin(tokio::time::sleep(duration))
    }

    /// tokio's clock, so that a paused test clock works.
    fn now(&self) -> Duration {
        self.beginning.elapsed()
    }
}
