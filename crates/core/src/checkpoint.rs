//! The content of a checkpoint's metadata, as plain values.
//!
//! Ladder of names: [`CheckpointMetadata`] > [`OperatorState`] (one operator) > [`SubtaskState`]
//! (one subtask) > handles.

use crate::{
    AssignerName, AttemptId, CheckpointId, JobId, KeyedStateHandle, MaxParallelism,
    OperatorStateHandle, OperatorUid, Parallelism, StateHandle, SubtaskIndex,
};

/// Everything that is needed to restore a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointMetadata {
    /// What tells this checkpoint from others.
    pub properties: CheckpointProperties,
    /// The operators in the order of the job.
    pub operators: Vec<OperatorState>,
}

/// What tells a checkpoint from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointProperties {
    /// The job it belongs to.
    pub job: JobId,
    /// Its number.
    pub checkpoint: CheckpointId,
    /// The run of the job that wrote it.
    pub attempt: AttemptId,
    /// When it was triggered, in milliseconds since 1970-01-01 UTC.
    pub triggered_at_ms: u64,
    /// When its last part was acknowledged, in milliseconds since 1970-01-01 UTC.
    pub completed_at_ms: u64,
    /// Number of key groups.
    pub max_parallelism: MaxParallelism,
    /// How keys were assigned to key groups.
    pub assigner: AssignerName,
}

/// State of one operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorState {
    /// Finds the operator again in the restored job.
    pub uid: OperatorUid,
    /// How many subtasks it had.
    pub parallelism: Parallelism,
    /// One per subtask, in order.
    pub subtasks: Vec<SubtaskState>,
}

/// State of one subtask, as acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubtaskState {
    /// Which subtask.
    pub index: SubtaskIndex,
    /// Its keyed state, if it has any.
    pub keyed: Option<KeyedStateHandle>,
    /// Its operator state, if it has any.
    pub operator: Option<OperatorStateHandle>,
}

impl SubtaskState {
    /// The streams of this subtask.
    pub fn streams(&self) -> impl Iterator<Item = &StateHandle> {
        let keyed = self.keyed.iter().map(|handle| &handle.stream);
        keyed.chain(self.operator.iter().map(|handle| &handle.stream))
    }
}

impl CheckpointMetadata {
    /// All streams of all subtasks.
    pub fn streams(&self) -> impl Iterator<Item = &StateHandle> {
        self.operators
            .iter()
            .flat_map(|operator| &operator.subtasks)
            .flat_map(SubtaskState::streams)
    }

    /// Size of all state in bytes, inlined or not, without the metadata itself.
    pub fn state_len_bytes(&self) -> u64 {
        self.streams().map(|stream| stream.len_bytes).sum()
    }
}
