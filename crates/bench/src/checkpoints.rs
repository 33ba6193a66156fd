//! The checkpoints of the only job: their numbers, their sizes, and which files they need.
//!
//! Invariants: new and shared bytes of a checkpoint are those of its handle: its stream and all files
//! that it refers to, each once. A file goes when the newest confirmed checkpoint does not need it.

use std::collections::BTreeSet;
use std::sync::Arc;

use alluvium::core::{AttemptId, CheckpointId, KeyedStateHandle, StoragePath};
use alluvium::state::{SnapshotMode, SnapshotTarget};
use alluvium::storage::{CheckpointStreams, Storage, StreamPolicy};

use crate::options::Snapshots;

/// Numbers checkpoints, and knows the files of the newest one.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    streams: CheckpointStreams,
    mode: SnapshotMode,
    next: CheckpointId,
    needed: BTreeSet<StoragePath>,
}

impl Checkpoints {
    pub(crate) fn new(storage: &Arc<dyn Storage>, snapshots: Snapshots) -> Self {
        let mode = match snapshots {
            Snapshots::Full => SnapshotMode::Full,
            Snapshots::Incremental => SnapshotMode::Incremental,
        };
        Self {
            streams: CheckpointStreams::new(Arc::clone(storage), StreamPolicy::files()),
            mode,
            next: CheckpointId::FIRST,
            needed: BTreeSet::new(),
        }
    }

    /// The next number, and where its streams go.
    pub(crate) fn begin(&mut self) -> SnapshotTarget {
        let checkpoint = self.next;
        self.next = checkpoint.next();
        SnapshotTarget {
            streams: self.streams.clone(),
            checkpoint,
            // The folder has a name of its own, so nobody was here before.
            attempt: AttemptId::new(1),
            mode: self.mode,
        }
    }

    /// A checkpoint is complete. Gives the files that nobody needs any more.
    pub(crate) fn complete(&mut self, handles: &[KeyedStateHandle]) -> Vec<StoragePath> {
        let needed: BTreeSet<StoragePath> =
            handles.iter().flat_map(KeyedStateHandle::files).cloned().collect();
        let before = std::mem::replace(&mut self.needed, needed);
        before.difference(&self.needed).cloned().collect()
    }
}

/// What a checkpoint has added, and what it refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sizes {
    /// Bytes that were written for it.
    pub(crate) new_bytes: u64,
    /// Bytes of files of earlier checkpoints that it refers to, however little it needs of them.
    pub(crate) shared_bytes: u64,
    /// How many files it needs.
    pub(crate) files: u64,
}

impl Sizes {
    pub(crate) fn of(handle: &KeyedStateHandle) -> Self {
        let (written, earlier): (Vec<_>, Vec<_>) =
            handle.shared.iter().partition(|file| handle.written.contains(&file.path));
        let written: u64 = written.iter().map(|file| file.len_bytes).sum();
        Self {
            new_bytes: handle.stream.len_bytes + written,
            shared_bytes: earlier.iter().map(|file| file.len_bytes).sum(),
            files: handle.files().count() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use alluvium::core::{MaxParallelism, SharedFile, StateHandle, StateLocation};

    use super::*;

    fn path(name: &str) -> StoragePath {
        StoragePath::new(name).unwrap()
    }

    /// A handle of a stream of 7 bytes; the files of the names were written for it.
    fn handle(own: &str, shared: &[(&str, u64)], written: &[&str]) -> KeyedStateHandle {
        let location = StateLocation::File(path(own));
        let file = |(name, len_bytes): &(&str, u64)| SharedFile {
            path: path(name),
            len_bytes: *len_bytes,
            seal: 0,
        };
        KeyedStateHandle {
            key_groups: MaxParallelism::new(4).unwrap().all_key_groups(),
            stream: StateHandle { location, len_bytes: 7, seal: 0 },
            shared: shared.iter().map(file).collect(),
            written: written.iter().map(|name| path(name)).collect(),
        }
    }

    #[test]
    fn new_and_shared_bytes_are_all_bytes_of_the_handle() {
        let handle = handle("index", &[("a", 100), ("b", 20), ("c", 3), ("d", 1_000)], &["b", "d"]);
        let sizes = Sizes::of(&handle);
        assert_eq!(sizes, Sizes { new_bytes: 1_027, shared_bytes: 103, files: 5 });
        let referred: u64 = handle.shared.iter().map(|file| file.len_bytes).sum();
        assert_eq!(sizes.new_bytes + sizes.shared_bytes, handle.stream.len_bytes + referred);
    }

    #[test]
    fn a_file_goes_with_the_last_checkpoint_that_needs_it() {
        let storage: Arc<dyn Storage> = Arc::new(crate::null_storage::NullStorage);
        let mut checkpoints = Checkpoints::new(&storage, Snapshots::Incremental);
        assert_eq!(checkpoints.begin().checkpoint, CheckpointId::FIRST);
        assert_eq!(checkpoints.begin().checkpoint, CheckpointId::FIRST.next());
        assert_eq!(checkpoints.complete(&[handle("1", &[("a", 1), ("b", 1)], &[])]), []);
        assert_eq!(checkpoints.complete(&[handle("2", &[("b", 1), ("1", 1)], &[])]), [path("a")]);
        assert_eq!(
            checkpoints.complete(&[handle("3", &[], &[])]),
            [path("1"), path("2"), path("b")]
        );
    }
}
