//! State handles: where a piece of a checkpoint lies and how to know it again.
//!
//! A stream is either *inlined* in the metadata or a *file* below the job's checkpoint root. Both
//! carry a *seal*: the last four bytes of the stream, which checksum its footer, which checksums
//! the rest (SPEC 4). Whoever holds a handle can tell its stream from every other one.
//!
//! Invariants: handles are plain values; they own no file and delete none.

use bytes::Bytes;

use crate::{KeyGroupRange, StoragePath};

/// Where the bytes of a state stream lie.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateLocation {
    /// The bytes themselves; they travel with the acknowledgement and are stored in the metadata.
    Inline(Bytes),
    /// A file, relative to `<root>/<job>/`.
    File(StoragePath),
}

/// One sealed state stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateHandle {
    /// Where the bytes lie.
    pub location: StateLocation,
    /// Length of the stream in bytes.
    pub len_bytes: u64,
    /// The last four bytes of the stream, read as a little-endian number (SPEC 4.3).
    pub seal: u32,
}

impl StateHandle {
    /// The file to delete when the stream is no longer needed; `None` for inlined bytes.
    pub fn file(&self) -> Option<&StoragePath> {
        match &self.location {
            StateLocation::File(path) => Some(path),
            StateLocation::Inline(_) => None,
        }
    }
}

/// A file that several checkpoints may refer to: a sealed state stream, or an SST file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SharedFile {
    /// The file, relative to `<root>/<job>/`.
    pub path: StoragePath,
    /// Length of the file in bytes.
    pub len_bytes: u64,
    /// The last four bytes of the file, read as a little-endian number (SPEC 4.3). They tell streams
    /// apart, but not SST files, which have a checksum in the index (SPEC 12.2).
    pub seal: u32,
}

/// Keyed state of one subtask: a stream, and the files that hold blocks or rows of it.
///
/// Source: Flink `KeyGroupsStateHandle`, `IncrementalRemoteKeyedStateHandle`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedStateHandle {
    /// The key groups whose state the stream holds.
    pub key_groups: KeyGroupRange,
    /// The stream, whose index names every block, or every SST file.
    pub stream: StateHandle,
    /// Streams of earlier checkpoints in which blocks of this one lie, or its SST files, in the order
    /// in which the index of the stream numbers them from 1; none for a self-contained stream.
    pub shared: Vec<SharedFile>,
    /// Which of the shared files were written for this checkpoint; the others are those of earlier
    /// ones. It is not stored: empty in a handle that was read from metadata.
    pub written: Vec<StoragePath>,
}

impl KeyedStateHandle {
    /// All files that must exist for this state to be read.
    pub fn files(&self) -> impl Iterator<Item = &StoragePath> {
        self.stream.file().into_iter().chain(self.shared.iter().map(|file| &file.path))
    }
}

/// Operator state of one subtask.
///
/// Source: Flink `OperatorStreamStateHandle`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorStateHandle {
    /// The stream.
    pub stream: StateHandle,
}
