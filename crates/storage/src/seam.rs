//! The seam: what a place for checkpoint bytes must be able to do.
//!
//! [`Storage`] is object-safe and synchronous, and crossed once per file, never per record. A
//! [`StorageWriter`] streams one file into it.
//!
//! Invariants:
//! - a file is written once and never changed: it appears whole under its path or not at all;
//! - what has appeared survives a crash of the machine, as far as the storage below promises;
//! - calls block; they come from plain threads or a blocking pool, never from async code.

use std::any::Any;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use alluvium_core::StoragePath;
use bytes::Bytes;

use crate::{ReadAt, StorageError};

/// A place where checkpoint bytes live.
///
/// An error other than [`StorageError::AlreadyExists`] from `create` or `finish` leaves open
/// whether the file has appeared: the answer of a service or a last sync may be lost after the
/// act. After such a loss a repeated call, and a retry inside the storage, can meet its own file
/// and report [`StorageError::AlreadyExists`]; two winners never happen.
pub trait Storage: Send + Sync + fmt::Debug {
    /// Name of the root for people, without secrets: `file:/data/chk`, `s3://bucket/prefix`,
    /// `memory:name`.
    fn root(&self) -> &str;

    /// Creates a file at once. Of several racing creators exactly one wins; the file and its
    /// folders are synced before this returns.
    ///
    /// Errors: [`StorageError::AlreadyExists`] for whoever did not win.
    fn create(&self, path: &StoragePath, bytes: &[u8]) -> Result<(), StorageError>;

    /// Begins a file that appears under `path` only when the writer is finished.
    fn writer(&self, path: &StoragePath) -> Result<Box<dyn StorageWriter>, StorageError>;

    /// Moves a file to a name that is free; both names lie on this storage.
    ///
    /// Shape: by default a copy and a delete, so after a crash both names may exist; local files
    /// are moved at once.
    /// Errors: [`StorageError::NotFound`], [`StorageError::AlreadyExists`].
    fn rename(&self, from: &StoragePath, to: &StoragePath) -> Result<(), StorageError> {
        let bytes = self.read_all(from)?;
        self.create(to, &bytes)?;
        self.delete(from)
    }

    /// Writes a file that may exist already; readers see the old bytes or the new ones.
    ///
    /// Shape: by default a delete and a create, so after a crash the file may be gone; local files
    /// are replaced at once.
    fn replace(&self, path: &StoragePath, bytes: &[u8]) -> Result<(), StorageError> {
        self.delete(path)?;
        self.create(path, bytes)
    }

    /// Reads exactly the bytes of `range`; a range that ends before it starts is empty.
    ///
    /// Errors: [`StorageError::NotFound`], [`StorageError::Truncated`] if the file is too short.
    fn read(&self, path: &StoragePath, range: Range<u64>) -> Result<Bytes, StorageError>;

    /// Reads a whole file.
    ///
    /// Errors: [`StorageError::NotFound`].
    fn read_all(&self, path: &StoragePath) -> Result<Bytes, StorageError>;

    /// Like [`Storage::read_all`], memory-mapped where the storage can.
    ///
    /// Errors: [`StorageError::NotFound`].
    fn map(&self, path: &StoragePath) -> Result<Bytes, StorageError> {
        self.read_all(path)
    }

    /// Maps a file that may be read much later, and looks before each read whether somebody has
    /// cut it short; `None` where the storage does not map.
    ///
    /// Errors: [`StorageError::NotFound`].
    fn map_guarded(&self, path: &StoragePath) -> Result<Option<Arc<dyn ReadAt>>, StorageError> {
        let _ = path;
        Ok(None)
    }

    /// Where a file lies on the file system of this machine, for whoever wants a hard link of it;
    /// `None` where the storage is not a folder. The file need not be there.
    fn local_path(&self, path: &StoragePath) -> Option<PathBuf> {
        let _ = path;
        None
    }

    /// Refuses a path on whose way a symbolic link leads out of the root, for whoever reads what
    /// strangers have written. A path that is not there is fine.
    ///
    /// Shape: by default nothing, for storages without links.
    /// Errors: [`StorageError::OutsideRoot`].
    fn check_inside(&self, path: &StoragePath) -> Result<(), StorageError> {
        let _ = path;
        Ok(())
    }

    /// Length of a file in bytes.
    ///
    /// Errors: [`StorageError::NotFound`].
    fn len_bytes(&self, path: &StoragePath) -> Result<u64, StorageError>;

