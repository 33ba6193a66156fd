//! What tasks say about a checkpoint.
//!
//! Invariants:
//! - a message counts only if it comes from a task of this run, for a pending checkpoint, and
//!   once; any other is counted by kind, and of its state only the files of its own streams are
//!   deleted, and only those that no checkpoint references;
//! - every shared file that a pending checkpoint refers to was written for it, or was counted by
//!   the registry before: none is deleted, or about to be.
//!
//! Why the second one holds. A retained checkpoint that a later one replaces goes only when every
//! checkpoint has ended that was under way then, so nothing that was retained at the trigger can go
//! before the last acknowledgement is here. A backend that builds on checkpoints of which it was told that they are complete, and of which
//! the newest at the trigger is retained, therefore finds its files there. One that missed a
//! completion does not:
//! 1. checkpoint 3 completes, and a backend hears of it;
//! 2. checkpoint 4 completes, 3 is subsumed and its file f deleted; the backend does not hear;
//! 3. the backend acknowledges checkpoint 5 with a stream that refers to f;
//! 4. once 5 completed, it would be the only one retained, and could not be restored.
//!
//! Hence the look at each shared file: a state that refers to one that nobody references counts as
//! declined.
//!
//! Source: Flink `PendingCheckpoint.acknowledgeTask`, `SharedStateRegistry`.

use std::collections::BTreeSet;

use alluvium_core::museum::{self, Mistake};
use alluvium_core::{AttemptId, CheckpointId, SharedFile, StoragePath, SubtaskState};

use super::Coordinator;
use crate::pending::{PendingCheckpoint, TaskPosition};
use crate::statistics::Ignored;
use crate::{AbortReason, Action, DeclineCause, SubtaskMetrics, TaskId};

impl Coordinator {
    pub(super) fn acknowledge(
        &mut self,
        checkpoint: CheckpointId,
        attempt: AttemptId,
        task: &TaskId,
        state: SubtaskState,
        metrics: SubtaskMetrics,
        actions: &mut Vec<Action>,
    ) {
        let position = self.pending_position(checkpoint, attempt, task);
        let position = match (position, self.pending.get(checkpoint)) {
            (Ok(_), _) if state.index != task.subtask => Err(Ignored::WrongSubtask),
            (Ok(position), Some(pending)) if !pending.has(&position) => Ok(position),
            (Ok(_), _) => Err(Ignored::Duplicate),
            (Err(kind), _) => Err(kind),
        };
        match (position, self.gone(checkpoint, &state)) {
            (Ok(position), None) => self.accept(checkpoint, position, state, metrics, actions),
            (Ok(_), Some(gone)) => {
                let reason = format!("its state refers to {gone}, which no checkpoint has");
                let (task, cause) = (task.clone(), DeclineCause::Asynchronous);
                self.abort(checkpoint, AbortReason::Declined { task, cause, reason }, actions);
                self.discard(checkpoint, &state, actions);
            }
            (Err(kind), _) => {
                self.statistics.ignored(kind);
                self.discard_ignored(checkpoint, attempt, &state, actions);
            }
        }
    }

    fn accept(
        &mut self,
        checkpoint: CheckpointId,
        position: TaskPosition,
        state: SubtaskState,
        metrics: SubtaskMetrics,
        actions: &mut Vec<Action>,
    ) {
        let Some(pending) = self.pending.get_mut(checkpoint) else { return };
        if !pending.kind.is_savepoint() {
            self.files.add(state.files());
        }
        self.statistics.acknowledged(checkpoint, position, self.now_ms, &state, metrics);
        pending.insert(position, state, &self.plan, self.now_ms);
        self.commit_next(actions);
    }

    pub(super) fn decline(
        &mut self,
        checkpoint: CheckpointId,
        attempt: AttemptId,
        declined: AbortReason,
        actions: &mut Vec<Action>,
    ) {
        let AbortReason::Declined { task, .. } = &declined else { return };
        let collecting = self.pending.get(checkpoint).is_some_and(PendingCheckpoint::is_collecting);
        match self.pending_position(checkpoint, attempt, task) {
            // All tasks have acknowledged, this one too, and the metadata may exist by now.
            Ok(_) if !collecting => self.statistics.ignored(Ignored::Duplicate),
            Ok(_) => self.abort(checkpoint, declined, actions),
            Err(kind) => self.statistics.ignored(kind),
        }
    }

