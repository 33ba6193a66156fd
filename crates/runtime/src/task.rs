//! What all tasks share: commands in, reports out, and the asynchronous part of a snapshot.
//!
//! Invariants: a task acknowledges or declines each checkpoint that it took a snapshot for; what a
//! declined snapshot wrote is removed; a task writes one snapshot at a time.

mod alarm;
mod keyed;
mod loading;
mod sink;
mod source;

pub(crate) use alarm::Alarm;
pub(crate) use keyed::KeyedTask;
pub(crate) use loading::Loading;
pub(crate) use sink::SinkTask;
pub(crate) use source::SourceTask;

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alluvium_coordinator::TaskId;
use alluvium_core::{AttemptId, CheckpointId, SubtaskState};
use alluvium_state::{
    FrozenOperatorState, FrozenState, SnapshotError, SnapshotMode, SnapshotTarget,
};
use alluvium_storage::{CheckpointStreams, Storage};
use tokio::sync::mpsc;

use crate::Host;

/// What the driver tells a task.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Command {
    /// Sources only: emit a barrier.
    Trigger(CheckpointId),
    /// The checkpoint is complete.
    Complete {
        checkpoint: CheckpointId,
        /// Whether it was the last one: the task ends.
        is_final: bool,
    },
    /// The checkpoint will not complete.
    Abort(CheckpointId),
}

/// What a task tells the driver.
#[derive(Debug)]
pub(crate) enum Report {
    Acknowledged {
        checkpoint: CheckpointId,
        task: TaskId,
        state: SubtaskState,
    },
    Declined {
        checkpoint: CheckpointId,
        task: TaskId,
        reason: String,
    },
    /// A source has ended.
    Ended,
}

/// What a task needs to take part in checkpoints.
#[derive(Debug, Clone)]
pub(crate) struct Participant {
    pub(crate) task: TaskId,
    pub(crate) attempt: AttemptId,
    pub(crate) streams: CheckpointStreams,
    pub(crate) mode: SnapshotMode,
    /// The job's folder.
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) reports: mpsc::UnboundedSender<Report>,
    /// Whether a snapshot is being written.
    pub(crate) is_writing: Arc<AtomicBool>,
}

impl Participant {
    /// Writes frozen state where it may block, and reports what came of it.
    pub(crate) fn persist(
        &self,
        checkpoint: CheckpointId,
        keyed: Option<Box<dyn FrozenState>>,
        operator: FrozenOperatorState,
    ) {
        // A checkpoint that expired may still be writing; with one more behind each that does,
        // frozen state would pile up.
        if self.is_writing.swap(true, Ordering::SeqCst) {
            let reason = "its snapshot for an earlier checkpoint is still being written";
            return self.decline(checkpoint, reason.to_owned());
        }
        let this = self.clone();
        let work = move || {
            let task = this.task.clone();
            // A codec of the user may panic; without a report the checkpoint would never end.
            let written = panic::catch_unwind(AssertUnwindSafe(|| {
                this.write(checkpoint, keyed, operator).map_err(|error| error.to_string())
            }));
            let panicked = Err("writing the state panicked".to_owned());
            let report = match written.unwrap_or(panicked) {
                Ok(state) => Report::Acknowledged { checkpoint, task, state },
                Err(reason) => Report::Declined { checkpoint, task, reason },
            };
            this.is_writing.store(false, Ordering::SeqCst);
            // Without a driver the attempt is over, and the next one removes what was written.
            let _ = this.reports.send(report);
        };
        let name = format!("snapshot of {}", self.task);
        self.host.spawn_blocking(&name, Box::new(work));
    }

    /// Reports that the synchronous part failed.
    pub(crate) fn decline(&self, checkpoint: CheckpointId, reason: String) {
        let task = self.task.clone();
        let _ = self.reports.send(Report::Declined { checkpoint, task, reason });
    }

    fn write(
        &self,
        checkpoint: CheckpointId,
        keyed: Option<Box<dyn FrozenState>>,
        operator: FrozenOperatorState,
    ) -> Result<SubtaskState, SnapshotError> {
        let (streams, attempt, mode) = (self.streams.clone(), self.attempt, self.mode);
        let target = SnapshotTarget { streams, checkpoint, attempt, mode };
        let TaskId { operator: uid, subtask } = &self.task;
        // The keyed stream comes last: what follows it cannot fail, so it is never left behind.
        let operator = operator.write(&target, uid, *subtask)?;
        let keyed = match keyed.map(|keyed| keyed.write(&target)).transpose() {
            Ok(keyed) => keyed.flatten(),
            Err(error) => {
                if let Some(file) = operator.as_ref().and_then(|handle| handle.stream.file()) {
                    // The checkpoint is declined with the first cause, whatever this one says.
                    let _ = self.storage.delete(file);
                }
                return Err(error);
            }
        };
        Ok(SubtaskState { index: *subtask, keyed, operator })
    }
}

/// Waits for ever: the task has nothing to do any more and will be ended from outside.
pub(crate) async fn wait_for_the_end() -> std::convert::Infallible {
    std::future::pending().await
}
