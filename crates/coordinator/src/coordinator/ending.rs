//! How a checkpoint ends: committed, or aborted for some reason.
//!
//! Invariants: the newest completed checkpoint is never deleted; tasks hear of an end before any
//! file is deleted because of it.
//!
//! Source: Flink `CheckpointFailureManager`, `DefaultCompletedCheckpointStore`.

use std::collections::BTreeSet;

use alluvium_core::museum::{self, Mistake};
use alluvium_core::{CheckpointId, StoragePath};

use super::acknowledging::discard;
use super::{Coordinator, Run, answer};
use crate::pending::PendingCheckpoint;
use crate::{AbortReason, Action, JobFailure, RequestFailure};

/// How many savepoints that have ended are remembered for states that come late.
///
/// Source: Flink `CheckpointCoordinator.NUM_GHOST_CHECKPOINT_IDS`.
const PAST_SAVEPOINTS: usize = 16;

impl Coordinator {
    /// Begins the next commit: they go one after the other, so that checkpoints come into being in
    /// the order of their numbers.
    pub(super) fn commit_next(&mut self, actions: &mut Vec<Action>) {
        if let Some((metadata, kind)) = self.pending.commit_next() {
            actions.push(Action::Commit { metadata, kind });
        }
    }

    pub(super) fn complete(&mut self, checkpoint: CheckpointId, actions: &mut Vec<Action>) {
        let Some(pending) = self.take_committing(checkpoint) else {
            return;
        };
        let (kind, requests) = (pending.kind, pending.requests.clone());
        self.statistics.completed(checkpoint, self.now_ms);
        self.schedule.ended(self.now_ms);
        self.failed_in_a_row = 0;
        if kind.is_savepoint() {
            self.remember_savepoint(checkpoint, false);
        } else {
            // Its files move from pending to retained, so their counts stay.
            self.retained.push_back(pending.into_committed());
        }
        if self.run == Run::Stopped {
            // Nobody is left to notify: the tasks of this run are gone, and what they held back
            // is committed when the next run restores this checkpoint. Nothing is deleted either:
            // 1. checkpoint 8 is committing when the job stops;
            // 2. the next run does not know of it yet and restores 7;
            // 3. 8 is committed after all and would subsume 7;
            // 4. deleting 7 now pulls the files away from under that restore.
            // The next run takes over both and subsumes at its first completion.
            answer(requests, Ok(checkpoint), actions);
            return;
        }
        if kind.is_announced() {
            self.subsume_pending(checkpoint, actions);
        }
        if kind.ends_job() {
            self.run = Run::Over;
            let waiting = self.schedule.requests.take_all();
            answer(waiting, Err(RequestFailure::JobStopped), actions);
        }
        if kind.is_announced() {
            let surplus = self.retained.len().saturating_sub(self.config.retained);
            if museum::makes(Mistake::DeletesLatestCheckpoint) {
                self.retained.rotate_right(surplus);
            }
            let subsumed: Vec<_> = self.retained.drain(..surplus).collect();
            let highest = subsumed.last().map(|metadata| metadata.properties.checkpoint);
            actions.push(Action::NotifyComplete { checkpoint, subsumed: highest, kind });
            // What is under way now may build on any of them.
            let under_way = self.pending.ids(|pending| !pending.kind.is_savepoint());
            let until = under_way.last().copied().unwrap_or(checkpoint);
            self.leaving.extend(subsumed.into_iter().map(|metadata| (metadata, until)));
            self.delete_claimed(actions);
        }
        answer(requests, Ok(checkpoint), actions);
        self.delete_leaving(actions);
        self.commit_next(actions);
    }

    /// What is under way and older than a checkpoint that completed has no use any more.
    fn subsume_pending(&mut self, by: CheckpointId, actions: &mut Vec<Action>) {
        for older in self.pending.ids(|pending| pending.id < by && !pending.kind.is_savepoint()) {
            self.abort(older, AbortReason::Subsumed { by }, actions);
        }
    }

    /// What the run began from in another folder counts as the oldest retained checkpoint.
    fn delete_claimed(&mut self, actions: &mut Vec<Action>) {
        if self.claimed && self.retained.len() >= self.config.retained {
            self.claimed = false;
            actions.push(Action::DeleteClaimed);
        }
    }

