//! From a state handle back to its bytes.
//!
//! Invariants: bytes are handed out only if they have the length and the seal that the handle
//! says; everything else about them is for their format's reader to check.

use std::sync::Arc;

use alluvium_core::{StateHandle, StateLocation};
use bytes::Bytes;

use crate::seal::seal_of;
use crate::{Location, Storage, StorageError};

/// How files are brought into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ReadAccess {
    /// Read into memory of our own. Safe whatever happens to the file meanwhile.
    #[default]
    Copy,
    /// Memory-mapped where the storage can: pages are read when they are touched. A file that
    /// somebody cuts short while it is mapped ends the process (`SIGBUS`).
    Map,
}

/// Opens the streams of one job for reading.
#[derive(Debug, Clone)]
pub struct HandleReader {
    storage: Arc<dyn Storage>,
    access: ReadAccess,
}

impl HandleReader {
    /// Reads from `storage`, whose root is the job's folder.
    pub fn new(storage: Arc<dyn Storage>, access: ReadAccess) -> Self {
        Self { storage, access }
    }

    /// The same, with another way of reading.
    #[must_use]
    pub fn with_access(&self, access: ReadAccess) -> Self {
        Self { storage: Arc::clone(&self.storage), access }
    }

    /// Name of the job's folder for people, without secrets.
    pub fn root(&self) -> &str {
        self.storage.root()
    }

    /// The bytes of a stream.
    ///
    /// Errors: [`StorageError::NotFound`], [`StorageError::Truncated`] for any other length,
    /// [`StorageError::SealMismatch`] for another file of the same length.
    pub fn open(&self, handle: &StateHandle) -> Result<Bytes, StorageError> {
        let (bytes, location) = match &handle.location {
            StateLocation::Inline(bytes) => {
                (bytes.clone(), Location::new("the state stream inlined in the metadata", None))
            }
            StateLocation::File(path) => {
                let bytes = match self.access {
                    ReadAccess::Copy => self.storage.read_all(path)?,
                    ReadAccess::Map => self.storage.map(path)?,
                };
                (bytes, Location::new(self.storage.root(), Some(path)))
            }
            _ => {
                let location = Location::new(self.storage.root(), None);
                let reason = "it holds a kind of state location that this version does not know";
                return Err(StorageError::Unsupported { operation: "read", location, reason });
            }
        };
        check(handle, &bytes, location)?;
        Ok(bytes)
    }
}

fn check(handle: &StateHandle, bytes: &[u8], location: Location) -> Result<(), StorageError> {
    let (expected_len_bytes, found_len_bytes) = (handle.len_bytes, bytes.len() as u64);
    if found_len_bytes != expected_len_bytes {
        return Err(StorageError::Truncated { location, expected_len_bytes, found_len_bytes });
    }
    let (expected, found) = (handle.seal, seal_of(bytes));
    if found != expected {
        return Err(StorageError::SealMismatch { location, expected, found });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
