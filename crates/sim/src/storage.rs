//! A storage whose every call is a step of the schedule.
//!
//! Each call stops whoever makes it, twice: before it has its effect, and before its answer is
//! there. Between the two, others see the effect, and the process may be killed. A call may fail
//! before the effect, after it, or (object stores) have its effect long after it has failed.
//!
//! Two kinds: a *disk* has locks and folders, moves files in two steps (link, delete), and says
//! [`StorageError::Io`]; an *object store* has neither, and says [`StorageError::Remote`].
//!
//! Invariants:
//! - calls of a process that was killed have no effect and say so;
//! - reads of a range do not stop: lazily restored backends make them while they hold locks for
//!   which others wait.

mod disk;
mod writer;

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use alluvium_core::StoragePath;
use alluvium_runtime::Host;
use alluvium_storage::{
    Location, RemoteCause, Storage, StorageEntry, StorageError, StorageLock, StorageWriter,
};
use bytes::Bytes;

pub(crate) use self::disk::Disk;
use self::disk::{Change, Refused};
use self::writer::SimWriter;
use crate::chaos::{Fate, Fault};
use crate::executor::ProcessId;
use crate::host::SimHost;
use crate::threads::lock;

/// Longest time until a call that has failed has its effect, in microseconds.
const LATE_US: u64 = 200_000;

/// Longest time that whoever has sprung a trap waits, in microseconds; one that is to be killed is,
/// long before. A successor needs a tenth of it to begin.
const TRAPPED_US: u64 = 80_000;

/// One process' view of the disk; [`SimHost::world`] sees it without faults and without waiting.
#[derive(Clone)]
pub(crate) struct SimStorage {
    disk: Arc<Mutex<Disk>>,
    host: SimHost,
    /// Full path of the root; empty for the disk itself.
    dir: String,
    root: Arc<str>,
}

impl fmt::Debug for SimStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimStorage({})", self.root)
    }
}

impl SimStorage {
    pub(crate) fn new(disk: &Arc<Mutex<Disk>>, host: SimHost) -> Self {
        let root = if lock(disk).is_remote { "sim-remote:" } else { "sim:" };
        Self { disk: Arc::clone(disk), host, dir: String::new(), root: Arc::from(root) }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        lock(&self.disk)
    }

    fn is_remote(&self) -> bool {
        self.disk().is_remote
    }

    fn full(&self, path: &StoragePath) -> String {
        self.full_dir(Some(path))
    }

    fn full_dir(&self, path: Option<&StoragePath>) -> String {
        match path {
            None => self.dir.clone(),
            Some(path) if self.dir.is_empty() => path.as_str().to_owned(),
            Some(path) => format!("{}/{path}", self.dir),
        }
    }

    fn location(&self, path: Option<&StoragePath>) -> Location {
        Location::new(&self.root, path)
    }

    fn failed(
        &self,
        operation: &'static str,
        path: Option<&StoragePath>,
        why: &str,
    ) -> StorageError {
        let location = self.location(path);
        if self.is_remote() {
            let source = RemoteCause::from_message(why, true);
            return StorageError::Remote { operation, location, source };
        }
        let source = Arc::new(io::Error::new(io::ErrorKind::TimedOut, why));
        StorageError::Io { operation, location, source }
    }

    fn refused(&self, refused: Refused, path: &StoragePath) -> StorageError {
        let location = self.location(Some(path));
        match refused {
            Refused::NotFound => StorageError::NotFound { location },
            Refused::AlreadyExists => StorageError::AlreadyExists { location },
        }
    }

    /// Before the effect of a call: what will become of it. Waits, unless the call must not.
    fn begin(
        &self,
        operation: &'static str,
        path: Option<&StoragePath>,
        (is_change, may_stop): (bool, bool),
    ) -> Result<Option<Fate>, StorageError> {
        if self.host.process == ProcessId::WORLD {
            return Ok(None);
        }
        let site = format!("{operation} {}", self.full_dir(path));
        self.check_alive(operation, path)?;
        let (fate, is_trapped) = {
            let mut state = self.host.executor.state();
            let state = &mut *state;
            let process = self.host.process;
            let is_trapped = may_stop && state.chaos.is_trapped(process, &site);
            (state.chaos.fate(&mut state.random, process, is_change, &site), is_trapped)
        };
        if is_trapped && fate.before_us.is_multiple_of(2) {
            self.spring(&site);
        }
        if may_stop {
            self.host.executor.stop(self.host.process, fate.before_us);
            self.check_alive(operation, path)?;
        }
        if fate.fault == Some(Fault::StorageFails) {
            self.host.trace(&format!("{site}: fails"));
            return Err(self.failed(operation, path, "injected fault"));
        }
        if is_trapped && !fate.before_us.is_multiple_of(2) {
            // After the effect: the answer takes for ever.
            return Ok(Some(Fate { after_us: u64::MAX, ..fate }));
        }
        Ok(Some(fate))
    }