    /// The place of a task in a pending checkpoint, or why the message does not belong to it.
    fn pending_position(
        &self,
        checkpoint: CheckpointId,
        attempt: AttemptId,
        task: &TaskId,
    ) -> Result<TaskPosition, Ignored> {
        if attempt != self.plan.attempt {
            return Err(Ignored::WrongAttempt);
        }
        if checkpoint >= self.next {
            return Err(Ignored::UnknownCheckpoint);
        }
        if self.pending.get(checkpoint).is_none() {
            return Err(Ignored::Late);
        }
        match self.operators.get(&task.operator) {
            Some((at, of)) if task.subtask.get() < of.get() => Ok((*at, task.subtask)),
            _ => Err(Ignored::UnknownTask),
        }
    }

    /// Whether the states of a checkpoint are those of a savepoint, as far as that is remembered.
    fn is_savepoint(&self, checkpoint: CheckpointId) -> bool {
        self.past_savepoints.iter().any(|(past, _)| *past == checkpoint)
            || self.pending.get(checkpoint).is_some_and(|pending| pending.kind.is_savepoint())
    }

    /// A shared file of the state that is deleted, or about to be; of a savepoint, which refers to
    /// none but its own, any other.
    fn gone(&self, checkpoint: CheckpointId, state: &SubtaskState) -> Option<StoragePath> {
        let written: BTreeSet<&StoragePath> = state.written_files().collect();
        let is_savepoint = self.is_savepoint(checkpoint);
        let is_there = |path: &StoragePath| !is_savepoint && self.files.contains(path);
        let mut files = state.shared_files().map(|SharedFile { path, .. }| path);
        files.find(|path| !written.contains(path) && !is_there(path)).cloned()
    }

    fn discard_ignored(
        &self,
        checkpoint: CheckpointId,
        attempt: AttemptId,
        state: &SubtaskState,
        actions: &mut Vec<Action>,
    ) {
        // A later run owns the checkpoint root, and this one cannot know what it references:
        // 1. run 3 hangs, run 4 starts, and its checkpoint 9 completes with file f;
        // 2. an acknowledgement of run 4 that names f strays to run 3, which knows no such file;
        // 3. discarding f would leave run 4 with a checkpoint that cannot be restored.
        if attempt <= self.plan.attempt {
            self.discard(checkpoint, state, actions);
        }
    }

    /// Asks to delete the streams of a state that no checkpoint will use, except those in use:
    /// 1. a task acknowledges checkpoint 7 with file f, as the last one, and 7 completes;
    /// 2. the acknowledgement is delivered once more and is late by now;
    /// 3. discarding all of its state would delete f, and 7 could no longer be restored.
    ///
    /// The same holds before 7 completes (a duplicate), when a later checkpoint refers to f, and
    /// when the second acknowledgement shares only some files with the first one, hence the look
    /// at each file instead of at the states. Files that the state merely refers to are named when
    /// the checkpoint that has them goes. The states of a savepoint that failed lie in its folder,
    /// which goes as a whole; those of one that is under way or complete are left alone.
    fn discard(&self, checkpoint: CheckpointId, state: &SubtaskState, actions: &mut Vec<Action>) {
        if self.past_savepoints.contains(&(checkpoint, true)) {
            actions.push(Action::DiscardSavepoint { checkpoint });
        }
        if self.is_savepoint(checkpoint) {
            return;
        }
        let own = state.written_files();
        let is_free = |file: &&StoragePath| {
            museum::makes(Mistake::DiscardsStateInUse) || !self.files.contains(file)
        };
        discard(own.filter(is_free).cloned().collect(), actions);
    }
}

/// Asks to delete files, if there are any.
pub(super) fn discard(files: BTreeSet<StoragePath>, actions: &mut Vec<Action>) {
    if !files.is_empty() {
        actions.push(Action::Discard { files: files.into_iter().collect() });
    }
}
