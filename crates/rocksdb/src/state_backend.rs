//! The RocksDB backend of a job: local folder, memory and options of all its subtasks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium_core::KeyedStateHandle;
use alluvium_format::codec::Codec;
use alluvium_state::{KeyedBackendSpec, RestoreError, StateBackend, StateKey};
use alluvium_storage::HandleReader;

use crate::backend::RocksDbKeyedStateBackend;
use crate::memory::RocksDbMemory;
use crate::options::{EngineOptions, PredefinedOptions};

/// Opens keyed state in RocksDB databases below a local folder.
///
/// The folder is for work only: checkpoints go to the storage of the job. Each subtask makes a
/// folder of its own in it, which is deleted with the backend; what dead processes left there is
/// removed when a backend is opened.
#[derive(Clone)]
pub struct RocksDbStateBackend {
    pub(crate) base: Arc<Path>,
    pub(crate) options: EngineOptions,
}

impl RocksDbStateBackend {
    /// A backend that works below a local folder, which need not be there yet.
    pub fn new(base: impl Into<PathBuf>) -> Self {
        Self { base: base.into().into(), options: EngineOptions::default() }
    }

    /// Memory to use, shared with all other backends that are given the same; default 256 MiB for
    /// all subtasks of this backend and its clones.
    #[must_use]
    pub fn memory(mut self, memory: &RocksDbMemory) -> Self {
        self.options.memory = memory.clone();
        self
    }

    /// Options for a kind of machine; default [`PredefinedOptions::Default`].
    #[must_use]
    pub fn predefined(mut self, predefined: PredefinedOptions) -> Self {
        self.options.predefined = predefined;
        self
    }

    /// Bytes that each state of a subtask collects in memory, at most, before they become a file;
    /// default 64 MiB, and no more than half of what the memory has for that.
    #[must_use]
    pub fn write_buffer_len_bytes(mut self, len_bytes: usize) -> Self {
        self.options.write_buffer_len_bytes = Some(len_bytes);
        self
    }

    /// Files that a checkpoint uploads, or a restore brings, at a time; at least 1, default 4.
    #[must_use]
    pub fn parallel_transfers(mut self, files: usize) -> Self {
        self.options.parallel_transfers = files.max(1);
        self
    }

    /// Changes the options of databases after everything else has been set. Atomic flush, the log
    /// and what else checkpoints depend on is set again afterwards.
    #[must_use]
    pub fn customize_database(
        mut self,
        customize: impl Fn(&mut rocksdb::Options) + Send + Sync + 'static,
    ) -> Self {
        self.options.customize_database = Some(Arc::new(customize));
        self
    }

    /// Changes the options of the column families of states after everything else has been set.
    /// Comparator, merge operator and compaction filter belong to this crate: a job that changes
    /// them loses state.
    #[must_use]
    pub fn customize_column(
        mut self,
        customize: impl Fn(&mut rocksdb::Options) + Send + Sync + 'static,
    ) -> Self {
        self.options.customize_column = Some(Arc::new(customize));
        self
    }
}

impl std::fmt::Debug for RocksDbStateBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RocksDbStateBackend({})", self.base.display())
    }
}

impl StateBackend for RocksDbStateBackend {
    type Keyed<K: StateKey, C: Codec<K>> = RocksDbKeyedStateBackend<K, C>;

    fn name(&self) -> &'static str {
        "rocksdb"
    }

    fn open<K: StateKey, C: Codec<K>>(
        &self,
        spec: KeyedBackendSpec<K, C>,
        restored: &[KeyedStateHandle],
        reader: &HandleReader,
    ) -> Result<Self::Keyed<K, C>, RestoreError> {
        RocksDbKeyedStateBackend::open(self, spec, restored, reader)
    }
}