    /// Waits to be killed, or to be taken over.
    fn spring(&self, site: &str) {
        self.host.trace(&format!("{site}: trapped"));
        self.host.executor.spring(self.host.process);
        let for_us = 5_000 + self.host.executor.state().random.below(TRAPPED_US);
        self.host.executor.stop(self.host.process, for_us);
    }

    /// After the effect: waits, and gives what the caller hears of it.
    fn end(
        &self,
        operation: &'static str,
        path: Option<&StoragePath>,
        fate: Fate,
    ) -> Result<(), StorageError> {
        let site = format!("{operation} {}", self.full_dir(path));
        if fate.after_us == u64::MAX {
            self.spring(&site);
        } else {
            self.host.executor.stop(self.host.process, fate.after_us);
        }
        self.check_alive(operation, path)?;
        match fate.fault {
            Some(Fault::AnswerLost | Fault::EffectLate) => {
                Err(self.failed(operation, path, "no answer (injected)"))
            }
            _ => Ok(()),
        }
    }

    fn check_alive(
        &self,
        operation: &'static str,
        path: Option<&StoragePath>,
    ) -> Result<(), StorageError> {
        if self.host.is_dead() {
            return Err(self.failed(operation, path, "the process was killed"));
        }
        Ok(())
    }

    fn change(
        &self,
        operation: &'static str,
        path: &StoragePath,
        change: Change,
    ) -> Result<(), StorageError> {
        let Some(fate) = self.begin(operation, Some(path), (true, true))? else {
            return self.disk().apply(&change).map_err(|it| self.refused(it, path));
        };
        if fate.fault == Some(Fault::EffectLate) {
            self.host.trace(&format!("{operation} {}: will be late", self.full(path)));
            self.later(operation, path, change);
            return self.end(operation, Some(path), fate);
        }
        let applied = self.apply_in_time(&change);
        if let (Ok(()), Change::Create(file, _) | Change::Link(_, file)) = (applied, &change)
            && fate.fault == Some(Fault::AnswerLost)
        {
            self.disk().unsync(file);
        }
        let outcome = match (applied, fate.fault) {
            (Ok(()), None) => "ok",
            (Ok(()), Some(_)) => "done, and the answer is lost",
            (Err(_), _) => "refused",
        };
        self.host.trace(&format!("{operation} {}: {outcome}", self.full(path)));
        let answer = self.end(operation, Some(path), fate);
        applied.map_err(|it| self.refused(it, path))?;
        answer?;
        let creates = matches!(change, Change::Create(..));
        if fate.fault == Some(Fault::MeetsItself) && creates {
            return Err(self.refused(Refused::AlreadyExists, path));
        }
        Ok(())
    }

    /// Output of a checkpoint may appear only when nothing can take the checkpoint away.
    fn apply_in_time(&self, change: &Change) -> Result<(), Refused> {
        let mut disk = self.disk();
        if let Change::Link(_, to) | Change::Create(to, _) = change
            && let Some(part) = to.strip_prefix("output/updates/part-")
            && let Some(checkpoint) = part.split('-').next().and_then(|it| it.parse::<u64>().ok())
            && disk.is_unsynced(&format!("chk/job/chk-{checkpoint}/_metadata"))
        {
            let text = format!("{to} appears, and a power cut may undo its checkpoint");
            disk.too_early.push(text);
        }
        disk.apply(change)
    }

    /// A request that is still on its way, and outlives the process.
    fn later(&self, operation: &'static str, path: &StoragePath, change: Change) {
        let (world, disk) = (SimHost::world(&self.host.executor), Arc::clone(&self.disk));
        let delay_us = world.executor.state().random.below(LATE_US);
        let sleep = world.sleep_us(delay_us);
        let (site, host) = (format!("{operation} {}", self.full(path)), world.clone());
        let late = async move {
            sleep.await;
            let applied = lock(&disk).apply(&change);
            host.trace(&format!("{site}: late, {applied:?}"));
        };
        drop(world.spawn("late effect", Box::pin(late)));
    }

    fn look<T>(
        &self,
        operation: &'static str,
        path: Option<&StoragePath>,
        may_stop: bool,
        look: impl FnOnce(&mut Disk) -> T,
    ) -> Result<T, StorageError> {
        let Some(fate) = self.begin(operation, path, (false, may_stop))? else {
            return Ok(look(&mut self.disk()));
        };
        let found = look(&mut self.disk());
        if may_stop {
            self.end(operation, path, fate)?;
        }
        Ok(found)
    }
}

impl Storage for SimStorage {
    fn root(&self) -> &str {
        &self.root
    }

    fn create(&self, path: &StoragePath, bytes: &[u8]) -> Result<(), StorageError> {
        let create = Change::Create(self.full(path), Bytes::copy_from_slice(bytes));
        self.change("create", path, create)
    }

    fn writer(&self, path: &StoragePath) -> Result<Box<dyn StorageWriter>, StorageError> {
        self.check_alive("create", Some(path))?;
        Ok(Box::new(SimWriter::new(self.clone(), path.clone())))
    }

