//! How a checkpoint ends: committed, or aborted for some reason.
//!
//! Invariants: the newest completed checkpoint is never deleted; tasks hear of an end before any
//! file is deleted because of it.
//!
//! Source: Flink `CheckpointFailureManager`, `DefaultCompletedCheckpointStore`.

use std::collections::BTreeSet;

use alluvium_core::{CheckpointId, CheckpointMetadata};

use super::acknowledging::discard;
use super::{Coordinator, Run};
use crate::pending::PendingCheckpoint;
use crate::{AbortReason, Action, JobFailure};

impl Coordinator {
    pub(super) fn complete(&mut self, checkpoint: CheckpointId, actions: &mut Vec<Action>) {
        let Some(pending) = self.take_committing(checkpoint) else {
            return;
        };
        let is_final = pending.is_final;
        // Its files move from pending to retained, so their counts stay.
        self.retained.push_back(pending.into_committed());
        self.statistics.completed(self.now_ms);
        self.schedule.ended(self.now_ms);
        self.failed_in_a_row = 0;
        if self.run == Run::Stopped {
            // Nobody is left to notify: the tasks of this run are gone, and what they held back
            // is committed when the next run restores this checkpoint. Nothing is deleted either:
            // 1. checkpoint 8 is committing when the job stops;
            // 2. the next run does not know of it yet and restores 7;
            // 3. 8 is committed after all and would subsume 7;
            // 4. deleting 7 now pulls the files away from under that restore.
            // The next run takes over both and subsumes at its first completion.
            return;
        }
        if is_final {
            self.run = Run::Over;
        }
        let surplus = self.retained.len().saturating_sub(self.config.retained);
        let subsumed: Vec<CheckpointMetadata> = self.retained.drain(..surplus).collect();
        let highest = subsumed.last().map(|metadata| metadata.properties.checkpoint);
        actions.push(Action::NotifyComplete { checkpoint, subsumed: highest, is_final });
        // One after the other, oldest first: what two of them reference is named with the second,
        // when the metadata of the first is gone already.
        for metadata in subsumed {
            let checkpoint = metadata.properties.checkpoint;
            let files = self.files.release(metadata.files()).into_iter().collect();
            actions.push(Action::DeleteCheckpoint { checkpoint, files });
        }
    }

    pub(super) fn fail_commit(
        &mut self,
        checkpoint: CheckpointId,
        reason: String,
        actions: &mut Vec<Action>,
    ) {
        if let Some(pending) = self.take_committing(checkpoint) {
            self.pending = Some(pending);
            self.abort(AbortReason::CommitFailed { reason }, actions);
        }
    }

    /// Takes the pending checkpoint if it is this one and committing; counts the event if not.
    fn take_committing(&mut self, checkpoint: CheckpointId) -> Option<PendingCheckpoint> {
        let pending = self.pending.take_if(|it| it.id == checkpoint && it.is_committing());
        self.statistics.impossible_events += u64::from(pending.is_none());
        pending
    }

    pub(super) fn stop(&mut self, actions: &mut Vec<Action>) {
        // A commit in flight may still take effect, so it is left to report.
        if self.pending.as_ref().is_some_and(|pending| !pending.is_committing()) {
            self.abort(AbortReason::JobStopped, actions);
        }
        self.run = Run::Stopped;
    }

    pub(super) fn abort(&mut self, reason: AbortReason, actions: &mut Vec<Action>) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        let checkpoint = pending.id;
        self.schedule.ended(self.now_ms);
        self.statistics.aborted(self.now_ms, reason.clone());
        // Tasks hear of it before files go, so that none builds on a file about to be deleted.
        if self.run != Run::Stopped {
            actions.push(Action::NotifyAborted { checkpoint, reason: reason.clone() });
        }
        let mut free = BTreeSet::new();
        for state in pending.into_states() {
            free.extend(self.files.release(state.files()));
        }
        discard(free, actions);
        if self.run == Run::Running && reason != AbortReason::JobStopped {
            self.count_failure(checkpoint, reason, actions);
        }
    }

    fn count_failure(
        &mut self,
        checkpoint: CheckpointId,
        reason: AbortReason,
        actions: &mut Vec<Action>,
    ) {
        self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
        let (failed, tolerable) = (self.failed_in_a_row, self.config.tolerable_failed_checkpoints);
        if failed > tolerable {
            self.run = Run::Over;
            let reason =
                JobFailure::TooManyFailedCheckpoints { failed, tolerable, checkpoint, reason };
            actions.push(Action::FailJob { reason });
        }
    }
}
