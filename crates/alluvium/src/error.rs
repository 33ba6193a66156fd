//! What to do about an error.

use alluvium_inspect::InspectError;
use alluvium_runtime::{JobError, StoreError};
use alluvium_state::{LoadFailure, RestoreError, StateError};
use alluvium_storage::StorageError;

/// The few kinds of errors, each saying what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Fix the call: an argument, an option, a job that does not fit its checkpoint.
    Invalid,
    /// Bytes are bad, or of a newer version: restore another checkpoint, or use a newer program.
    Data,
    /// The storage did not do its part: try again, or make room.
    Unavailable,
    /// Somebody else took over: do nothing.
    Closed,
    /// The job's own code failed.
    Failed,
    /// A bug of this project.
    Internal,
}

impl From<&StorageError> for ErrorKind {
    fn from(error: &StorageError) -> Self {
        match error {
            StorageError::Truncated { .. } | StorageError::SealMismatch { .. } => Self::Data,
            StorageError::Locked { .. } | StorageError::Fenced { .. } => Self::Closed,
            StorageError::BadUri { .. }
            | StorageError::NotADirectory { .. }
            | StorageError::OutsideRoot { .. }
            | StorageError::Unsupported { .. }
            | StorageError::StateTooLarge { .. } => Self::Invalid,
            _ => Self::Unavailable,
        }
    }
}

impl From<&StateError> for ErrorKind {
    fn from(error: &StateError) -> Self {
        match error {
            StateError::Decode { .. } | StateError::MisplacedKey { .. } => Self::Data,
            StateError::Restore { source, .. } => (&**source).into(),
            StateError::NotLoaded { source } => (&**source).into(),
            StateError::Engine { .. } => Self::Unavailable,
            _ => Self::Invalid,
        }
    }
}

impl From<&LoadFailure> for ErrorKind {
    fn from(error: &LoadFailure) -> Self {
        match error {
            // A file that the metadata names must be there, as long as the job runs.
            LoadFailure::Storage(StorageError::NotFound { .. }) => Self::Data,
            LoadFailure::Storage(error) => error.into(),
            _ => Self::Data,
        }
    }
}

impl From<&RestoreError> for ErrorKind {
    fn from(error: &RestoreError) -> Self {
        match error {
            // A file that the metadata names must be there.
            RestoreError::Storage(StorageError::NotFound { .. }) | RestoreError::Damaged { .. } => {
                Self::Data
            }
            RestoreError::Storage(error) => error.into(),
            RestoreError::State(error) => error.into(),
            RestoreError::Engine { .. } => Self::Unavailable,
            _ => Self::Invalid,
        }
    }
}

impl From<&StoreError> for ErrorKind {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Storage(error) => error.into(),
            StoreError::State { source, .. }
                if matches!(**source, RestoreError::Mismatch { .. }) =>
            {
                Self::Data
            }
            StoreError::State { source, .. } => (&**source).into(),
            StoreError::Damaged { .. } | StoreError::LatestDamaged { .. } => Self::Data,
            StoreError::TakenBy { .. } => Self::Closed,
            _ => Self::Invalid,
        }
    }
}

impl From<&JobError> for ErrorKind {
    fn from(error: &JobError) -> Self {
        match error {
            JobError::Task { source, .. } => match source.downcast_ref() {
                // The job's own code met it first, and has nothing to do with it.
                Some(
                    error @ (StateError::Restore { .. }
                    | StateError::NotLoaded { .. }
                    | StateError::Engine { .. }),
                ) => error.into(),
                _ => Self::Failed,
            },
            JobError::Panic { .. } | JobError::Cancelled | JobError::NotDrained { .. } => {
                Self::Failed
            }
            JobError::AfterStop { source, .. } => (&**source).into(),
            JobError::Checkpoints(_) => Self::Unavailable,
            JobError::Store(error) => error.into(),
            JobError::Restore { source, .. } => (&**source).into(),
            JobError::Internal { .. } => Self::Internal,
            _ => Self::Invalid,
        }
    }
}

impl From<&InspectError> for ErrorKind {
    fn from(error: &InspectError) -> Self {
        match error {
            InspectError::Metadata { .. }
            | InspectError::Misplaced { .. }
            | InspectError::UnknownReferences { .. }
            | InspectError::Unsound { .. }
            | InspectError::Decode { .. }
            | InspectError::Stream(RestoreError::Mismatch { .. }) => Self::Data,
            InspectError::Stream(error) => error.into(),
            InspectError::Encode { .. } | InspectError::Snapshot(_) => Self::Unavailable,
            _ => Self::Invalid,
        }
    }
}

#[cfg(test)]
mod tests;
