//! Metrics and spans of an attempt, for whoever the program has installed to receive them.
//!
//! Metrics go through the `metrics` facade under Flink's names, as gauges with the label `job`; those
//! of a task have `operator` and `subtask` besides. Sizes are bytes, durations milliseconds unless the
//! name says otherwise. Spans go through `tracing`: `Attempt` with `Restore` and `Run` in it, and
//! `Checkpoint` with `Acknowledge` (from the trigger to the last acknowledgement) and `Commit`.
//!
//! Invariants: nothing here is called for a record; without a recorder and a subscriber nothing is kept
//! but spans that are switched off; what is told decides nothing.
//!
//! Source: Flink `CheckpointStatsTracker`, `TaskIOMetricGroup`; its traces have the same attributes.

use std::collections::BTreeMap;

use alluvium_coordinator::{
    AbortReason, Action, CheckpointKind, CheckpointOutcome, Statistics, SubtaskMetrics, TaskId,
};
use alluvium_core::{AttemptId, CheckpointId, JobId};
use metrics::gauge;
use tracing::{Span, field, info, info_span, warn};

use crate::control::Restored;

/// What an attempt tells.
pub(crate) struct Telemetry {
    job: String,
    attempt: Span,
    checkpoints: BTreeMap<CheckpointId, CheckpointSpans>,
}

/// The spans of a checkpoint that is under way; they end when this is dropped.
struct CheckpointSpans {
    checkpoint: Span,
    /// The phase that it is in.
    phase: Span,
}

impl Telemetry {
    /// Begins an attempt.
    pub(crate) fn new(job: &JobId, attempt: AttemptId, restored: Option<CheckpointId>) -> Self {
        let span = info_span!(
            "Attempt",
            job = %job,
            attempt = attempt.get(),
            restoredCheckpointId = restored.map(CheckpointId::get),
        );
        Self { job: job.to_string(), attempt: span, checkpoints: BTreeMap::new() }
    }

    /// A span of the phase in which state is restored.
    pub(crate) fn restore(&self) -> Span {
        info_span!(parent: &self.attempt, "Restore")
    }

    /// A span of the phase in which tasks run.
    pub(crate) fn run(&self, restored: Option<&Restored>) -> Span {
        if let Some(restored) = restored {
            self.set("lastCheckpointRestoreTimestamp", restored.at_ms);
        }
        info_span!(parent: &self.attempt, "Run")
    }

    /// Follows what the coordinator asks for.
    pub(crate) fn follow(&mut self, actions: &[Action], statistics: &Statistics) {
        let mut has_changed = false;
        for action in actions {
            match action {
                Action::Trigger { checkpoint, kind, .. } => self.begin(*checkpoint, *kind),
                Action::Commit { metadata, .. } => {
                    let spans = self.checkpoints.get_mut(&metadata.properties.checkpoint);
                    if let Some(CheckpointSpans { checkpoint, phase }) = spans {
                        *phase = info_span!(parent: &*checkpoint, "Commit");
                    }
                }
                Action::NotifyComplete { checkpoint, .. }
                | Action::Answer { answer: Ok(checkpoint), .. } => {
                    self.end(*checkpoint, None, statistics);
                }
                Action::NotifyAborted { checkpoint, reason } => {
                    self.end(*checkpoint, Some(reason), statistics);
                }
                _ => continue,
            }
            has_changed = true;
        }
        if has_changed {
            self.tell_counts(statistics);
        }
    }

    /// Takes what a task measured.
    pub(crate) fn acknowledged(&self, task: &TaskId, metrics: &SubtaskMetrics) {
        let set = |name: &'static str, ms: u64| {
            let labels = [
                ("job", self.job.clone()),
                ("operator", task.operator.to_string()),
                ("subtask", task.subtask.to_string()),
            ];
            gauge!(name, &labels).set(number(ms.saturating_mul(1_000_000)));
        };
        set("checkpointAlignmentTime", metrics.alignment_ms);
        set("checkpointStartDelayNanos", metrics.start_delay_ms);
    }

    fn begin(&mut self, id: CheckpointId, kind: CheckpointKind) {
        let checkpoint = info_span!(
            parent: &self.attempt,
            "Checkpoint",
            checkpointId = id.get(),
            checkpointType = %kind,
            checkpointStatus = field::Empty,
            checkpointedSize = field::Empty,
            fullSize = field::Empty,
            failure = field::Empty,
        );
        let phase = info_span!(parent: &checkpoint, "Acknowledge");
        self.checkpoints.insert(id, CheckpointSpans { checkpoint, phase });
    }

    fn end(&mut self, id: CheckpointId, failure: Option<&AbortReason>, statistics: &Statistics) {
        // An answer may tell once more what is known.
        let Some(CheckpointSpans { checkpoint: span, phase }) = self.checkpoints.remove(&id) else {
            return;
        };
        drop(phase);
        let record = statistics.history.iter().rev().find(|record| record.checkpoint == id);
        if let Some(record) = record {
            span.record("checkpointedSize", record.checkpointed_len_bytes);
            span.record("fullSize", record.state_len_bytes);
        }
        match failure {
            None => {
                span.record("checkpointStatus", "COMPLETED");
                info!(parent: &span, "the checkpoint is complete");
            }
            Some(reason) => {
                span.record("checkpointStatus", "FAILED");
                span.record("failure", reason.name());
                warn!(parent: &span, "{reason}");
            }
        }
    }

    fn tell_counts(&self, statistics: &Statistics) {
        let failed = statistics.failed.total();
        let ended = statistics.completed.saturating_add(failed);
        self.set("totalNumberOfCheckpoints", statistics.triggered);
        self.set("numberOfInProgressCheckpoints", statistics.triggered.saturating_sub(ended));
        self.set("numberOfCompletedCheckpoints", statistics.completed);
        self.set("numberOfFailedCheckpoints", failed);
        let Some(last) = statistics.latest_completed() else { return };
        let (processed, persisted) = last.in_flight_bytes();
        self.set("lastCompletedCheckpointId", last.checkpoint.get());
        self.set("lastCheckpointSize", last.checkpointed_len_bytes);
        self.set("lastCheckpointFullSize", last.state_len_bytes);
        self.set("lastCheckpointDuration", last.end_to_end_ms());
        self.set("lastCheckpointProcessedData", processed);
        self.set("lastCheckpointPersistedData", persisted);
        if let CheckpointOutcome::Completed { at_ms } = last.outcome {
            self.set("lastCheckpointCompletedTimestamp", at_ms);
        }
    }

    fn set(&self, name: &'static str, value: u64) {
        gauge!(name, "job" => self.job.clone()).set(number(value));
    }
}

/// Gauges are floating-point numbers: exact up to 2^53, which is 285,000 years of milliseconds.
#[expect(clippy::cast_precision_loss, reason = "what receives metrics knows no other numbers")]
fn number(value: u64) -> f64 {
    value as f64
}
