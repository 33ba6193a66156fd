//! Keyed state in memory.
//!
//! [`HeapStateBackend`] opens a [`HeapKeyedStateBackend`] for each subtask. Every state is a table
//! with one map per key group. Two maps exist, and a job chooses:
//!
//! - [`StateMapKind::CopyOnWrite`], the default: entries lie in segments behind `Arc`, a freeze
//!   clones one pointer for each 64 key groups, and the first write to a segment afterwards copies
//!   that segment, but of an entry that owns memory only a pointer;
//! - [`StateMapKind::Nested`], the reference: plain nested hash tables, encoded while the job waits,
//!   and written whole each time.
//!
//! Segments know what changed in them since which freeze, so that an incremental snapshot writes
//! that, or refers to blocks of the *base*: the newest checkpoint that is known to be complete, if
//! that one was incremental and not inlined. [`IncrementalOptions`] bounds what is left lying in old
//! files. A restore is eager, or [lazy](HeapStateBackend::lazy); the hash seed of each key group comes
//! back with its state, so that its segments do too.
//!
//! Ladder of names: backend > table (one state) > block of 64 key groups > map (one key group) >
//! chunk of 16 segments > segment > entry. In a stream, a *block* is something else: the bytes of a
//! segment, or of what changed in it.
//!
//! Invariants:
//! - a key is in the map of its own key group, and in one segment of it;
//! - a frozen copy-on-write map shares its segments and never changes;
//! - what changed in a segment since the base is known, or the segment is written in full;
//! - a stored partition of keys is tried before it is relied on, and checked of every entry;
//! - restored state that nobody registers is kept, and its blocks are referred to or written again
//!   as they were.
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
//!
//! The same state by bytes, for an engine that knows types at run time only
//! ([`alluvium_state::dynamic`]):
//!
//! ```
//! use alluvium_core::{KeyGroupAssigner, MaxParallelism, OperatorUid, Parallelism, SubtaskIndex};
//! use alluvium_format::codec::{Codec, DefaultCodec};
//! use alluvium_state::dynamic::{
//!     DynAt, DynKind, DynStateBackend, DynStateDescriptor, EncodedCodec,
//! };
//! use alluvium_state::{KeyedBackendSpec, StateError};
//! use alluvium_storage::{HandleReader, ReadAccess};
//!
//! fn run(backend: &dyn DynStateBackend) -> Result<(), Box<dyn std::error::Error>> {
//!     let reader = HandleReader::new(alluvium_storage::open("memory:dynamic")?, ReadAccess::Copy);
//!     let spec = KeyedBackendSpec {
//!         uid: OperatorUid::new("events")?,
//!         subtask: SubtaskIndex::new(0),
//!         parallelism: Parallelism::new(1, MaxParallelism::new(128)?)?,
//!         key: EncodedCodec::new(Codec::<u32>::snapshot(&DefaultCodec))?,
//!         assigner: KeyGroupAssigner::Stable,
//!         hash_seed: 42,
//!     };
//!     let mut state = backend.open_dynamic(spec, &[], &reader)?;
//!     let events = state.register(DynStateDescriptor {
//!         name: "events".to_owned(),
//!         namespace: Codec::<()>::snapshot(&DefaultCodec),
//!         kind: DynKind::List { element: Codec::<String>::snapshot(&DefaultCodec) },
//!     })?;
//!     let at = DynAt { key: &7_u32.to_le_bytes(), namespace: &[] };
//!     // A text has its length in front.
//!     state.list_add(events, at, b"\x05hello")?;
//!     let error = state.list_add(events, at, b"\x06short").expect_err("a byte is missing");
//!     assert!(matches!(error, StateError::Encode { .. }));
//!     assert_eq!(state.list_get(events, at)?, [b"\x05hello"]);
//!     Ok(())
//! }
//!
//! run(&alluvium_heap::HeapStateBackend::default())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A state with a time to live is used in the same way:
//!
//! ```
//! # use alluvium_core::{
//! #     KeyGroupAssigner, MaxParallelism, OperatorUid, Parallelism, SubtaskIndex,
//! # };
//! # use alluvium_format::codec::DefaultCodec;
//! # use alluvium_heap::HeapStateBackend;
//! # use alluvium_storage::{HandleReader, ReadAccess};
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
//! use std::time::Duration;
//!
//! use alluvium_state::{
//!     Clock, KeyedBackendSpec, KeyedStateBackend, StateBackend, StateTtl, ValueStateDescriptor,
//! };
//!
//! # let reader = HandleReader::new(alluvium_storage::open("memory:doc")?, ReadAccess::Copy);
//! # let spec = KeyedBackendSpec {
//! #     uid: OperatorUid::new("sessions")?,
//! #     subtask: SubtaskIndex::new(0),
//! #     parallelism: Parallelism::new(1, MaxParallelism::new(128)?)?,
//! #     key: DefaultCodec,
//! #     assigner: KeyGroupAssigner::<String>::Stable,
//! #     hash_seed: 42,
//! # };
//! # let mut backend = HeapStateBackend::default().open(spec, &[], &reader)?;
//! // Event time, which the engine moves on with its watermarks.
//! let watermark_ms = Arc::new(AtomicI64::new(0));
//! let clock = Clock::new({
//!     let watermark_ms = Arc::clone(&watermark_ms);
//!     move || watermark_ms.load(Relaxed)
//! });
//! let ttl = StateTtl::new(Duration::from_mins(30), clock);
//! let page = backend.value_state(ValueStateDescriptor::<String>::new("page").ttl(ttl))?;
//!
//! let user = "u-17".to_owned();
//! page.set(&mut backend.at(&user)?, "/home".to_owned())?;
//! watermark_ms.store(29 * 60 * 1_000, Relaxed);
//! assert!(page.get(&backend.at(&user)?)?.is_some());
//! watermark_ms.store(30 * 60 * 1_000, Relaxed);
//! assert!(page.get(&backend.at(&user)?)?.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![expect(
    clippy::inline_always,
    reason = "the way of a record is one function: the fewer instructions lie between two misses \
              of the cache, the more of them overlap"
)]

mod backend;
mod base;
mod expiry;
mod groups;
mod hasher;
mod map;
mod moment;
mod segment;
mod segmented;
mod shared_list;
mod slot;
mod sorted_map;
mod streams;
mod sync;
mod table;
mod timer_queue;
mod user_map;

pub use backend::{HeapAt, HeapKeyedStateBackend, HeapStateBackend};
pub use base::IncrementalOptions;
pub use hasher::TableHasher;
pub use map::{
    CopyOnWriteSnapshot, CopyOnWriteStateMap, NestedStateMap, Probe, StateMap, StateMapKind,
};
pub use shared_list::{Iter as SharedListIter, SharedList};
pub use slot::{Entry, InlineSlot, SharedSlot, Slot};
