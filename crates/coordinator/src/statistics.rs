//! What happened in this run, and in those before it that it goes on counting from, in numbers.
//!
//! Invariants: `triggered` is the sum of `completed`, all `failed` and the pending ones; the
//! history lists the last [`HISTORY_LEN`] triggered checkpoints, oldest first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use alluvium_core::{CheckpointId, SharedFile, SubtaskState};

use crate::metrics::Samples;
use crate::pending::TaskPosition;
use crate::{AbortReason, CheckpointKind, SubtaskMetrics, Summary};

/// How many checkpoints the history remembers.
///
/// Source: Flink `web.checkpoints.history`.
pub const HISTORY_LEN: usize = 10;

/// Counts of a job and its last checkpoints.
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
    /// Requests for a checkpoint that were refused: no more are triggered, or too many wait.
    pub refused_requests: u64,
    /// The last checkpoints, oldest first.
    pub history: VecDeque<CheckpointRecord>,
    duration_ms: Samples,
    checkpointed_len_bytes: Samples,
    state_len_bytes: Samples,
    persisted_bytes: Samples,
    latest_completed: Option<CheckpointRecord>,
}

/// Checkpoints that did not complete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailureCounts {
    /// Not all tasks acknowledged in time.
    pub expired: u64,
    /// A later one completed first.
    pub subsumed: u64,
    /// A task could not take part.
    pub declined: u64,
    /// The metadata could not be written.
    pub commit_failed: u64,
    /// The run ended first.
    pub job_stopped: u64,
}

impl FailureCounts {
    /// All of them.
    pub const fn total(&self) -> u64 {
        let Self { expired, subsumed, declined, commit_failed, job_stopped } = *self;
        expired + subsumed + declined + commit_failed + job_stopped
    }
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
    /// What for.
    pub kind: CheckpointKind,
    /// When it was triggered, in milliseconds of the caller's clock.
    pub triggered_at_ms: u64,
    /// When the last acknowledgement so far came, in milliseconds of the caller's clock.
    pub latest_ack_at_ms: Option<u64>,
    /// What became of it.
    pub outcome: CheckpointOutcome,
    /// Bytes that were written for it, inlined or not. Source: Flink `checkpointed_size`.
    pub checkpointed_len_bytes: u64,
    /// The same and those of the earlier files that it refers to, each counted once for a task.
    /// Source: Flink `state_size`.
    pub state_len_bytes: u64,
    /// What the tasks measured: one for each acknowledgement, by operator as the plan lists them and
    /// by subtask.
    pub subtasks: BTreeMap<(usize, u16), SubtaskRecord>,
    /// How many tasks there are.
    pub tasks: usize,
}

/// The acknowledgement of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubtaskRecord {
    /// When it came, in milliseconds of the caller's clock.
    pub ack_at_ms: u64,
    /// Bytes that the task has written.
    pub checkpointed_len_bytes: u64,
    /// The same and those of the earlier files that its state refers to.
    pub state_len_bytes: u64,
    /// How long it took.
    pub metrics: SubtaskMetrics,
}

