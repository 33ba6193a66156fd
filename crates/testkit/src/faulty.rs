//! A storage whose operations fail where a test wants them to.
//!
//! Operations that change something are counted, from 1. A [`Fault`] says which of them fails,
//! with which error of the operating system, before or after the act, and what becomes of the
//! operations that follow.
//!
//! A crash test counts the operations of a run without a fault, then runs once per operation:
//!
//! ```
//! use std::io;
//!
//! use alluvium_core::StoragePath;
//! use alluvium_storage::Storage;
//! use alluvium_testkit::faulty::{Fault, FaultyStorage};
//!
//! let path = StoragePath::new("chk-1/_metadata")?;
//! let storage = FaultyStorage::new(alluvium_storage::open("memory:faulty-doc")?);
//! storage.set_fault(Some(Fault::once(1, io::ErrorKind::StorageFull)));
//! assert!(storage.create(&path, b"whole").is_err());
//! storage.create(&path, b"whole")?;
//! assert_eq!(storage.operation_count(), 2);
//!
//! storage.set_fault(Some(Fault::crash(3)));
//! assert!(storage.delete(&path).is_err());
//! assert!(storage.read_all(&path).is_err());
//! assert_eq!(storage.inner().read_all(&path)?, "whole");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariants:
//! - storages made by `below` share the counts and the fault;
//! - a write that fails has written the first half of its bytes, as a full disk does;
//! - after a crash nothing is undone: writers are forgotten, not dropped, so that what they left
//!   stays as a killed process leaves it.

mod read_at;
mod writer;

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alluvium_core::StoragePath;
use alluvium_storage::{
    Location, ReadAt, Storage, StorageEntry, StorageError, StorageLock, StorageWriter,
};
use bytes::Bytes;

use self::read_at::FaultyReadAt;
use self::writer::FaultyWriter;

/// An operation that changes something, and that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StorageOperation {
    /// [`Storage::create`]: writes, syncs and publishes at once.
    Create,
    /// [`Storage::writer`].
    Begin,
    /// A write to a writer.
    Write,
    /// [`StorageWriter::finish`]: syncs and publishes.
    Finish,
    /// [`Storage::delete`].
    Delete,
    /// [`Storage::delete_dir`] and [`Storage::delete_empty_dir`].
    DeleteDir,
}

impl StorageOperation {
    const fn verb(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Begin => "begin",
            Self::Write => "write",
            Self::Finish => "finish",
            Self::Delete | Self::DeleteDir => "delete",
        }
    }
}

/// What becomes of the operations after the one that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// They work.
    Once,
    /// They fail as well; reading works.
    All,
    /// Nothing works, reading neither.
    Crash,
}

/// Which operation fails, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    at: u64,
    kind: io::ErrorKind,
    extent: Extent,
    only: Option<StorageOperation>,
    after_the_act: bool,
}

impl Fault {
    const fn new(at: u64, kind: io::ErrorKind, extent: Extent) -> Self {
        Self { at, kind, extent, only: None, after_the_act: false }
    }

    /// The n-th operation fails, and no other. `Interrupted` is not for writes: they are repeated.
    pub const fn once(n: u64, kind: io::ErrorKind) -> Self {
        Self::new(n, kind, Extent::Once)
    }

    /// The n-th operation and all that follow fail; reading works.
    pub const fn from(n: u64, kind: io::ErrorKind) -> Self {
        Self::new(n, kind, Extent::All)
    }

    /// At the n-th operation the process is as good as dead: nothing works any more.
    pub const fn crash(n: u64) -> Self {
        Self::new(n, io::ErrorKind::BrokenPipe, Extent::Crash)
    }

    /// Counts only operations of one kind: the n-th finish, say.
    #[must_use]
    pub const fn only(mut self, operation: StorageOperation) -> Self {
        self.only = Some(operation);
        self
    }

    /// Lets the operation do its work and then fail, as when the answer of a service is lost.
    #[must_use]
    pub const fn after_the_act(mut self) -> Self {
        self.after_the_act = true;
        self
    }
}

#[derive(Debug, Default)]
struct Plan {
    counts: BTreeMap<StorageOperation, u64>,
    fault: Option<Fault>,
    /// How many operations were made to fail.
    failed: u64,
    crashed: bool,
}

/// What is to be done with an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Pass,
    FailBefore(io::ErrorKind),
    FailAfter(io::ErrorKind),
}

impl Plan {
    fn operation_count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Counts an operation and decides about it.
    fn decide(&mut self, operation: StorageOperation) -> Verdict {
        if self.crashed {
            return Verdict::FailBefore(io::ErrorKind::BrokenPipe);
        }
        *self.counts.entry(operation).or_default() += 1;
        let Some(fault) = self.fault else { return Verdict::Pass };
        let count = match fault.only {
            None => self.operation_count(),
            Some(only) if only == operation => self.counts.get(&only).copied().unwrap_or(0),
            Some(_) => return Verdict::Pass,
        };
        let hit = if fault.extent == Extent::All { count >= fault.at } else { count == fault.at };
        if !hit {
            return Verdict::Pass;
        }
        self.failed += 1;
        self.crashed = fault.extent == Extent::Crash;
        if fault.after_the_act {
            Verdict::FailAfter(fault.kind)
        } else {
            Verdict::FailBefore(fault.kind)
        }
    }
}

/// A storage that fails on purpose. Clones share the counts and the fault.
#[derive(Debug, Clone)]
pub struct FaultyStorage {
    inner: Arc<dyn Storage>,
    plan: Arc<Mutex<Plan>>,
}

