//! Why there is no report.

use alluvium::ErrorKind;
use alluvium::core::{IdError, KeyGroupError, PathError};
use alluvium::runtime::{JobError, StoreError};
use alluvium::state::{RestoreError, SnapshotError, StateError};
use alluvium::storage::StorageError;

use crate::options::OptionError;

/// A measurement that could not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// An option cannot be.
    #[error("{0}")]
    Option(#[from] OptionError),
    /// The storage refused.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// The backend refused an update, a read or a registration.
    #[error("{0}")]
    State(#[from] StateError),
    /// A checkpoint failed.
    #[error("checkpoint {checkpoint} failed: {source}")]
    Snapshot {
        /// Its number.
        checkpoint: u64,
        /// Why.
        #[source]
        source: SnapshotError,
    },
    /// A restore failed.
    #[error("cannot restore at parallelism {parallelism}: {source}")]
    Restore {
        /// The parallelism.
        parallelism: u32,
        /// Why.
        #[source]
        source: Box<RestoreError>,
    },
    /// The system refused.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The state is not what the updates made it: a bug of the backend, or of this crate.
    #[error("{what}: expected {expected}, found {found}")]
    Wrong {
        /// What was counted.
        what: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A job failed.
    #[error("{0}")]
    Job(#[from] JobError),
    /// The checkpoint store of a job refused.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The thread that writes checkpoints has ended before its time.
    #[error("the thread that writes checkpoints is gone")]
    WriterGone,
    /// A name of this crate is no id.
    #[error("{0}")]
    Id(#[from] IdError),
    /// A name of this crate is no path.
    #[error("{0}")]
    Path(#[from] PathError),
    /// A number of this crate is no parallelism.
    #[error("{0}")]
    KeyGroups(#[from] KeyGroupError),
    /// The report cannot be written.
    #[error("cannot write the report: {0}")]
    Json(#[from] serde_json::Error),
    /// The picture cannot be drawn.
    #[error("cannot draw the picture: {source}")]
    Plot {
        /// What the library for pictures says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl BenchError {
    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Option(_) => ErrorKind::Invalid,
            Self::Storage(error) | Self::Snapshot { source: SnapshotError::Storage(error), .. } => {
                error.into()
            }
            Self::State(error) => error.into(),
            Self::Job(error) => error.into(),
            Self::Store(error) => error.into(),
            Self::Restore { source, .. } => (&**source).into(),
            Self::Snapshot { .. } | Self::System { .. } => ErrorKind::Unavailable,
            Self::Wrong { .. }
            | Self::WriterGone
            | Self::Id(_)
            | Self::Path(_)
            | Self::KeyGroups(_)
            | Self::Json(_)
            | Self::Plot { .. } => ErrorKind::Internal,
        }
    }
}
