//! Operator state: lists and broadcast maps that belong to a subtask, and raw state of any form.
//!
//! There is one implementation, in memory, for every keyed backend: operator state is small (the
//! offsets of a source, the open files of a sink), and every engine of the field keeps it there.
//!
//! Invariants:
//! - a frozen copy is made by encoding, so later changes cannot reach it;
//! - restored state that nobody registers is kept and written again.
//!
//! Source: SPEC 7; Flink `DefaultOperatorStateBackend`.

mod raw;
mod restore;
mod table;

pub use raw::{RawKeyedState, RawKeyedWriter};
pub use restore::restore_operator_states;

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};

use alluvium_core::{OperatorStateHandle, OperatorUid, SubtaskIndex};
use alluvium_format::codec::{Codec, CodecSnapshot, DefaultCodec, HasCodec, TupleCodec};
use alluvium_format::envelope::StreamKind;
use alluvium_format::operator::{DistributionMode, OperatorStateItems, write_operator_state};

use self::table::{AnyItems, Items};
use crate::{
    ListStateDescriptor, SnapshotError, SnapshotTarget, StateError, StateValue, check_state_name,
};

/// A list of items of a subtask; split or union, as it was registered.
pub struct OperatorListState<T> {
    backend: u32,
    index: usize,
    item: PhantomData<fn() -> T>,
}

/// A map that all subtasks hold equally.
///
/// Source: Flink `BroadcastState`.
pub struct BroadcastState<K, V>(OperatorListState<(K, V)>);

impl<T> Clone for OperatorListState<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for OperatorListState<T> {}

impl<T> fmt::Debug for OperatorListState<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperatorListState({}.{})", self.backend, self.index)
    }
}

impl<K, V> Clone for BroadcastState<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for BroadcastState<K, V> {}

impl<K, V> fmt::Debug for BroadcastState<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BroadcastState({}.{})", self.0.backend, self.0.index)
    }
}

/// Describes a [`BroadcastState`].
#[derive(Debug, Clone)]
pub struct BroadcastStateDescriptor<K, V, KC = DefaultCodec, VC = DefaultCodec> {
    name: String,
    codec: TupleCodec<(KC, VC)>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: StateValue + HasCodec, V: StateValue + HasCodec> BroadcastStateDescriptor<K, V> {
    /// A broadcast state of types with codecs of their own.
    pub fn new(name: &str) -> Self {
        Self::with_codecs(name, DefaultCodec, DefaultCodec)
    }
}

impl<K, V, KC: Codec<K>, VC: Codec<V>> BroadcastStateDescriptor<K, V, KC, VC> {
    /// A broadcast state whose keys and values are written by codecs.
    pub fn with_codecs(name: &str, key: KC, value: VC) -> Self {
        Self { name: name.to_owned(), codec: TupleCodec((key, value)), types: PhantomData }
    }
}

/// Numbers the backends of the process, so that handles of another one are noticed.
static NEXT_BACKEND: AtomicU32 = AtomicU32::new(0);

/// Operator state of one subtask.
#[derive(Debug)]
pub struct OperatorStateBackend {
    number: u32,
    states: Vec<Box<dyn AnyItems>>,
    restored: BTreeMap<String, OperatorStateItems>,
    /// Whether this subtask writes union state again that nobody registered.
    keeps_union: bool,
}

impl OperatorStateBackend {
    /// Begins with restored items, as [`restore_operator_states`] hands them out, or with none.
    ///
    /// An engine follows with [`OperatorStateBackend::for_subtask`]; without it, union state that
    /// nobody registers multiplies at every restore.
    pub fn new(restored: Vec<OperatorStateItems>) -> Self {
        let number = NEXT_BACKEND.fetch_add(1, Ordering::Relaxed);
        let restored = restored.into_iter().map(|state| (state.name.clone(), state)).collect();
        Self { number, states: Vec::new(), restored, keeps_union: true }
    }

    /// Says which subtask this is, so that union state which nobody registers is written again by
    /// one subtask only: all of them were handed all of it.
    #[must_use]
    pub fn for_subtask(mut self, subtask: SubtaskIndex) -> Self {
        self.keeps_union = subtask == SubtaskIndex::new(0);
        self
    }

    /// Whether there is restored state under a name that nobody registered yet.
    pub fn has_restored(&self, name: &str) -> bool {
        self.restored.contains_key(name)
    }

