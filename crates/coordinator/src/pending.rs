//! The checkpoints that are under way.
//!
//! Invariants: while collecting, at least one task is missing; with the last acknowledgement a
//! checkpoint is *ready*, and *committing* from when the driver was told to write it; at most one
//! commits at a time.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_core::{
    CheckpointId, CheckpointMetadata, CheckpointProperties, OperatorState, SubtaskIndex,
    SubtaskState,
};

use crate::schedule::UnderWay;
use crate::{CheckpointKind, JobPlan, RequestId};

/// A task as position of its operator in the plan and index of the subtask: sorted, this is the
/// order of the metadata.
pub(crate) type TaskPosition = (usize, SubtaskIndex);

#[derive(Debug, Clone)]
pub(crate) struct PendingCheckpoint {
    pub(crate) id: CheckpointId,
    pub(crate) triggered_at_ms: u64,
    pub(crate) kind: CheckpointKind,
    /// The requests that it serves.
    pub(crate) requests: Vec<RequestId>,
    phase: Phase,
}

#[derive(Debug, Clone)]
enum Phase {
    Collecting(BTreeMap<TaskPosition, SubtaskState>),
    Ready(CheckpointMetadata),
    Committing(CheckpointMetadata),
}

impl PendingCheckpoint {
    pub(crate) fn new(
        id: CheckpointId,
        triggered_at_ms: u64,
        kind: CheckpointKind,
        requests: Vec<RequestId>,
    ) -> Self {
        Self { id, triggered_at_ms, kind, requests, phase: Phase::Collecting(BTreeMap::new()) }
    }

    pub(crate) const fn is_collecting(&self) -> bool {
        matches!(self.phase, Phase::Collecting(_))
    }

    pub(crate) const fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready(_))
    }

    pub(crate) const fn is_committing(&self) -> bool {
        matches!(self.phase, Phase::Committing(_))
    }

    pub(crate) fn has(&self, task: &TaskPosition) -> bool {
        match &self.phase {
            Phase::Collecting(states) => states.contains_key(task),
            Phase::Ready(_) | Phase::Committing(_) => true,
        }
    }

    /// Takes the state of a task that [has](Self::has) none yet, and gets ready with the last one.
    pub(crate) fn insert(
        &mut self,
        task: TaskPosition,
        state: SubtaskState,
        plan: &JobPlan,
        now_ms: u64,
    ) {
        let Phase::Collecting(states) = &mut self.phase else {
            unreachable!("checkpoint {} is complete and takes no more states", self.id)
        };
        let earlier = states.insert(task, state);
        assert!(earlier.is_none(), "two states of one task in checkpoint {}", self.id);
        if states.len() >= plan.task_count() {
            let states = std::mem::take(states);
            self.phase = Phase::Ready(self.metadata(states, plan, now_ms));
        }
    }

    fn metadata(
        &self,
        states: BTreeMap<TaskPosition, SubtaskState>,
        plan: &JobPlan,
        now_ms: u64,
    ) -> CheckpointMetadata {
        let mut states = states.into_values();
        let operators = plan.operators.iter().map(|(uid, parallelism)| OperatorState {
            uid: uid.clone(),
            parallelism: *parallelism,
            subtasks: states.by_ref().take(usize::from(parallelism.get())).collect(),
        });
        CheckpointMetadata {
            operators: operators.collect(),
            properties: CheckpointProperties {
                job: plan.job.clone(),
                checkpoint: self.id,
                attempt: plan.attempt,
                triggered_at_ms: self.triggered_at_ms,
                completed_at_ms: now_ms,
                max_parallelism: plan.max_parallelism,
                assigner: plan.assigner,
            },
        }
    }

    /// Begins to commit if it is ready: what to write.
    fn commit(&mut self) -> Option<CheckpointMetadata> {
        let Phase::Ready(metadata) = &self.phase else { return None };
        let metadata = metadata.clone();
        self.phase = Phase::Committing(metadata.clone());
        Some(metadata)
    }

    /// What was to be written; only for a checkpoint that [commits](Self::is_committing).
    pub(crate) fn into_committed(self) -> CheckpointMetadata {
        match self.phase {
            Phase::Committing(metadata) => metadata,
            _ => unreachable!("checkpoint {} is not committing", self.id),
        }
    }

    /// All states that were acknowledged, in the order of the plan.
    pub(crate) fn into_states(self) -> Vec<SubtaskState> {
        match self.phase {
            Phase::Collecting(states) => states.into_values().collect(),
            Phase::Ready(metadata) | Phase::Committing(metadata) => {
                metadata.operators.into_iter().flat_map(|operator| operator.subtasks).collect()
            }
        }
    }
}

/// The checkpoints that are under way, by number.
#[derive(Debug, Clone, Default)]
pub(crate) struct PendingCheckpoints {
    pending: BTreeMap<CheckpointId, PendingCheckpoint>,
}

impl PendingCheckpoints {
    pub(crate) fn insert(&mut self, pending: PendingCheckpoint) {
        self.pending.insert(pending.id, pending);
    }

    pub(crate) fn get(&self, id: CheckpointId) -> Option<&PendingCheckpoint> {
        self.pending.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: CheckpointId) -> Option<&mut PendingCheckpoint> {
        self.pending.get_mut(&id)
    }

    pub(crate) fn remove(&mut self, id: CheckpointId) -> Option<PendingCheckpoint> {
        self.pending.remove(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &PendingCheckpoint> {
        self.pending.values()
    }

    /// The numbers of those that fulfil a condition, oldest first.
    pub(crate) fn ids(&self, is: impl Fn(&PendingCheckpoint) -> bool) -> BTreeSet<CheckpointId> {
        self.iter().filter(|pending| is(pending)).map(|pending| pending.id).collect()
    }

    pub(crate) fn under_way(&self) -> UnderWay {
        let savepoints = self.iter().filter(|pending| pending.kind.is_savepoint()).count();
        UnderWay {
            checkpoints: self.pending.len() - savepoints,
            savepoints,
            ends_job: self.iter().any(|pending| pending.kind.ends_job()),
        }
    }

    /// Begins to commit the oldest that is ready, unless one commits already.
    pub(crate) fn commit_next(&mut self) -> Option<(CheckpointMetadata, CheckpointKind)> {
        if self.iter().any(PendingCheckpoint::is_committing) {
            return None;
        }
        let ready = self.pending.values_mut().find(|pending| pending.is_ready())?;
        let kind = ready.kind;
        ready.commit().map(|metadata| (metadata, kind))
    }
}
