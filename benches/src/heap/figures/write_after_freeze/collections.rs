//! Short lists and small maps, in the backend and in a bare table.

use alluvium_core::CheckpointId;
use alluvium_format::codec::{DefaultCodec, HasCodec};
use alluvium_heap::{HeapKeyedStateBackend, TableHasher};
use alluvium_state::{
    FrozenState, KeyedStateBackend, ListState, ListStateDescriptor, MapState, MapStateDescriptor,
    StateValue,
};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::Written;
use crate::setup::{self, HASH_SEED, KEY_GROUPS};
use crate::shapes::{Access, Act, Numbers, access_to};

/// Elements of each list and entries of each map at first.
const ELEMENTS: u64 = 3;
/// User keys of a map.
const USER_KEYS: u64 = 16;

type Keyed = HeapKeyedStateBackend<u64, DefaultCodec>;
type Accesses = Vec<Access<Numbers>>;

/// The access with a number, from the first on again behind the last.
fn nth(accesses: &Accesses, number: usize) -> Option<&Access<Numbers>> {
    accesses.get(number % accesses.len())
}

fn freeze(keyed: &mut Keyed, last: &mut CheckpointId) -> Option<Box<dyn FrozenState>> {
    keyed.abort(*last);
    *last = last.next();
    keyed.freeze(*last).ok()
}

/// Appends to list state.
pub(super) struct Lists<T> {
    keyed: Keyed,
    state: ListState<T>,
    accesses: Accesses,
    element: fn(u64) -> T,
    last: CheckpointId,
}

impl<T: StateValue + HasCodec> Lists<T> {
    pub(super) fn new(keys: u64, accesses: Accesses, element: fn(u64) -> T) -> Self {
        let mut keyed: Keyed = setup::heap(KEY_GROUPS);
        let state = keyed.list_state(ListStateDescriptor::<T>::new("list")).expect("a new state");
        for number in 0..keys {
            let Access { key, group, .. } = access_to::<Numbers>(number, Act::Update);
            let mut at = keyed.at_key_group(group, &key, &()).expect("an own key");
            state.add_all(&mut at, (0..ELEMENTS).map(element)).expect("an own state");
        }
        Self { keyed, state, accesses, element, last: CheckpointId::FIRST }
    }
}

impl<T: StateValue + HasCodec> Written for Lists<T> {
    fn write(&mut self, number: usize) {
        if let Some(Access { key, group, .. }) = nth(&self.accesses, number) {
            let mut at = self.keyed.at_key_group(*group, key, &()).expect("an own key");
            self.state.add(&mut at, (self.element)(*key)).expect("an own state");
        }
    }

    fn freeze(&mut self) -> Option<Box<dyn FrozenState>> {
        freeze(&mut self.keyed, &mut self.last)
    }
}

/// Puts into map state.
pub(super) struct Maps {
    keyed: Keyed,
    state: MapState<u64, u64>,
    accesses: Accesses,
    last: CheckpointId,
}

impl Maps {
    pub(super) fn new(keys: u64, accesses: Accesses) -> Self {
        let mut keyed: Keyed = setup::heap(KEY_GROUPS);
        let descriptor = MapStateDescriptor::<u64, u64>::new("map");
        let state = keyed.map_state(descriptor).expect("a new state");
        for number in 0..keys {
            let Access { key, group, .. } = access_to::<Numbers>(number, Act::Update);
            let mut at = keyed.at_key_group(group, &key, &()).expect("an own key");
            for user_key in 0..ELEMENTS {
                state.put(&mut at, user_key, number).expect("an own state");
            }
        }
        Self { keyed, state, accesses, last: CheckpointId::FIRST }
    }
}

impl Written for Maps {
    fn write(&mut self, number: usize) {
        if let Some(Access { key, group, .. }) = nth(&self.accesses, number) {
            let mut at = self.keyed.at_key_group(*group, key, &()).expect("an own key");
            let user_key = number as u64 % USER_KEYS;
            self.state.put(&mut at, user_key, *key).expect("an own state");
        }
    }

    fn freeze(&mut self) -> Option<Box<dyn FrozenState>> {
        freeze(&mut self.keyed, &mut self.last)
    }
}

/// A bare table from keys to collections.
struct BareTable<C> {
    table: HashTable<(u64, C)>,
    hasher: TableHasher,
    accesses: Accesses,
}

impl<C: Default> BareTable<C> {
    fn new(keys: u64, accesses: Accesses, first: impl Fn() -> C) -> Self {
        let capacity = usize::try_from(keys).expect("a size in memory");
        let (table, hasher) = (HashTable::with_capacity(capacity), TableHasher::new(HASH_SEED));
        let mut own = Self { table, hasher, accesses };
        for number in 0..keys {
            *own.collection(access_to::<Numbers>(number, Act::Update).key) = first();
        }
        own
    }

    fn collection(&mut self, key: u64) -> &mut C {
        let hasher = &self.hasher;
        let hash = hasher.hash(&key);
        let entry = match self.table.entry(hash, |(k, _)| *k == key, |(k, _)| hasher.hash(k)) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => entry.insert((key, C::default())),
        };
        &mut entry.into_mut().1
    }

    fn nth_key(&self, number: usize) -> u64 {
        nth(&self.accesses, number).map_or(0, |access| access.key)
    }
}

/// Appends to vectors in a bare table.
pub(super) struct BareLists<T> {
    lists: BareTable<Vec<T>>,
    element: fn(u64) -> T,
}

impl<T> BareLists<T> {
    pub(super) fn new(keys: u64, accesses: Accesses, element: fn(u64) -> T) -> Self {
        let first = || (0..ELEMENTS).map(element).collect();
        Self { lists: BareTable::new(keys, accesses, first), element }
    }
}

impl<T> Written for BareLists<T> {
    fn write(&mut self, number: usize) {
        let key = self.lists.nth_key(number);
        let element = (self.element)(key);
        self.lists.collection(key).push(element);
    }

    fn freeze(&mut self) -> Option<Box<dyn FrozenState>> {
        None
    }
}

/// Puts into tables in a bare table.
pub(super) struct BareMaps(BareTable<HashTable<(u64, u64)>>);

impl BareMaps {
    pub(super) fn new(keys: u64, accesses: Accesses) -> Self {
        let hasher = TableHasher::new(HASH_SEED);
        let first = || {
            let mut map = HashTable::new();
            for user_key in 0..ELEMENTS {
                map.insert_unique(hasher.hash(&user_key), (user_key, 0), |(k, _)| hasher.hash(k));
            }
            map
        };
        Self(BareTable::new(keys, accesses, first))
    }
}

impl Written for BareMaps {
    fn write(&mut self, number: usize) {
        let (key, user_key) = (self.0.nth_key(number), number as u64 % USER_KEYS);
        let hasher = self.0.hasher;
        let hash = hasher.hash(&user_key);
        let map = self.0.collection(key);
        match map.entry(hash, |(k, _)| *k == user_key, |(k, _)| hasher.hash(k)) {
            Entry::Occupied(mut entry) => entry.get_mut().1 = key,
            Entry::Vacant(entry) => {
                entry.insert((user_key, key));
            }
        }
    }

    fn freeze(&mut self) -> Option<Box<dyn FrozenState>> {
        None
    }
}
