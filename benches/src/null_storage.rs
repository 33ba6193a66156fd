//! A storage that counts what is written to it and keeps nothing.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_core::StoragePath;
use alluvium_storage::{Location, Storage, StorageEntry, StorageError, StorageLock, StorageWriter};
use bytes::Bytes;

use crate::pace::Pace;

/// Takes bytes and forgets them.
#[derive(Debug, Clone, Default)]
pub struct NullStorage {
    written: Arc<AtomicU64>,
    is_paced: bool,
}

impl NullStorage {
    /// One that takes bytes like a disk.
    pub fn paced() -> Self {
        Self { is_paced: true, ..Self::default() }
    }

    /// How many bytes have been written to files so far.
    pub fn written_bytes(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    fn absent(&self, path: &StoragePath) -> StorageError {
        StorageError::NotFound { location: Location::new(self.root(), Some(path)) }
    }
}

impl Storage for NullStorage {
    fn root(&self) -> &'static str {
        "null:"
    }

    fn create(&self, _path: &StoragePath, bytes: &[u8]) -> Result<(), StorageError> {
        self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn writer(&self, _path: &StoragePath) -> Result<Box<dyn StorageWriter>, StorageError> {
        let pace = self.is_paced.then(Pace::begin);
        Ok(Box::new(NullWriter { written: Arc::clone(&self.written), pace }))
    }

    fn read(&self, path: &StoragePath, _range: Range<u64>) -> Result<Bytes, StorageError> {
        Err(self.absent(path))
    }

    fn read_all(&self, path: &StoragePath) -> Result<Bytes, StorageError> {
        Err(self.absent(path))
    }

    fn len_bytes(&self, path: &StoragePath) -> Result<u64, StorageError> {
        Err(self.absent(path))
    }

    fn list(&self, _dir: Option<&StoragePath>) -> Result<Vec<StorageEntry>, StorageError> {
        Ok(Vec::new())
    }

    fn delete(&self, _path: &StoragePath) -> Result<(), StorageError> {
        Ok(())
    }

    fn delete_dir(&self, _dir: &StoragePath) -> Result<(), StorageError> {
        Ok(())
    }

    fn lock(&self, _path: &StoragePath) -> Result<Option<StorageLock>, StorageError> {
        Ok(None)
    }

    fn below(&self, _dir: &StoragePath) -> Result<Arc<dyn Storage>, StorageError> {
        Ok(Arc::new(self.clone()))
    }
}

struct NullWriter {
    written: Arc<AtomicU64>,
    pace: Option<Pace>,
}

impl io::Write for NullWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        std::hint::black_box(bytes);
        self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if let Some(pace) = &mut self.pace {
            pace.take(bytes.len());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl StorageWriter for NullWriter {
    fn finish(self: Box<Self>) -> Result<(), StorageError> {
        Ok(())
    }

    fn abort(self: Box<Self>) {}
}
