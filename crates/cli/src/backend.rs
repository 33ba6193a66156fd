//! The backend that a person chose: one type for all that keep their state in memory.

use alluvium::core::KeyedStateHandle;
use alluvium::format::codec::Codec;
use alluvium::fs::FsStateBackend;
use alluvium::heap::{HeapKeyedStateBackend, HeapStateBackend, StateMapKind};
use alluvium::state::{KeyedBackendSpec, RestoreError, StateBackend, StateKey};
use alluvium::storage::HandleReader;

use crate::args::BackendName;

/// A backend chosen at run time.
#[derive(Debug, Clone, Copy)]
pub enum ChosenBackend {
    /// State in memory.
    Heap(HeapStateBackend),
    /// State in memory, restored from mapped files.
    Fs(FsStateBackend),
}

impl ChosenBackend {
    /// The backend of a name; `None` for those that keep their state elsewhere.
    pub fn in_memory(name: BackendName) -> Option<Self> {
        match name {
            BackendName::Memory => Some(Self::Heap(HeapStateBackend::default())),
            BackendName::Fs => Some(Self::Fs(FsStateBackend::default())),
            BackendName::FsNested => Some(Self::Fs(FsStateBackend::new(StateMapKind::Nested))),
            #[cfg(feature = "rocksdb")]
            BackendName::Rocksdb => None,
        }
    }
}

impl StateBackend for ChosenBackend {
    type Keyed<K: StateKey, C: Codec<K>> = HeapKeyedStateBackend<K, C>;

    fn name(&self) -> &'static str {
        match self {
            Self::Heap(backend) => backend.name(),
            Self::Fs(backend) => backend.name(),
        }
    }

    fn open<K: StateKey, C: Codec<K>>(
        &self,
        spec: KeyedBackendSpec<K, C>,
        restored: &[KeyedStateHandle],
        reader: &HandleReader,
    ) -> Result<Self::Keyed<K, C>, RestoreError> {
        match self {
            Self::Heap(backend) => backend.open(spec, restored, reader),
            Self::Fs(backend) => backend.open(spec, restored, reader),
        }
    }
}
