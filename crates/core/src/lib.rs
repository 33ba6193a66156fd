//! Ids, key groups and state handles of Alluvium as plain values.
//!
//! A stream job is split into *operators*, an operator into *subtasks* (as many as its
//! [`Parallelism`]). Keyed state is divided into *key groups*: a key belongs to one [`KeyGroup`]
//! for the life of the job, a subtask owns one contiguous [`KeyGroupRange`], and rescaling hands
//! out ranges anew without looking at a single key.
//!
//! Ladder of names: [`MaxParallelism`] (how many key groups exist) > [`KeyGroupRange`] (those of
//! one subtask) > [`KeyGroup`] (one) > key.
//!
//! Invariants:
//! - every value in hand is valid: constructors check, fields are private;
//! - nothing here opens a file, starts a thread or reads a clock.
//!
//! ```
//! use alluvium_core::{KeyGroupRange, MaxParallelism, Parallelism, SubtaskIndex, key_hash};
//!
//! let max = MaxParallelism::new(128)?;
//! let parallelism = Parallelism::new(3, max)?;
//! let group = key_hash::stable_key_group(b"flink", max);
//! let owner = parallelism.owner_of(group);
//! let range = KeyGroupRange::of_subtask(owner, parallelism)?;
//! assert!(range.contains(group));
//! # Ok::<(), alluvium_core::KeyGroupError>(())
//! ```

mod binary_row;
mod checkpoint;
mod error;
mod handle;
mod ids;
mod java_hash;
mod key_group;
pub mod key_hash;
#[doc(hidden)]
pub mod museum;
mod path;

pub use binary_row::{BinaryRow, RowField};
pub use checkpoint::{CheckpointMetadata, CheckpointProperties, OperatorState, SubtaskState};
pub use error::{IdError, KeyGroupError, PathError};
pub use handle::{KeyedStateHandle, OperatorStateHandle, SharedFile, StateHandle, StateLocation};
pub use ids::{AttemptId, CheckpointId, JobId, OperatorUid};
pub use java_hash::{JavaHash, java_hash_of_big_integer, java_hash_of_utf16};
pub use key_group::{
    KeyGroup, KeyGroupRange, MAX_KEY_GROUPS, MaxParallelism, Parallelism, SubtaskIndex,
};
pub use key_hash::{AssignerName, KeyGroupAssigner};
pub use path::StoragePath;
