//! The map inside one key of a map state, and its codec.
//!
//! One of a few entries is a vector of them, a small one is one hash table; a large one is segmented, so
//! that a write after a freeze copies a part of it and shares the rest with the snapshot.
//!
//! Invariants: all hashes of a map are of one hasher, which comes with each call, so that a key
//! costs no hasher of its own.

mod tiny;

use alluvium_format::CodecError;
use alluvium_format::codec::{
    Codec, CodecSnapshot, Compatibility, Input, MapCodec, decode_entries, encode_checked_entries,
};
use alluvium_state::{Entries, Ref, StateKey, StateValue, check_written_key_len};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as TableEntry;

use self::tiny::TinyMap;
use crate::TableHasher;
use crate::segment::{LoadError, Writing};
use crate::segmented::SegmentedTable;
use crate::slot::Entry;
use crate::table::SlotCodec;

/// Entries beyond which a map is segmented.
const MAX_SMALL_LEN: usize = 64;

/// A user key and its value.
type UserEntry<UK, UV> = (UK, UV);

impl<UK: StateKey, UV: StateValue> Entry for UserEntry<UK, UV> {
    const SPLIT_AT: usize = MAX_SMALL_LEN;

    type Removed = ();

    fn into_removed(self) {}
}

/// A hash map that is given its hasher with each call.
#[derive(Clone)]
pub(crate) enum UserMap<UK: StateKey, UV: StateValue> {
    Tiny(TinyMap<UserEntry<UK, UV>>),
    Small(HashTable<UserEntry<UK, UV>>),
    Large(Box<SegmentedTable<UserEntry<UK, UV>>>),
}

impl<UK: StateKey, UV: StateValue> Default for UserMap<UK, UV> {
    fn default() -> Self {
        Self::Tiny(TinyMap::new())
    }
}

/// Nothing tracks what changes inside a value, and nothing of it is left in a stream.
fn loaded<T>(result: Result<T, LoadError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => unreachable!("a map inside a key is loaded whole: {error}"),
    }
}

