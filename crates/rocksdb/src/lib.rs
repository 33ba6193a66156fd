//! Keyed state in RocksDB, for state that does not fit into memory.
//!
//! [`RocksDbStateBackend`] opens a [`RocksDbKeyedStateBackend`] for each subtask: a database in a
//! local folder of its own, with a column family for each state. Keys and values are kept encoded,
//! so each read decodes and each write encodes. The local folder is for work only and is deleted
//! with the backend; what survives a crash is in checkpoints.
//!
//! Ladder of names: backend > database > column family (one state) > key group > pair (key and
//! namespace) > row. Values, lists, reducing and aggregating states have one row for each pair, maps
//! one for each user key, long lists a header and one for each element.
//!
//! Invariants:
//! - rows of one key group are contiguous, and key groups are in order;
//! - rows of one pair are contiguous, so the entries of a map are one range;
//! - two different (key, namespace, user key) never have the same row key;
//! - nothing is written to a log: after a write has failed, every call fails with its cause;
//! - restored state that nobody registers is kept, and is in every snapshot.
//!
//! ```
//! use alluvium_core::{
//!     KeyGroupAssigner, MaxParallelism, OperatorUid, Parallelism, SubtaskIndex,
//! };
//! use alluvium_format::codec::DefaultCodec;
//! use alluvium_rocksdb::RocksDbStateBackend;
//! use alluvium_state::{
//!     KeyedBackendSpec, KeyedStateBackend, MapStateDescriptor, StateBackend,
//! };
//! use alluvium_storage::{HandleReader, ReadAccess};
//!
//! let reader = HandleReader::new(alluvium_storage::open("memory:doc")?, ReadAccess::Copy);
//! let spec = KeyedBackendSpec {
//!     uid: OperatorUid::new("visits")?,
//!     subtask: SubtaskIndex::new(0),
//!     parallelism: Parallelism::new(1, MaxParallelism::new(128)?)?,
//!     key: DefaultCodec,
//!     assigner: KeyGroupAssigner::<String>::Stable,
//!     hash_seed: 42,
//! };
//! let work = tempfile::tempdir()?;
//! let mut backend = RocksDbStateBackend::new(work.path()).open(spec, &[], &reader)?;
//!
//! let visits = backend.map_state(MapStateDescriptor::<String, u64>::new("visits"))?;
//! let user = "u-17".to_owned();
//! let mut at = backend.at(&user)?;
//! visits.update(&mut at, "/home".to_owned(), |n| *n += 1)?;
//! assert_eq!(*visits.get(&at, &"/home".to_owned())?.expect("just written"), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The feature `engine`, which is on by default, is all of this. Without it the crate has nothing but the
//! byte layout of its rows (SPEC 12.3, 12.4), which fuzzers run without a C++ compiler.

#![cfg_attr(not(feature = "engine"), allow(dead_code, unused_imports))]

#[cfg(feature = "engine")]
mod backend;
#[cfg(feature = "engine")]
mod engine;
#[cfg(feature = "engine")]
mod folder;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
#[cfg(feature = "engine")]
mod history;
mod list_row;
mod long_list;
#[cfg(feature = "engine")]
mod memory;
#[cfg(feature = "engine")]
mod options;
#[cfg(feature = "engine")]
mod parallel;
#[cfg(feature = "engine")]
mod restore;
mod row_expiry;
#[cfg(feature = "engine")]
mod row_filter;
mod row_format;
mod row_key;
#[cfg(feature = "engine")]
mod snapshot;
#[cfg(feature = "engine")]
mod sst_meta;
#[cfg(feature = "engine")]
mod state_backend;
#[cfg(feature = "engine")]
mod store;
#[cfg(feature = "engine")]
mod timer_heads;
mod timer_row;

#[cfg(feature = "engine")]
pub use backend::{RocksDbAt, RocksDbKeyedStateBackend};
#[cfg(feature = "engine")]
pub use engine::EngineError;
#[cfg(feature = "engine")]
pub use memory::{MemoryTooSmall, RocksDbMemory};
#[cfg(feature = "engine")]
pub use options::PredefinedOptions;
#[cfg(feature = "engine")]
pub use restore::RestoreStatistics;
#[cfg(feature = "engine")]
pub use state_backend::RocksDbStateBackend;
