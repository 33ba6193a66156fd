//! A storage of which nothing outside the root is read, whatever symbolic links lie in it.
//!
//! Invariants: before a file is opened or measured, its way is resolved.
//!
//! Source: SPEC 2.1, where a reader may refuse symbolic links.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use alluvium_core::StoragePath;
use alluvium_storage::{ReadAt, Storage, StorageEntry, StorageError, StorageLock, StorageWriter};
use bytes::Bytes;

/// Asks [`Storage::check_inside`] before each reading call.
#[derive(Debug)]
pub(crate) struct InsideRoot(Arc<dyn Storage>);

impl InsideRoot {
    pub(crate) fn of(storage: Arc<dyn Storage>) -> Arc<dyn Storage> {
        Arc::new(Self(storage))
    }

    fn checked(&self, path: &StoragePath) -> Result<&dyn Storage, StorageError> {
        self.0.check_inside(path)?;
        Ok(&*self.0)
    }
}

impl Storage for InsideRoot {
    fn root(&self) -> &str {
        self.0.root()
    }

    fn create(&self, path: &StoragePath, bytes: &[u8]) -> Result<(), StorageError> {
        self.0.create(path, bytes)
    }

    fn writer(&self, path: &StoragePath) -> Result<Box<dyn StorageWriter>, StorageError> {
        self.0.writer(path)
    }

    fn rename(&self, from: &StoragePath, to: &StoragePath) -> Result<(), StorageError> {
        self.0.rename(from, to)
    }

    fn replace(&self, path: &StoragePath, bytes: &[u8]) -> Result<(), StorageError> {
        self.0.replace(path, bytes)
    }

    fn read(&self, path: &StoragePath, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.checked(path)?.read(path, range)
    }

    fn read_all(&self, path: &StoragePath) -> Result<Bytes, StorageError> {
        self.checked(path)?.read_all(path)
    }

    fn map(&self, path: &StoragePath) -> Result<Bytes, StorageError> {
        self.checked(path)?.map(path)
    }

    fn map_guarded(&self, path: &StoragePath) -> Result<Option<Arc<dyn ReadAt>>, StorageError> {
        self.checked(path)?.map_guarded(path)
    }

    fn local_path(&self, path: &StoragePath) -> Option<PathBuf> {
        self.checked(path).ok()?.local_path(path)
    }

    fn check_inside(&self, path: &StoragePath) -> Result<(), StorageError> {
        self.0.check_inside(path)
    }

    fn len_bytes(&self, path: &StoragePath) -> Result<u64, StorageError> {
        self.checked(path)?.len_bytes(path)
    }

    fn list(&self, dir: Option<&StoragePath>) -> Result<Vec<StorageEntry>, StorageError> {
        if let Some(dir) = dir {
            self.0.check_inside(dir)?;
        }
        self.0.list(dir)
    }

    fn delete(&self, path: &StoragePath) -> Result<(), StorageError> {
        self.0.delete(path)
    }

    fn delete_many(&self, paths: &[StoragePath]) -> Vec<Result<(), StorageError>> {
        self.0.delete_many(paths)
    }

    fn delete_batch_len(&self) -> usize {
        self.0.delete_batch_len()
    }

    fn delete_dir(&self, dir: &StoragePath) -> Result<(), StorageError> {
        self.0.delete_dir(dir)
    }

    fn delete_empty_dir(&self, dir: &StoragePath) -> Result<(), StorageError> {
        self.0.delete_empty_dir(dir)
    }

    fn delete_unfinished(&self, dir: &StoragePath) -> Result<(), StorageError> {
        self.0.delete_unfinished(dir)
    }

    fn sync(&self, path: &StoragePath) -> Result<(), StorageError> {
        self.0.sync(path)
    }

    fn lock(&self, path: &StoragePath) -> Result<Option<StorageLock>, StorageError> {
        self.0.lock(path)
    }

    fn below(&self, dir: &StoragePath) -> Result<Arc<dyn Storage>, StorageError> {
        self.0.check_inside(dir)?;
        Ok(Self::of(self.0.below(dir)?))
    }
}
