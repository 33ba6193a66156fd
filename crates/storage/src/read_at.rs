//! A sealed stream that is read piece by piece, long after it was opened.
//!
//! Invariants: a stream is compared with its handle when it is opened; from then on a piece is the
//! bytes of that stream or an error that names it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use alluvium_core::StoragePath;
use bytes::Bytes;

use crate::{Location, Storage, StorageError};

/// A stream whose bytes are brought in when they are asked for. Calls block.
pub trait ReadAt: Send + Sync + fmt::Debug {
    /// What messages call the stream: the root and the path, or that it was inlined.
    fn name(&self) -> String;

    /// Length of the stream in bytes.
    fn len_bytes(&self) -> u64;

    /// Exactly the bytes of `range`; a range that ends before it starts is empty.
    ///
    /// Errors: [`StorageError::Truncated`] beyond the end, and when somebody has cut the file.
    fn read(&self, range: Range<u64>) -> Result<Bytes, StorageError>;
}

/// The bytes of `range`; the error says how many `location` holds.
pub(crate) fn cut(
    bytes: &Bytes,
    range: Range<u64>,
    location: impl FnOnce() -> Location,
) -> Result<Bytes, StorageError> {
    let found_len_bytes = bytes.len() as u64;
    let too_short = |expected_len_bytes| StorageError::Truncated {
        location: location(),
        expected_len_bytes,
        found_len_bytes,
    };
    let start = range.start.min(range.end);
    match (usize::try_from(start), usize::try_from(range.end)) {
        (Ok(start), Ok(end)) if end <= bytes.len() => Ok(bytes.slice(start..end)),
        _ => Err(too_short(range.end)),
    }
}

/// A stream inlined in the metadata.
#[derive(Debug)]
pub(crate) struct InlineBytes {
    pub(crate) bytes: Bytes,
    pub(crate) location: Location,
}

impl ReadAt for InlineBytes {
    fn name(&self) -> String {
        self.location.to_string()
    }

    fn len_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, StorageError> {
        cut(&self.bytes, range, || self.location.clone())
    }
}

/// A file of a storage, asked anew for each piece; nothing is read ahead.
#[derive(Debug)]
pub(crate) struct RangedFile {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) path: StoragePath,
    pub(crate) len_bytes: u64,
}

impl ReadAt for RangedFile {
    fn name(&self) -> String {
        Location::new(self.storage.root(), Some(&self.path)).to_string()
    }

    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.storage.read(&self.path, range)
    }
}
