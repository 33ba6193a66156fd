//! Keyed state in memory.
//!
//! [`HeapStateBackend`] opens a [`HeapKeyedStateBackend`] for each subtask. Every state is a table
//! with one map per key group. Two maps exist, and a job chooses:
//!
//! - [`StateMapKind::CopyOnWrite`], the default: entries lie in segments behind `Arc`, a freeze
//!   clones pointers, and the first write to a segment afterwards copies that segment;
//! - [`StateMapKind::Nested`], the reference: plain nested hash tables, encoded while the job waits.
//!
//! Ladder of names: backend > table (one state) > map (one key group of it) > segment > entry.
//!
//! Invariants:
//! - a key is in the map of its own key group, and in one segment of it;
//! - a frozen copy-on-write map shares its segments and never changes;
//! - restored state that nobody registers is kept, and written again as it was.
//!
//! ```
//! use std::sync::Arc;
//!
//! use alluvium_core::{
//!     KeyGroupAssigner, MaxParallelism, OperatorUid, Parallelism, SubtaskIndex,
//! };
//! use alluvium_format::codec::DefaultCodec;
//! use alluvium_heap::HeapStateBackend;
//! use alluvium_state::{
//!     KeyedBackendSpec, KeyedStateBackend, StateBackend, ValueStateDescriptor,
//! };
//! use alluvium_storage::{HandleReader, ReadAccess};
//!
//! let reader = HandleReader::new(alluvium_storage::open("memory:doc")?, ReadAccess::Copy);
//! let spec = KeyedBackendSpec {
//!     uid: OperatorUid::new("count")?,
//!     subtask: SubtaskIndex::new(0),
//!     parallelism: Parallelism::new(1, MaxParallelism::new(128)?)?,
//!     key: DefaultCodec,
//!     assigner: KeyGroupAssigner::<String>::Stable,
//!     hash_seed: 42,
//! };
//! let mut backend = HeapStateBackend::default().open(spec, &[], &reader)?;
//!
//! let counts = backend.value_state(ValueStateDescriptor::<u64>::new("count"))?;
//! let word = "flood".to_owned();
//! let mut at = backend.at(&word)?;
//! counts.update(&mut at, |n| *n += 1)?;
//! assert_eq!(*counts.get(&at)?.expect("just written"), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![expect(
    clippy::inline_always,
    reason = "the way of a record is one function: the fewer instructions lie between two misses \
              of the cache, the more of them overlap"
)]

mod backend;
mod base;
mod groups;
mod hasher;
mod map;
mod moment;
mod segment;
mod segmented;
mod shared_list;
mod slot;
mod streams;
mod table;
mod user_map;

pub use backend::{HeapAt, HeapKeyedStateBackend, HeapStateBackend};
pub use base::IncrementalOptions;
pub use hasher::TableHasher;
pub use map::{
    CopyOnWriteSnapshot, CopyOnWriteStateMap, NestedStateMap, Probe, StateMap, StateMapKind,
};
pub use shared_list::{Iter as SharedListIter, SharedList};
pub use slot::{Entry, InlineSlot, SharedSlot, Slot};
