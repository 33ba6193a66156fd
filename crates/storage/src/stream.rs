//! Checkpoint streams: bytes go in, a state handle comes out.
//!
//! A small stream stays in memory and is inlined in the metadata: a file of its own would cost
//! more than its bytes. Source: Flink `CheckpointStreamFactory`, `FsCheckpointStreamFactory`,
//! `MemCheckpointStreamFactory`.
//!
//! Invariants:
//! - a stream that is not finished leaves no file, nor does one that fails to finish, as far as
//!   files can be deleted;
//! - with a limit for inlined bytes nothing is ever written to the storage, except what a caller
//!   asks to be a [file](CheckpointStreams::file).

use std::fmt;
use std::io::{self, Write};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium_core::museum::{self, Mistake};
use alluvium_core::{StateHandle, StateLocation, StoragePath};

use crate::copies::CopyWriter;
use crate::seal::Tail;
use crate::{LocalCopies, Location, Storage, StorageError, StorageWriter};

/// When a stream is inlined and when it becomes a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamPolicy {
    /// Shorter streams are inlined, others become files; in bytes, default 20 KiB. Without
    /// meaning when `max_inline_bytes` is given.
    pub inline_below_bytes: u64,
    /// Nothing becomes a file, and a longer stream is refused; in bytes, default `None`.
    pub max_inline_bytes: Option<u64>,
}

impl StreamPolicy {
    /// Default of `inline_below_bytes`. Source: Flink
    /// `execution.checkpointing.data-inline-threshold`.
    pub const INLINE_BELOW_BYTES: u64 = 20 * 1024;
    /// Largest stream that coordinator memory holds. Source: Flink
    /// `MemCheckpointStreamFactory`, `DEFAULT_MAX_STATE_SIZE`.
    pub const COORDINATOR_MEMORY_BYTES: u64 = 5 * 1024 * 1024;

    /// Checkpoints in files: streams from 20 KiB on become files.
    pub const fn files() -> Self {
        Self { inline_below_bytes: Self::INLINE_BELOW_BYTES, max_inline_bytes: None }
    }

    /// Checkpoints in the memory of the coordinator: at most 5 MiB per state handle.
    pub const fn coordinator_memory() -> Self {
        Self {
            inline_below_bytes: Self::INLINE_BELOW_BYTES,
            max_inline_bytes: Some(Self::COORDINATOR_MEMORY_BYTES),
        }
    }
}

impl Default for StreamPolicy {
    fn default() -> Self {
        Self::files()
    }
}

/// Opens the streams of one job.
#[derive(Debug, Clone)]
pub struct CheckpointStreams {
    storage: Arc<dyn Storage>,
    policy: StreamPolicy,
    is_savepoint: bool,
    copies: Option<LocalCopies>,
}

impl CheckpointStreams {
    /// Streams into `storage`, whose root is the job's folder.
    pub fn new(storage: Arc<dyn Storage>, policy: StreamPolicy) -> Self {
        Self { storage, policy, is_savepoint: false, copies: None }
    }

    /// Streams of a savepoint into `storage`, whose root is the folder of the savepoint. All files
    /// lie directly in it, whatever folder a checkpoint would have them in (SPEC 2.7).
    pub fn savepoint(storage: Arc<dyn Storage>, policy: StreamPolicy) -> Self {
        Self { storage, policy, is_savepoint: true, copies: None }
    }

    /// The same streams, which leave a copy of each file there as well.
    #[must_use]
    pub fn with_copies(self, copies: Option<LocalCopies>) -> Self {
        Self { copies, ..self }
    }

    /// Whether no stream becomes a file, as in coordinator memory: later checkpoints have nothing
    /// to refer to then.
    pub const fn keeps_everything_inline(&self) -> bool {
        self.policy.max_inline_bytes.is_some()
    }

    /// Begins a stream that becomes the file `path` if it becomes a file.
    pub fn stream(&self, path: StoragePath) -> CheckpointStream {
        self.begin(path, self.policy)
    }

    /// Begins a stream that becomes the file `path` however short it is, whatever the policy says.
    /// Not for streams that [stay inline](CheckpointStreams::keeps_everything_inline).
    pub fn file(&self, path: StoragePath) -> CheckpointStream {
        self.begin(path, StreamPolicy { inline_below_bytes: 0, max_inline_bytes: None })
    }

    /// Removes a file that a stream of this checkpoint became, because the state that it was for is
    /// given up before anybody heard of it. A file that is gone already is no error.
    ///
    /// Errors: [`StorageError`].
    pub fn discard(&self, path: &StoragePath) -> Result<(), StorageError> {
        if let Some(copies) = &self.copies {
            copies.forget(std::slice::from_ref(path));
        }
        self.storage.delete(path)
    }

    fn begin(&self, path: StoragePath, policy: StreamPolicy) -> CheckpointStream {
        let path = if self.is_savepoint { path.without_folders() } else { path };
        CheckpointStream {
            storage: Arc::clone(&self.storage),
            policy,
            path,
            body: Body::Buffered(Vec::new()),
            position: 0,
            tail: Tail::default(),
            copies: self.copies.clone(),
            also_at: None,
            copy: None,
        }
    }
}

