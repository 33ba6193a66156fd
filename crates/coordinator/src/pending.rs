//! The checkpoint that is under way.
//!
//! Invariants: while collecting, at least one task is missing; committing begins with the last
//! acknowledgement and keeps what is to be written until the driver has reported.

use std::collections::BTreeMap;

use alluvium_core::{
    CheckpointId, CheckpointMetadata, CheckpointProperties, OperatorState, SubtaskIndex,
    SubtaskState,
};

use crate::JobPlan;

/// A task as position of its operator in the plan and index of the subtask: sorted, this is the
/// order of the metadata.
pub(crate) type TaskPosition = (usize, SubtaskIndex);

#[derive(Debug, Clone)]
pub(crate) struct PendingCheckpoint {
    pub(crate) id: CheckpointId,
    pub(crate) triggered_at_ms: u64,
    pub(crate) is_final: bool,
    phase: Phase,
}

#[derive(Debug, Clone)]
enum Phase {
    Collecting(BTreeMap<TaskPosition, SubtaskState>),
    Committing(CheckpointMetadata),
}

impl PendingCheckpoint {
    pub(crate) fn new(id: CheckpointId, triggered_at_ms: u64, is_final: bool) -> Self {
        Self { id, triggered_at_ms, is_final, phase: Phase::Collecting(BTreeMap::new()) }
    }

    pub(crate) fn is_committing(&self) -> bool {
        matches!(self.phase, Phase::Committing(_))
    }

    pub(crate) fn has(&self, task: &TaskPosition) -> bool {
        match &self.phase {
            Phase::Collecting(states) => states.contains_key(task),
            Phase::Committing(_) => true,
        }
    }

    /// Takes the state of a task that [has](Self::has) none yet.
    pub(crate) fn insert(&mut self, task: TaskPosition, state: SubtaskState) {
        match &mut self.phase {
            Phase::Collecting(states) => {
                let earlier = states.insert(task, state);
                assert!(earlier.is_none(), "two states of one task in checkpoint {}", self.id);
            }
            Phase::Committing(_) => {
                unreachable!("checkpoint {} is complete and takes no more states", self.id)
            }
        }
    }

    /// Begins to commit if all tasks have acknowledged.
    pub(crate) fn commit_if_complete(
        &mut self,
        plan: &JobPlan,
        now_ms: u64,
    ) -> Option<CheckpointMetadata> {
        let Phase::Collecting(states) = &mut self.phase else {
            return None;
        };
        if states.len() < plan.task_count() {
            return None;
        }
        let mut states = std::mem::take(states).into_values();
        let operators = plan.operators.iter().map(|(uid, parallelism)| OperatorState {
            uid: uid.clone(),
            parallelism: *parallelism,
            subtasks: states.by_ref().take(usize::from(parallelism.get())).collect(),
        });
        let metadata = CheckpointMetadata {
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
        };
        self.phase = Phase::Committing(metadata.clone());
        Some(metadata)
    }

    /// What was to be written; only for a checkpoint that [commits](Self::is_committing).
    pub(crate) fn into_committed(self) -> CheckpointMetadata {
        match self.phase {
            Phase::Committing(metadata) => metadata,
            Phase::Collecting(_) => unreachable!("checkpoint {} is not committing", self.id),
        }
    }

    /// All states that were acknowledged, in the order of the plan.
    pub(crate) fn into_states(self) -> Vec<SubtaskState> {
        match self.phase {
            Phase::Collecting(states) => states.into_values().collect(),
            Phase::Committing(metadata) => {
                metadata.operators.into_iter().flat_map(|operator| operator.subtasks).collect()
            }
        }
    }
}
