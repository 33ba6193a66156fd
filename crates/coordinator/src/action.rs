//! What the coordinator asks of the driver.

use std::fmt;

use alluvium_core::{AttemptId, CheckpointId, CheckpointMetadata, StoragePath};

use crate::{CheckpointKind, DeclineCause, RequestFailure, RequestId, TaskId};

/// Something to do, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Send barriers from all sources.
    Trigger {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The run of the job.
        attempt: AttemptId,
        /// When it was triggered, in milliseconds since 1970-01-01 UTC.
        triggered_at_ms: u64,
        /// What for.
        kind: CheckpointKind,
        /// The requests that it serves.
        requests: Vec<RequestId>,
    },
    /// Write the metadata, then report `Committed` or `CommitFailed`.
    Commit {
        /// What to write.
        metadata: CheckpointMetadata,
        /// What for: the metadata of a savepoint goes where the savepoint goes.
        kind: CheckpointKind,
    },
    /// Tell all tasks that the checkpoint is complete. Never for a savepoint after which the job goes
    /// on.
    NotifyComplete {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The highest checkpoint that is no longer kept because of this one.
        subsumed: Option<CheckpointId>,
        /// What it was for: one that [ends the job](CheckpointKind::ends_job) was the last.
        kind: CheckpointKind,
    },
    /// Tell all tasks that the checkpoint will not complete.
    NotifyAborted {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Why.
        reason: AbortReason,
    },
    /// Delete files of states that no checkpoint will use.
    Discard {
        /// The files, sorted and at least one: neither the pending nor a retained checkpoint
        /// references any of them.
        files: Vec<StoragePath>,
    },
    /// Delete a checkpoint that newer ones replace: first its `_metadata`, then the files named
    /// here and no others, even if more lie in its folder. These actions are to be carried out in
    /// order, and the next one only if this one succeeded: a file that several of the checkpoints
    /// reference is named with the last of them.
    DeleteCheckpoint {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The files, sorted, as for `Discard`; wherever they lie, and perhaps none.
        files: Vec<StoragePath>,
    },
    /// Delete everything that was written for a savepoint that did not complete. Asked for once more
    /// when a task reports a state of it late.
    DiscardSavepoint {
        /// Its number.
        checkpoint: CheckpointId,
    },
    /// Delete the checkpoint or savepoint that the run began from and [claimed](crate::StartPoint::claimed):
    /// newer ones replace it, and none refers to it.
    DeleteClaimed,
    /// Tell whoever asked what became of requests.
    Answer {
        /// The requests.
        requests: Vec<RequestId>,
        /// The checkpoint that completed, or why none did.
        answer: Result<CheckpointId, RequestFailure>,
    },
    /// Fail the job.
    FailJob {
        /// Why.
        reason: JobFailure,
    },
    /// Send [`Event::Tick`](crate::Event::Tick) at or after this time. The last one stands;
    /// a tick before its time does not renew it.
    WakeAt {
        /// In milliseconds since 1970-01-01 UTC.
        at_ms: u64,
    },
}

/// Why a checkpoint did not complete.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AbortReason {
    /// Not all tasks acknowledged within the timeout.
    Expired,
    /// A later checkpoint completed first.
    Subsumed {
        /// The later one.
        by: CheckpointId,
    },
    /// A task could not take part.
    Declined {
        /// The task.
        task: TaskId,
        /// What kind of reason it had.
        cause: DeclineCause,
        /// What it said.
        reason: String,
    },
    /// The metadata could not be written.
    CommitFailed {
        /// What the driver said.
        reason: String,
    },
    /// The run ended first.
    JobStopped,
}

impl AbortReason {
    /// Whether it counts towards the failures in a row that a job tolerates. What is nobody's fault
    /// does not.
    ///
    /// Source: Flink `CheckpointFailureManager.checkFailureReason`.
    pub const fn counts(&self) -> bool {
        match self {
            Self::Expired | Self::CommitFailed { .. } => true,
            Self::Declined { cause, .. } => {
                matches!(cause, DeclineCause::Snapshot | DeclineCause::Asynchronous)
            }
            Self::Subsumed { .. } | Self::JobStopped => false,
        }
    }

    /// The name of the reason. Source: Flink `CheckpointFailureReason`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Expired => "CHECKPOINT_EXPIRED",
            Self::Subsumed { .. } => "CHECKPOINT_SUBSUMED",
            Self::CommitFailed { .. } => "FINALIZE_CHECKPOINT_FAILURE",
            Self::JobStopped => "CHECKPOINT_COORDINATOR_SHUTDOWN",
            Self::Declined { cause, .. } => match cause {
                DeclineCause::Snapshot => "CHECKPOINT_DECLINED",
                DeclineCause::Asynchronous => "CHECKPOINT_ASYNC_EXCEPTION",
                DeclineCause::NotReady => "CHECKPOINT_DECLINED_TASK_NOT_READY",
                DeclineCause::Subsumed => "CHECKPOINT_DECLINED_SUBSUMED",
                DeclineCause::CancellationBarrier => "CHECKPOINT_DECLINED_ON_CANCELLATION_BARRIER",
                DeclineCause::InputEndOfStream => "CHECKPOINT_DECLINED_INPUT_END_OF_STREAM",
            },
        }
    }
}

impl fmt::Display for AbortReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => f.write_str("not all tasks acknowledged in time"),
            Self::Subsumed { by } => write!(f, "checkpoint {by} completed first"),
            Self::Declined { task, reason, .. } => write!(f, "{task} declined: {reason}"),
            Self::CommitFailed { reason } => {
                write!(f, "the metadata could not be written: {reason}")
            }
            Self::JobStopped => f.write_str("the job stopped"),
        }
    }
}

/// Why the job must fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JobFailure {
    /// More checkpoints in a row failed than are tolerable.
    #[error(
        "checkpoint {checkpoint} failed, which makes {failed} in a row where {tolerable} are \
         tolerable: {reason}"
    )]
    TooManyFailedCheckpoints {
        /// How many failed since the last one that completed.
        failed: u32,
        /// How many may.
        tolerable: u32,
        /// The last one that failed.
        checkpoint: CheckpointId,
        /// Why it failed.
        reason: AbortReason,
    },
}
