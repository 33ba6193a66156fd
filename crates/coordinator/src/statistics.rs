//! What happened in this run, in numbers.
//!
//! Invariants: `triggered` is the sum of `completed`, all `failed` and the pending one; the
//! history lists the last [`HISTORY_LEN`] triggered checkpoints, oldest first.

use std::collections::VecDeque;

use alluvium_core::{CheckpointId, SubtaskState};

use crate::AbortReason;

/// How many checkpoints the history remembers.
///
/// Source: Flink `web.checkpoints.history`.
pub const HISTORY_LEN: usize = 10;

/// Counts of one run and its last checkpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Checkpoints that were triggered.
    pub triggered: u64,
    /// Checkpoints that completed.
    pub completed: u64,
    /// Checkpoints that did not, by reason.
    pub failed: FailureCounts,
    /// Acknowledgements and declines that were ignored, by kind.
    pub ignored: IgnoredCounts,
    /// Events that a correct driver never sends: `Committed` or `CommitFailed` of a checkpoint
    /// that is not committing, `Started` in a run that has begun or is over.
    pub impossible_events: u64,
    /// Requests for a checkpoint that came when no more are triggered.
    pub refused_requests: u64,
    /// The last checkpoints, oldest first.
    pub history: VecDeque<CheckpointRecord>,
}

/// Checkpoints that did not complete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailureCounts {
    /// Not all tasks acknowledged in time.
    pub expired: u64,
    /// A task could not take part.
    pub declined: u64,
    /// The metadata could not be written.
    pub commit_failed: u64,
    /// The run ended first.
    pub job_stopped: u64,
}

/// Acknowledgements and declines that were ignored. Each counts under the first kind that fits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IgnoredCounts {
    /// From another run of the job.
    pub wrong_attempt: u64,
    /// For a checkpoint that was never triggered.
    pub unknown_checkpoint: u64,
    /// For a checkpoint that is no longer pending.
    pub late: u64,
    /// From a task that is not in the plan.
    pub unknown_task: u64,
    /// With the state of another subtask.
    pub wrong_subtask: u64,
    /// From a task that had acknowledged already.
    pub duplicate: u64,
}

/// One checkpoint of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointRecord {
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// Whether it was to be the last one of the job.
    pub is_final: bool,
    /// When it was triggered, in milliseconds of the caller's clock.
    pub triggered_at_ms: u64,
    /// What became of it.
    pub outcome: CheckpointOutcome,
    /// Size of the acknowledged state in bytes, inlined or not.
    pub state_len_bytes: u64,
    /// How many tasks have acknowledged.
    pub acknowledged: usize,
    /// How many tasks there are.
    pub tasks: usize,
}

/// What became of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckpointOutcome {
    /// It is under way.
    Pending,
    /// It completed.
    Completed {
        /// When it was committed, in milliseconds of the caller's clock.
        at_ms: u64,
    },
    /// It was aborted.
    Aborted {
        /// When, in milliseconds of the caller's clock.
        at_ms: u64,
        /// Why.
        reason: AbortReason,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ignored {
    WrongAttempt,
    UnknownCheckpoint,
    Late,
    UnknownTask,
    WrongSubtask,
    Duplicate,
}

impl Statistics {
    pub(crate) fn triggered(
        &mut self,
        checkpoint: CheckpointId,
        triggered_at_ms: u64,
        is_final: bool,
        tasks: usize,
    ) {
        self.triggered += 1;
        if self.history.len() == HISTORY_LEN {
            self.history.pop_front();
        }
        self.history.push_back(CheckpointRecord {
            checkpoint,
            is_final,
            triggered_at_ms,
            outcome: CheckpointOutcome::Pending,
            state_len_bytes: 0,
            acknowledged: 0,
            tasks,
        });
    }

    /// Notes an acknowledgement of the pending checkpoint, which is the newest of the history.
    pub(crate) fn acknowledged(&mut self, state: &SubtaskState) {
        if let Some(record) = self.history.back_mut() {
            record.acknowledged += 1;
            let written = state.written_len_bytes();
            record.state_len_bytes = record.state_len_bytes.saturating_add(written);
        }
    }

    pub(crate) fn completed(&mut self, at_ms: u64) {
        self.completed += 1;
        self.set_outcome(CheckpointOutcome::Completed { at_ms });
    }

    pub(crate) fn aborted(&mut self, at_ms: u64, reason: AbortReason) {
        let count = match reason {
            AbortReason::Expired => &mut self.failed.expired,
            AbortReason::Declined { .. } => &mut self.failed.declined,
            AbortReason::CommitFailed { .. } => &mut self.failed.commit_failed,
            AbortReason::JobStopped => &mut self.failed.job_stopped,
        };
        *count += 1;
        self.set_outcome(CheckpointOutcome::Aborted { at_ms, reason });
    }

    pub(crate) fn ignored(&mut self, kind: Ignored) {
        let count = match kind {
            Ignored::WrongAttempt => &mut self.ignored.wrong_attempt,
            Ignored::UnknownCheckpoint => &mut self.ignored.unknown_checkpoint,
            Ignored::Late => &mut self.ignored.late,
            Ignored::UnknownTask => &mut self.ignored.unknown_task,
            Ignored::WrongSubtask => &mut self.ignored.wrong_subtask,
            Ignored::Duplicate => &mut self.ignored.duplicate,
        };
        *count += 1;
    }

    fn set_outcome(&mut self, outcome: CheckpointOutcome) {
        if let Some(record) = self.history.back_mut() {
            record.outcome = outcome;
        }
    }
}
