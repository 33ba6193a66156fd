//! The asynchronous part of a checkpoint: from frozen state to a handle.

use alluvium_core::{
    AttemptId, CheckpointId, KeyedStateHandle, OperatorUid, StateHandle, SubtaskIndex,
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
}

impl SnapshotTarget {
    /// Opens the stream of a subtask.
    pub fn stream(
        &self,
        kind: StreamKind,
        uid: &OperatorUid,
        subtask: SubtaskIndex,
    ) -> (CheckpointStream, StreamIdentity) {
        let (checkpoint, attempt) = (self.checkpoint, self.attempt);
        let file = if kind == StreamKind::Keyed { FileKind::Keyed } else { FileKind::Operator };
        let path = JobLayout::state_file(checkpoint, uid, subtask, file, attempt);
        let identity = StreamIdentity { kind, subtask: Some(subtask), checkpoint, attempt };
        (self.streams.stream(path), identity)
    }

    /// Ends a stream; its seal must be the one that the format's writer gave.
    pub(crate) fn finish(stream: CheckpointStream, seal: u32) -> Result<StateHandle, StorageError> {
        let handle = stream.finish()?;
        assert_eq!(handle.seal, seal, "the seal is the end of the stream");
        Ok(handle)
    }

    /// Ends a keyed stream.
    ///
    /// Errors: [`StorageError`].
    /// Panics: when `seal` is not what was written last, which is a bug of the backend.
    pub fn finish_keyed(
        stream: CheckpointStream,
        seal: u32,
        key_groups: alluvium_core::KeyGroupRange,
    ) -> Result<KeyedStateHandle, StorageError> {
        Ok(KeyedStateHandle { key_groups, stream: Self::finish(stream, seal)?, shared: Vec::new() })
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
