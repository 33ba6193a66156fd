//! The content of a checkpoint's metadata, as plain values.
//!
//! Ladder of names: [`CheckpointMetadata`] > [`OperatorState`] (one operator) > [`SubtaskState`]
//! (one subtask) > handles.

use std::collections::BTreeSet;

use crate::{
    AssignerName, AttemptId, CheckpointId, JobId, KeyedStateHandle, MaxParallelism,
    OperatorStateHandle, OperatorUid, Parallelism, SharedFile, StateHandle, StoragePath,
    SubtaskIndex,
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
    /// The streams of this subtask, without those of earlier checkpoints that they refer to.
    pub fn streams(&self) -> impl Iterator<Item = &StateHandle> {
        let keyed = self.keyed.iter().map(|handle| &handle.stream);
        keyed.chain(self.operator.iter().map(|handle| &handle.stream))
    }

    /// The files that the streams of this subtask refer to: streams of earlier checkpoints, or SST
    /// files.
    pub fn shared_files(&self) -> impl Iterator<Item = &SharedFile> {
        self.keyed.iter().flat_map(|handle| &handle.shared)
    }

    /// The files that were written for this state, as long as whoever wrote them says it: those of
    /// its streams that are not inlined, and its new shared files.
    pub fn written_files(&self) -> impl Iterator<Item = &StoragePath> {
        let own = self.streams().filter_map(StateHandle::file);
        own.chain(self.keyed.iter().flat_map(|handle| &handle.written))
    }

    /// Bytes of the streams and of the shared files that were written for this state.
    pub fn written_len_bytes(&self) -> u64 {
        let streams = self.streams().map(|stream| stream.len_bytes);
        let written: BTreeSet<&StoragePath> = self.written_files().collect();
        let shared = self.shared_files().filter(|file| written.contains(&file.path));
        streams.chain(shared.map(|file| file.len_bytes)).sum()
    }

    /// All files that must exist for this state to be read: those of its streams that are not
    /// inlined, and those that they refer to.
    pub fn files(&self) -> impl Iterator<Item = &StoragePath> {
        let own = self.streams().filter_map(StateHandle::file);
        own.chain(self.shared_files().map(|file| &file.path))
    }
}

impl CheckpointMetadata {
    /// The same as a reader of the stored metadata gets it: without what is not stored. Only so can it be
    /// compared with what was read.
    #[must_use]
    pub fn as_stored(&self) -> Self {
        let mut stored = self.clone();
        for subtask in stored.operators.iter_mut().flat_map(|operator| &mut operator.subtasks) {
            if let Some(keyed) = &mut subtask.keyed {
                keyed.written.clear();
            }
        }
        stored
    }

    /// All streams of all subtasks, without those of earlier checkpoints that they refer to.
    pub fn streams(&self) -> impl Iterator<Item = &StateHandle> {
        self.subtasks().flat_map(SubtaskState::streams)
    }

    /// All files that must exist for this checkpoint to be restored, besides its metadata. A file
    /// that several subtasks refer to comes several times.
    pub fn files(&self) -> impl Iterator<Item = &StoragePath> {
        self.subtasks().flat_map(SubtaskState::files)
    }

    fn subtasks(&self) -> impl Iterator<Item = &SubtaskState> {
        self.operators.iter().flat_map(|operator| &operator.subtasks)
    }

    /// Size in bytes of the streams of this checkpoint, inlined or not: what it added, without the
    /// metadata itself and without the files that the streams refer to.
    pub fn state_len_bytes(&self) -> u64 {
        self.streams().map(|stream| stream.len_bytes).sum()
    }

    /// Size in bytes of the files that the streams refer to, each counted once and whole, however
    /// little of it is still needed: streams of earlier checkpoints, and SST files of this one and
    /// of earlier ones.
    pub fn shared_len_bytes(&self) -> u64 {
        let files: BTreeSet<&SharedFile> =
            self.subtasks().flat_map(SubtaskState::shared_files).collect();
        files.iter().map(|file| file.len_bytes).sum()
    }
}

#[cfg(test)]
mod tests;
