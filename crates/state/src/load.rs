//! Loading of restored state after the backend was opened.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use alluvium_format::{CodecError, FormatError, Source};
use alluvium_storage::{ReadAt, StorageError};
use bytes::Bytes;

use crate::StateError;

/// A stream of the storage, for the readers of the format.
#[derive(Debug, Clone)]
pub struct StreamSource(Arc<dyn ReadAt>);

impl StreamSource {
    /// Wraps an open stream.
    pub const fn new(stream: Arc<dyn ReadAt>) -> Self {
        Self(stream)
    }
}

impl Source for StreamSource {
    fn len_bytes(&self) -> u64 {
        self.0.len_bytes()
    }

    /// Errors: [`FormatError::Read`] with the [`StorageError`] in it.
    fn read(&self, range: Range<u64>) -> Result<Bytes, FormatError> {
        self.0.read(range).map_err(|error| FormatError::Read(Box::new(error)))
    }
}

/// Why restored entries could not be loaded when they were needed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadFailure {
    /// The storage refused.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// The bytes are damaged.
    #[error("{0}")]
    Format(FormatError),
    /// The bytes are whole and cannot be decoded.
    #[error("{0}")]
    Codec(#[from] CodecError),
}

/// What the storage said comes out of the source that carried it.
impl From<FormatError> for LoadFailure {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::Read(error) => match error.downcast::<StorageError>() {
                Ok(storage) => Self::Storage(*storage),
                Err(other) => Self::Format(FormatError::Read(other)),
            },
            other => Self::Format(other),
        }
    }
}

/// Loads the rest of a lazily restored backend; runs beside the task, on any thread.
#[must_use = "nothing is loaded before it runs"]
pub struct BackgroundLoad(Box<dyn FnOnce() -> Result<(), StateError> + Send>);

impl BackgroundLoad {
    /// Wraps the work.
    pub fn new(work: impl FnOnce() -> Result<(), StateError> + Send + 'static) -> Self {
        Self(Box::new(work))
    }

    /// Loads until everything is there, something cannot be loaded, or the backend is gone; call
    /// it on a thread that may block.
    ///
    /// Errors: [`StateError::NotLoaded`]; the task meets the same one when it touches that state.
    pub fn run(self) -> Result<(), StateError> {
        (self.0)()
    }
}

impl fmt::Debug for BackgroundLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackgroundLoad")
    }
}
