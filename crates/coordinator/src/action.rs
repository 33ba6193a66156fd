//! What the coordinator asks of the driver.

use std::fmt;

use alluvium_core::{AttemptId, CheckpointId, CheckpointMetadata, StoragePath};

use crate::TaskId;

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
        /// Whether it is the last checkpoint of the job.
        is_final: bool,
    },
    /// Write the metadata, then report `Committed` or `CommitFailed`.
    Commit {
        /// What to write.
        metadata: CheckpointMetadata,
        /// Whether it is the last checkpoint of the job.
        is_final: bool,
    },
    /// Tell all tasks that the checkpoint is complete.
    NotifyComplete {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The highest checkpoint that is no longer kept because of this one.
        subsumed: Option<CheckpointId>,
        /// Whether it was the last checkpoint of the job.
        is_final: bool,
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
    /// A task could not take part.
    Declined {
        /// The task.
        task: TaskId,
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

impl fmt::Display for AbortReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => f.write_str("not all tasks acknowledged in time"),
            Self::Declined { task, reason } => write!(f, "{task} declined: {reason}"),
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
