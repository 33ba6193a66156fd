//! Second copies of checkpoint files on a disk of this machine, for a restore that reads nothing far
//! away. Source: Flink local recovery (`TaskLocalStateStore`).
//!
//! A [stream](crate::CheckpointStream) that becomes a file leaves a copy as well, and a
//! [reader](crate::HandleReader) takes the copy where it is there and right.
//!
//! ```text
//! <dir>/<job>-<checksum of the name of the job's folder>/files/<path>    the bytes
//!                                                        sums/<path>     their checksums
//! ```
//!
//! Ladder of names: copies (of one job's folder) > copy (of one file) > chunk (64 KiB of it, with a
//! checksum of its own, so that a copy can be read lazily).
//!
//! Invariants:
//! - a copy counts only with its checksums, which are written last: nothing here is synced, and
//!   whatever a crash leaves is either right or no copy;
//! - a copy belongs to a handle of the same path, length and seal; its bytes are handed out only after
//!   the checksums of their chunks were compared;
//! - nothing that goes wrong with a copy fails a checkpoint or a restore: it is counted, and the file
//!   itself is read.
//!
//! Source: SPEC 2.8.

mod reader;
mod sums;
mod writer;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alluvium_core::{CheckpointId, JobId, StoragePath};

pub(crate) use self::reader::{CopiedFile, LocalCopy};
pub(crate) use self::writer::CopyWriter;

/// The copies of the files of one job's folder. Clones are the same copies.
#[derive(Clone)]
pub struct LocalCopies {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    /// What the newest confirmed checkpoint needs.
    confirmed: Mutex<Confirmed>,
    counts: Counts,
    /// Links do not work here: the files lie on another file system.
    cannot_link: AtomicBool,
    /// Why a copy could not be made, if nobody has asked yet.
    untold: Mutex<Option<String>>,
    #[cfg(test)]
    room_bytes: Mutex<Option<u64>>,
}

#[derive(Debug, Default)]
struct Confirmed {
    checkpoint: Option<CheckpointId>,
    files: BTreeSet<StoragePath>,
}

#[derive(Debug, Default)]
struct Counts {
    local: AtomicU64,
    remote: AtomicU64,
    damaged: AtomicU64,
    failed: AtomicU64,
}

/// How often copies were of use, since they were opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CopyStatistics {
    /// Files that were read from their copies.
    pub local_files: u64,
    /// Files that were read from the storage, because there was no copy or it was damaged.
    pub remote_files: u64,
    /// Copies that were found damaged.
    pub damaged_files: u64,
    /// Copies that could not be made.
    pub failed_copies: u64,
}

impl LocalCopies {
    /// The copies of a job in a folder of this machine, which need not be there. `root` is the name of
    /// the [storage](crate::Storage::root) that holds the job's folder: jobs of one id on several
    /// storages have separate copies.
    pub fn new(dir: &Path, job: &JobId, root: &str) -> Self {
        let dir = dir.join(format!("{job}-{:08x}", crc32fast::hash(root.as_bytes())));
        let inner = Inner {
            dir,
            confirmed: Mutex::default(),
            counts: Counts::default(),
            cannot_link: AtomicBool::new(false),
            untold: Mutex::default(),
            #[cfg(test)]
            room_bytes: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The folder of these copies.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// How often copies were of use.
    pub fn statistics(&self) -> CopyStatistics {
        let counts = &self.inner.counts;
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CopyStatistics {
            local_files: of(&counts.local),
            remote_files: of(&counts.remote),
            damaged_files: of(&counts.damaged),
            failed_copies: of(&counts.failed),
        }
    }

    /// Why a copy could not be made, since this was asked last.
    pub fn take_failure(&self) -> Option<String> {
        lock(&self.inner.untold).take()
    }

    /// A checkpoint is confirmed: what only the one before it needed goes. Copies of checkpoints that
    /// are under way stay, and those of one that is older than what was confirmed last are of no use.
    pub fn confirm<'a>(
        &self,
        checkpoint: CheckpointId,
        files: impl IntoIterator<Item = &'a StoragePath>,
    ) {
        let files: BTreeSet<StoragePath> = files.into_iter().cloned().collect();
        let mut confirmed = lock(&self.inner.confirmed);
        if confirmed.checkpoint > Some(checkpoint) {
            return;
        }
        let before = std::mem::replace(&mut confirmed.files, files);
        confirmed.checkpoint = Some(checkpoint);
        let gone: Vec<_> = before.difference(&confirmed.files).cloned().collect();
        drop(confirmed);
        self.forget(&gone);
    }

    /// A run begins, and nobody writes: all copies go but those of what it begins from.
    pub fn keep_only<'a>(
        &self,
        checkpoint: Option<CheckpointId>,
        files: impl IntoIterator<Item = &'a StoragePath>,
    ) {
        let files: BTreeSet<StoragePath> = files.into_iter().cloned().collect();
        for kind in ["sums", "files"] {
            prune(&self.inner.dir.join(kind), &files);
        }
        *lock(&self.inner.confirmed) = Confirmed { checkpoint, files };
    }

