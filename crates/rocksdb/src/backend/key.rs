//! The key at hand: its key group and its bytes, as its rows begin.

use alluvium_core::KeyGroup;
use alluvium_format::codec::Codec;
use alluvium_state::{StateError, StateKey, check_key_len};

use super::RocksDbKeyedStateBackend;

impl<K: StateKey, C: Codec<K>> RocksDbKeyedStateBackend<K, C> {
    /// Encodes a key behind the place of its key group.
    pub(super) fn encode_key(&mut self, key: &K) -> Result<(), StateError> {
        self.key.clear();
        self.key.resize(self.layout.group_len_bytes(), 0);
        self.spec.key.encode(key, &mut self.key).map_err(|source| StateError::Key { source })?;
        check_key_len("key", self.key.len() - self.layout.group_len_bytes())
    }

    /// Encodes a key and finds its key group.
    pub(super) fn assign_key(&mut self, key: &K) -> Result<KeyGroup, StateError> {
        self.encode_key(key)?;
        let encoded = self.key.get(self.layout.group_len_bytes()..).unwrap_or_default();
        Ok(self.spec.assigner.assign(key, encoded, self.spec.parallelism.max()))
    }

    /// Puts the key group of the key at hand in its place.
    pub(super) fn open_key_group(&mut self, key_group: KeyGroup) -> Result<(), StateError> {
        let range = self.key_groups;
        if !range.contains(key_group) {
            return Err(StateError::ForeignKeyGroup { key_group, range });
        }
        let [high, low] = key_group.get().to_be_bytes();
        match (self.layout.group_len_bytes(), self.key.as_mut_slice()) {
            (2, [first, second, ..]) => (*first, *second) = (high, low),
            (_, [first, ..]) => *first = low,
            (_, []) => {}
        }
        Ok(())
    }
}