    /// One after the other, oldest first: what two of them reference is named with the second, when
    /// the metadata of the first is gone already.
    fn delete_leaving(&mut self, actions: &mut Vec<Action>) {
        let under_way = self.pending.ids(|pending| !pending.kind.is_savepoint());
        let oldest = under_way.first().copied();
        let may_go = |until: CheckpointId| oldest.is_none_or(|oldest| until < oldest);
        while let Some((metadata, _)) = self.leaving.pop_front_if(|(_, until)| may_go(*until)) {
            let checkpoint = metadata.properties.checkpoint;
            let mut files: Vec<StoragePath> =
                self.files.release(metadata.files()).into_iter().collect();
            if museum::makes(Mistake::DeletesWithoutCounting) {
                files = metadata.files().cloned().collect();
            }
            if museum::makes(Mistake::LeaksSharedState) {
                files.retain(|file| !file.as_str().starts_with("shared/"));
            }
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
            self.pending.insert(pending);
            self.abort(checkpoint, AbortReason::CommitFailed { reason }, actions);
            if self.run != Run::Stopped {
                self.commit_next(actions);
            }
        }
    }

    /// Takes a pending checkpoint if it is committing; counts the event if not.
    fn take_committing(&mut self, checkpoint: CheckpointId) -> Option<PendingCheckpoint> {
        let committing = self.pending.get(checkpoint).is_some_and(PendingCheckpoint::is_committing);
        self.statistics.impossible_events += u64::from(!committing);
        if committing { self.pending.remove(checkpoint) } else { None }
    }

    pub(super) fn stop(&mut self, actions: &mut Vec<Action>) {
        // A commit in flight may still take effect, so it is left to report.
        for checkpoint in self.pending.ids(|pending| !pending.is_committing()) {
            self.abort(checkpoint, AbortReason::JobStopped, actions);
        }
        let waiting = self.schedule.requests.take_all();
        answer(waiting, Err(RequestFailure::JobStopped), actions);
        self.run = Run::Stopped;
    }

    pub(super) fn abort(
        &mut self,
        checkpoint: CheckpointId,
        reason: AbortReason,
        actions: &mut Vec<Action>,
    ) {
        let Some(pending) = self.pending.remove(checkpoint) else {
            return;
        };
        let (kind, requests) = (pending.kind, pending.requests.clone());
        self.schedule.ended(self.now_ms);
        self.statistics.aborted(checkpoint, self.now_ms, reason.clone());
        // Tasks hear of it before files go, so that none builds on a file about to be deleted.
        if self.run != Run::Stopped {
            actions.push(Action::NotifyAborted { checkpoint, reason: reason.clone() });
        }
        let failure = RequestFailure::Aborted { checkpoint, reason: reason.clone() };
        answer(requests, Err(failure), actions);
        if kind.is_savepoint() {
            self.remember_savepoint(checkpoint, true);
            actions.push(Action::DiscardSavepoint { checkpoint });
        } else {
            self.discard_pending(pending, actions);
            if self.run != Run::Stopped {
                self.delete_leaving(actions);
            }
        }
        if self.run == Run::Running && !kind.is_savepoint() && reason.counts() {
            self.count_failure(checkpoint, reason, actions);
        }
    }

    fn discard_pending(&mut self, pending: PendingCheckpoint, actions: &mut Vec<Action>) {
        let mut free = BTreeSet::new();
        for state in pending.into_states() {
            free.extend(self.files.release(state.files()));
            if museum::makes(Mistake::DiscardsSharedStateOnAbort) {
                free.extend(state.files().cloned());
            }
        }
        discard(free, actions);
    }

    fn remember_savepoint(&mut self, checkpoint: CheckpointId, has_failed: bool) {
        if self.past_savepoints.len() == PAST_SAVEPOINTS {
            self.past_savepoints.pop_front();
        }
        self.past_savepoints.push_back((checkpoint, has_failed));
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
            let waiting = self.schedule.requests.take_all();
            answer(waiting, Err(RequestFailure::JobStopped), actions);
            let reason =
                JobFailure::TooManyFailedCheckpoints { failed, tolerable, checkpoint, reason };
            actions.push(Action::FailJob { reason });
        }
    }
}
