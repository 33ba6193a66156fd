//! Why a checkpoint cannot be looked into, or what cannot be done with it.

use alluvium_core::{KeyGroupError, PathError};
use alluvium_format::{CodecError, FormatError};
use alluvium_state::{MetadataError, RestoreError, SnapshotError, StateError};
use alluvium_storage::StorageError;

use crate::verify::is_damage_of_stream;

/// An inspection that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// There is no `_metadata` where a checkpoint or savepoint should be.
    #[error("{location} is no checkpoint and no savepoint: it holds no _metadata{instead}")]
    NotACheckpoint {
        /// What was looked at.
        location: String,
        /// What is there instead, as the end of the sentence; empty where nobody has looked.
        instead: String,
    },
    /// An address that names no checkpoint.
    #[error("{uri} names no checkpoint: {reason}")]
    Address {
        /// What was asked for.
        uri: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A `_metadata` is damaged or of another version.
    #[error("{location}: {source}")]
    Metadata {
        /// The file.
        location: String,
        /// What is wrong.
        #[source]
        source: FormatError,
    },
    /// A `_metadata` is whole and not that of its folder.
    #[error("{location}: {what} {expected} expected, {found} found")]
    Misplaced {
        /// The file.
        location: String,
        /// What differs.
        what: &'static str,
        /// What the folder says.
        expected: String,
        /// What the metadata says.
        found: String,
    },
    /// A stream or a file is missing, damaged, or not what the metadata says.
    #[error("{0}")]
    Stream(#[from] RestoreError),
    /// Something of a stream cannot be decoded.
    #[error("state {state:?}: {source}")]
    Decode {
        /// The state.
        state: String,
        /// What is wrong.
        #[source]
        source: CodecError,
    },
    /// Keyed state in SST files, and nobody there who reads RocksDB's tables.
    #[error(
        "{stream} holds keyed state as SST files, whose rows only RocksDB reads: this needs a build \
         with the feature rocksdb, or a checkpoint or savepoint with full snapshots"
    )]
    NeedsRocksDb {
        /// The stream.
        stream: String,
    },
    /// A name that the checkpoint does not have.
    #[error("there is no {what} {name:?}; there is {known}")]
    Unknown {
        /// What it should be the name of.
        what: &'static str,
        /// The name.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// A folder that holds no checkpoints.
    #[error("there are no checkpoints under {location}")]
    Empty {
        /// The folder.
        location: String,
    },
    /// Nobody knows which files are needed.
    #[error("it is not known which files are needed: {reason}")]
    UnknownReferences {
        /// What is wrong with a checkpoint.
        reason: String,
    },
    /// A file is there that is not the one to be written.
    #[error("{location} is there already and is another file")]
    Occupied {
        /// The file.
        location: String,
    },
    /// A job has run in the folder that a copy should go to.
    #[error(
        "a job has run in {location}: choose another folder, since it could take this for its own"
    )]
    JobFolder {
        /// The folder.
        location: String,
    },
    /// Nobody can tell whether a job runs.
    #[error(
        "{location} has no locks, so nobody can see whether a job runs there: say that none does \
         (--no-job-runs)"
    )]
    NoLocks {
        /// The folder.
        location: String,
    },
    /// What cannot be done to this checkpoint.
    #[error("cannot rewrite {what}: {reason}")]
    CannotRewrite {
        /// The operator or state.
        what: String,
        /// Why.
        reason: &'static str,
    },
    /// Two checkpoints that have nothing to compare.
    #[error("{what} is {left} there and {right} here: rewrite one of them first")]
    NotComparable {
        /// What differs.
        what: &'static str,
        /// In the first.
        left: String,
        /// In the second.
        right: String,
    },
    /// What was written is not sound: what it was made of may be damaged.
    #[error("what was written to {location} is not sound, and was given up: {finding}")]
    Unsound {
        /// Where it was to be.
        location: String,
        /// The first thing that is wrong.
        finding: String,
    },
    /// Something cannot be written.
    #[error("cannot write {what}: {source}")]
    Encode {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: FormatError,
    },
    /// A state backend that turns its files into blocks failed.
    #[error("{0}")]
    Snapshot(#[from] SnapshotError),
    /// A number is outside its range.
    #[error("{0}")]
    KeyGroup(#[from] KeyGroupError),
    /// A path that cannot be.
    #[error("{0}")]
    Path(#[from] PathError),
}

impl InspectError {
    /// Whether something is damaged or missing, for good: not that a storage did not answer, or that
    /// something was asked for that cannot be done.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Stream(error) => is_damage_of_stream(error),
            Self::Metadata { .. } | Self::Misplaced { .. } | Self::Decode { .. } => true,
            _ => false,
        }
    }

    /// Why a metadata file cannot be had.
    pub(crate) fn of_metadata(location: String, error: MetadataError) -> Self {
        match error {
            MetadataError::Storage(error) => error.into(),
            MetadataError::Damaged(source) => Self::Metadata { location, source },
        }
    }
}

impl From<StorageError> for InspectError {
    fn from(error: StorageError) -> Self {
        Self::Stream(error.into())
    }
}

impl From<StateError> for InspectError {
    fn from(error: StateError) -> Self {
        Self::Stream(error.into())
    }
}
