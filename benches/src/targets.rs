//! Subtasks and targets of snapshots as an engine makes them.

use std::sync::Arc;

use alluvium_core::{
    AttemptId, CheckpointId, KeyGroupAssigner, KeyedStateHandle, MaxParallelism, OperatorUid,
    Parallelism, SubtaskIndex,
};
use alluvium_format::codec::{DefaultCodec, HasCodec};
use alluvium_state::{FrozenState, KeyedBackendSpec, SnapshotMode, SnapshotTarget, StateKey};
use alluvium_storage::{CheckpointStreams, Storage, StreamPolicy};

/// Seed of the in-memory tables.
pub const HASH_SEED: u64 = 0x5eed_0001;
/// Seed of the random accesses.
pub const ACCESS_SEED: u64 = 0x5eed_0002;

/// A number of key groups, which must be a valid one.
pub fn max_parallelism(key_groups: u32) -> MaxParallelism {
    MaxParallelism::new(key_groups).expect("a valid number of key groups")
}

/// A subtask of an operator.
pub fn spec_of<K: StateKey + HasCodec>(
    subtask: u16,
    parallelism: u32,
    key_groups: u32,
) -> KeyedBackendSpec<K, DefaultCodec> {
    let max = max_parallelism(key_groups);
    KeyedBackendSpec {
        uid: OperatorUid::new("measured").expect("a valid name"),
        subtask: SubtaskIndex::new(subtask),
        parallelism: Parallelism::new(parallelism, max).expect("a valid parallelism"),
        key: DefaultCodec,
        assigner: KeyGroupAssigner::Stable,
        hash_seed: HASH_SEED,
    }
}

/// The target of a snapshot that stands for itself.
pub fn full_target(
    storage: Arc<dyn Storage>,
    policy: StreamPolicy,
    checkpoint: CheckpointId,
) -> SnapshotTarget {
    let streams = CheckpointStreams::new(storage, policy);
    let mode = SnapshotMode::Full;
    SnapshotTarget { streams, checkpoint, attempt: AttemptId::new(1), mode }
}

/// The target of a snapshot that may build on the one before.
pub fn incremental_target(storage: Arc<dyn Storage>, checkpoint: CheckpointId) -> SnapshotTarget {
    let target = full_target(storage, StreamPolicy::files(), checkpoint);
    SnapshotTarget { mode: SnapshotMode::Incremental, ..target }
}

/// Everything inlined in the handle, whatever its length.
pub const IN_MEMORY: StreamPolicy =
    StreamPolicy { inline_below_bytes: u64::MAX, max_inline_bytes: None };

/// Writes frozen state that is not empty.
pub fn write(frozen: Box<dyn FrozenState>, target: &SnapshotTarget) -> KeyedStateHandle {
    frozen.write(target).expect("nothing fails here").expect("there is state")
}
