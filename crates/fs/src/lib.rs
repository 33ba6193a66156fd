//! Filesystem state backend: the working state in memory, the snapshots as files.
//!
//! It is the heap backend with one difference: a restore is *lazy*. Opening reads the indexes of
//! the streams only; local files are mapped into memory, others are read piece by piece. A segment
//! of entries is read, checked and decoded when one of them is first touched, and
//! [`background_load`](alluvium_state::KeyedStateBackend::background_load) brings in the rest beside
//! the task. State that cannot be taken over segment by segment is loaded when it is registered: of
//! nested maps, and where the hash of this process parts keys otherwise than the writer's did. Where
//! snapshots go is chosen by the [`StreamPolicy`](alluvium_storage::StreamPolicy):
//! [`FsStateBackend`] with files is Flink's classic `FsStateBackend`.
//!
//! Invariants: a block's checksum is compared before its first entry is used. A mapped file stays
//! readable when somebody deletes it; one that is read piece by piece must be there for each piece.
//! One that somebody has cut short is refused by name when a block of it is needed next; a mapped
//! file that is cut in the very moment in which it is read ends the process (`SIGBUS`).
//!
//! ```
//! use alluvium_fs::FsStateBackend;
//! use alluvium_state::StateBackend;
//!
//! assert_eq!(FsStateBackend::default().name(), "fs");
//! ```

use alluvium_core::KeyedStateHandle;
use alluvium_format::codec::Codec;
use alluvium_heap::{HeapKeyedStateBackend, HeapStateBackend, IncrementalOptions, StateMapKind};
use alluvium_state::{KeyedBackendSpec, RestoreError, StateBackend, StateKey};
use alluvium_storage::{HandleReader, ReadAccess};

/// Opens keyed state in memory, lazily, from mapped state files.
#[derive(Debug, Clone, Copy)]
pub struct FsStateBackend {
    map: StateMapKind,
    heap: HeapStateBackend,
}

impl Default for FsStateBackend {
    fn default() -> Self {
        Self::new(StateMapKind::default())
    }
}

impl FsStateBackend {
    /// A backend whose tables use a map; the default is [`StateMapKind::CopyOnWrite`].
    pub const fn new(map: StateMapKind) -> Self {
        Self { map, heap: HeapStateBackend::new(map).lazy() }
    }

    /// Most entries that a segment holds on average, at least 1; see
    /// [`HeapStateBackend::max_segment_entries`], also for the default.
    #[must_use]
    pub const fn max_segment_entries(mut self, entries: usize) -> Self {
        self.heap = self.heap.max_segment_entries(entries);
        self
    }

    /// Bounds of incremental snapshots; default [`IncrementalOptions::default`].
    #[must_use]
    pub const fn incremental(mut self, options: IncrementalOptions) -> Self {
        self.heap = self.heap.incremental(options);
        self
    }
}

impl StateBackend for FsStateBackend {
    type Keyed<K: StateKey, C: Codec<K>> = HeapKeyedStateBackend<K, C>;

    fn name(&self) -> &'static str {
        match self.map {
            StateMapKind::Nested => "fs-nested",
            _ => "fs",
        }
    }

    fn open<K: StateKey, C: Codec<K>>(
        &self,
        spec: KeyedBackendSpec<K, C>,
        restored: &[KeyedStateHandle],
        reader: &HandleReader,
    ) -> Result<Self::Keyed<K, C>, RestoreError> {
        self.heap.open(spec, restored, &reader.with_access(ReadAccess::Map))
    }
}

#[cfg(test)]
mod tests;
