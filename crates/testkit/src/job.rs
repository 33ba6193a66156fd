//! One operator of a job: opens its subtasks, takes snapshots of them, restores them.
//!
//! It does what an engine does and nothing more: keys go to the subtask of their key group, a
//! subtask is restored from the handles that intersect its key groups, checkpoints are numbered
//! upwards and completed when all subtasks have written.
//!
//! Invariants: every job has a storage of its own, which is emptied when the job is dropped.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_core::{
    AttemptId, CheckpointId, KeyGroup, KeyGroupAssigner, KeyGroupRange, KeyedStateHandle,
    MaxParallelism, OperatorUid, Parallelism, SubtaskIndex,
};
use alluvium_format::codec::{Codec, DefaultCodec, HasCodec};
use alluvium_state::{
    FrozenState, KeyedBackendSpec, KeyedStateBackend, RestoreError, SnapshotError, SnapshotMode,
    SnapshotTarget, StateBackend, StateKey,
};
use alluvium_storage::{
    CheckpointStreams, HandleReader, LocalCopies, ReadAccess, Storage, StreamPolicy,
};

/// The keyed state of one subtask.
pub type KeyedOf<B, K> = <B as StateBackend>::Keyed<K, DefaultCodec>;

/// One operator and the storage of its checkpoints.
#[derive(Debug)]
pub struct TestJob<'b, B: StateBackend, K> {
    /// Names the operator; default `operator`.
    pub uid: OperatorUid,
    /// Number of key groups; default 128.
    pub max_parallelism: MaxParallelism,
    /// From keys to key groups; default stable.
    pub assigner: KeyGroupAssigner<K>,
    /// When a snapshot becomes a file; default [`StreamPolicy::files`].
    pub policy: StreamPolicy,
    /// Whether snapshots may build on earlier ones; default incremental.
    pub mode: SnapshotMode,
    /// Second copies of the files, which restores read; default none.
    pub copies: Option<LocalCopies>,
    backend: &'b B,
    storage: Arc<dyn Storage>,
    last_checkpoint: Cell<CheckpointId>,
    /// Seeds the hash tables; each open takes another one.
    hash_seed: Cell<u64>,
}

/// An empty storage in memory that nobody else has.
pub fn fresh_memory() -> Arc<dyn Storage> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    alluvium_storage::open(&format!("memory:alluvium-testkit-{number}")).unwrap()
}

impl<'b, B: StateBackend, K: StateKey + HasCodec> TestJob<'b, B, K> {
    /// An operator whose checkpoints go to memory.
    pub fn new(backend: &'b B) -> Self {
        Self::with_storage(backend, fresh_memory())
    }

    /// An operator whose checkpoints go to a storage, which is emptied in the end.
    pub fn with_storage(backend: &'b B, storage: Arc<dyn Storage>) -> Self {
        Self {
            uid: OperatorUid::new("operator").unwrap(),
            max_parallelism: MaxParallelism::new(128).unwrap(),
            assigner: KeyGroupAssigner::Stable,
            policy: StreamPolicy::files(),
            mode: SnapshotMode::Incremental,
            copies: None,
            backend,
            storage,
            last_checkpoint: Cell::new(CheckpointId::FIRST),
            hash_seed: Cell::new(0),
        }
    }

    /// The checked form of a parallelism.
    ///
    /// Panics: outside `1..=max_parallelism`.
    pub fn parallelism(&self, parallelism: u32) -> Parallelism {
        Parallelism::new(parallelism, self.max_parallelism).unwrap()
    }

    /// The key group of a key, found without the backend.
    pub fn key_group_of(&self, key: &K) -> KeyGroup {
        let mut encoded = Vec::new();
        DefaultCodec.encode(key, &mut encoded).unwrap();
        self.assigner.assign(key, &encoded, self.max_parallelism)
    }

    /// Position of the subtask that a key belongs to.
    pub fn owner_of(&self, key: &K, parallelism: u32) -> usize {
        let owner = self.parallelism(parallelism).owner_of(self.key_group_of(key));
        usize::from(owner.get())
    }

    /// Opens one subtask from the handles that it is given, whichever they are.
    ///
    /// Errors: those of [`StateBackend::open`].
    pub fn try_open(
        &self,
        subtask: SubtaskIndex,
        parallelism: u32,
        handles: &[KeyedStateHandle],
    ) -> Result<KeyedOf<B, K>, RestoreError> {
        self.try_open_from(subtask, parallelism, (handles, &self.reader()))
    }

    fn try_open_from(
        &self,
        subtask: SubtaskIndex,
        parallelism: u32,
        (handles, reader): (&[KeyedStateHandle], &HandleReader),
    ) -> Result<KeyedOf<B, K>, RestoreError> {
        self.hash_seed.set(self.hash_seed.get() + 1);
        let spec = KeyedBackendSpec {
            uid: self.uid.clone(),
            subtask,
            parallelism: self.parallelism(parallelism),
            key: DefaultCodec,
            assigner: self.assigner,
            hash_seed: self.hash_seed.get(),
        };
        self.backend.open(spec, handles, reader)
    }

    /// Opens all subtasks, each from the handles that intersect its key groups.
    pub fn open(&self, parallelism: u32, handles: &[KeyedStateHandle]) -> Vec<KeyedOf<B, K>> {
        self.open_from(parallelism, handles, &self.reader())
    }

