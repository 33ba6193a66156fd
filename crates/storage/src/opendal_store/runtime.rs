//! The one runtime on which requests to services run.
//!
//! Invariants: it lives as long as the process; waiting for it never panics, wherever the caller
//! stands.

use std::future::Future;
use std::io;
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::runtime::{Builder, Runtime};

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static STARTING: Mutex<()> = Mutex::new(());

/// Runs a future to its end while the calling thread waits.
pub(super) fn wait<F>(future: F) -> io::Result<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (answer, answered) = sync_channel(1);
    runtime()?.spawn(async move {
        // The caller waits below, and there is room for the one answer.
        let _ = answer.send(future.await);
    });
    answered.recv().map_err(|_| io::Error::other("the request stopped before it was answered"))
}

fn runtime() -> io::Result<&'static Runtime> {
    if let Some(running) = RUNTIME.get() {
        return Ok(running);
    }
    let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = RUNTIME.get() {
        return Ok(running);
    }
    let started = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("alluvium-storage")
        .enable_all()
        .build()?;
    Ok(RUNTIME.get_or_init(|| started))
}
