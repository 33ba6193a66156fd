//! Fetching what a batch of records will need.

use alluvium_core::KeyGroup;
use alluvium_format::codec::Codec;
use alluvium_state::StateKey;

use super::HeapKeyedStateBackend;
use crate::table::ROUND;

impl<K: StateKey, C: Codec<K>> HeapKeyedStateBackend<K, C> {
    /// Fetches the entries of keys without a namespace, in states that are larger than the caches.
    pub(super) fn fetch<'k>(&mut self, keys: impl Iterator<Item = (KeyGroup, &'k K)>) {
        let mut is_worth_it = false;
        for registered in &mut self.tables {
            is_worth_it |= registered.table_mut().is_worth_fetching();
        }
        if !is_worth_it {
            return;
        }
        let mut hashed = keys.filter_map(|(key_group, key)| {
            let group = self.key_groups.offset_of(key_group);
            Some((group, self.hashers.get(group)?.hash_pair(key, &())))
        });
        loop {
            let (mut round, mut count) = ([(0, 0); ROUND], 0);
            for (place, key) in round.iter_mut().zip(&mut hashed) {
                *place = key;
                count += 1;
            }
            let round = round.get(..count).unwrap_or_default();
            self.tables.iter().for_each(|registered| registered.table().fetch(round));
            if count < ROUND {
                return;
            }
        }
    }
}
