//! Carries out what the coordinator asks for: messages to tasks, work for the storage.
//!
//! Invariants: while something waits to be cleaned up and nothing holds it back, work is in flight.

use std::sync::Arc;

use alluvium_coordinator::{
    AbortReason, Action, CheckpointKind, RequestFailure, RequestId, SavepointFormat,
};
use alluvium_core::museum::{self, Mistake};
use alluvium_core::{AttemptId, CheckpointId, CheckpointMetadata, StoragePath};
use alluvium_state::SnapshotMode;
use alluvium_storage::{CheckpointStreams, SavepointFolder, Storage, StorageError, StreamPolicy};

use super::Tasks;
use super::asked::Asked;
use super::clean_up::{CleanUp, Removed, Waste};
use super::near::Near;
use crate::barrier::{Barrier, SnapshotOptions};
use crate::control::{Reply, Savepoint};
use crate::restore::RestorePoint;
use crate::running::Running;
use crate::task::Command;
use crate::{CheckpointStore, ControlError, JobConfig, JobError, JobEvent, StoreError};

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
    /// A step of the clean-up is over.
    Cleaned(Removed),
    /// Nothing is to be done about it; a reason that nobody has been told yet.
    CleanUpFailed(Option<String>),
    /// A folder is there for a savepoint that somebody asked for, or cannot be.
    Reserved(Wanted, Result<SavepointFolder, StoreError>),
}

/// A savepoint that somebody asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) kind: CheckpointKind,
    pub(super) target: Arc<dyn Storage>,
    pub(super) reply: Reply<Savepoint>,
}

/// What is the run's to remove once a checkpoint of it is complete.
#[derive(Debug, Default)]
pub(super) struct Owned {
    /// What the run began from, if it owns that and it lies elsewhere.
    pub(super) claimed: Option<RestorePoint>,
    /// What older runs have left.
    pub(super) leftovers: Vec<StoragePath>,
}

pub(super) struct Actions {
    store: Arc<CheckpointStore>,
    attempt: AttemptId,
    config: JobConfig,
    work: Running<&'static str, Stored>,
    clean_up: CleanUp,
    /// Metadata of the checkpoint that is being committed.
    committing: Option<CheckpointMetadata>,
    pub(super) asked: Asked,
    /// The newest checkpoint whose barriers stay among the records, and may overtake them later.
    pub(super) aligning: Option<Barrier>,
    owned: Owned,
    near: Near,
    /// The savepoint with which the job ends, once it is complete.
    pub(super) stopped_with: Option<Savepoint>,
}

impl Actions {
    pub(super) fn new(
        store: Arc<CheckpointStore>,
        attempt: AttemptId,
        config: JobConfig,
        owned: Owned,
        near: Near,
    ) -> Self {
        let (work, clean_up) = (Running::new(Arc::clone(&config.host)), CleanUp::default());
        Self {
            store,
            attempt,
            config,
            work,
            clean_up,
            committing: None,
            asked: Asked::default(),
            aligning: None,
            owned,
            near,
            stopped_with: None,
        }
    }

    /// Reserves a folder for a savepoint.
    pub(super) fn reserve(&mut self, wanted: Wanted) {
        let store = Arc::clone(&self.store);
        // Different for each process, attempt and savepoint, as far as the seed of a process is.
        let seed = self.config.hash_seed ^ self.config.clock.now_ms().rotate_left(24);
        self.work.spawn_blocking("savepoint folder", move || {
            let folder = store.begin_savepoint(&wanted.target, seed);
            Stored::Reserved(wanted, folder)
        });
    }

    /// A folder for a savepoint is there, but the attempt ends: it goes, and whoever asked may ask the
    /// next attempt. Source: Flink `CHECKPOINT_COORDINATOR_SHUTDOWN`.
    pub(super) fn refuse(&mut self, wanted: Wanted, folder: Result<SavepointFolder, StoreError>) {
        let refusal = match folder {
            Ok(folder) => {
                self.clean_up(Waste::Savepoint(folder));
                ControlError::Request(RequestFailure::JobStopped)
            }
            Err(error) => ControlError::of_target(&*wanted.target, &error),
        };
        // Whoever asked may be gone.
        let _ = wanted.reply.send(Err(refusal));
    }

    pub(super) const fn attempt(&self) -> AttemptId {
        self.attempt
    }