    /// Removes the copies of files that are no longer needed.
    pub fn forget(&self, files: &[StoragePath]) {
        for file in files {
            self.remove(file);
            for file in [self.sums_path(file), self.data_path(file)] {
                // Fails unless it is empty.
                drop(file.parent().map(fs::remove_dir));
            }
        }
    }

    fn data_path(&self, path: &StoragePath) -> PathBuf {
        self.inner.dir.join("files").join(path.as_str())
    }

    fn sums_path(&self, path: &StoragePath) -> PathBuf {
        self.inner.dir.join("sums").join(path.as_str())
    }

    /// The checksums first, so that what is left is no copy. What cannot be removed goes when a run
    /// begins.
    fn remove(&self, path: &StoragePath) {
        for file in [self.sums_path(path), self.data_path(path)] {
            drop(fs::remove_file(file));
        }
    }

    /// Begins a copy of a file; `origin` is where the file itself will lie on this machine.
    pub(crate) fn writer(&self, path: &StoragePath, origin: Option<PathBuf>) -> CopyWriter {
        CopyWriter::begin(self.clone(), path.clone(), origin)
    }

    /// The copy of a file, if there is one and it has the length and the seal. No byte of it has been
    /// looked at.
    pub(crate) fn find(
        &self,
        path: &StoragePath,
        len_bytes: u64,
        seal: u32,
        is_mapped: bool,
    ) -> Option<LocalCopy> {
        match LocalCopy::open(self, path, is_mapped) {
            Ok(copy) if copy.fits(len_bytes, seal) => Some(copy),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                None
            }
            Ok(_) | Err(_) => {
                self.note_damage();
                None
            }
        }
    }

    pub(crate) fn note_local(&self) {
        self.inner.counts.local.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_remote(&self) {
        self.inner.counts.remote.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_damage(&self) {
        self.inner.counts.damaged.fetch_add(1, Ordering::Relaxed);
    }

    /// A copy that was counted turns out to be damaged.
    fn note_damaged_late(&self) {
        self.note_damage();
        self.inner.counts.local.fetch_sub(1, Ordering::Relaxed);
        self.note_remote();
    }

    fn note_failure(&self, path: &Path, error: &io::Error) {
        self.inner.counts.failed.fetch_add(1, Ordering::Relaxed);
        let reason = format!("cannot copy to {}: {error}", path.display());
        lock(&self.inner.untold).get_or_insert(reason);
    }
}

impl fmt::Debug for LocalCopies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalCopies({})", self.inner.dir.display())
    }
}

/// Removes what is not wanted of the two levels that paths of files have.
fn prune(dir: &Path, wanted: &BTreeSet<StoragePath>) {
    for child in children(dir) {
        for file in children(&child) {
            let name = file.strip_prefix(dir).ok().and_then(Path::to_str);
            let path = name.and_then(|name| StoragePath::new(name).ok());
            if !path.is_some_and(|path| wanted.contains(&path)) {
                drop(fs::remove_file(&file));
            }
        }
        drop(fs::remove_dir(&child));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What lies in a folder; nothing if it cannot be read.
fn children(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

#[cfg(test)]
impl LocalCopies {
    /// The disk has so much room and no more.
    fn set_room(&self, bytes: u64) {
        *lock(&self.inner.room_bytes) = Some(bytes);
    }

    fn take_room(&self, bytes: u64) -> io::Result<()> {
        if let Some(room) = &mut *lock(&self.inner.room_bytes) {
            *room = room.checked_sub(bytes).ok_or(io::ErrorKind::StorageFull)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
