//! Keyed state for engines that know the types at run time only.
//!
//! Keys, namespaces, values, elements and user keys go in and out as the bytes that their codecs
//! write; which codecs these are is said by snapshots ([`CodecSnapshot`], SPEC 5.1), which may come
//! from a stored state. Any [`StateBackend`] opens such state, and what it writes is what a job with
//! types writes: each reads the checkpoints of the other.
//!
//! Ladder of names: [`DynStateBackend`] (how to open) > [`DynKeyedState`] (the state of one subtask) >
//! [`DynState`] (one state) at a [`DynAt`] (key and namespace). All traits are object-safe. What can be
//! done to states of a kind stands in a trait of its own ([`DynValues`], [`DynLists`], [`DynMaps`],
//! [`DynTimers`]); a `dyn DynKeyedState` has the methods of all of them.
//!
//! Invariants: bytes that are not one whole value of the state's codec are refused before anything is
//! written. What is within them is not checked ([`Encoded`]).
//!
//! ```
//! use alluvium_format::codec::{Codec, DefaultCodec};
//! use alluvium_state::StateError;
//! use alluvium_state::dynamic::{DynAt, DynKeyedState, DynKind, DynStateDescriptor};
//!
//! /// Appends an encoded text to the list that a key has in the state `events`.
//! fn append(
//!     state: &mut dyn DynKeyedState,
//!     key: &[u8],
//!     element: &[u8],
//! ) -> Result<usize, StateError> {
//!     let events = state.register(DynStateDescriptor {
//!         name: "events".to_owned(),
//!         namespace: Codec::<()>::snapshot(&DefaultCodec),
//!         kind: DynKind::List { element: Codec::<String>::snapshot(&DefaultCodec) },
//!     })?;
//!     let at = DynAt { key, namespace: &[] };
//!     state.list_add(events, at, element)?;
//!     Ok(state.list_get(events, at)?.len())
//! }
//! ```
//!
//! `alluvium-heap` has a runnable program.

mod adapter;
mod descriptor;
mod lists;
mod maps;
mod timers;
mod values;

pub use alluvium_format::codec::{Encoded, EncodedCodec};
pub use descriptor::{DynAggregate, DynKind, DynReduce, DynStateDescriptor};
pub use lists::DynLists;
pub use maps::{DynEntry, DynMaps, DynRange};
pub use timers::{DynTimer, DynTimers};
pub use values::DynValues;

use alluvium_core::{CheckpointId, KeyGroup, KeyGroupRange, KeyedStateHandle};
#[cfg(doc)]
use alluvium_format::codec::CodecSnapshot;
use alluvium_format::keyed::StateMeta;
use alluvium_storage::HandleReader;

use self::adapter::Adapter;
use crate::{
    BackgroundLoad, FrozenState, KeyedBackendSpec, Pairs, RestoreError, SnapshotError,
    StateBackend, StateError, StateId,
};

/// One state of a [`DynKeyedState`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DynState(StateId);

/// An encoded key and an encoded namespace; a state without namespaces has one of no bytes, `()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DynAt<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The namespace.
    pub namespace: &'a [u8],
}

/// Opens [`DynKeyedState`]; every [`StateBackend`] does.
pub trait DynStateBackend: Send + Sync {
    /// Opens the state of a subtask; see [`StateBackend::open`].
    ///
    /// Errors: [`RestoreError`].
    fn open_dynamic(
        &self,
        spec: KeyedBackendSpec<Encoded, EncodedCodec>,
        restored: &[KeyedStateHandle],
        reader: &HandleReader,
    ) -> Result<Box<dyn DynKeyedState>, RestoreError>;
}

impl<B: StateBackend> DynStateBackend for B {
    fn open_dynamic(
        &self,
        spec: KeyedBackendSpec<Encoded, EncodedCodec>,
        restored: &[KeyedStateHandle],
        reader: &HandleReader,
    ) -> Result<Box<dyn DynKeyedState>, RestoreError> {
        let key = spec.key.clone();
        Ok(Box::new(Adapter::new(self.open(spec, restored, reader)?, key)))
    }
}

/// Keyed state of one subtask, by bytes.
///
/// Errors: [`StateError::ForeignHandle`] for a handle of another backend or of another kind;
/// [`StateError::Key`] for a key, namespace or user key that is not one whole encoding, and
/// [`StateError::Encode`] for such a value or element; and those of the method of the same name of
/// [`KeyedStateBackend`](crate::KeyedStateBackend) or of a handle.
pub trait DynKeyedState: DynValues + DynLists + DynMaps + DynTimers + Send {
    /// The key groups that this subtask owns.
    fn key_groups(&self) -> KeyGroupRange;

    /// The key group of a key.
    fn key_group_of(&mut self, key: &[u8]) -> Result<KeyGroup, StateError>;

    /// Registers a state or a timer service, or finds it again.
    fn register(&mut self, descriptor: DynStateDescriptor) -> Result<DynState, StateError>;

    /// Removes what a state of any kind holds for a key and namespace.
    fn clear(&mut self, state: DynState, at: DynAt<'_>) -> Result<(), StateError>;

    /// Moves what a key has in a list, reducing or aggregating state under the sources into the
    /// target.
    fn merge_namespaces(
        &mut self,
        state: DynState,
        key: &[u8],
        target: &[u8],
        sources: &[&[u8]],
    ) -> Result<(), StateError>;

    /// The keys and namespaces of one key group that have something in a state.
    fn keys_and_namespaces_in_group(
        &mut self,
        state: DynState,
        key_group: KeyGroup,
    ) -> Result<Pairs<Vec<u8>, Vec<u8>>, StateError>;

    /// How many (key, namespace) entries all registered states hold together.
    fn entry_count(&self) -> Result<usize, StateError>;

    /// The restored states that nobody has registered, with their codecs.
    fn unregistered_states(&self) -> Vec<StateMeta>;

    /// Drops a restored state that nobody has registered.
    fn drop_restored_state(&mut self, name: &str) -> Result<bool, StateError>;

    /// A checkpoint is on its way.
    fn announce(&mut self, checkpoint: CheckpointId);

    /// Fixes the state as it is now for a checkpoint.
    ///
    /// Errors: [`SnapshotError`]; also when a function gave bytes that are not one whole value.
    fn freeze(&mut self, checkpoint: CheckpointId) -> Result<Box<dyn FrozenState>, SnapshotError>;

    /// The checkpoint exists.
    fn complete(&mut self, checkpoint: CheckpointId);

    /// The checkpoint will never exist.
    fn abort(&mut self, checkpoint: CheckpointId);

    /// What loads the rest of a lazily restored backend.
    fn background_load(&mut self) -> Option<BackgroundLoad>;
}
