//! The writer of a [`FaultyStorage`].
//!
//! Invariants: after a failure nothing more is written, and `finish` reports that failure.

use std::io::{self, Write};
use std::mem;

use alluvium_core::StoragePath;
use alluvium_storage::{Location, StorageError, StorageWriter};

use super::{FaultyStorage, StorageOperation, Verdict};

pub(super) struct FaultyWriter {
    storage: FaultyStorage,
    path: StoragePath,
    /// `None` only while the writer is being used up.
    inner: Option<Box<dyn StorageWriter>>,
    failed: Option<StorageError>,
}

impl FaultyWriter {
    pub(super) fn new(
        storage: FaultyStorage,
        path: StoragePath,
        inner: Box<dyn StorageWriter>,
    ) -> Self {
        Self { storage, path, inner: Some(inner), failed: None }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let verdict = self.storage.plan().decide(StorageOperation::Write);
        let (kept, fault) = match verdict {
            Verdict::Pass => (bytes.len(), None),
            Verdict::FailBefore(kind) => (bytes.len() / 2, Some(kind)),
            Verdict::FailAfter(kind) => (bytes.len(), Some(kind)),
        };
        let kept = bytes.get(..kept).unwrap_or(bytes);
        let written = self.inner.as_mut().map_or(Ok(()), |inner| inner.write_all(kept));
        let location = || Location::new(self.storage.inner().root(), Some(&self.path));
        let written = written.map_err(|error| StorageError::from_write(error, location()));
        let outcome = match fault {
            Some(kind) => Err(self.storage.error("write", Some(&self.path), kind)),
            None => written,
        };
        self.failed = outcome.as_ref().err().cloned();
        outcome
    }
}

impl Write for FaultyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes).map_err(StorageError::into_write)?;
        Ok(bytes.len())
    }

    /// Promises nothing, so it is not counted.
    fn flush(&mut self) -> io::Result<()> {
        let alive = self.storage.check_alive("flush", Some(&self.path));
        alive.map_err(StorageError::into_write)?;
        self.inner.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl StorageWriter for FaultyWriter {
    fn finish(mut self: Box<Self>) -> Result<(), StorageError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let (storage, path) = (self.storage.clone(), self.path.clone());
        storage.run(StorageOperation::Finish, &path, || {
            self.inner.take().map_or(Ok(()), StorageWriter::finish)
        })
    }

    fn abort(mut self: Box<Self>) {
        if !self.storage.has_crashed()
            && let Some(inner) = self.inner.take()
        {
            inner.abort();
        }
    }
}

impl Drop for FaultyWriter {
    /// A killed process does not tidy up.
    fn drop(&mut self) {
        if self.storage.has_crashed() {
            mem::forget(self.inner.take());
        }
    }
}
