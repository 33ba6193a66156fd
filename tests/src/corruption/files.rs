//! A storage over a map of files, which a case changes and puts right again.
//!
//! Invariants: nothing is created through it, and it reads what the map holds, without copying it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alluvium::core::StoragePath;
use alluvium::storage::{
    Location, Storage, StorageEntry, StorageError, StorageLock, StorageWriter,
};
use bytes::Bytes;

/// The files of a job or of a savepoint, by their paths.
pub type FileMap = BTreeMap<String, Bytes>;

/// What messages call the storage.
const NAME: &str = "files:";

/// A storage that holds a map of files.
#[derive(Debug, Default)]
pub struct Files(Mutex<FileMap>);

impl Files {
    /// Of these files.
    pub fn new(files: FileMap) -> Arc<Self> {
        Arc::new(Self(Mutex::new(files)))
    }

    /// The files, to be changed.
    pub fn lock_files(&self) -> MutexGuard<'_, FileMap> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn location(path: Option<&StoragePath>) -> Location {
        Location::new(NAME, path)
    }

    fn refused<T>(operation: &'static str, path: &StoragePath) -> Result<T, StorageError> {
        let reason = "these files are only read";
        Err(StorageError::Unsupported { operation, location: Self::location(Some(path)), reason })
    }
}

impl Storage for Files {
    fn root(&self) -> &str {
        NAME
    }

    fn create(&self, path: &StoragePath, _: &[u8]) -> Result<(), StorageError> {
        Self::refused("create", path)
    }

    fn writer(&self, path: &StoragePath) -> Result<Box<dyn StorageWriter>, StorageError> {
        Self::refused("write", path)
    }

    fn read(&self, path: &StoragePath, range: Range<u64>) -> Result<Bytes, StorageError> {
        let bytes = self.read_all(path)?;
        let (expected_len_bytes, found_len_bytes) = (range.end, bytes.len() as u64);
        if expected_len_bytes > found_len_bytes {
            let location = Self::location(Some(path));
            return Err(StorageError::Truncated { location, expected_len_bytes, found_len_bytes });
        }
        let place = |at| usize::try_from(at).unwrap();
        Ok(bytes.slice(place(range.start.min(range.end))..place(range.end)))
    }

    fn read_all(&self, path: &StoragePath) -> Result<Bytes, StorageError> {
        let location = || Self::location(Some(path));
        let found = self.lock_files().get(path.as_str()).cloned();
        found.ok_or_else(|| StorageError::NotFound { location: location() })
    }

    fn len_bytes(&self, path: &StoragePath) -> Result<u64, StorageError> {
        self.read_all(path).map(|bytes| bytes.len() as u64)
    }

    fn list(&self, dir: Option<&StoragePath>) -> Result<Vec<StorageEntry>, StorageError> {
        let prefix = dir.map_or(String::new(), |dir| format!("{dir}/"));
        let mut entries = Vec::<StorageEntry>::new();
        for (path, bytes) in self.lock_files().iter() {
            let Some(below) = path.strip_prefix(&prefix) else { continue };
            let (name, is_dir) =
                below.split_once('/').map_or((below, false), |(dir, _)| (dir, true));
            if entries.last().is_none_or(|last| last.name != name) {
                let len_bytes = if is_dir { 0 } else { bytes.len() as u64 };
                entries.push(StorageEntry { name: name.to_owned(), is_dir, len_bytes });
            }
        }
        Ok(entries)
    }

    fn delete(&self, path: &StoragePath) -> Result<(), StorageError> {
        Self::refused("delete", path)
    }

    fn delete_dir(&self, dir: &StoragePath) -> Result<(), StorageError> {
        Self::refused("delete", dir)
    }

    fn lock(&self, _: &StoragePath) -> Result<Option<StorageLock>, StorageError> {
        Ok(None)
    }

    fn below(&self, dir: &StoragePath) -> Result<Arc<dyn Storage>, StorageError> {
        let prefix = format!("{dir}/");
        let files = self.lock_files();
        let below = files.iter().filter_map(|(path, bytes)| {
            Some((path.strip_prefix(&prefix)?.to_owned(), bytes.clone()))
        });
        Ok(Self::new(below.collect()))
    }
}
