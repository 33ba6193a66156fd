//! What the engine hears from RocksDB's background threads.
//!
//! Roles: [`EngineState`] is shared by the engine and by the callbacks that RocksDB makes; a
//! [`GateHold`] keeps new compactions waiting as long as it lives.
//!
//! Invariants:
//! - a compaction that begins after a hold was taken waits until that hold is dropped; it does not
//!   wait for holds taken after it began, since all of its input is older than they are;
//! - a closed engine holds nothing back, so closing never waits for a hold;
//! - the first error stays: nobody who waits for a flush waits longer than until then.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::EngineError;

#[cfg(test)]
mod tests;

/// How often somebody who waits for a flush asks whether RocksDB gave up without saying so.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What the background threads of one database have done, and what they must not do yet.
#[derive(Debug, Default)]
pub(super) struct EngineState {
    progress: Mutex<Progress>,
    changed: Condvar,
    /// The first error of a write or of the background; nothing is written after it.
    poison: OnceLock<Arc<EngineError>>,
    /// Compactions that had to wait at the gate.
    held_back: AtomicU64,
    #[cfg(test)]
    gate_is_off: std::sync::atomic::AtomicBool,
}

#[derive(Debug, Default)]
struct Progress {
    /// The largest sequence number of the default column family that is in a file.
    flushed_seqno: u64,
    /// The holds that are alive.
    holds: BTreeSet<u64>,
    /// The number of the next hold.
    next_hold: u64,
    closed: bool,
}

impl EngineState {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails if something failed before.
    pub(super) fn check(&self) -> Result<(), Arc<EngineError>> {
        self.poison.get().map_or(Ok(()), |error| Err(Arc::clone(error)))
    }

    /// Remembers the first error for all later calls.
    pub(super) fn poison(&self, error: EngineError) -> Arc<EngineError> {
        let first = Arc::clone(self.poison.get_or_init(|| Arc::new(error)));
        // With the lock, so that nobody is between its look and its wait.
        let _progress = self.progress();
        self.changed.notify_all();
        first
    }

    /// A flush of the default column family is in the list of files.
    pub(super) fn flush_completed(&self, largest_seqno: u64) {
        let mut progress = self.progress();
        progress.flushed_seqno = progress.flushed_seqno.max(largest_seqno);
        self.changed.notify_all();
    }

    /// Waits until a row of the default column family newer than `seqno` is in a file.
    ///
    /// `look` is called now and then and finds errors that RocksDB did not tell.
    pub(super) fn wait_flushed_past(
        &self,
        seqno: u64,
        look: impl Fn() -> Result<(), EngineError>,
    ) -> Result<(), Arc<EngineError>> {
        let mut progress = self.progress();
        while progress.flushed_seqno <= seqno {
            self.check()?;
            if progress.closed {
                return Err(Arc::new(EngineError::Closed { operation: "wait for a flush" }));
            }
            let (guard, timeout) = self
                .changed
                .wait_timeout(progress, LOOK_AGAIN)
                .unwrap_or_else(PoisonError::into_inner);
            progress = guard;
            if timeout.timed_out() {
                drop(progress);
                look().map_err(|error| self.poison(error))?;
                progress = self.progress();
            }
        }
        Ok(())
    }

    /// Keeps compactions from beginning until what is returned is dropped.
    pub(super) fn hold(self: &Arc<Self>) -> GateHold {
        let mut progress = self.progress();
        let number = progress.next_hold;
        progress.next_hold += 1;
        progress.holds.insert(number);
        GateHold { state: Arc::clone(self), number }
    }

    /// A compaction begins: its input is chosen, nothing is read or written yet.
    pub(super) fn pass_gate(&self) {
        #[cfg(test)]
        if self.gate_is_off.load(Ordering::Relaxed) {
            return;
        }
        let mut progress = self.progress();
        let now = progress.next_hold;
        let must_wait = |progress: &Progress| {
            !progress.closed && progress.holds.first().is_some_and(|&first| first < now)
        };
        if must_wait(&progress) {
            self.held_back.fetch_add(1, Ordering::Relaxed);
        }
        while must_wait(&progress) {
            progress = self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How many compactions had to wait.
    pub(super) fn held_back(&self) -> u64 {
        self.held_back.load(Ordering::Relaxed)
    }

    /// Lets everything go on, for ever.
    pub(super) fn close(&self) {
        self.progress().closed = true;
        self.changed.notify_all();
    }

    #[cfg(test)]
    pub(super) fn turn_gate_off(&self) {
        self.gate_is_off.store(true, Ordering::Relaxed);
    }
}

/// Compactions that begin now wait until this is dropped.
#[must_use]
#[derive(Debug)]
pub(super) struct GateHold {
    state: Arc<EngineState>,
    number: u64,
}

impl Drop for GateHold {
    fn drop(&mut self) {
        self.state.progress().holds.remove(&self.number);
        self.state.changed.notify_all();
    }
}
