//! What a state backend is.
//!
//! *Keyed state* belongs to a key (and a namespace): a function registers its states once, by
//! [descriptor](ValueStateDescriptor), and gets a small `Copy` handle for each; then, per record,
//! it opens the key with [`KeyedStateBackend::at`] and reads and writes through the handles.
//! *Operator state* belongs to a subtask and is always in memory: [`OperatorStateBackend`].
//!
//! Ladder of names: [`StateBackend`] (how to open one) > [`KeyedStateBackend`] (the state of one
//! subtask) > [`KeyContext`] (one key and namespace of it) > [`ValueState`], [`ListState`],
//! [`MapState`], [`SortedMapState`], [`ReducingState`], [`AggregatingState`] (one state), [`Timers`]
//! (a timer service).
//!
//! State may expire some time after it was written or read: a descriptor says so with a [`StateTtl`];
//! handles and functions stay as they are. See [`ttl`].
//!
//! An engine needs four calls for a checkpoint: [`KeyedStateBackend::freeze`] when the barrier is
//! there, [`FrozenState::write`] on any thread, then [`KeyedStateBackend::complete`] or
//! [`KeyedStateBackend::abort`]. After a restore it also takes over what a backend wants to load
//! behind its back: [`KeyedStateBackend::background_load`].
//!
//! An engine that knows types at run time only goes by [`dynamic`].
//!
//! Invariants:
//! - no call waits for another task, and none panics on wrong use: handles of another backend,
//!   foreign keys and names used twice are errors;
//! - what `freeze` returned does not change, whatever is written afterwards.
//!
//! A function is written once for every backend (`alluvium-heap` has a runnable one):
//!
//! ```
//! use alluvium_state::{KeyedStateBackend, StateError, ValueState};
//!
//! fn count<B: KeyedStateBackend<Key = String>>(
//!     backend: &mut B,
//!     counts: ValueState<u64>,
//!     word: &String,
//! ) -> Result<u64, StateError> {
//!     let mut at = backend.at(word)?;
//!     counts.update(&mut at, |n| {
//!         *n += 1;
//!         *n
//!     })
//! }
//! ```

mod backend;
mod context;
mod descriptor;
pub mod dynamic;
mod elements;
mod entries;
mod error;
mod handles;
mod limits;
mod load;
mod merging;
mod metadata_file;
mod operator;
mod registration;
mod restored;
mod snapshot;
mod timers;
pub mod ttl;
pub mod whole_list;

pub use backend::{
    KeyedBackendSpec, KeyedStateBackend, Pairs, SortedKey, StateBackend, StateKey, StateValue,
};
pub use context::{KeyContext, Ref};
pub use descriptor::{
    AggregateFunction, AggregatingStateDescriptor, ListStateDescriptor, MapStateDescriptor,
    ReduceFunction, ReducingStateDescriptor, SortedMapStateDescriptor, Stamping,
    ValueStateDescriptor,
};
pub use elements::{Chunk, Elements};
pub use entries::Entries;
pub use error::{EngineFailure, RestoreError, SnapshotError, StateError};
pub use handles::{
    AggregatingState, ListLayout, ListState, MapState, ReducingState, ScanOrder, SortedMapState,
    StateId, StateRef, ValueState, is_empty_range,
};
pub use limits::{MAX_KEY_LEN_BYTES, check_key_len, check_written_key_len};
pub use load::{BackgroundLoad, LoadFailure, StreamSource};
pub use merging::MergingState;
pub use metadata_file::{MetadataError, OtherMetadata, read_metadata_file};
pub use operator::{
    BroadcastState, BroadcastStateDescriptor, FrozenOperatorState, OperatorListState,
    OperatorStateBackend, RawKeyedState, RawKeyedWriter, restore_operator_states,
};
pub use registration::{
    MAX_STATE_NAME_LEN_BYTES, check_restored, check_state_name, find_registered,
    incompatible_values, state_id,
};
pub use restored::{
    EncodedEntry, KeyedStreams, RestoredEntries, RestoredStream, Segment, StreamContent,
    StreamEntries,
};
pub use snapshot::{FrozenState, KeyedPlacement, SnapshotMode, SnapshotTarget, SstFileStream};
pub use timers::{TimeDomain, Timer, TimerDescriptor, Timers};
pub use ttl::{Clock, StateTtl, UpdateType, Visibility};