impl FaultyStorage {
    /// Wraps a storage; nothing fails yet.
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        Self { inner, plan: Arc::default() }
    }

    /// Sets the fault, or takes it away. Counts go on; a crash is over.
    pub fn set_fault(&self, fault: Option<Fault>) {
        let mut plan = self.plan();
        plan.fault = fault;
        plan.crashed = false;
    }

    /// How many operations were begun.
    pub fn operation_count(&self) -> u64 {
        self.plan().operation_count()
    }

    /// How many operations of a kind were begun.
    pub fn count_of(&self, operation: StorageOperation) -> u64 {
        self.plan().counts.get(&operation).copied().unwrap_or(0)
    }

    /// How many operations the faults have hit; what fails after a crash is not counted.
    pub fn failed_count(&self) -> u64 {
        self.plan().failed
    }

    /// Whether a crash has happened.
    pub fn has_crashed(&self) -> bool {
        self.plan().crashed
    }

    /// The storage below, which never fails on purpose: what is left after a crash.
    pub fn inner(&self) -> &Arc<dyn Storage> {
        &self.inner
    }

    /// A test that failed while it held the lock has nothing to say about the plan.
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(
        &self,
        operation: &'static str,
        path: Option<&StoragePath>,
        kind: io::ErrorKind,
    ) -> StorageError {
        let location = Location::new(self.inner.root(), path);
        let source = Arc::new(io::Error::new(kind, format!("injected fault ({kind})")));
        StorageError::Io { operation, location, source }
    }

    fn run<T>(
        &self,
        operation: StorageOperation,
        path: &StoragePath,
        act: impl FnOnce() -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let verdict = self.plan().decide(operation);
        match verdict {
            Verdict::Pass => act(),
            Verdict::FailBefore(kind) => Err(self.error(operation.verb(), Some(path), kind)),
            Verdict::FailAfter(kind) => {
                let done = act();
                done.and(Err(self.error(operation.verb(), Some(path), kind)))
            }
        }
    }

    fn check_alive(
        &self,
        verb: &'static str,
        path: Option<&StoragePath>,
    ) -> Result<(), StorageError> {
        if self.has_crashed() {
            return Err(self.error(verb, path, io::ErrorKind::BrokenPipe));
        }
        Ok(())
    }
}

impl Storage for FaultyStorage {
    fn root(&self) -> &str {
        self.inner.root()
    }

    fn create(&self, path: &StoragePath, bytes: &[u8]) -> Result<(), StorageError> {
        self.run(StorageOperation::Create, path, || self.inner.create(path, bytes))
    }

    fn writer(&self, path: &StoragePath) -> Result<Box<dyn StorageWriter>, StorageError> {
        let writer = self.run(StorageOperation::Begin, path, || self.inner.writer(path))?;
        Ok(Box::new(FaultyWriter::new(self.clone(), path.clone(), writer)))
    }

    fn read(&self, path: &StoragePath, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.check_alive("read", Some(path))?;
        self.inner.read(path, range)
    }

    fn read_all(&self, path: &StoragePath) -> Result<Bytes, StorageError> {
        self.check_alive("read", Some(path))?;
        self.inner.read_all(path)
    }

    fn map(&self, path: &StoragePath) -> Result<Bytes, StorageError> {
        self.check_alive("map", Some(path))?;
        self.inner.map(path)
    }

    fn map_guarded(&self, path: &StoragePath) -> Result<Option<Arc<dyn ReadAt>>, StorageError> {
        self.check_alive("map", Some(path))?;
        let inner = self.inner.map_guarded(path)?;
        let wrap = |inner| -> Arc<dyn ReadAt> {
            Arc::new(FaultyReadAt { storage: self.clone(), path: path.clone(), inner })
        };
        Ok(inner.map(wrap))
    }

    fn len_bytes(&self, path: &StoragePath) -> Result<u64, StorageError> {
        self.check_alive("read", Some(path))?;
        self.inner.len_bytes(path)
    }

    fn list(&self, dir: Option<&StoragePath>) -> Result<Vec<StorageEntry>, StorageError> {
        self.check_alive("list", dir)?;
        self.inner.list(dir)
    }

    fn delete(&self, path: &StoragePath) -> Result<(), StorageError> {
        self.run(StorageOperation::Delete, path, || self.inner.delete(path))
    }

    fn delete_dir(&self, dir: &StoragePath) -> Result<(), StorageError> {
        self.run(StorageOperation::DeleteDir, dir, || self.inner.delete_dir(dir))
    }

    fn delete_empty_dir(&self, dir: &StoragePath) -> Result<(), StorageError> {
        self.run(StorageOperation::DeleteDir, dir, || self.inner.delete_empty_dir(dir))
    }

    fn delete_unfinished(&self, dir: &StoragePath) -> Result<(), StorageError> {
        self.check_alive("delete", Some(dir))?;
        self.inner.delete_unfinished(dir)
    }

    fn sync(&self, path: &StoragePath) -> Result<(), StorageError> {
        self.check_alive("sync", Some(path))?;
        self.inner.sync(path)
    }

    fn lock(&self, path: &StoragePath) -> Result<Option<StorageLock>, StorageError> {
        self.check_alive("lock", Some(path))?;
        self.inner.lock(path)
    }

    fn below(&self, dir: &StoragePath) -> Result<Arc<dyn Storage>, StorageError> {
        let inner = self.inner.below(dir)?;
        Ok(Arc::new(Self { inner, plan: Arc::clone(&self.plan) }))
    }
}

#[cfg(test)]
mod tests;
