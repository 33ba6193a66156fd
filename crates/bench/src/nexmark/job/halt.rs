//! For tests: sources that stand still in the middle until there are checkpoints, and fail then, once.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use alluvium::runtime::TaskError;

/// Checkpoints that are awaited; of two, one was triggered when a source stood still already.
const AWAITED: u32 = 2;

#[derive(Debug, Default)]
pub(crate) struct Halt {
    stands: AtomicBool,
    /// Checkpoints that were completed since.
    completed: AtomicU32,
    has_failed: AtomicBool,
}

impl Halt {
    /// A source is at a position of so many. Whether it has to wait there.
    ///
    /// Errors: any, the first time that the checkpoints are there.
    pub(crate) fn meet(&self, next: u64, end: u64) -> Result<bool, TaskError> {
        if next < end / 2 || self.has_failed.load(Ordering::SeqCst) {
            return Ok(false);
        }
        self.stands.store(true, Ordering::SeqCst);
        if self.completed.load(Ordering::SeqCst) < AWAITED {
            std::thread::sleep(Duration::from_micros(200));
            return Ok(true);
        }
        if self.has_failed.swap(true, Ordering::SeqCst) {
            return Ok(false);
        }
        Err("a test lets it fail in the middle".into())
    }

    pub(crate) fn note_checkpoint(&self) {
        if self.stands.load(Ordering::SeqCst) {
            self.completed.fetch_add(1, Ordering::SeqCst);
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::SeqCst)
    }
}
