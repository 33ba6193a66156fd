//! A file that is being written.
//!
//! Invariants: after a failure nothing more is written, and `finish` reports that failure; of a
//! process that was killed what it had begun stays behind on a disk.

use std::io::{self, Write};

use alluvium_core::StoragePath;
use alluvium_storage::{StorageError, StorageWriter};
use bytes::Bytes;

use super::SimStorage;
use super::disk::Change;

pub(super) struct SimWriter {
    storage: SimStorage,
    path: StoragePath,
    bytes: Vec<u8>,
    /// Its number among the unfinished.
    number: u64,
    failed: Option<StorageError>,
}

impl SimWriter {
    pub(super) fn new(storage: SimStorage, path: StoragePath) -> Self {
        let number = storage.disk().begin_unfinished(&storage.full(&path));
        Self { storage, path, bytes: Vec::new(), number, failed: None }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let written = self.storage.look("write", Some(&self.path), false, |_| ());
        self.failed = written.as_ref().err().cloned();
        self.bytes.extend_from_slice(bytes);
        written
    }
}

impl Write for SimWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes).map_err(StorageError::into_write)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl StorageWriter for SimWriter {
    fn finish(mut self: Box<Self>) -> Result<(), StorageError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let bytes = Bytes::from(std::mem::take(&mut self.bytes));
        let create = Change::Create(self.storage.full(&self.path), bytes);
        self.storage.change("finish", &self.path, create)
    }

    fn abort(self: Box<Self>) {}
}

impl Drop for SimWriter {
    /// A killed process does not tidy up.
    fn drop(&mut self) {
        if !self.storage.host.is_dead() {
            self.storage.disk().end_unfinished(self.number);
        }
    }
}