    /// Direct children of a folder (`None`: of the root), sorted by name; empty when there is no
    /// such folder. Files of unfinished writers are not shown.
    fn list(&self, dir: Option<&StoragePath>) -> Result<Vec<StorageEntry>, StorageError>;

    /// Removes a file; fine when it is absent. Not synced: a crash may bring the file back.
    fn delete(&self, path: &StoragePath) -> Result<(), StorageError>;

    /// Removes several files; fine where one is absent. One that cannot be removed does not keep the
    /// others. Not synced.
    ///
    /// Shape: one result for each path, in their order; by default one [`Storage::delete`] after the
    /// other, with one request for many files where a service has that. After an error a file may be
    /// gone all the same.
    fn delete_many(&self, paths: &[StoragePath]) -> Vec<Result<(), StorageError>> {
        paths.iter().map(|path| self.delete(path)).collect()
    }

    /// How many files one [`Storage::delete_many`] is best called with, at least 1: few where each
    /// is a call of its own, so that several threads share the work; as many as fit into one request
    /// where the service takes many.
    fn delete_batch_len(&self) -> usize {
        8
    }

    /// Removes a folder with everything below it; fine when it is absent. A file of that name
    /// stays. Symbolic links are removed, never followed. Not synced.
    fn delete_dir(&self, dir: &StoragePath) -> Result<(), StorageError>;

    /// Removes a folder in which there is nothing at all, not even what [`Storage::list`] does not
    /// show: unfinished files, and names that no path can spell. One that holds anything stays as it
    /// is, and so do a file and a symbolic link of that name. Not synced.
    ///
    /// Shape: by default nothing, for storages where a folder is what is in it.
    fn delete_empty_dir(&self, dir: &StoragePath) -> Result<(), StorageError> {
        let _ = dir;
        Ok(())
    }

    /// Removes what unfinished writers of processes that are gone have left in a folder; folders
    /// below it are not looked at. Only for whoever knows that nobody writes there. Not synced.
    ///
    /// Shape: by default nothing, for storages where an unfinished file leaves no trace.
    fn delete_unfinished(&self, dir: &StoragePath) -> Result<(), StorageError> {
        let _ = dir;
        Ok(())
    }

    /// Makes sure that a file that is there survives a crash of the machine, even if the call that
    /// created it has failed: its last sync may be what failed. Before anything that cannot be undone
    /// follows from such a file. What was removed from its folder before stays removed, and that may
    /// be the file itself.
    ///
    /// Shape: by default nothing, for storages where whatever is seen is durable.
    fn sync(&self, path: &StoragePath) -> Result<(), StorageError> {
        let _ = path;
        Ok(())
    }

    /// Takes an exclusive lock, held until it is dropped or the process ends; `None` where the
    /// storage has no locks.
    ///
    /// Errors: [`StorageError::Locked`] while another holder lives.
    fn lock(&self, path: &StoragePath) -> Result<Option<StorageLock>, StorageError>;

    /// The same storage rooted at a folder below, which need not exist yet.
    fn below(&self, dir: &StoragePath) -> Result<Arc<dyn Storage>, StorageError>;
}

/// A file being streamed. Dropping it without [`StorageWriter::finish`] leaves nothing behind.
///
/// The errors of [`std::io::Write`] carry a [`StorageError`]; after one, `finish` reports it too.
pub trait StorageWriter: io::Write + Send {
    /// Publishes the file and makes it durable.
    ///
    /// Errors: [`StorageError::AlreadyExists`]: nothing is ever replaced.
    fn finish(self: Box<Self>) -> Result<(), StorageError>;

    /// Gives the file up and removes what was written.
    fn abort(self: Box<Self>);
}

impl fmt::Debug for dyn StorageWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StorageWriter")
    }
}

/// One child of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageEntry {
    /// The last component of its path.
    pub name: String,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Length in bytes; 0 for a folder.
    pub len_bytes: u64,
}

/// A lock that is held until this value is dropped.
#[must_use = "the lock is released when this value is dropped"]
pub struct StorageLock {
    _guard: Box<dyn Any + Send + Sync>,
}

impl StorageLock {
    /// Wraps whatever releases the lock when it is dropped.
    pub fn new(guard: impl Send + Sync + 'static) -> Self {
        Self { _guard: Box::new(guard) }
    }
}

impl fmt::Debug for StorageLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StorageLock")
    }
}
