//! Errors of the command, and their exit codes.

use alluvium::ErrorKind;
use alluvium::core::IdError;
use alluvium::inspect::InspectError;
use alluvium::runtime::{JobError, StoreError};
use alluvium::storage::StorageError;
use alluvium_bench::BenchError;
use alluvium_rest::{ClientError, ServerError};

/// The command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// An option is missing or does not go with another.
    #[error("{0}")]
    Usage(String),
    /// An input cannot be read.
    #[error("cannot read input {path}: {source}")]
    Input {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An input is not what the job reads.
    #[error("input {path} {reason}")]
    BadInput {
        /// The file.
        path: String,
        /// What is wrong, as the end of a sentence.
        reason: String,
    },
    /// A name is not an id.
    #[error("{0}")]
    Id(#[from] IdError),
    /// The output or the checkpoint root refused.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// The checkpoint store refused.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A checkpoint could not be looked into.
    #[error("{0}")]
    Inspect(#[from] InspectError),
    /// A verification has found damage.
    #[error(
        "{damaged} of {of} checkpoints cannot be restored; those that are sound are named above"
    )]
    Damaged {
        /// How many cannot be restored.
        damaged: usize,
        /// How many were looked at.
        of: usize,
    },
    /// Something of a checkpoint could not be read; what could be was printed.
    #[error("{count} pieces of state could not be read and were left out")]
    Unread {
        /// How many.
        count: usize,
    },
    /// A measurement was not carried out.
    #[error("{0}")]
    Bench(#[from] BenchError),
    /// The job ended without success.
    #[error("{0}")]
    Job(#[from] JobError),
    /// A server for questions to the job cannot be had.
    #[error("{0}")]
    Server(#[from] ServerError),
    /// A running job was asked and did not do it.
    #[error("{0}")]
    Ask(#[from] ClientError),
    /// The system refused.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The demonstration did not show what it should.
    #[error("{0}")]
    Demo(String),
}

impl CliError {
    /// An error if anything was left out.
    pub(crate) const fn unread(count: usize) -> Result<(), Self> {
        if count == 0 { Ok(()) } else { Err(Self::Unread { count }) }
    }

    /// The exit code: 1 the job failed, or did not do what it was asked for, 2 wrong use, 3 bad data, 4 storage or system, 5 another
    /// process took over, 70 a bug.
    pub fn exit_code(&self) -> u8 {
        let kind = match self {
            Self::Usage(_) | Self::Id(_) => ErrorKind::Invalid,
            Self::Input { .. } | Self::BadInput { .. } | Self::Unread { .. } => ErrorKind::Data,
            Self::Storage(error) => error.into(),
            Self::Store(error) => error.into(),
            Self::Inspect(error) => error.into(),
            Self::Job(error) => error.into(),
            Self::Bench(error) => error.kind(),
            Self::Ask(error) => match error {
                // What is refused with 409 and from 500 is not the caller's fault.
                ClientError::Refused { status, .. } if *status == 409 || *status >= 500 => {
                    ErrorKind::Failed
                }
                ClientError::Url { .. } | ClientError::Refused { .. } => ErrorKind::Invalid,
                ClientError::Failed { .. } => ErrorKind::Failed,
                ClientError::Strange { .. } => ErrorKind::Data,
                _ => ErrorKind::Unavailable,
            },
            Self::Server(_) | Self::System { .. } => ErrorKind::Unavailable,
            Self::Damaged { .. } | Self::Demo(_) => ErrorKind::Failed,
        };
        match kind {
            ErrorKind::Failed => 1,
            ErrorKind::Invalid => 2,
            ErrorKind::Data => 3,
            ErrorKind::Unavailable => 4,
            ErrorKind::Closed => 5,
            _ => 70,
        }
    }
}
