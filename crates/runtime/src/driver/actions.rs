//! Carries out what the coordinator asks for: messages to tasks, work for the storage.
//!
//! Invariants: while something waits to be cleaned up and nothing holds it back, work is in flight.

use std::sync::Arc;

use alluvium_coordinator::{AbortReason, Action};
use alluvium_core::{AttemptId, CheckpointId, CheckpointMetadata};
use alluvium_storage::StorageError;

use super::Tasks;
use super::clean_up::{CleanUp, Waste};
use crate::running::Running;
use crate::task::Command;
use crate::{CheckpointStore, JobConfig, JobError, JobEvent, StoreError};

/// What came of work for the storage.
#[derive(Debug)]
pub(super) enum Stored {
    Committed(CheckpointId),
    /// The checkpoint does not exist and never will.
    CommitFailed(CheckpointId, String),
    /// Whether the checkpoint exists is not known, or another run took over.
    Lost(StoreError),
    /// A bug: nothing is known of what was done.
    Panicked(JobError),
    Cleaned,
    CleanUpFailed(String),
}

pub(super) struct Actions {
    store: Arc<CheckpointStore>,
    attempt: AttemptId,
    config: JobConfig,
    work: Running<&'static str, Stored>,
    clean_up: CleanUp,
    /// Metadata of the checkpoint that is being committed.
    committing: Option<CheckpointMetadata>,
}

impl Actions {
    pub(super) fn new(store: Arc<CheckpointStore>, attempt: AttemptId, config: JobConfig) -> Self {
        let (work, clean_up) = (Running::new(Arc::clone(&config.host)), CleanUp::default());
        Self { store, attempt, config, work, clean_up, committing: None }
    }

    pub(super) const fn attempt(&self) -> AttemptId {
        self.attempt
    }

    /// The next piece of storage work that is done; `None` when there is none in flight.
    pub(super) async fn next_stored(&mut self) -> Option<Stored> {
        let (_, end) = self.work.next().await?;
        let stored = end.finished("work for the storage").unwrap_or_else(Stored::Panicked);
        let goes_on = match &stored {
            Stored::Cleaned => {
                self.clean_up.removed();
                true
            }
            Stored::CleanUpFailed(_) => self.clean_up.failed(),
            // Other work; and a run that was replaced removes nothing any more.
            _ => false,
        };
        if goes_on {
            self.clean_up_next();
        }
        Some(stored)
    }

    /// `true` when a checkpoint was aborted.
    pub(super) fn carry_out<R: Send + 'static>(
        &mut self,
        action: Action,
        tasks: &Tasks<R>,
    ) -> Result<bool, JobError> {
        match action {
            Action::Trigger { checkpoint, .. } => {
                for source in &tasks.sources {
                    // A source that is gone ends the attempt by its own failure.
                    let _ = source.send(Command::Trigger(checkpoint));
                }
            }
            Action::Commit { metadata, .. } => self.commit(metadata),
            Action::NotifyComplete { checkpoint, is_final, .. } => {
                tasks.send_all(Command::Complete { checkpoint, is_final });
                if let Some(metadata) = self.committing.take() {
                    let event = JobEvent::Completed { metadata: &metadata, is_final };
                    (self.config.listener)(&event);
                }
            }
            Action::NotifyAborted { checkpoint, reason } => {
                tasks.send_all(Command::Abort(checkpoint));
                self.aborted(checkpoint, &reason);
                return Ok(reason != AbortReason::JobStopped);
            }
            Action::Discard { files } => self.clean_up(Waste::Files(files)),
            Action::DeleteCheckpoint { checkpoint, files } => {
                self.clean_up(Waste::Checkpoint(checkpoint, files));
            }
            Action::FailJob { reason } => return Err(JobError::Checkpoints(reason)),
            // The loop asks for the next deadline itself; other actions are not known yet.
            _ => {}
        }
        Ok(false)
    }

    fn aborted(&mut self, checkpoint: CheckpointId, reason: &AbortReason) {
        let reason = reason.to_string();
        (self.config.listener)(&JobEvent::Aborted { checkpoint, reason });
        self.clean_up(Waste::EmptyDir(checkpoint));
    }

    fn commit(&mut self, metadata: CheckpointMetadata) {
        self.committing = Some(metadata.clone());
        let store = Arc::clone(&self.store);
        self.work.spawn_blocking("commit", move || {
            let checkpoint = metadata.properties.checkpoint;
            match store.commit(&metadata) {
                Ok(()) => Stored::Committed(checkpoint),
                Err(error @ StoreError::Storage(StorageError::Fenced { .. })) => {
                    Stored::Lost(error)
                }
                Err(error) => after_failed_commit(&store, &metadata, error),
            }
        });
    }

    fn clean_up(&mut self, waste: Waste) {
        self.clean_up.push(waste);
        self.clean_up_next();
    }

    fn clean_up_next(&mut self) {
        let Some(waste) = self.clean_up.next() else { return };
        let (store, attempt) = (Arc::clone(&self.store), self.attempt);
        self.work.spawn_blocking("clean up", move || match waste.remove(&store, attempt) {
            Ok(()) => Stored::Cleaned,
            Err(error @ StoreError::Storage(StorageError::Fenced { .. })) => Stored::Lost(error),
            Err(error) => Stored::CleanUpFailed(error.to_string()),
        });
    }
}

/// A write may have happened although an error came back, or may happen yet.
///
/// A service that did not answer may still be writing: nothing can be said then, and nothing may
/// be removed. A local file that is there although its folder was not synced may be gone after a
/// power loss: no effect outside may follow.
fn after_failed_commit(
    store: &CheckpointStore,
    metadata: &CheckpointMetadata,
    error: StoreError,
) -> Stored {
    let checkpoint = metadata.properties.checkpoint;
    let is_remote = matches!(error, StoreError::Storage(StorageError::Remote { .. }));
    let is_local = matches!(error, StoreError::Storage(StorageError::Io { .. }));
    match store.exists_all_the_same(metadata) {
        Ok(true) if !is_local => Stored::Committed(checkpoint),
        Ok(false) if !is_remote => Stored::CommitFailed(checkpoint, error.to_string()),
        _ => Stored::Lost(error),
    }
}