    fn rename(&self, from: &StoragePath, to: &StoragePath) -> Result<(), StorageError> {
        if self.is_remote() {
            let bytes = self.read_all(from)?;
            self.create(to, &bytes)?;
            return self.delete(from);
        }
        let link = Change::Link(self.full(from), self.full(to));
        match self.change("rename", to, link) {
            Err(StorageError::NotFound { .. }) => Err(self.refused(Refused::NotFound, from)),
            Ok(()) => self.delete(from),
            Err(error) => Err(error),
        }
    }

    fn replace(&self, path: &StoragePath, bytes: &[u8]) -> Result<(), StorageError> {
        if self.is_remote() {
            self.delete(path)?;
            return self.create(path, bytes);
        }
        let replace = Change::Replace(self.full(path), Bytes::copy_from_slice(bytes));
        self.change("replace", path, replace)
    }

    fn read(&self, path: &StoragePath, range: Range<u64>) -> Result<Bytes, StorageError> {
        let found = self.look("read", Some(path), false, |disk| disk.read(&self.full(path)))?;
        let bytes = found.ok_or_else(|| self.refused(Refused::NotFound, path))?;
        let start = range.start.min(range.end);
        let (start, end) = (usize::try_from(start), usize::try_from(range.end));
        match (start, end) {
            (Ok(start), Ok(end)) if end <= bytes.len() => Ok(bytes.slice(start..end)),
            _ => Err(StorageError::Truncated {
                location: self.location(Some(path)),
                expected_len_bytes: range.end,
                found_len_bytes: bytes.len() as u64,
            }),
        }
    }

    fn read_all(&self, path: &StoragePath) -> Result<Bytes, StorageError> {
        let found = self.look("read", Some(path), true, |disk| disk.read(&self.full(path)))?;
        found.ok_or_else(|| self.refused(Refused::NotFound, path))
    }

    fn len_bytes(&self, path: &StoragePath) -> Result<u64, StorageError> {
        let found = self.look("measure", Some(path), true, |disk| disk.read(&self.full(path)))?;
        let bytes = found.ok_or_else(|| self.refused(Refused::NotFound, path))?;
        Ok(bytes.len() as u64)
    }

    fn list(&self, dir: Option<&StoragePath>) -> Result<Vec<StorageEntry>, StorageError> {
        let found = self.look("list", dir, true, |disk| disk.list(&self.full_dir(dir)))?;
        let entry = |(name, len): (String, Option<u64>)| StorageEntry {
            name,
            is_dir: len.is_none(),
            len_bytes: len.unwrap_or(0),
        };
        Ok(found.into_iter().map(entry).collect())
    }

    fn delete(&self, path: &StoragePath) -> Result<(), StorageError> {
        self.change("delete", path, Change::Delete(self.full(path)))
    }

    /// One file after the other, each a call of its own, in no order that anybody may rely on.
    fn delete_dir(&self, dir: &StoragePath) -> Result<(), StorageError> {
        let full = self.full(dir);
        let mut files = self.look("list", Some(dir), true, |disk| disk.files_below(&full))?;
        if !self.host.is_dead() {
            let mut state = self.host.executor.state();
            for left in (1..files.len()).rev() {
                files.swap(left, state.random.index(left + 1));
            }
        }
        for file in files {
            self.change("delete from", dir, Change::Delete(file))?;
        }
        self.change("delete folder", dir, Change::RemoveDirs(full))
    }

    fn delete_empty_dir(&self, dir: &StoragePath) -> Result<(), StorageError> {
        if self.is_remote() {
            return Ok(());
        }
        self.change("delete empty folder", dir, Change::RemoveEmptyDir(self.full(dir)))
    }

    fn delete_unfinished(&self, dir: &StoragePath) -> Result<(), StorageError> {
        self.change("delete unfinished", dir, Change::DeleteUnfinished(self.full(dir)))
    }

    fn sync(&self, path: &StoragePath) -> Result<(), StorageError> {
        if self.is_remote() {
            return Ok(());
        }
        self.change("sync", path, Change::Sync(self.full(path)))
    }

    fn lock(&self, path: &StoragePath) -> Result<Option<StorageLock>, StorageError> {
        let (full, process) = (self.full(path), self.host.process);
        if self.is_remote() {
            return Ok(None);
        }
        if !self.look("lock", Some(path), true, |disk| disk.lock(&full, process))? {
            let location = self.location(Some(path));
            return Err(StorageError::Locked { location, holder_pid: Some(process.0) });
        }
        let guard = Held { disk: Arc::clone(&self.disk), full, process };
        Ok(Some(StorageLock::new(guard)))
    }

    fn below(&self, dir: &StoragePath) -> Result<Arc<dyn Storage>, StorageError> {
        let root = Arc::from(self.location(Some(dir)).to_string());
        Ok(Arc::new(Self { dir: self.full(dir), root, ..self.clone() }))
    }
}

struct Held {
    disk: Arc<Mutex<Disk>>,
    full: String,
    process: ProcessId,
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.disk).unlock(&self.full, self.process);
    }
}
