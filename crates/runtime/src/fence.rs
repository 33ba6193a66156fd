//! Whether an attempt is still the newest of its job, for those who have effects outside.

use std::sync::Arc;

use alluvium_core::AttemptId;
use alluvium_core::museum::{self, Mistake};
use alluvium_storage::{Storage, StorageError, check_attempt};

/// Tells whether an attempt was replaced.
///
/// On a storage without locks a run that was only slow may go on beside the one that replaced it.
/// Look, check, then act on what was seen: all of it was there before anybody replaced this attempt.
#[derive(Debug, Clone)]
pub struct AttemptFence {
    attempt: AttemptId,
    /// The job's folder; `None` where nobody can replace the attempt.
    folder: Option<Arc<dyn Storage>>,
}

impl AttemptFence {
    /// The fence of an attempt in a job's folder.
    pub fn new(folder: Arc<dyn Storage>, attempt: AttemptId) -> Self {
        Self { attempt, folder: Some(folder) }
    }

    /// The fence of an attempt that nobody replaces, for tests of sinks.
    pub const fn open(attempt: AttemptId) -> Self {
        Self { attempt, folder: None }
    }

    /// Passes if no newer attempt was claimed when it was called.
    ///
    /// Errors: [`StorageError::Fenced`] if one was.
    pub fn check(&self) -> Result<(), StorageError> {
        if museum::makes(Mistake::SkipsSecondFenceCheck) {
            return Ok(());
        }
        self.folder.as_ref().map_or(Ok(()), |folder| check_attempt(&**folder, self.attempt))
    }
}