impl<UK: StateKey, UV: StateValue> UserMap<UK, UV> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Tiny(map) => map.len(),
            Self::Small(table) => table.len(),
            Self::Large(table) => table.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn get(&self, key: &UK, hasher: TableHasher) -> Option<&UV> {
        let (hash, same) = (hasher.hash(key), |entry: &UserEntry<UK, UV>| entry.0 == *key);
        let found = match self {
            Self::Tiny(map) => map.find(hash, same).and_then(|position| map.get(position)),
            Self::Small(table) => table.find(hash, same),
            Self::Large(table) => loaded(table.get(hash, same)),
        };
        found.map(|entry| &entry.1)
    }

    /// The value of a key, made first when there is none; says whether it was.
    pub(crate) fn entry(
        &mut self,
        key: UK,
        initial: impl FnOnce() -> UV,
        hasher: TableHasher,
    ) -> (&mut UV, bool) {
        let hash = hasher.hash(&key);
        let rehash = |entry: &UserEntry<UK, UV>| hasher.hash(&entry.0);
        self.grow_if_full(rehash);
        match self {
            Self::Tiny(map) => {
                let (position, is_new) = match map.find(hash, |entry| entry.0 == key) {
                    Some(position) => (position, false),
                    None => (map.push(hash, (key, initial())), true),
                };
                let Some(entry) = map.get_mut(position) else { unreachable!("found or added") };
                (&mut entry.1, is_new)
            }
            Self::Small(table) => match table.entry(hash, |entry| entry.0 == key, rehash) {
                TableEntry::Occupied(entry) => (&mut entry.into_mut().1, false),
                TableEntry::Vacant(entry) => {
                    (&mut entry.insert((key, initial())).into_mut().1, true)
                }
            },
            Self::Large(table) => {
                let same = |entry: &UserEntry<UK, UV>| entry.0 == key;
                let make = || (key.clone(), initial());
                let found = table.get_or_insert_with(hash, same, make, rehash, Writing::ALONE);
                let (entry, is_new) = loaded(found);
                (&mut entry.1, is_new)
            }
        }
    }

    /// Makes it larger where another entry might not fit.
    #[inline]
    fn grow_if_full(&mut self, rehash: impl Fn(&UserEntry<UK, UV>) -> u64) {
        match self {
            Self::Tiny(map) if map.is_full() => self.hash_tiny(rehash),
            Self::Small(table) if table.len() >= MAX_SMALL_LEN => self.segment_small(rehash),
            _ => {}
        }
    }

    #[cold]
    fn hash_tiny(&mut self, rehash: impl Fn(&UserEntry<UK, UV>) -> u64) {
        let Self::Tiny(map) = self else { return };
        let entries = std::mem::replace(map, TinyMap::new()).into_entries();
        let mut table = HashTable::with_capacity(entries.len() + 1);
        for entry in entries {
            table.insert_unique(rehash(&entry), entry, &rehash);
        }
        *self = Self::Small(table);
    }

    #[cold]
    fn segment_small(&mut self, rehash: impl Fn(&UserEntry<UK, UV>) -> u64) {
        let Self::Small(table) = self else { return };
        let mut large = Box::new(SegmentedTable::default());
        for entry in std::mem::take(table) {
            let (hash, mut entry) = (rehash(&entry), Some(entry));
            let make = || crate::map::take(&mut entry);
            loaded(large.get_or_insert_with(hash, |_| false, make, &rehash, Writing::ALONE));
        }
        *self = Self::Large(large);
    }

    /// Sets many values; where a key comes twice, the last one counts.
    pub(crate) fn extend(&mut self, entries: impl Iterator<Item = (UK, UV)>, hasher: TableHasher) {
        entries.for_each(|(key, value)| {
            self.insert(key, value, hasher);
        });
    }

    /// Sets a value and says whether the key was absent.
    pub(crate) fn insert(&mut self, key: UK, value: UV, hasher: TableHasher) -> bool {
        let mut new = Some(value);
        let (slot, is_new) = self.entry(key, || crate::map::take(&mut new), hasher);
        if let Some(value) = new {
            *slot = value;
        }
        is_new
    }

    pub(crate) fn remove(&mut self, key: &UK, hasher: TableHasher) {
        let (hash, same) = (hasher.hash(key), |entry: &UserEntry<UK, UV>| entry.0 == *key);
        let rehash = |entry: &UserEntry<UK, UV>| hasher.hash(&entry.0);
        match self {
            Self::Tiny(map) => {
                if let Some(position) = map.find(hash, same) {
                    map.remove(position);
                }
            }
            Self::Small(table) => {
                if let Ok(entry) = table.find_entry(hash, same) {
                    entry.remove();
                }
            }
            Self::Large(table) => {
                loaded(table.remove(hash, same, rehash, Writing::ALONE));
            }
        }
    }

    pub(crate) fn entries(&self) -> Entries<'_, UK, UV> {
        if let Self::Tiny(map) = self {
            return Entries::of_slice(map.entries());
        }
        let entries = self.iter();
        Entries::new(entries.map(|(key, value)| Ok((Ref::Borrowed(key), Ref::Borrowed(value)))))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&UK, &UV)> {
        let (tiny, small, large) = match self {
            Self::Tiny(map) => (map.entries(), None, None),
            Self::Small(table) => (&[][..], Some(table), None),
            Self::Large(table) => (&[][..], None, Some(table)),
        };
        let segments = large.into_iter().flat_map(|table| table.segments());
        let tables = small.into_iter().chain(segments.map(|segment| loaded(segment.table())));
        tiny.iter().chain(tables.flatten()).map(|entry| (&entry.0, &entry.1))
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
    UK: StateKey,
    UV: StateValue,
    KC: Codec<UK>,
    VC: Codec<UV>,
{
    fn snapshot(&self) -> CodecSnapshot {
        self.entries.snapshot_of::<UK, UV>()
    }

    fn encode(&self, slot: &UserMap<UK, UV>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let check = |len_bytes| check_written_key_len("user key", len_bytes);
        encode_checked_entries(&self.entries, slot.len(), slot.iter(), check, out)
    }

    fn touch(&self, slot: &UserMap<UK, UV>) -> u8 {
        slot.iter().next().map_or(0, |(key, _)| self.entries.keys.touch(key))
    }

    fn decode(&self, input: &mut Input<'_>) -> Result<UserMap<UK, UV>, CodecError> {
        let mut map = UserMap::default();
        decode_entries(
            |input| self.entries.keys.decode(input),
            |input| self.entries.values.decode(input),
            input,
            |key, value| map.insert(key, value, self.hasher),
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
        let hasher = self.hasher;
        Compatibility::AfterMigration(Box::new(move |input: &mut Input<'_>| {
            let mut map = UserMap::default();
            decode_entries(
                |input| keys.decode_value(input),
                |input| values.decode_value(input),
                input,
                |key, value| map.insert(key, value, hasher),
            )?;
            Ok(map)
        }))
    }
}
