//! The asynchronous part of a checkpoint: from frozen state to a handle.
//!
//! Invariants: a file that later checkpoints may refer to lies in `shared/`, never in the folder
//! of its checkpoint; what is kept in coordinator memory is always self-contained.

mod sst;

pub use sst::SstFileStream;

use alluvium_core::{
    AttemptId, CheckpointId, KeyGroupRange, KeyedStateHandle, OperatorUid, SharedFile, StateHandle,
    SubtaskIndex,
};
use alluvium_format::envelope::{StreamIdentity, StreamKind};
use alluvium_storage::StateFileKind as FileKind;
use alluvium_storage::{CheckpointStream, CheckpointStreams, JobLayout, StorageError};

use crate::SnapshotError;

/// Where the streams of one checkpoint go.
#[derive(Debug, Clone)]
pub struct SnapshotTarget {
    /// Makes the streams.
    pub streams: CheckpointStreams,
    /// The checkpoint they are for.
    pub checkpoint: CheckpointId,
    /// The run of the job that writes them.
    pub attempt: AttemptId,
    /// Whether keyed streams may build on those of earlier checkpoints.
    pub mode: SnapshotMode,
}

/// How the keyed state of a checkpoint relates to earlier checkpoints.
///
/// Source: Flink `execution.checkpointing.incremental`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SnapshotMode {
    /// Self-contained, and below the folder of the checkpoint.
    #[default]
    Full,
    /// May refer to shared files of earlier checkpoints, and be referred to by later ones.
    Incremental,
    /// Refers to no earlier checkpoint, and later ones may refer to it: an incremental checkpoint
    /// that begins anew. Source: Flink `CheckpointType.FULL_CHECKPOINT`.
    Rebase,
    /// Refers to no other checkpoint and none refers to it, in the format that the backend writes
    /// fastest: a native savepoint. Source: Flink `SavepointFormatType.NATIVE`.
    Native,
}

/// Where a keyed stream goes if it becomes a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyedPlacement {
    /// Below the folder of its checkpoint; inlined when it is small.
    Exclusive,
    /// Into `shared/`; inlined when it is small, and then nobody can refer to it.
    Shared,
    /// Into `shared/`, however small it is.
    SharedFile,
}

impl SnapshotTarget {
    /// Opens a stream of a subtask that only this checkpoint refers to.
    pub fn stream(
        &self,
        kind: StreamKind,
        uid: &OperatorUid,
        subtask: SubtaskIndex,
    ) -> (CheckpointStream, StreamIdentity) {
        let (checkpoint, attempt) = (self.checkpoint, self.attempt);
        let file = match kind {
            StreamKind::Keyed | StreamKind::SstIndex => FileKind::Keyed,
            _ => FileKind::Operator,
        };
        let path = JobLayout::state_file(checkpoint, uid, subtask, file, attempt);
        let identity = StreamIdentity { kind, subtask: Some(subtask), checkpoint, attempt };
        (self.streams.stream(path), identity)
    }

    /// Whether later checkpoints may refer to this one: the mode says so, and streams become files.
    pub fn is_incremental(&self) -> bool {
        matches!(self.mode, SnapshotMode::Incremental | SnapshotMode::Rebase)
            && !self.streams.keeps_everything_inline()
    }

    /// Whether this one may refer to earlier checkpoints.
    pub fn refers_to_earlier(&self) -> bool {
        self.mode == SnapshotMode::Incremental && self.is_incremental()
    }

    /// Whether a backend should write files as it has them, instead of the format that every backend
    /// reads.
    pub fn is_native(&self) -> bool {
        self.mode != SnapshotMode::Full && !self.streams.keeps_everything_inline()
    }

    /// Opens the keyed stream of a subtask.
    pub fn keyed_stream(
        &self,
        uid: &OperatorUid,
        subtask: SubtaskIndex,
        placement: KeyedPlacement,
    ) -> (CheckpointStream, StreamIdentity) {
        let (checkpoint, attempt, kind) = (self.checkpoint, self.attempt, StreamKind::Keyed);
        let shared = || JobLayout::shared_state_file(checkpoint, uid, subtask, attempt);
        let stream = match placement {
            KeyedPlacement::Exclusive => return self.stream(kind, uid, subtask),
            KeyedPlacement::Shared => self.streams.stream(shared()),
            KeyedPlacement::SharedFile => self.streams.file(shared()),
        };
        (stream, StreamIdentity { kind, subtask: Some(subtask), checkpoint, attempt })
    }

    /// Opens the index of the SST files of a subtask. Each checkpoint writes its own, so nothing
    /// later refers to it.
    pub fn sst_index_stream(
        &self,
        uid: &OperatorUid,
        subtask: SubtaskIndex,
    ) -> (CheckpointStream, StreamIdentity) {
        self.stream(StreamKind::SstIndex, uid, subtask)
    }

    /// Opens an SST file of a subtask, to which later checkpoints may refer. The subtask gives each
    /// number once in a checkpoint. Only for a [native](SnapshotTarget::is_native) one.
    pub fn sst_file(&self, uid: &OperatorUid, subtask: SubtaskIndex, number: u32) -> SstFileStream {
        let (checkpoint, attempt) = (self.checkpoint, self.attempt);
        let path = JobLayout::shared_sst_file(checkpoint, uid, subtask, attempt, number);
        SstFileStream::new(self.streams.file(path))
    }

    /// Removes files that this snapshot has written, because it fails before anybody heard of them.
    /// What cannot be removed stays behind, for whoever opens the job's folder next.
    pub fn discard<'a>(&self, written: impl IntoIterator<Item = &'a SharedFile>) {
        for file in written {
            drop(self.streams.discard(&file.path));
        }
    }

    /// Ends a stream; its seal must be the one that the format's writer gave.
    pub(crate) fn finish(stream: CheckpointStream, seal: u32) -> Result<StateHandle, StorageError> {
        let handle = stream.finish()?;
        assert_eq!(handle.seal, seal, "the seal is the end of the stream");
        Ok(handle)
    }

    /// Ends a keyed stream, whose index numbers the streams `shared` from 1.
    ///
    /// Errors: [`StorageError`].
    /// Panics: when `seal` is not what was written last, which is a bug of the backend.
    pub fn finish_keyed(
        stream: CheckpointStream,
        seal: u32,
        key_groups: KeyGroupRange,
        shared: Vec<SharedFile>,
    ) -> Result<KeyedStateHandle, StorageError> {
        let stream = Self::finish(stream, seal)?;
        Ok(KeyedStateHandle { key_groups, stream, shared, written: Vec::new() })
    }
}

/// State as it was at a freeze. Dropping it releases what it holds.
#[must_use = "frozen state that is not written is lost"]
pub trait FrozenState: Send {
    /// Writes everything: the asynchronous part. `None` when there was no state at all.
    ///
    /// Errors: [`SnapshotError`]; then nothing was written that anybody can see.
    fn write(
        self: Box<Self>,
        target: &SnapshotTarget,
    ) -> Result<Option<KeyedStateHandle>, SnapshotError>;
}

#[cfg(test)]
mod tests;