    /// The next piece of storage work that is done; `None` when there is none in flight.
    pub(super) async fn next_stored(&mut self) -> Option<Stored> {
        let (_, end) = self.work.next().await?;
        let stored = end.finished("work for the storage").unwrap_or_else(Stored::Panicked);
        // A run that was replaced removes nothing any more.
        let Stored::Cleaned(removed) = stored else { return Some(stored) };
        let untold = self.clean_up.report(removed, self.store.batch_len());
        self.clean_up_next();
        Some(Stored::CleanUpFailed(untold))
    }

    /// `true` when a checkpoint was aborted.
    pub(super) fn carry_out<R: Send + 'static>(
        &mut self,
        action: Action,
        tasks: &Tasks<R>,
    ) -> Result<bool, JobError> {
        match action {
            Action::Trigger { checkpoint, kind, triggered_at_ms, requests, .. } => {
                let snapshot = self.options_of(checkpoint, kind, triggered_at_ms, &requests);
                let is_unaligned = snapshot.is_unaligned;
                let barrier = Barrier { checkpoint, snapshot: Arc::new(snapshot) };
                if is_unaligned {
                    tasks.overtake(&barrier);
                } else if self.may_overtake(kind) {
                    self.aligning = Some(barrier.clone());
                }
                for source in &tasks.sources {
                    // A source that is gone ends the attempt by its own failure.
                    let _ = source.send(Command::Trigger(barrier.clone()));
                }
            }
            Action::Commit { metadata, kind } => self.commit(metadata, kind),
            Action::NotifyComplete { checkpoint, kind, .. } => {
                let (is_final, is_savepoint) = (kind.ends_job(), kind.is_savepoint());
                tasks.send_all(&Command::Complete { checkpoint, is_final, is_savepoint });
                if let (true, Some(folder)) = (is_final, self.asked.folder(checkpoint)) {
                    let location = folder.location();
                    self.stopped_with = Some(Savepoint { checkpoint, location });
                }
                self.completed(kind);
            }
            Action::NotifyAborted { checkpoint, reason } => {
                tasks.send_all(&Command::Abort(checkpoint));
                self.aborted(checkpoint, &reason);
                return Ok(reason != AbortReason::JobStopped);
            }
            Action::Answer { requests, answer } => {
                if answer.is_ok() {
                    // A savepoint that no task hears of.
                    self.completed(CheckpointKind::Savepoint(SavepointFormat::default()));
                }
                for request in requests {
                    if let Some(folder) = self.asked.answer(request, &answer) {
                        self.clean_up(Waste::Savepoint(folder));
                    }
                }
            }
            Action::DiscardSavepoint { checkpoint } => {
                if let Some(folder) = self.asked.folder(checkpoint).cloned() {
                    self.clean_up(Waste::Savepoint(folder));
                }
            }
            Action::DeleteClaimed => {
                if let Some(point) = self.owned.claimed.take() {
                    self.clean_up(Waste::Claimed(point));
                }
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

    /// Whether barriers of a checkpoint may overtake records.
    ///
    /// 1. All sources have ended, and the barrier of the last checkpoint overtakes records on their way to
    ///    the sink, which pre-commits without them;
    /// 2. the checkpoint holds these records, completes, and the job ends;
    /// 3. nobody ever writes them.
    fn may_overtake(&self, kind: CheckpointKind) -> bool {
        self.config.checkpoints.is_unaligned() && !kind.is_savepoint() && !kind.ends_job()
    }

    /// What a snapshot is for, and where it goes.
    fn options_of(
        &mut self,
        checkpoint: CheckpointId,
        kind: CheckpointKind,
        triggered_at_ms: u64,
        requests: &[RequestId],
    ) -> SnapshotOptions {
        let (policy, configured) = (self.config.streams, self.config.snapshot_mode);
        if let Some(folder) = self.asked.triggered(checkpoint, kind, requests) {
            let native = kind.savepoint() == Some(SavepointFormat::Native);
            let mode = if native { SnapshotMode::Native } else { SnapshotMode::Full };
            let policy = StreamPolicy { max_inline_bytes: None, ..policy };
            let streams = CheckpointStreams::savepoint(Arc::clone(folder.storage()), policy);
            return SnapshotOptions { kind, triggered_at_ms, mode, streams, is_unaligned: false };
        }
        let is_unaligned = self.may_overtake(kind) && self.config.aligned_timeout_ms == 0;
        let is_rebase =
            kind == CheckpointKind::FullCheckpoint && configured == SnapshotMode::Incremental;
        let mode = if is_rebase { SnapshotMode::Rebase } else { configured };
        let streams = CheckpointStreams::new(Arc::clone(self.store.storage()), policy)
            .with_copies(self.near.copies().cloned());
        SnapshotOptions { kind, triggered_at_ms, mode, streams, is_unaligned }
    }

    /// Tells the listener of what was committed last, once.
    fn completed(&mut self, kind: CheckpointKind) {
        let Some(metadata) = self.committing.take() else { return };
        if !kind.is_savepoint() && !self.owned.leftovers.is_empty() {
            let leftovers = std::mem::take(&mut self.owned.leftovers);
            self.clean_up(Waste::Leftovers(leftovers));
        }
        if let Some(confirm) = self.near.confirmation(&metadata, kind, &self.config) {
            self.work.spawn_blocking("confirm local copies", move || {
                confirm();
                Stored::CleanUpFailed(None)
            });
        }
        let folder = self.asked.folder(metadata.properties.checkpoint);
        let savepoint = folder.map(SavepointFolder::location);
        let (metadata, is_final) = (&metadata, kind.ends_job());
        let event = JobEvent::Completed { metadata, is_final, savepoint };
        (self.config.listener)(&event);
    }

    fn aborted(&mut self, checkpoint: CheckpointId, reason: &AbortReason) {
        let reason = reason.to_string();
        (self.config.listener)(&JobEvent::Aborted { checkpoint, reason });
        self.aligning.take_if(|barrier| barrier.checkpoint == checkpoint);
        self.clean_up(Waste::EmptyDir(checkpoint));
    }

    fn commit(&mut self, metadata: CheckpointMetadata, kind: CheckpointKind) {
        let acknowledged = metadata.properties.checkpoint;
        self.aligning.take_if(|barrier| barrier.checkpoint == acknowledged);
        self.committing = Some(metadata.clone());
        let store = Arc::clone(&self.store);
        let checkpoint = metadata.properties.checkpoint;
        let folder = self.asked.folder(checkpoint).filter(|_| kind.is_savepoint()).cloned();
        self.work.spawn_blocking("commit", move || {
            let committed = match &folder {
                Some(folder) => store.commit_savepoint(folder, &metadata),
                None => store.commit(&metadata),
            };
            match committed {
                Ok(()) => Stored::Committed(checkpoint),
                Err(error) if error.is_fenced() => Stored::Lost(error),
                Err(error) => {
                    let exists = match &folder {
                        Some(folder) => store.savepoint_exists_all_the_same(folder, &metadata),
                        None => store.exists_all_the_same(&metadata),
                    };
                    after_failed_commit(checkpoint, &exists, error)
                }
            }
        });
    }

    fn clean_up(&mut self, waste: Waste) {
        self.clean_up.push(waste);
        self.clean_up_next();
    }

    /// Tries once more what could not be removed.
    pub(super) fn clean_up_again(&mut self) {
        self.clean_up.again();
        self.clean_up_next();
    }

    /// Keeps as much of the clean-up under way as may be.
    fn clean_up_next(&mut self) {
        while let Some(step) = self.clean_up.next(self.store.batch_len()) {
            let (store, attempt) = (Arc::clone(&self.store), self.attempt);
            let copies = self.near.copies().cloned();
            self.work.spawn_blocking("clean up", move || {
                if let Some(copies) = copies {
                    copies.forget(step.files());
                }
                match step.run(&store, attempt) {
                    Ok(removed) => Stored::Cleaned(removed),
                    Err(error) => Stored::Lost(error),
                }
            });
        }
    }
}

/// A write may have happened although an error came back, or may happen yet.
///
/// A service that did not answer may still be writing: nothing can be said then, and nothing may
/// be removed. A local file that is there although its folder was not synced may be gone after a
/// power loss: no effect outside may follow.
fn after_failed_commit(
    checkpoint: CheckpointId,
    exists: &Result<bool, StoreError>,
    error: StoreError,
) -> Stored {
    let is_careless = museum::makes(Mistake::DiscardsAfterAmbiguousCommit)
        || museum::makes(Mistake::TakesOwnRetryForAnother)
            && matches!(error, StoreError::TakenBy { .. });
    if is_careless {
        return Stored::CommitFailed(checkpoint, error.to_string());
    }
    let is_remote = matches!(error, StoreError::Storage(StorageError::Remote { .. }));
    let is_local = matches!(error, StoreError::Storage(StorageError::Io { .. }));
    match exists {
        Ok(true) if !is_local => Stored::Committed(checkpoint),
        Ok(false) if !is_remote => Stored::CommitFailed(checkpoint, error.to_string()),
        _ => Stored::Lost(error),
    }
}