    /// The same from what another job wrote, which `reader` finds.
    pub fn open_from(
        &self,
        parallelism: u32,
        handles: &[KeyedStateHandle],
        reader: &HandleReader,
    ) -> Vec<KeyedOf<B, K>> {
        let checked = self.parallelism(parallelism);
        let open = |subtask| {
            let range = KeyGroupRange::of_subtask(subtask, checked).unwrap();
            let own = handles.iter().filter(|h| h.key_groups.intersection(range).is_some());
            let own: Vec<_> = own.cloned().collect();
            let state = self.try_open_from(subtask, parallelism, (&own, reader)).unwrap();
            assert_eq!(state.key_groups(), range, "key groups of subtask {subtask}");
            state
        };
        checked.subtasks().map(open).collect()
    }

    /// Opens the only subtask of parallelism 1.
    ///
    /// Errors: those of [`StateBackend::open`].
    pub fn try_open_one(
        &self,
        handles: &[KeyedStateHandle],
    ) -> Result<KeyedOf<B, K>, RestoreError> {
        self.try_open(SubtaskIndex::new(0), 1, handles)
    }

    /// Opens the only subtask of parallelism 1.
    pub fn open_one(&self, handles: &[KeyedStateHandle]) -> KeyedOf<B, K> {
        self.try_open_one(handles).unwrap()
    }

    /// Freezes all subtasks for the next checkpoint.
    pub fn freeze(&self, subtasks: &mut [KeyedOf<B, K>]) -> FrozenCheckpoint {
        let checkpoint = self.last_checkpoint.get();
        self.last_checkpoint.set(checkpoint.next());
        let ranges = subtasks.iter().map(KeyedStateBackend::key_groups).collect();
        let frozen = subtasks.iter_mut().map(|state| state.freeze(checkpoint).unwrap()).collect();
        FrozenCheckpoint { target: self.target(checkpoint), ranges, frozen }
    }

    /// Where the snapshots of a checkpoint go.
    pub fn target(&self, checkpoint: CheckpointId) -> SnapshotTarget {
        let streams = CheckpointStreams::new(Arc::clone(&self.storage), self.policy)
            .with_copies(self.copies.clone());
        SnapshotTarget { streams, checkpoint, attempt: AttemptId::new(1), mode: self.mode }
    }

    /// A whole checkpoint: freezes, writes and completes.
    pub fn snapshot(&self, subtasks: &mut [KeyedOf<B, K>]) -> Vec<KeyedStateHandle> {
        let frozen = self.freeze(subtasks);
        let checkpoint = frozen.checkpoint();
        let handles = frozen.write();
        complete_all(subtasks, checkpoint);
        handles
    }

    /// A whole checkpoint of the only subtask of parallelism 1.
    pub fn snapshot_one(&self, state: &mut KeyedOf<B, K>) -> Vec<KeyedStateHandle> {
        self.snapshot(std::slice::from_mut(state))
    }

    /// Freezes the only subtask of parallelism 1.
    pub fn freeze_one(&self, state: &mut KeyedOf<B, K>) -> FrozenCheckpoint {
        self.freeze(std::slice::from_mut(state))
    }

    /// Reads what the job wrote; nothing of it is deleted, so later snapshots may refer to it.
    pub fn reader(&self) -> HandleReader {
        HandleReader::new(Arc::clone(&self.storage), ReadAccess::Copy)
            .shareable(true)
            .with_copies(self.copies.clone())
    }

    /// Where the checkpoints go.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }
}

impl<B: StateBackend, K> Drop for TestJob<'_, B, K> {
    /// Memory storages live as long as the process, so what they hold is removed.
    fn drop(&mut self) {
        for entry in self.storage.list(None).unwrap_or_default() {
            if let Ok(path) = alluvium_core::StoragePath::new(&entry.name) {
                let _ = self.storage.delete_dir(&path);
            }
        }
    }
}

/// Tells all subtasks that a checkpoint exists.
pub fn complete_all(subtasks: &mut [impl KeyedStateBackend], checkpoint: CheckpointId) {
    for state in subtasks {
        state.complete(checkpoint);
    }
}

/// Tells all subtasks that a checkpoint will never exist.
pub fn abort_all(subtasks: &mut [impl KeyedStateBackend], checkpoint: CheckpointId) {
    for state in subtasks {
        state.abort(checkpoint);
    }
}

/// All subtasks as they were at a freeze.
#[must_use = "frozen state that is not written is lost"]
pub struct FrozenCheckpoint {
    target: SnapshotTarget,
    ranges: Vec<KeyGroupRange>,
    frozen: Vec<Box<dyn FrozenState>>,
}

impl FrozenCheckpoint {
    /// Its number.
    pub fn checkpoint(&self) -> CheckpointId {
        self.target.checkpoint
    }

    /// Writes all subtasks.
    pub fn write(self) -> Vec<KeyedStateHandle> {
        self.try_write().unwrap()
    }

    /// Writes all subtasks.
    ///
    /// Errors: that of the first subtask that fails.
    pub fn try_write(self) -> Result<Vec<KeyedStateHandle>, SnapshotError> {
        let mut handles = Vec::new();
        for (range, frozen) in self.ranges.into_iter().zip(self.frozen) {
            if let Some(handle) = frozen.write(&self.target)? {
                assert_eq!(handle.key_groups, range, "a handle has the key groups of its subtask");
                handles.push(handle);
            }
        }
        Ok(handles)
    }
}

impl std::fmt::Debug for FrozenCheckpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FrozenCheckpoint({}, {} subtasks)", self.target.checkpoint, self.frozen.len())
    }
}
