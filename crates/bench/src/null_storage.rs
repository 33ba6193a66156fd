//! A storage that takes bytes and forgets them.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use alluvium::core::StoragePath;
use alluvium::storage::{
    Location, Storage, StorageEntry, StorageError, StorageLock, StorageWriter,
};
use bytes::Bytes;

/// Takes everything and has nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NullStorage;

impl NullStorage {
    fn absent(self, path: &StoragePath) -> StorageError {
        StorageError::NotFound { location: Location::new(self.root(), Some(path)) }
    }
}

impl Storage for NullStorage {
    fn root(&self) -> &'static str {
        "null"
    }

    fn create(&self, _path: &StoragePath, bytes: &[u8]) -> Result<(), StorageError> {
        std::hint::black_box(bytes);
        Ok(())
    }

    fn writer(&self, _path: &StoragePath) -> Result<Box<dyn StorageWriter>, StorageError> {
        Ok(Box::new(NullWriter))
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
        Ok(Arc::new(*self))
    }
}

struct NullWriter;

impl io::Write for NullWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        std::hint::black_box(bytes);
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
