//! What tasks say about a checkpoint.
//!
//! Invariants: a message counts only if it comes from a task of this run, for the pending
//! checkpoint, and once; any other is counted by kind, and of its state only files that no
//! checkpoint references are deleted.
//!
//! Source: Flink `PendingCheckpoint.acknowledgeTask`.

use alluvium_core::{AttemptId, CheckpointId, SubtaskState};

use super::Coordinator;
use crate::pending::{PendingCheckpoint, TaskPosition};
use crate::statistics::Ignored;
use crate::{AbortReason, Action, TaskId};

impl Coordinator {
    pub(super) fn acknowledge(
        &mut self,
        checkpoint: CheckpointId,
        attempt: AttemptId,
        task: &TaskId,
        state: SubtaskState,
        actions: &mut Vec<Action>,
    ) {
        let position = self.pending_position(checkpoint, attempt, task);
        let position = match (position, self.pending.as_mut()) {
            (Ok(_), _) if state.index != task.subtask => Err(Ignored::WrongSubtask),
            (Ok(position), Some(pending)) if !pending.has(&position) => Ok((position, pending)),
            (Ok(_), _) => Err(Ignored::Duplicate),
            (Err(kind), _) => Err(kind),
        };
        match position {
            Ok((position, pending)) => {
                self.files.add(state.streams());
                self.statistics.acknowledged(&state);
                pending.insert(position, state);
                if let Some(metadata) = pending.commit_if_complete(&self.plan, self.now_ms) {
                    let is_final = pending.is_final;
                    actions.push(Action::Commit { metadata, is_final });
                }
            }
            Err(kind) => {
                self.statistics.ignored(kind);
                self.discard_ignored(attempt, state, actions);
            }
        }
    }

    pub(super) fn decline(
        &mut self,
        checkpoint: CheckpointId,
        attempt: AttemptId,
        task: TaskId,
        reason: String,
        actions: &mut Vec<Action>,
    ) {
        let committing = self.pending.as_ref().is_some_and(PendingCheckpoint::is_committing);
        match self.pending_position(checkpoint, attempt, &task) {
            // All tasks have acknowledged, this one too, and the metadata may exist by now.
            Ok(_) if committing => self.statistics.ignored(Ignored::Duplicate),
            Ok(_) => self.abort(AbortReason::Declined { task, reason }, actions),
            Err(kind) => self.statistics.ignored(kind),
        }
    }

    /// The place of a task in the pending checkpoint, or why the message does not belong to it.
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
        if self.pending.as_ref().is_none_or(|pending| pending.id != checkpoint) {
            return Err(Ignored::Late);
        }
        match self.operators.get(&task.operator) {
            Some((at, of)) if task.subtask.get() < of.get() => Ok((*at, task.subtask)),
            _ => Err(Ignored::UnknownTask),
        }
    }

    fn discard_ignored(&self, attempt: AttemptId, state: SubtaskState, actions: &mut Vec<Action>) {
        // A later run owns the checkpoint root, and this one cannot know what it references:
        // 1. run 3 hangs, run 4 starts, and its checkpoint 9 completes with file f;
        // 2. an acknowledgement of run 4 that names f strays to run 3, which knows no such file;
        // 3. discarding f would leave run 4 with a checkpoint that cannot be restored.
        if attempt <= self.plan.attempt {
            self.discard(state, actions);
        }
    }

    /// Asks to delete the files of a state that no checkpoint will use, except those in use:
    /// 1. a task acknowledges checkpoint 7 with file f, as the last one, and 7 completes;
    /// 2. the acknowledgement is delivered once more and is late by now;
    /// 3. discarding all of its state would delete f, and 7 could no longer be restored.
    ///
    /// The same holds before 7 completes (a duplicate) and when the second acknowledgement shares
    /// only some files with the first one, hence the look at each file instead of at the states.
    pub(super) fn discard(&self, state: SubtaskState, actions: &mut Vec<Action>) {
        actions.extend(self.files.deletable(state).map(|state| Action::Discard { state }));
    }
}
