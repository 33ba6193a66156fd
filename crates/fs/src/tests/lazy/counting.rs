//! A storage that does not map, counts what is read of it, and says so while it happens.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use alluvium_core::StoragePath;
use alluvium_storage::{Storage, StorageEntry, StorageError, StorageLock, StorageWriter};
use bytes::Bytes;

/// Told of each read before it happens, with the number of reads so far.
type OnRead = Box<dyn FnMut(u64) + Send>;

/// Another storage, counted; its files are read piece by piece.
pub(crate) struct CountingStorage {
    inner: Arc<dyn Storage>,
    read_bytes: AtomicU64,
    reads: AtomicU64,
    on_read: Mutex<Option<OnRead>>,
}

impl CountingStorage {
    pub(crate) fn new(inner: Arc<dyn Storage>) -> Arc<Self> {
        let (read_bytes, reads) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { inner, read_bytes, reads, on_read: Mutex::new(None) })
    }

    pub(crate) fn read_bytes(&self) -> u64 {
        self.read_bytes.load(Ordering::SeqCst)
    }

    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    pub(crate) fn on_read(&self, told: impl FnMut(u64) + Send + 'static) {
        *self.on_read.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(told));
    }

    fn count(&self, bytes: &Bytes) {
        let reads = self.reads.fetch_add(1, Ordering::SeqCst);
        self.read_bytes.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        if let Some(told) = &mut *self.on_read.lock().unwrap_or_else(PoisonError::into_inner) {
            told(reads + 1);
        }
    }
}

impl fmt::Debug for CountingStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CountingStorage({:?})", self.inner)
    }
}

impl Storage for CountingStorage {
    fn root(&self) -> &str {
        self.inner.root()
    }

    fn create(&self, path: &StoragePath, bytes: &[u8]) -> Result<(), StorageError> {
        self.inner.create(path, bytes)
    }

    fn writer(&self, path: &StoragePath) -> Result<Box<dyn StorageWriter>, StorageError> {
        self.inner.writer(path)
    }

    fn read(&self, path: &StoragePath, range: Range<u64>) -> Result<Bytes, StorageError> {
        let bytes = self.inner.read(path, range)?;
        self.count(&bytes);
        Ok(bytes)
    }

    fn read_all(&self, path: &StoragePath) -> Result<Bytes, StorageError> {
        let bytes = self.inner.read_all(path)?;
        self.count(&bytes);
        Ok(bytes)
    }

    fn len_bytes(&self, path: &StoragePath) -> Result<u64, StorageError> {
        self.inner.len_bytes(path)
    }

    fn list(&self, dir: Option<&StoragePath>) -> Result<Vec<StorageEntry>, StorageError> {
        self.inner.list(dir)
    }

    fn delete(&self, path: &StoragePath) -> Result<(), StorageError> {
        self.inner.delete(path)
    }

    fn delete_dir(&self, dir: &StoragePath) -> Result<(), StorageError> {
        self.inner.delete_dir(dir)
    }

    fn delete_empty_dir(&self, dir: &StoragePath) -> Result<(), StorageError> {
        self.inner.delete_empty_dir(dir)
    }

    fn lock(&self, path: &StoragePath) -> Result<Option<StorageLock>, StorageError> {
        self.inner.lock(path)
    }

    fn below(&self, dir: &StoragePath) -> Result<Arc<dyn Storage>, StorageError> {
        self.inner.below(dir)
    }
}
