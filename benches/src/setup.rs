//! Backends, storages and targets as an engine makes them.

use std::sync::Arc;

use alluvium_core::{
    AttemptId, CheckpointId, KeyGroupAssigner, KeyedStateHandle, MaxParallelism, OperatorUid,
    Parallelism, SubtaskIndex,
};
use alluvium_format::codec::{DefaultCodec, HasCodec};
use alluvium_heap::{HeapKeyedStateBackend, HeapStateBackend};
use alluvium_state::{
    FrozenState, KeyedBackendSpec, SnapshotMode, SnapshotTarget, StateBackend, StateKey,
};
use alluvium_storage::{CheckpointStreams, HandleReader, ReadAccess, Storage, StreamPolicy};

use crate::null_storage::NullStorage;

/// Key groups of the only subtask.
pub(crate) const KEY_GROUPS: u32 = 128;
/// Seed of the in-memory tables.
pub(crate) const HASH_SEED: u64 = 0x5eed_0001;
/// Seed of the random accesses.
pub(crate) const ACCESS_SEED: u64 = 0x5eed_0002;

pub(crate) fn max_parallelism(key_groups: u32) -> MaxParallelism {
    MaxParallelism::new(key_groups).expect("a valid number of key groups")
}

/// The only subtask of an operator.
pub(crate) fn spec<K: StateKey + HasCodec>(key_groups: u32) -> KeyedBackendSpec<K, DefaultCodec> {
    KeyedBackendSpec {
        uid: OperatorUid::new("measured").expect("a valid name"),
        subtask: SubtaskIndex::new(0),
        parallelism: Parallelism::new(1, max_parallelism(key_groups)).expect("one subtask"),
        key: DefaultCodec,
        assigner: KeyGroupAssigner::Stable,
        hash_seed: HASH_SEED,
    }
}

/// The target of a snapshot that stands for itself.
pub(crate) fn full_target(
    storage: Arc<dyn Storage>,
    policy: StreamPolicy,
    checkpoint: CheckpointId,
) -> SnapshotTarget {
    let streams = CheckpointStreams::new(storage, policy);
    let mode = SnapshotMode::Full;
    SnapshotTarget { streams, checkpoint, attempt: AttemptId::new(1), mode }
}

/// The target of a snapshot that may build on the one before.
pub(crate) fn incremental_target(
    storage: Arc<dyn Storage>,
    checkpoint: CheckpointId,
) -> SnapshotTarget {
    let target = full_target(storage, StreamPolicy::files(), checkpoint);
    SnapshotTarget { mode: SnapshotMode::Incremental, ..target }
}

/// Everything inlined in the handle, whatever its length.
pub(crate) const IN_MEMORY: StreamPolicy =
    StreamPolicy { inline_below_bytes: u64::MAX, max_inline_bytes: None };

/// Writes frozen state that is not empty.
pub(crate) fn write(frozen: Box<dyn FrozenState>, target: &SnapshotTarget) -> KeyedStateHandle {
    frozen.write(target).expect("nothing fails here").expect("there is state")
}

/// An empty heap backend.
pub(crate) fn heap<K: StateKey + HasCodec>(
    key_groups: u32,
) -> HeapKeyedStateBackend<K, DefaultCodec> {
    let nowhere = HandleReader::new(Arc::new(NullStorage::default()), ReadAccess::Copy);
    let opened = HeapStateBackend::default().open(spec(key_groups), &[], &nowhere);
    opened.expect("nothing to restore")
}
