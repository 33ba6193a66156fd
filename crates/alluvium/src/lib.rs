//! State backends and checkpoints for stream processing.
//!
//! This crate is the front door: it re-exports the others under short names and adds no logic but
//! [`ErrorKind`], which says what to do about an error.
//!
//! | module | what is in it |
//! |---|---|
//! | [`core`](mod@core) | ids, key groups, state handles |
//! | [`format`](mod@format) | codecs and byte formats (`SPEC.md`) |
//! | [`storage`] | where bytes live: local files, memory, S3 |
//! | [`state`] | what a backend is: keyed and operator state |
//! | [`heap`], [`fs`] | backends |
//! | [`coordinator`] | the checkpoint protocol as a pure state machine |
//! | [`runtime`] | tasks, barriers, sinks: a thin engine |
//! | [`inspect`] | looks into checkpoints without a job |
//!
//! Keyed state, a checkpoint of it, and a restore at another parallelism:
//!
//! ```
//! use std::sync::Arc;
//!
//! use alluvium::prelude::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let storage = alluvium::storage::open("memory:front-door")?;
//! let reader = HandleReader::new(Arc::clone(&storage), ReadAccess::Copy);
//! let max = MaxParallelism::new(128)?;
//! let spec = |subtask, parallelism| {
//!     Ok::<_, Box<dyn std::error::Error>>(KeyedBackendSpec {
//!         uid: OperatorUid::new("count")?,
//!         subtask: SubtaskIndex::new(subtask),
//!         parallelism: Parallelism::new(parallelism, max)?,
//!         key: DefaultCodec,
//!         assigner: KeyGroupAssigner::<String>::Stable,
//!         hash_seed: 42,
//!     })
//! };
//!
//! // One subtask owns all keys.
//! let mut backend = HeapStateBackend::default().open(spec(0, 1)?, &[], &reader)?;
//! let counts = backend.value_state(ValueStateDescriptor::<u64>::new("count"))?;
//! for word in ["sand", "silt", "sand"].map(String::from) {
//!     counts.update(&mut backend.at(&word)?, |n| *n += 1)?;
//! }
//!
//! // A checkpoint: freeze at the barrier, write on any thread.
//! let streams = CheckpointStreams::new(storage, StreamPolicy::files());
//! let (checkpoint, attempt) = (CheckpointId::FIRST, AttemptId::new(1));
//! let target = SnapshotTarget { streams, checkpoint, attempt, mode: SnapshotMode::Full };
//! let frozen = backend.freeze(target.checkpoint)?;
//! let handle = frozen.write(&target)?.expect("there is state");
//!
//! // Two subtasks take over, each with its half of the key groups.
//! let mut found = 0;
//! for subtask in 0..2 {
//!     let handles = [handle.clone()];
//!     let mut half = HeapStateBackend::default().open(spec(subtask, 2)?, &handles, &reader)?;
//!     let counts = half.value_state(ValueStateDescriptor::<u64>::new("count"))?;
//!     for word in half.keys(counts, &())? {
//!         found += *counts.get(&half.at(&word)?)?.expect("a key of the state");
//!     }
//! }
//! assert_eq!(found, 3);
//! # Ok(())
//! # }
//! ```

pub use alluvium_coordinator as coordinator;
pub use alluvium_core as core;
pub use alluvium_format as format;
pub use alluvium_fs as fs;
pub use alluvium_heap as heap;
pub use alluvium_inspect as inspect;
#[cfg(feature = "rocksdb")]
pub use alluvium_rocksdb as rocksdb;
pub use alluvium_runtime as runtime;
pub use alluvium_state as state;
pub use alluvium_storage as storage;

mod error;

pub use error::ErrorKind;

/// What most programs need.
pub mod prelude {
    pub use alluvium_core::{
        AttemptId, CheckpointId, JobId, KeyGroup, KeyGroupAssigner, KeyGroupRange, MaxParallelism,
        OperatorUid, Parallelism, SubtaskIndex,
    };
    pub use alluvium_format::codec::{DefaultCodec, PostcardCodec, TotalF32, TotalF64};
    pub use alluvium_fs::FsStateBackend;
    pub use alluvium_heap::{HeapStateBackend, StateMapKind};
    pub use alluvium_state::{
        AggregateFunction, AggregatingState, AggregatingStateDescriptor, BroadcastState,
        BroadcastStateDescriptor, FrozenState, KeyContext, KeyedBackendSpec, KeyedStateBackend,
        ListState, ListStateDescriptor, MapState, MapStateDescriptor, OperatorListState,
        OperatorStateBackend, ReducingState, ReducingStateDescriptor, RestoreError, SnapshotError,
        SnapshotMode, SnapshotTarget, SortedMapState, SortedMapStateDescriptor, StateBackend,
        StateError, StateTtl, TimeDomain, Timer, TimerDescriptor, Timers, UpdateType, ValueState,
        ValueStateDescriptor, Visibility,
    };
    pub use alluvium_storage::{CheckpointStreams, HandleReader, ReadAccess, StreamPolicy};

    pub use crate::ErrorKind;
}