impl CheckpointRecord {
    /// How many tasks have acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.subtasks.len()
    }

    /// From the trigger to the last acknowledgement so far, in milliseconds.
    pub fn end_to_end_ms(&self) -> u64 {
        let last = self.latest_ack_at_ms.unwrap_or(self.triggered_at_ms);
        last.saturating_sub(self.triggered_at_ms)
    }

    /// Bytes of records in flight that were processed, and that were written, by all tasks.
    pub fn in_flight_bytes(&self) -> (u64, u64) {
        self.subtasks.values().fold((0, 0), |(processed, persisted), subtask| {
            let SubtaskMetrics { processed_bytes, persisted_bytes, .. } = subtask.metrics;
            (processed.saturating_add(processed_bytes), persisted.saturating_add(persisted_bytes))
        })
    }
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
    /// The newest checkpoint that completed, even if the history has lost it.
    pub const fn latest_completed(&self) -> Option<&CheckpointRecord> {
        self.latest_completed.as_ref()
    }

    /// Time from trigger to last acknowledgement, in milliseconds, of completed checkpoints.
    pub fn duration_ms(&self) -> Summary {
        self.duration_ms.summary()
    }

    /// Bytes written for each completed checkpoint.
    pub fn checkpointed_len_bytes(&self) -> Summary {
        self.checkpointed_len_bytes.summary()
    }

    /// Bytes of each completed checkpoint, with those that it shares with earlier ones.
    pub fn state_len_bytes(&self) -> Summary {
        self.state_len_bytes.summary()
    }

    /// Bytes of records in flight written into each completed checkpoint.
    pub fn persisted_bytes(&self) -> Summary {
        self.persisted_bytes.summary()
    }

    pub(crate) fn triggered(
        &mut self,
        checkpoint: CheckpointId,
        triggered_at_ms: u64,
        kind: CheckpointKind,
        tasks: usize,
    ) {
        self.triggered += 1;
        if self.history.len() == HISTORY_LEN {
            self.history.pop_front();
        }
        self.history.push_back(CheckpointRecord {
            checkpoint,
            kind,
            triggered_at_ms,
            latest_ack_at_ms: None,
            outcome: CheckpointOutcome::Pending,
            checkpointed_len_bytes: 0,
            state_len_bytes: 0,
            subtasks: BTreeMap::new(),
            tasks,
        });
    }

    /// Notes an acknowledgement of a pending checkpoint.
    pub(crate) fn acknowledged(
        &mut self,
        checkpoint: CheckpointId,
        (operator, subtask): TaskPosition,
        ack_at_ms: u64,
        state: &SubtaskState,
        metrics: SubtaskMetrics,
    ) {
        let Some(record) = self.record(checkpoint) else { return };
        let checkpointed_len_bytes = state.written_len_bytes();
        let shared: BTreeSet<&SharedFile> = state.shared_files().collect();
        let streams = state.streams().map(|stream| stream.len_bytes);
        let state_len_bytes = streams.chain(shared.iter().map(|file| file.len_bytes)).sum();
        record.latest_ack_at_ms = Some(ack_at_ms);
        let sum = &mut record.checkpointed_len_bytes;
        *sum = sum.saturating_add(checkpointed_len_bytes);
        record.state_len_bytes = record.state_len_bytes.saturating_add(state_len_bytes);
        let subtask_record =
            SubtaskRecord { ack_at_ms, checkpointed_len_bytes, state_len_bytes, metrics };
        record.subtasks.insert((operator, subtask.get()), subtask_record);
    }

    pub(crate) fn completed(&mut self, checkpoint: CheckpointId, at_ms: u64) {
        self.completed += 1;
        self.set_outcome(checkpoint, CheckpointOutcome::Completed { at_ms });
        let Some(record) = self.record(checkpoint).cloned() else { return };
        self.duration_ms.add(record.end_to_end_ms());
        self.checkpointed_len_bytes.add(record.checkpointed_len_bytes);
        self.state_len_bytes.add(record.state_len_bytes);
        self.persisted_bytes.add(record.in_flight_bytes().1);
        self.latest_completed = Some(record);
    }

    pub(crate) fn aborted(&mut self, checkpoint: CheckpointId, at_ms: u64, reason: AbortReason) {
        let count = match reason {
            AbortReason::Expired => &mut self.failed.expired,
            AbortReason::Subsumed { .. } => &mut self.failed.subsumed,
            AbortReason::Declined { .. } => &mut self.failed.declined,
            AbortReason::CommitFailed { .. } => &mut self.failed.commit_failed,
            AbortReason::JobStopped => &mut self.failed.job_stopped,
        };
        *count += 1;
        self.set_outcome(checkpoint, CheckpointOutcome::Aborted { at_ms, reason });
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

    fn record(&mut self, checkpoint: CheckpointId) -> Option<&mut CheckpointRecord> {
        self.history.iter_mut().rev().find(|record| record.checkpoint == checkpoint)
    }

    fn set_outcome(&mut self, checkpoint: CheckpointId, outcome: CheckpointOutcome) {
        if let Some(record) = self.record(checkpoint) {
            record.outcome = outcome;
        }
    }
}
