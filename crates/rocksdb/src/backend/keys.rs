//! The keys of a state, one key group at a time: one run of rows.
//!
//! Here keys come out of rows, so each is compared with the key group of its row (SPEC 12.7). Reads of a
//! key look under its own key group, and meet no row of another one.

use std::collections::BTreeSet;

use alluvium_core::KeyGroup;
use alluvium_format::codec::{Codec, Input};
use alluvium_state::{Pairs, StateError, StateKey, StateRef};

use super::RocksDbKeyedStateBackend;
use super::table::{Boxed, Table};
use crate::row_key::{RowKeyParts, RowRange};

impl<K: StateKey, C: Codec<K>> RocksDbKeyedStateBackend<K, C> {
    pub(super) fn keys_of<S: StateRef>(
        &self,
        state: S,
        namespace: &S::Namespace,
        key_group: KeyGroup,
    ) -> Result<Vec<K>, StateError> {
        let table = self.table(state.id())?;
        let (mut wanted, mut keys) = (Vec::new(), Vec::new());
        table.put_namespace(namespace, &mut wanted)?;
        self.for_each_pair_once(table, key_group, |pair| {
            if pair.namespace == wanted {
                keys.push(self.decode_key(table, pair.key, key_group)?);
            }
            Ok(())
        })?;
        Ok(keys)
    }

    pub(super) fn pairs_of<S: StateRef>(
        &self,
        state: S,
        key_group: KeyGroup,
    ) -> Result<Pairs<K, S::Namespace>, StateError> {
        let table = self.table(state.id())?;
        let codec = table.namespace.downcast_ref::<Boxed<S::Namespace>>();
        let codec = codec.ok_or(StateError::ForeignHandle)?;
        let mut pairs = Vec::new();
        self.for_each_pair_once(table, key_group, |pair| {
            let key = self.decode_key(table, pair.key, key_group)?;
            pairs.push((key, table.decode(&**codec, pair.namespace)?));
            Ok(())
        })?;
        Ok(pairs)
    }

    /// Decodes the key of a row, which must be one of the key group that the row says.
    fn decode_key(
        &self,
        table: &Table,
        encoded: &[u8],
        expected: KeyGroup,
    ) -> Result<K, StateError> {
        let key = self.spec.key.decode(&mut Input::new(encoded)).map_err(table.decode_error())?;
        let found = self.spec.assigner.assign(&key, encoded, self.spec.parallelism.max());
        if found == expected {
            return Ok(key);
        }
        Err(StateError::MisplacedKey { state: table.meta.name.clone(), expected, found })
    }

    /// Visits each pair of a key group once; of timers too, whose rows are not neighbours.
    fn for_each_pair_once(
        &self,
        table: &Table,
        key_group: KeyGroup,
        mut visit: impl FnMut(RowKeyParts<'_>) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let range = self.key_groups;
        if !range.contains(key_group) {
            return Err(StateError::ForeignKeyGroup { key_group, range });
        }
        let mut prefix = Vec::new();
        self.layout.put_key_group(key_group, &mut prefix);
        let mut seen = BTreeSet::new();
        table.for_each_visible_pair(&self.store, RowRange::of_prefix(&prefix), |pair| {
            let is_timers = table.format.is_timers();
            if is_timers && !seen.insert((pair.key.to_vec(), pair.namespace.to_vec())) {
                return Ok(());
            }
            visit(pair)
        })
    }
}
