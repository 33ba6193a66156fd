//! Bytes of the operator's own making: in partitions, or by key group.
//!
//! For operators that keep their state themselves, such as one that comes from another engine, and
//! give it to checkpoints as bytes. Both are operator state of SPEC 7, whatever backend keeps the
//! keyed state of the job:
//! - *raw operator state* is a split list of `bytes`: a restore hands the partitions out;
//! - *raw keyed state* is a union list of (key group, bytes): every subtask is handed all of it at a
//!   restore, and keeps the key groups that it owns. So it is for state that is small, or rarely
//!   restored.
//!
//! Invariants: of raw keyed state, a key group has one item at most, items are in the order of their
//! key groups, and all belong to the subtask.
//!
//! Source: Flink `KeyedStateCheckpointOutputStream`, `OperatorStateCheckpointOutputStream`.

use alluvium_core::{KeyGroup, KeyGroupRange};
use bytes::Bytes;

use super::{OperatorListState, OperatorStateBackend};
use crate::{ListStateDescriptor, StateError};

/// Bytes for each key group of a subtask.
#[derive(Debug, Clone, Copy)]
pub struct RawKeyedState {
    items: OperatorListState<(u16, Bytes)>,
    key_groups: KeyGroupRange,
}

impl OperatorStateBackend {
    /// Registers raw operator state: a list of partitions, each of which goes to one subtask of a
    /// restore as it is.
    ///
    /// Errors: as [`OperatorStateBackend::list_state`].
    pub fn raw_operator_state(
        &mut self,
        name: &str,
    ) -> Result<OperatorListState<Bytes>, StateError> {
        self.list_state(ListStateDescriptor::<Bytes>::new(name))
    }

    /// Registers raw keyed state of a subtask that owns some key groups. Of restored bytes it keeps
    /// those of its key groups.
    ///
    /// Errors: as [`OperatorStateBackend::union_list_state`].
    pub fn raw_keyed_state(
        &mut self,
        name: &str,
        key_groups: KeyGroupRange,
    ) -> Result<RawKeyedState, StateError> {
        let items = self.union_list_state(ListStateDescriptor::<(u16, Bytes)>::new(name))?;
        let own = key_groups.first().get()..=key_groups.last().get();
        let all = self.items_mut(items)?;
        all.retain(|(key_group, _)| own.contains(key_group));
        all.sort_by_key(|(key_group, _)| *key_group);
        Ok(RawKeyedState { items, key_groups })
    }

    /// The bytes of a key group; `None` when there are none.
    ///
    /// Errors: [`StateError::ForeignHandle`], [`StateError::ForeignKeyGroup`].
    pub fn raw_keyed_bytes(
        &self,
        state: RawKeyedState,
        key_group: KeyGroup,
    ) -> Result<Option<&Bytes>, StateError> {
        state.check(key_group)?;
        let items = self.items(state.items)?;
        let found = items.binary_search_by_key(&key_group.get(), |(key_group, _)| *key_group);
        Ok(found.ok().and_then(|at| items.get(at)).map(|(_, bytes)| bytes))
    }

    /// Replaces the bytes of a key group; `None` removes them, and no bytes are something.
    ///
    /// Errors: [`StateError::ForeignHandle`], [`StateError::ForeignKeyGroup`].
    pub fn set_raw_keyed_bytes(
        &mut self,
        state: RawKeyedState,
        key_group: KeyGroup,
        bytes: Option<Bytes>,
    ) -> Result<(), StateError> {
        state.check(key_group)?;
        let items = self.items_mut(state.items)?;
        let found = items.binary_search_by_key(&key_group.get(), |(key_group, _)| *key_group);
        match (found, bytes) {
            (Ok(at), Some(bytes)) => {
                if let Some(item) = items.get_mut(at) {
                    item.1 = bytes;
                }
            }
            (Ok(at), None) => drop(items.remove(at)),
            (Err(at), Some(bytes)) => items.insert(at, (key_group.get(), bytes)),
            (Err(_), None) => {}
        }
        Ok(())
    }
}

impl RawKeyedState {
    const fn check(self, key_group: KeyGroup) -> Result<(), StateError> {
        let range = self.key_groups;
        if range.contains(key_group) {
            Ok(())
        } else {
            Err(StateError::ForeignKeyGroup { key_group, range })
        }
    }
}