    /// The restored states that nobody has registered, by name: the name, how it is redistributed,
    /// and the codec of its items.
    pub fn unregistered_states(
        &self,
    ) -> impl Iterator<Item = (&str, DistributionMode, &CodecSnapshot)> {
        self.restored.values().map(|state| (state.name.as_str(), state.mode, &state.item))
    }

    /// Drops a restored state that nobody has registered, and says whether there was one: it is not
    /// written again. All subtasks of an operator do the same.
    ///
    /// Errors: [`StateError::Registered`].
    pub fn drop_restored_state(&mut self, name: &str) -> Result<bool, StateError> {
        if self.states.iter().any(|state| state.name() == name) {
            return Err(StateError::Registered { name: name.to_owned() });
        }
        Ok(self.restored.remove(name).is_some())
    }

    /// Registers a list whose items are split among the subtasks of a restore.
    ///
    /// Errors: [`StateError::NameReused`], [`StateError::InvalidName`],
    /// [`StateError::KindChanged`], [`StateError::IncompatibleSchema`], [`StateError::Decode`].
    /// Source: Flink `OperatorStateStore.getListState`.
    pub fn list_state<T: StateValue, C: Codec<T>>(
        &mut self,
        descriptor: ListStateDescriptor<T, C>,
    ) -> Result<OperatorListState<T>, StateError> {
        self.register(descriptor.name, DistributionMode::Split, descriptor.element)
    }

    /// Registers a list of which each subtask of a restore gets all items of all subtasks.
    ///
    /// Errors: as [`OperatorStateBackend::list_state`].
    /// Source: Flink `OperatorStateStore.getUnionListState`.
    pub fn union_list_state<T: StateValue, C: Codec<T>>(
        &mut self,
        descriptor: ListStateDescriptor<T, C>,
    ) -> Result<OperatorListState<T>, StateError> {
        self.register(descriptor.name, DistributionMode::Union, descriptor.element)
    }

    /// Registers a map that all subtasks hold equally; keeping it equal is the operator's part.
    ///
    /// Errors: as [`OperatorStateBackend::list_state`].
    /// Source: Flink `OperatorStateStore.getBroadcastState`.
    pub fn broadcast_state<K: StateValue, V: StateValue, KC: Codec<K>, VC: Codec<V>>(
        &mut self,
        descriptor: BroadcastStateDescriptor<K, V, KC, VC>,
    ) -> Result<BroadcastState<K, V>, StateError> {
        let BroadcastStateDescriptor { name, codec, .. } = descriptor;
        self.register(name, DistributionMode::Broadcast, codec).map(BroadcastState)
    }

    fn register<T: StateValue, C: Codec<T>>(
        &mut self,
        name: String,
        mode: DistributionMode,
        codec: C,
    ) -> Result<OperatorListState<T>, StateError> {
        check_state_name(&name)?;
        let known = self.states.iter().position(|state| state.name() == name);
        let index = if let Some(index) = known {
            let known = self.states.get(index).map(|state| &**state);
            let same =
                |state: &dyn AnyItems| state.mode() == mode && state.as_any().is::<Items<T, C>>();
            if !known.is_some_and(same) {
                let registered = known.map_or_else(String::new, AnyItems::describe);
                let requested = format!("{mode} of {}", codec.snapshot());
                return Err(StateError::NameReused { name, registered, requested });
            }
            index
        } else {
            let restored = self.restored.get(&name);
            let items = Items::<T, C>::open(name, mode, codec, restored)?;
            self.restored.remove(items.name());
            self.states.push(Box::new(items));
            self.states.len() - 1
        };
        Ok(OperatorListState { backend: self.number, index, item: PhantomData })
    }

    /// The items of a list, in order.
    ///
    /// Errors: [`StateError::ForeignHandle`].
    pub fn items<T: StateValue>(&self, list: OperatorListState<T>) -> Result<&[T], StateError> {
        let own = list.backend == self.number;
        let state = self.states.get(list.index).filter(|_| own);
        state.and_then(|state| table::items_of(&**state)).ok_or(StateError::ForeignHandle)
    }

    /// The name of a list.
    fn name_of<T>(&self, list: OperatorListState<T>) -> Result<&str, StateError> {
        let state = self.states.get(list.index).filter(|_| list.backend == self.number);
        state.map(|state| state.name()).ok_or(StateError::ForeignHandle)
    }

    /// The items of a list, to be changed.
    ///
    /// Errors: [`StateError::ForeignHandle`].
    pub fn items_mut<T: StateValue>(
        &mut self,
        list: OperatorListState<T>,
    ) -> Result<&mut Vec<T>, StateError> {
        if list.backend != self.number {
            return Err(StateError::ForeignHandle);
        }
        let state = self.states.get_mut(list.index).ok_or(StateError::ForeignHandle)?;
        table::items_of_mut(&mut **state).ok_or(StateError::ForeignHandle)
    }

