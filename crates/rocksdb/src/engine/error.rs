//! What can go wrong in the engine.

use std::io;
use std::path::{Path, PathBuf};

/// A call of RocksDB, or of the file system on one of its files, failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// RocksDB refused or failed.
    #[error("RocksDB cannot {operation}: {message}")]
    RocksDb {
        /// What was asked for.
        operation: &'static str,
        /// What RocksDB says.
        message: String,
    },
    /// A file or folder could not be used.
    #[error("cannot {operation} `{}`: {message}", path.display())]
    File {
        /// What was asked for.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The kind of the cause.
        kind: io::ErrorKind,
        /// The cause.
        message: String,
    },
    /// A file holds rows from both sides of a freeze, so the freeze cannot be written.
    #[error(
        "cannot collect a freeze at sequence number {frozen_seqno}: newer data leaked into `{}` \
         (sequence numbers {smallest_seqno} to {largest_seqno})", path.display()
    )]
    Leaked {
        /// The file.
        path: PathBuf,
        /// The sequence number of the freeze.
        frozen_seqno: u64,
        /// The smallest sequence number in the file.
        smallest_seqno: u64,
        /// The largest sequence number in the file.
        largest_seqno: u64,
    },
    /// RocksDB took a file, but not as the metadata says.
    #[error("cannot import `{}`: {reason}", path.display())]
    Import {
        /// The file as it was given.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// The engine was closed meanwhile.
    #[error("cannot {operation}: the engine is closed")]
    Closed {
        /// What was asked for.
        operation: &'static str,
    },
}

impl EngineError {
    #[expect(clippy::needless_pass_by_value, reason = "so that callers read well")]
    pub(crate) fn new(operation: &'static str, message: impl ToString) -> Self {
        Self::RocksDb { operation, message: message.to_string() }
    }

    pub(crate) fn file(operation: &'static str, path: &Path, source: &io::Error) -> Self {
        Self::File {
            operation,
            path: path.to_owned(),
            kind: source.kind(),
            message: source.to_string(),
        }
    }

    /// Whether RocksDB says that writes are stopped for now.
    pub(crate) fn is_try_again(&self) -> bool {
        // The C API has no status code; this is how the status `TryAgain` begins.
        matches!(self, Self::RocksDb { message, .. }
            if message.starts_with("Operation failed. Try again."))
    }
}