/// One state stream being written. Dropping it without [`CheckpointStream::finish`] leaves no
/// file.
///
/// The errors of [`std::io::Write`] carry a [`StorageError`]; after one, `finish` reports it too.
#[must_use = "a stream that is not finished leaves nothing"]
pub struct CheckpointStream {
    storage: Arc<dyn Storage>,
    policy: StreamPolicy,
    path: StoragePath,
    body: Body,
    position: u64,
    tail: Tail,
    copies: Option<LocalCopies>,
    /// A file of this machine that has the same bytes.
    also_at: Option<PathBuf>,
    /// Of the file that the stream becomes.
    copy: Option<CopyWriter>,
}

enum Body {
    Buffered(Vec<u8>),
    Spilled(Box<dyn StorageWriter>),
    Failed(StorageError),
}

impl CheckpointStream {
    /// How many bytes have been written.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Says that the bytes to be written are those of a file of this machine that never changes, so
    /// that a local copy can be a link of it. The file must be there until the stream is finished.
    pub fn also_at(&mut self, file: &Path) {
        self.also_at = Some(file.to_owned());
    }

    /// Ends the stream: inlined bytes or a durable file.
    ///
    /// Errors: [`StorageError::StateTooLarge`], [`StorageError::AlreadyExists`], and whatever
    /// failed before.
    pub fn finish(mut self) -> Result<StateHandle, StorageError> {
        let is_inline = self.policy.max_inline_bytes.is_some()
            || self.position < self.policy.inline_below_bytes;
        if !is_inline {
            self.spill()?;
        }
        let location = match self.body {
            Body::Buffered(bytes) => StateLocation::Inline(bytes.into()),
            Body::Spilled(writer) => {
                let finished = match writer.finish() {
                    Err(StorageError::AlreadyExists { .. })
                        if museum::makes(Mistake::SharesFileNames) =>
                    {
                        Ok(())
                    }
                    finished => finished,
                };
                if let Err(error) = finished {
                    // The file may be there all the same: what was lost may be the answer. One
                    // that was there before is not ours.
                    if !matches!(error, StorageError::AlreadyExists { .. }) {
                        drop(self.storage.delete(&self.path));
                    }
                    return Err(error);
                }
                if let Some(copy) = self.copy {
                    copy.finish();
                }
                StateLocation::File(self.path)
            }
            Body::Failed(error) => return Err(error),
        };
        Ok(StateHandle { location, len_bytes: self.position, seal: self.tail.seal() })
    }

    /// Gives the stream up and removes what was written.
    pub fn abort(self) {
        if let Body::Spilled(writer) = self.body {
            writer.abort();
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        let position = self.position.saturating_add(bytes.len() as u64);
        if let Some(limit_bytes) = self.policy.max_inline_bytes {
            if position > limit_bytes {
                return Err(StorageError::StateTooLarge { path: self.path.clone(), limit_bytes });
            }
        } else if position >= self.policy.inline_below_bytes {
            self.spill()?;
        }
        match &mut self.body {
            Body::Buffered(buffer) => buffer.extend_from_slice(bytes),
            Body::Spilled(writer) => writer.write_all(bytes).map_err(|error| {
                let location = Location::new(self.storage.root(), Some(&self.path));
                StorageError::from_write(error, location)
            })?,
            Body::Failed(error) => return Err(error.clone()),
        }
        if let Some(copy) = &mut self.copy {
            copy.write(bytes);
        }
        self.tail.push(bytes);
        self.position = position;
        Ok(())
    }

    /// Turns a buffered stream into a file being written.
    fn spill(&mut self) -> Result<(), StorageError> {
        if let Body::Buffered(buffer) = &mut self.body {
            let buffer = mem::take(buffer);
            let mut writer = self.storage.writer(&self.path)?;
            self.copy = self.copies.take().map(|copies| {
                let own = || self.storage.local_path(&self.path);
                copies.writer(&self.path, self.also_at.take().or_else(own))
            });
            if let Some(copy) = &mut self.copy {
                copy.write(&buffer);
            }
            writer.write_all(&buffer).map_err(|error| {
                let location = Location::new(self.storage.root(), Some(&self.path));
                StorageError::from_write(error, location)
            })?;
            self.body = Body::Spilled(writer);
        }
        Ok(())
    }
}

impl Write for CheckpointStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Body::Failed(error) = &self.body {
            return Err(error.clone().into_write());
        }
        match self.push(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(error) => {
                // The file begun so far goes with the body that is replaced.
                self.body = Body::Failed(error.clone());
                self.copy = None;
                Err(error.into_write())
            }
        }
    }

    /// Nothing is promised before [`CheckpointStream::finish`], so nothing is forced out here.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for CheckpointStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CheckpointStream({} at {})", self.path, self.position)
    }
}

#[cfg(test)]
mod tests;
