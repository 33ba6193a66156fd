//! What can go wrong with state: using it, writing a snapshot, restoring one.

use std::sync::Arc;

use alluvium_core::{KeyGroup, KeyGroupRange};
use alluvium_format::codec::CodecSnapshot;
use alluvium_format::envelope::StreamKind;
use alluvium_format::{CodecError, FormatError};
use alluvium_storage::StorageError;

use crate::LoadFailure;

/// What a storage engine said when it failed; shared, since everybody hears of it.
pub type EngineFailure = Arc<dyn std::error::Error + Send + Sync>;

/// A state was used in a way that it does not allow.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The key, or the key group itself, belongs to another subtask.
    #[error("key group {key_group} is outside {range}, the range of this subtask")]
    ForeignKeyGroup {
        /// The key group.
        key_group: KeyGroup,
        /// The key groups of the backend.
        range: KeyGroupRange,
    },
    /// Raw keyed state was restored for other key groups than it is registered for.
    #[error(
        "raw keyed state {state:?} has a section of key group {key_group}, which is outside {range}, \
         the range that it was registered for"
    )]
    ForeignSection {
        /// The state.
        state: String,
        /// The key group of the section.
        key_group: u16,
        /// The key groups of the registration.
        range: KeyGroupRange,
    },
    /// The section of a key group was started before.
    #[error(
        "the section of key group {key_group} of raw keyed state {state:?} was started already"
    )]
    SectionStarted {
        /// The state.
        state: String,
        /// The key group.
        key_group: KeyGroup,
    },
    /// The handle was made by another backend.
    #[error("the state handle does not belong to this backend")]
    ForeignHandle,
    /// The name is taken.
    #[error(
        "state {name:?} is registered as {registered} already, and was asked for as {requested}"
    )]
    NameReused {
        /// The name.
        name: String,
        /// What it is registered as.
        registered: String,
        /// What it was asked for as.
        requested: String,
    },
    /// A state that is in use was to be dropped.
    #[error("state {name:?} is registered, and cannot be dropped")]
    Registered {
        /// The name.
        name: String,
    },
    /// The name cannot be stored.
    #[error("state name of {len_bytes} bytes: names have 1 to 1,024 bytes")]
    InvalidName {
        /// Length of the name in bytes.
        len_bytes: usize,
    },
    /// A time to live that no value would survive.
    #[error("state {state:?} cannot have a time to live of {time_to_live:?}: the least is 1 ms")]
    InvalidTtl {
        /// The state.
        state: String,
        /// The time to live.
        time_to_live: std::time::Duration,
    },
    /// More states than a backend can hold.
    #[error("state {name:?} is one too many: a backend holds at most 65,535 states")]
    TooManyStates {
        /// The name of the refused state.
        name: String,
    },
    /// The restored values cannot be read with the codec of the descriptor.
    #[error(
        "restored state {state:?} has {part} codec {stored}, which cannot be read as {current}"
    )]
    IncompatibleSchema {
        /// The state.
        state: String,
        /// Which of its codecs: key, namespace, value or item.
        part: &'static str,
        /// What the values were written with.
        stored: Box<CodecSnapshot>,
        /// What they should be read with.
        current: Box<CodecSnapshot>,
    },
    /// The restored state is of another type.
    #[error("restored state {state:?} is {stored}, and was asked for as {requested}")]
    KindChanged {
        /// The state.
        state: String,
        /// What it was stored as.
        stored: String,
        /// What it was asked for as.
        requested: String,
    },
    /// A restored entry cannot be decoded although its checksum is right.
    #[error("restored state {state:?} cannot be decoded: {source}")]
    Decode {
        /// The state.
        state: String,
        /// What the codec said.
        #[source]
        source: CodecError,
    },
    /// A restored key is in a block of a key group that is not its own.
    #[error(
        "restored state {state:?} holds a key of key group {found} in a block of key group {expected}"
    )]
    MisplacedKey {
        /// The state.
        state: String,
        /// The key group of the block.
        expected: KeyGroup,
        /// The key group of the key.
        found: KeyGroup,
    },
    /// A block of restored state cannot be read.
    #[error("restored state {state:?} cannot be loaded from {stream}: {source}")]
    Restore {
        /// The state.
        state: String,
        /// The file, or the subtask whose state was inlined in the metadata.
        stream: String,
        /// Why.
        #[source]
        source: Arc<LoadFailure>,
    },
    /// Restored state that is loaded on demand could not be; everybody who needs it hears the
    /// same.
    #[error("{source}")]
    NotLoaded {
        /// Why.
        source: Arc<StateError>,
    },
    /// A key or a namespace cannot be encoded.
    #[error("key cannot be encoded: {source}")]
    Key {
        /// What the codec said.
        #[source]
        source: CodecError,
    },
    /// A key, namespace or user key is too long.
    #[error("encoded {what} of {found} bytes: at most {limit} are allowed")]
    TooLarge {
        /// What is too long.
        what: &'static str,
        /// Its length in bytes.
        found: u64,
        /// The largest length in bytes.
        limit: u64,
    },
    /// A value cannot be encoded; only backends that keep values encoded say so here.
    #[error("value of state {state:?} cannot be encoded: {source}")]
    Encode {
        /// The state.
        state: String,
        /// What the codec said.
        #[source]
        source: CodecError,
    },
    /// The storage engine that keeps the state failed. Once a write has failed, everything else
    /// fails with the same cause.
    #[error("the state backend cannot {operation}: {source}")]
    Engine {
        /// What was to be done.
        operation: &'static str,
        /// What the engine said.
        #[source]
        source: EngineFailure,
    },
}

