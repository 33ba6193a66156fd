//! The map inside one key of a map state, and its codec.

use std::hash::Hash;

use alluvium_format::CodecError;
use alluvium_format::codec::{
    Codec, CodecSnapshot, Compatibility, Input, MapCodec, decode_entries, encode_entries,
};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::TableHasher;
use crate::table::SlotCodec;

/// A hash map that is given its hasher with each call, so that a key costs no hasher of its own.
#[derive(Debug, Clone)]
pub(crate) struct UserMap<UK, UV>(HashTable<(UK, UV)>);

impl<UK, UV> Default for UserMap<UK, UV> {
    fn default() -> Self {
        Self(HashTable::new())
    }
}

impl<UK: Eq + Hash, UV> UserMap<UK, UV> {
    pub(crate) fn get(&self, key: &UK, hasher: &TableHasher) -> Option<&UV> {
        self.0.find(hasher.hash(key), |(k, _)| k == key).map(|(_, value)| value)
    }

    /// The value of a key, made first when there is none.
    pub(crate) fn get_or_insert_with(
        &mut self,
        key: UK,
        initial: impl FnOnce() -> UV,
        hasher: &TableHasher,
    ) -> &mut UV {
        let rehash = |(key, _): &(UK, UV)| hasher.hash(key);
        let entry = match self.0.entry(hasher.hash(&key), |(k, _)| *k == key, rehash) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => entry.insert((key, initial())),
        };
        &mut entry.into_mut().1
    }

    /// Sets a value and says whether the key was absent.
    pub(crate) fn insert(&mut self, key: UK, value: UV, hasher: &TableHasher) -> bool {
        let rehash = |(key, _): &(UK, UV)| hasher.hash(key);
        match self.0.entry(hasher.hash(&key), |(k, _)| *k == key, rehash) {
            Entry::Occupied(mut entry) => {
                entry.get_mut().1 = value;
                false
            }
            Entry::Vacant(entry) => {
                entry.insert((key, value));
                true
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &UK, hasher: &TableHasher) {
        if let Ok(entry) = self.0.find_entry(hasher.hash(key), |(k, _)| k == key) {
            entry.remove();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&UK, &UV)> {
        self.0.iter().map(|(key, value)| (key, value))
    }
}

/// Writes a [`UserMap`] as the `map` codec of the format does.
#[derive(Debug, Clone)]
pub(crate) struct UserMapCodec<KC, VC> {
    pub(crate) entries: MapCodec<KC, VC>,
    pub(crate) hasher: TableHasher,
}

impl<UK, UV, KC, VC> SlotCodec<UserMap<UK, UV>> for UserMapCodec<KC, VC>
where
    UK: Eq + Hash + 'static,
    UV: 'static,
    KC: Codec<UK>,
    VC: Codec<UV>,
{
    fn snapshot(&self) -> CodecSnapshot {
        self.entries.snapshot_of::<UK, UV>()
    }

    fn encode(&self, slot: &UserMap<UK, UV>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        encode_entries(&self.entries, slot.0.len(), slot.iter(), out)
    }

    fn decode(&self, input: &mut Input<'_>) -> Result<UserMap<UK, UV>, CodecError> {
        let mut map = UserMap::default();
        decode_entries(
            |input| self.entries.keys.decode(input),
            |input| self.entries.values.decode(input),
            input,
            |key, value| map.insert(key, value, &self.hasher),
        )?;
        Ok(map)
    }

    fn resolve(&self, stored: &CodecSnapshot) -> Compatibility<UserMap<UK, UV>> {
        let current = self.snapshot();
        if current == *stored {
            return Compatibility::AsIs;
        }
        let Some((keys, values)) = self.entries.part_decoders::<UK, UV>(stored) else {
            let (stored, current) = (Box::new(stored.clone()), Box::new(current));
            return Compatibility::Incompatible { stored, current };
        };
        let hasher = self.hasher.clone();
        Compatibility::AfterMigration(Box::new(move |input: &mut Input<'_>| {
            let mut map = UserMap::default();
            decode_entries(
                |input| keys.decode_value(input),
                |input| values.decode_value(input),
                input,
                |key, value| map.insert(key, value, &hasher),
            )?;
            Ok(map)
        }))
    }
}
