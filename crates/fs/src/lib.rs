//! Filesystem state backend: the working state in memory, the snapshots as files.
//!
//! It is the heap backend with one difference: a restore maps local state files into memory
//! instead of copying them first, so the bytes of other subtasks' key groups are never read.
//! Where snapshots go is chosen by the [`StreamPolicy`](alluvium_storage::StreamPolicy):
//! [`FsStateBackend`] with files is Flink's classic `FsStateBackend`.
//!
//! Invariants: a mapped file is verified and decoded while the job starts. Only restored state that
//! nobody registers stays mapped; checkpoint files are never written to again, so a mapping stays
//! valid unless somebody outside cuts a file short; then the process ends (`SIGBUS`).
//!
//! ```
//! use alluvium_fs::FsStateBackend;
//! use alluvium_state::StateBackend;
//!
//! assert_eq!(FsStateBackend::default().name(), "fs");
//! ```

use alluvium_core::KeyedStateHandle;
use alluvium_format::codec::Codec;
use alluvium_heap::{HeapKeyedStateBackend, HeapStateBackend, StateMapKind};
use alluvium_state::{KeyedBackendSpec, RestoreError, StateBackend, StateKey};
use alluvium_storage::{HandleReader, ReadAccess};

/// Opens keyed state in memory, from mapped state files.
#[derive(Debug, Clone, Copy, Default)]
pub struct FsStateBackend {
    map: StateMapKind,
}

impl FsStateBackend {
    /// A backend whose tables use a map; the default is [`StateMapKind::CopyOnWrite`].
    pub const fn new(map: StateMapKind) -> Self {
        Self { map }
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
        let mapped = reader.with_access(ReadAccess::Map);
        HeapStateBackend::new(self.map).open(spec, restored, &mapped)
    }
}

#[cfg(test)]
mod tests;
