//! Files that outlive checkpoints and that an operator owns.
//!
//! State goes when no checkpoint needs it; some files must live on a decision of their operator. A
//! sink that writes ahead, for a system without transactions, keeps the records between two barriers
//! in such a file, names it in its state, sends its records when the checkpoint is confirmed, and
//! deletes it when they have arrived, perhaps many checkpoints later.
//!
//! Shape: `taskowned/<uid>/<subtask>-<attempt>-<number>`: the bytes of the operator, and the CRC32 of
//! them.
//!
//! Invariants: only operators delete these files, and a run that was replaced deletes none; a name is
//! given once; bytes are handed out only if length and checksum are right.
//!
//! Source: SPEC 2.2; Flink `createTaskOwnedStateStream`, `GenericWriteAheadSink`.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_core::{
    AttemptId, OperatorUid, PathError, StateHandle, StateLocation, StoragePath, SubtaskIndex,
};
use bytes::Bytes;

use crate::{
    CheckpointStream, CheckpointStreams, HandleReader, JobLayout, ReadAccess, Storage,
    StorageError, StreamPolicy, check_attempt,
};

const SUM_LEN_BYTES: u64 = 4;

/// The files of one operator subtask. Clones give no name twice.
#[derive(Debug, Clone)]
pub struct TaskOwnedFiles {
    storage: Arc<dyn Storage>,
    uid: OperatorUid,
    subtask: SubtaskIndex,
    attempt: AttemptId,
    last: Arc<AtomicU64>,
}

/// Such a file. Operators keep what [`TaskOwnedFile::to_state`] gives in their state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskOwnedFile {
    path: StoragePath,
    len_bytes: u64,
    checksum: u32,
}

impl TaskOwnedFile {
    /// Its path below the job's folder.
    pub fn path(&self) -> &StoragePath {
        &self.path
    }

    /// How many bytes the operator has written.
    pub const fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// Path, length in bytes and CRC32: what has a codec.
    pub fn to_state(&self) -> (String, u64, u32) {
        (self.path.to_string(), self.len_bytes, self.checksum)
    }

    /// What [`TaskOwnedFile::to_state`] gave.
    ///
    /// Errors: [`PathError`] for a path that cannot be one. Whether the file is there is not asked.
    pub fn from_state((path, len_bytes, checksum): (String, u64, u32)) -> Result<Self, PathError> {
        Ok(Self { path: StoragePath::new(&path)?, len_bytes, checksum })
    }
}

impl TaskOwnedFiles {
    /// The files of a subtask in a job's folder, for a run of the job.
    pub fn new(
        storage: Arc<dyn Storage>,
        uid: OperatorUid,
        subtask: SubtaskIndex,
        attempt: AttemptId,
    ) -> Self {
        Self { storage, uid, subtask, attempt, last: Arc::default() }
    }

    /// Begins a file.
    pub fn create(&self) -> TaskOwnedWriter {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let path = JobLayout::task_owned_file(&self.uid, self.subtask, self.attempt, number);
        let streams = CheckpointStreams::new(Arc::clone(&self.storage), StreamPolicy::files());
        TaskOwnedWriter { stream: streams.file(path), checksum: crc32fast::Hasher::new() }
    }

    /// The bytes that the operator has written.
    ///
    /// Errors: [`StorageError::NotFound`], [`StorageError::Truncated`] for another length,
    /// [`StorageError::SealMismatch`] for other bytes.
    pub fn read(&self, file: &TaskOwnedFile) -> Result<Bytes, StorageError> {
        let reader = HandleReader::new(Arc::clone(&self.storage), ReadAccess::Copy);
        let handle = StateHandle {
            location: StateLocation::File(file.path.clone()),
            len_bytes: file.len_bytes.saturating_add(SUM_LEN_BYTES),
            seal: file.checksum,
        };
        let mut bytes = reader.open(&handle)?;
        bytes.truncate(bytes.len().saturating_sub(4));
        let found = crc32fast::hash(&bytes);
        if found == file.checksum {
            return Ok(bytes);
        }
        let location = crate::Location::new(self.storage.root(), Some(&file.path));
        Err(StorageError::SealMismatch { location, expected: file.checksum, found })
    }

    /// Removes a file; fine when it is absent. A checkpoint or savepoint that is still kept may name
    /// it: whoever restores that one finds it missing.
    ///
    /// Errors: [`StorageError::Fenced`] when the run was replaced: its files are those of the newer
    /// run, then.
    pub fn delete(&self, file: &StoragePath) -> Result<(), StorageError> {
        check_attempt(&*self.storage, self.attempt)?;
        self.storage.delete(file)
    }

    /// The files that earlier runs have left, of all subtasks of the operator: a run that fails between
    /// two checkpoints leaves some that no state names, and only the operator can tell which.
    ///
    /// Errors: [`StorageError`].
    pub fn of_earlier_runs(&self) -> Result<Vec<StoragePath>, StorageError> {
        let dir = JobLayout::task_owned_dir(&self.uid);
        let files = self.storage.list(Some(&dir))?.into_iter().filter(|entry| !entry.is_dir);
        // Other subtasks of this run may be writing already. Another name is none of ours.
        let is_earlier = |name: &str| {
            JobLayout::parse_task_owned_file(name).is_some_and(|attempt| attempt < self.attempt)
        };
        let files = files.filter(|entry| is_earlier(&entry.name));
        Ok(files.filter_map(|entry| dir.join(&entry.name).ok()).collect())
    }
}

/// A file being written. Dropping it without [`TaskOwnedWriter::finish`] leaves nothing.
#[must_use = "a file that is not finished leaves nothing"]
pub struct TaskOwnedWriter {
    stream: CheckpointStream,
    checksum: crc32fast::Hasher,
}

impl TaskOwnedWriter {
    /// Ends the file, which is durable then.
    ///
    /// Errors: [`StorageError::AlreadyExists`], and whatever failed before.
    pub fn finish(mut self) -> Result<TaskOwnedFile, StorageError> {
        let (len_bytes, checksum) = (self.stream.position(), self.checksum.finalize());
        // An error comes out of the stream again when that is finished.
        let _ = self.stream.write_all(&checksum.to_le_bytes());
        match self.stream.finish()?.location {
            StateLocation::File(path) => Ok(TaskOwnedFile { path, len_bytes, checksum }),
            other => unreachable!("a stream that is asked to be a file is one: {other:?}"),
        }
    }
}

impl Write for TaskOwnedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(bytes)?;
        self.checksum.update(bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl fmt::Debug for TaskOwnedWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskOwnedWriter({:?})", self.stream)
    }
}

#[cfg(test)]
mod tests;
