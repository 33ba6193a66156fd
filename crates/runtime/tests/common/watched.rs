//! A storage that somebody watches: each call may be counted, kept waiting, or made to fail.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use alluvium_core::StoragePath;
use alluvium_storage::{
    Location, ReadAt, Storage, StorageEntry, StorageError, StorageLock, StorageWriter,
};
use bytes::Bytes;

/// Told the call and the whole path before each call, and may refuse it.
pub(crate) type Watcher =
    Arc<dyn Fn(&'static str, &str) -> Result<(), io::ErrorKind> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Watched {
    inner: Arc<dyn Storage>,
    prefix: String,
    watcher: Watcher,
}

impl Watched {
    pub(crate) fn over(
        inner: Arc<dyn Storage>,
        watcher: impl Fn(&'static str, &str) -> Result<(), io::ErrorKind> + Send + Sync + 'static,
    ) -> Arc<dyn Storage> {
        Arc::new(Self { inner, prefix: String::new(), watcher: Arc::new(watcher) })
    }

    fn ask(&self, call: &'static str, path: Option<&StoragePath>) -> Result<(), StorageError> {
        let name = path.map_or("", StoragePath::as_str);
        (self.watcher)(call, &format!("{}{name}", self.prefix)).map_err(|kind| {
            let location = Location::new(self.root(), path);
            if kind == io::ErrorKind::AlreadyExists {
                return StorageError::AlreadyExists { location };
            }
            StorageError::Io { operation: call, location, source: Arc::new(kind.into()) }
        })
    }
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watched({:?})", self.inner)
    }
}

impl Storage for Watched {
    fn root(&self) -> &str {
        self.inner.root()
    }
    fn create(&self, path: &StoragePath, bytes: &[u8]) -> Result<(), StorageError> {
        self.ask("create", Some(path))?;
        self.inner.create(path, bytes)
    }
    fn writer(&self, path: &StoragePath) -> Result<Box<dyn StorageWriter>, StorageError> {
        self.ask("write", Some(path))?;
        self.inner.writer(path)
    }
    fn read(&self, path: &StoragePath, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.ask("read", Some(path))?;
        self.inner.read(path, range)
    }
    fn read_all(&self, path: &StoragePath) -> Result<Bytes, StorageError> {
        self.ask("read", Some(path))?;
        self.inner.read_all(path)
    }
    fn map_guarded(&self, path: &StoragePath) -> Result<Option<Arc<dyn ReadAt>>, StorageError> {
        self.ask("read", Some(path))?;
        self.inner.map_guarded(path)
    }
    fn len_bytes(&self, path: &StoragePath) -> Result<u64, StorageError> {
        self.ask("read", Some(path))?;
        self.inner.len_bytes(path)
    }
    fn list(&self, dir: Option<&StoragePath>) -> Result<Vec<StorageEntry>, StorageError> {
        self.ask("list", dir)?;
        self.inner.list(dir)
    }
    fn delete(&self, path: &StoragePath) -> Result<(), StorageError> {
        self.ask("delete", Some(path))?;
        self.inner.delete(path)
    }
    fn delete_batch_len(&self) -> usize {
        1
    }
    fn delete_dir(&self, dir: &StoragePath) -> Result<(), StorageError> {
        self.ask("delete", Some(dir))?;
        self.inner.delete_dir(dir)
    }
    fn delete_empty_dir(&self, dir: &StoragePath) -> Result<(), StorageError> {
        self.ask("delete", Some(dir))?;
        self.inner.delete_empty_dir(dir)
    }
    fn lock(&self, path: &StoragePath) -> Result<Option<StorageLock>, StorageError> {
        self.inner.lock(path)
    }
    fn below(&self, dir: &StoragePath) -> Result<Arc<dyn Storage>, StorageError> {
        let (inner, prefix) = (self.inner.below(dir)?, format!("{}{dir}/", self.prefix));
        Ok(Arc::new(Self { inner, prefix, watcher: Arc::clone(&self.watcher) }))
    }
}