    /// Appends an item to a list.
    ///
    /// Errors: [`StateError::ForeignHandle`].
    pub fn add<T: StateValue>(
        &mut self,
        list: OperatorListState<T>,
        item: T,
    ) -> Result<(), StateError> {
        self.items_mut(list).map(|items| items.push(item))
    }

    /// Replaces the items of a list.
    ///
    /// Errors: [`StateError::ForeignHandle`].
    pub fn update<T: StateValue>(
        &mut self,
        list: OperatorListState<T>,
        items: Vec<T>,
    ) -> Result<(), StateError> {
        self.items_mut(list).map(|old| *old = items)
    }

    /// The value of a key of a broadcast map.
    ///
    /// Errors: [`StateError::ForeignHandle`].
    pub fn broadcast_get<K: StateValue + Eq, V: StateValue>(
        &self,
        map: BroadcastState<K, V>,
        key: &K,
    ) -> Result<Option<&V>, StateError> {
        let entries = self.items(map.0)?;
        Ok(entries.iter().find(|(k, _)| k == key).map(|(_, value)| value))
    }

    /// The entries of a broadcast map, in the order in which their keys came.
    ///
    /// Errors: [`StateError::ForeignHandle`].
    pub fn broadcast_entries<K: StateValue, V: StateValue>(
        &self,
        map: BroadcastState<K, V>,
    ) -> Result<&[(K, V)], StateError> {
        self.items(map.0)
    }

    /// Sets the value of a key of a broadcast map.
    ///
    /// Errors: [`StateError::ForeignHandle`].
    pub fn broadcast_put<K: StateValue + Eq, V: StateValue>(
        &mut self,
        map: BroadcastState<K, V>,
        key: K,
        value: V,
    ) -> Result<(), StateError> {
        let entries = self.items_mut(map.0)?;
        match entries.iter_mut().find(|(k, _)| *k == key) {
            Some((_, old)) => *old = value,
            None => entries.push((key, value)),
        }
        Ok(())
    }

    /// Removes a key of a broadcast map.
    ///
    /// Errors: [`StateError::ForeignHandle`].
    pub fn broadcast_remove<K: StateValue + Eq, V: StateValue>(
        &mut self,
        map: BroadcastState<K, V>,
        key: &K,
    ) -> Result<(), StateError> {
        self.items_mut(map.0).map(|entries| entries.retain(|(k, _)| k != key))
    }

    /// Fixes the state as it is now, by encoding it.
    ///
    /// Errors: [`SnapshotError::Encode`].
    pub fn freeze(&self) -> Result<FrozenOperatorState, SnapshotError> {
        let mut states = Vec::new();
        for state in &self.states {
            states.push(state.encode().map_err(|source| SnapshotError::Encode {
                state: state.name().to_owned(),
                source,
            })?);
        }
        for restored in self.restored.values() {
            let mut kept = restored.clone();
            if kept.mode == DistributionMode::Union && !self.keeps_union {
                kept.items.clear();
            }
            states.push(kept);
        }
        Ok(FrozenOperatorState { states })
    }
}

/// Operator state as it was at a freeze.
#[derive(Debug)]
#[must_use = "frozen state that is not written is lost"]
pub struct FrozenOperatorState {
    states: Vec<OperatorStateItems>,
}

impl FrozenOperatorState {
    /// The states and their items.
    pub fn states(&self) -> &[OperatorStateItems] {
        &self.states
    }

    /// These states and others, whose names must be different.
    pub fn and(mut self, others: Self) -> Self {
        self.states.extend(others.states);
        self
    }

    /// Writes everything; `None` when there was no state at all.
    ///
    /// Errors: [`SnapshotError`]; then nothing was written that anybody can see.
    pub fn write(
        self,
        target: &SnapshotTarget,
        uid: &OperatorUid,
        subtask: SubtaskIndex,
    ) -> Result<Option<OperatorStateHandle>, SnapshotError> {
        if self.states.is_empty() {
            return Ok(None);
        }
        let (stream, identity) = target.stream(StreamKind::Operator, uid, subtask);
        let (stream, seal) = write_operator_state(stream, &identity, uid, &self.states)?;
        let stream = SnapshotTarget::finish(stream, seal)?;
        Ok(Some(OperatorStateHandle { stream }))
    }
}

#[cfg(test)]
mod tests;