/// A snapshot was not written. The job goes on; the checkpoint is declined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// A value of a state cannot be encoded.
    #[error("state {state:?} cannot be written: {source}")]
    Encode {
        /// The state.
        state: String,
        /// What the codec said.
        #[source]
        source: CodecError,
    },
    /// Restored state that has to be written anew could not be loaded.
    #[error("{0}")]
    State(Arc<StateError>),
    /// The storage engine that keeps the state failed.
    #[error("the state backend cannot {operation}: {source}")]
    Engine {
        /// What was to be done.
        operation: &'static str,
        /// What the engine said.
        #[source]
        source: EngineFailure,
    },
    /// The stream cannot be written.
    #[error("{0}")]
    Format(FormatError),
    /// The storage refused.
    #[error("{0}")]
    Storage(#[from] StorageError),
}

/// What the storage said comes out of the writer that carried it.
impl From<FormatError> for SnapshotError {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::Write(error) => match error.downcast::<StorageError>() {
                Ok(storage) => Self::Storage(storage),
                Err(other) => Self::Format(FormatError::Write(other)),
            },
            other => Self::Format(other),
        }
    }
}

/// State was not restored. Nothing of it was used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The storage refused.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// A stream is damaged or of another version.
    #[error("{stream}: {source}")]
    Damaged {
        /// The file, or the subtask whose state was inlined in the metadata.
        stream: String,
        /// What is wrong.
        #[source]
        source: FormatError,
    },
    /// A stream is whole but is not what the metadata says.
    #[error("{stream}: {what} {expected} expected, {found} found")]
    Mismatch {
        /// The file, or the subtask whose state was inlined in the metadata.
        stream: String,
        /// What differs.
        what: &'static str,
        /// What the job or the metadata says.
        expected: String,
        /// What the stream says.
        found: String,
    },
    /// A stream is of a kind that only the state backend that wrote it restores.
    #[error(
        "{stream}: {kind} can be restored only by the state backend that wrote it: with that one, \
         take a checkpoint or savepoint with full snapshots, which every backend restores"
    )]
    OtherBackend {
        /// The file, or the subtask whose state was inlined in the metadata.
        stream: String,
        /// What it holds.
        kind: StreamKind,
    },
    /// The storage engine that keeps the state failed.
    #[error("the state backend cannot {operation}: {source}")]
    Engine {
        /// What was to be done.
        operation: &'static str,
        /// What the engine said.
        #[source]
        source: EngineFailure,
    },
    /// Codecs or kinds do not fit.
    #[error("{0}")]
    State(#[from] StateError),
}

impl RestoreError {
    /// The error of a stream that is not what it should be. What the storage said comes out of the
    /// source that carried it.
    pub fn of_stream(stream: String, source: FormatError) -> Self {
        match source {
            FormatError::Read(error) => match error.downcast::<StorageError>() {
                Ok(storage) => Self::Storage(*storage),
                Err(other) => Self::Damaged { stream, source: FormatError::Read(other) },
            },
            source => Self::Damaged { stream, source },
        }
    }
}

#[cfg(test)]
mod tests;
