//! Operations on the heap backend, used as an engine uses it: key groups are known.

use std::hint::black_box;
use std::sync::Arc;

use alluvium_benches::null_storage::NullStorage;
use alluvium_benches::random::Random;
use alluvium_benches::targets::{
    ACCESS_SEED, IN_MEMORY, full_target, incremental_target, spec_of, write,
};
use alluvium_core::{CheckpointId, KeyGroup};
use alluvium_format::codec::{DefaultCodec, HasCodec};
use alluvium_heap::{HeapKeyedStateBackend, HeapStateBackend};
use alluvium_state::{
    KeyedStateBackend, ListStateDescriptor, MapStateDescriptor, StateBackend, StateKey, TimeDomain,
    TimerDescriptor, ValueState, ValueStateDescriptor,
};
use alluvium_storage::{HandleReader, ReadAccess, Storage};

use crate::counted;

const KEYS: u64 = 20_000;
const OPERATIONS: u64 = 50_000;
/// Elements of a list, entries of a map.
const INSIDE: u64 = 100;
/// What fails only when the bench itself is wrong.
const RIGHT_USE: &str = "a key of an own key group and an own handle";

type Keyed<K> = HeapKeyedStateBackend<K, DefaultCodec>;

fn open<K: StateKey + HasCodec>() -> Keyed<K> {
    let nowhere = HandleReader::new(Arc::new(NullStorage::default()), ReadAccess::Copy);
    let opened = HeapStateBackend::default().open(spec_of(0, 1, 128), &[], &nowhere);
    opened.expect("nothing to restore")
}

/// Keys with their key groups: the keys from 0 on, drawn with repetition.
fn drawn<K: StateKey + HasCodec>(
    keyed: &mut Keyed<K>,
    count: u64,
    key: fn(u64) -> K,
) -> Vec<(K, KeyGroup)> {
    let mut random = Random::new(ACCESS_SEED);
    let mut draw = || {
        let key = key(random.below(KEYS));
        let group = keyed.key_group_of(&key).expect(RIGHT_USE);
        (key, group)
    };
    (0..count).map(|_| draw()).collect()
}

/// A backend in which each key has a value.
fn values<K: StateKey + HasCodec>(key: fn(u64) -> K) -> (Keyed<K>, ValueState<u64>) {
    let mut keyed = open::<K>();
    let state = keyed.value_state(ValueStateDescriptor::<u64>::new("value")).expect("a new state");
    for number in 0..KEYS {
        let key = key(number);
        state.set(&mut keyed.at(&key).expect(RIGHT_USE), number).expect(RIGHT_USE);
    }
    (keyed, state)
}

fn gets<K: StateKey + HasCodec>(key: fn(u64) -> K) -> u64 {
    let (mut keyed, state) = values(key);
    let accesses = drawn(&mut keyed, OPERATIONS, key);
    let mut sum = 0_u64;
    counted(&mut || {
        for (key, group) in &accesses {
            let at = keyed.at_key_group(*group, key, &()).expect(RIGHT_USE);
            sum = sum.wrapping_add(state.get(&at).expect(RIGHT_USE).map_or(0, |value| *value));
        }
    });
    black_box(sum);
    OPERATIONS
}

pub(crate) fn value_get() -> u64 {
    gets(|number| number)
}

pub(crate) fn value_get_string() -> u64 {
    gets(|number| format!("key-{number}"))
}

pub(crate) fn value_update() -> u64 {
    let (mut keyed, state) = values(|number| number);
    let accesses = drawn(&mut keyed, OPERATIONS, |number| number);
    counted(&mut || {
        for (key, group) in &accesses {
            let mut at = keyed.at_key_group(*group, key, &()).expect(RIGHT_USE);
            state.update_or_insert_with(&mut at, || 0, |value| *value += 1).expect(RIGHT_USE);
        }
    });
    OPERATIONS
}

/// New keys, with the splits of segments that they bring about.
pub(crate) fn value_set_new() -> u64 {
    let mut keyed = open::<u64>();
    let state = keyed.value_state(ValueStateDescriptor::<u64>::new("value")).expect("a new state");
    let keys: Vec<_> =
        (0..OPERATIONS).map(|key| (key, keyed.key_group_of(&key).expect(RIGHT_USE))).collect();
    counted(&mut || {
        for (key, group) in &keys {
            let mut at = keyed.at_key_group(*group, key, &()).expect(RIGHT_USE);
            state.set(&mut at, *key).expect(RIGHT_USE);
        }
    });
    OPERATIONS
}

pub(crate) fn list_add() -> u64 {
    let mut keyed = open::<u64>();
    let state = keyed.list_state(ListStateDescriptor::<u64>::new("list")).expect("a new state");
    let accesses = drawn(&mut keyed, OPERATIONS, |number| number % 500);
    counted(&mut || {
        for (key, group) in &accesses {
            let mut at = keyed.at_key_group(*group, key, &()).expect(RIGHT_USE);
            state.add(&mut at, *key).expect(RIGHT_USE);
        }
    });
    OPERATIONS
}

/// Lists of 100 elements, read to the end; counted by element.
pub(crate) fn list_get() -> u64 {
    let mut keyed = open::<u64>();
    let state = keyed.list_state(ListStateDescriptor::<u64>::new("list")).expect("a new state");
    for key in 0..500_u64 {
        let mut at = keyed.at(&key).expect(RIGHT_USE);
        state.add_all(&mut at, 0..INSIDE).expect(RIGHT_USE);
    }
    let accesses = drawn(&mut keyed, OPERATIONS / INSIDE, |number| number % 500);
    let mut sum = 0_u64;
    counted(&mut || {
        for (key, group) in &accesses {
            let at = keyed.at_key_group(*group, key, &()).expect(RIGHT_USE);
            for element in state.elements(&at).expect(RIGHT_USE) {
                sum = sum.wrapping_add(*element.expect(RIGHT_USE));
            }
        }
    });
    black_box(sum);
    OPERATIONS
}

/// Maps of 100 entries, of which one is read or replaced.
fn maps(
    body: impl Fn(&mut Keyed<u64>, alluvium_state::MapState<u64, u64>, &[(u64, KeyGroup)]),
) -> u64 {
    let mut keyed = open::<u64>();
    let state = keyed.map_state(MapStateDescriptor::<u64, u64>::new("map")).expect("a new state");
    for key in 0..200_u64 {
        for user_key in 0..INSIDE {
            state.put(&mut keyed.at(&key).expect(RIGHT_USE), user_key, key).expect(RIGHT_USE);
        }
    }
    let accesses = drawn(&mut keyed, OPERATIONS, |number| number % 200);
    counted(&mut || body(&mut keyed, state, &accesses));
    OPERATIONS
}

pub(crate) fn map_get() -> u64 {
    maps(|keyed, state, accesses| {
        let mut sum = 0_u64;
        for (key, group) in accesses {
            let at = keyed.at_key_group(*group, key, &()).expect(RIGHT_USE);
            let found = state.get(&at, &(key % INSIDE)).expect(RIGHT_USE);
            sum = sum.wrapping_add(found.map_or(0, |value| *value));
        }
        black_box(sum);
    })
}

pub(crate) fn map_put() -> u64 {
    maps(|keyed, state, accesses| {
        for (key, group) in accesses {
            let mut at = keyed.at_key_group(*group, key, &()).expect(RIGHT_USE);
            state.put(&mut at, key % INSIDE, *key).expect(RIGHT_USE);
        }
    })
}

/// A timer registered, and fired.
pub(crate) fn timer() -> u64 {
    const TIMERS: u64 = 10_000;
    let mut keyed = open::<u64>();
    let timers = keyed.timers(TimerDescriptor::new("timers")).expect("a new state");
    let accesses = drawn(&mut keyed, TIMERS, |number| number);
    let mut fired = 0_u64;
    counted(&mut || {
        for ((key, group), time_ms) in accesses.iter().zip(0_i64..) {
            let mut at = keyed.at_key_group(*group, key, &()).expect(RIGHT_USE);
            timers.register(&mut at, TimeDomain::EventTime, time_ms * 7 % 10_007).expect(RIGHT_USE);
        }
        while keyed.pop_timer(timers, TimeDomain::EventTime, i64::MAX).expect(RIGHT_USE).is_some() {
            fired += 1;
        }
    });
    assert_eq!(fired, TIMERS, "each timer fires once");
    TIMERS
}

/// A full snapshot, by entry.
pub(crate) fn snapshot_entry() -> u64 {
    let (mut keyed, _) = values(|number| number);
    let storage: Arc<dyn Storage> = Arc::new(NullStorage::default());
    let target = full_target(storage, IN_MEMORY, CheckpointId::FIRST);
    let mut frozen = Some(keyed.freeze(CheckpointId::FIRST).expect("pointers are cloned"));
    counted(&mut || {
        black_box(frozen.take().map(|frozen| write(frozen, &target)));
    });
    KEYS
}

/// An incremental snapshot after one key in a hundred was changed, by changed entry.
pub(crate) fn delta_entry() -> u64 {
    let (mut keyed, state) = values(|number| number);
    let storage: Arc<dyn Storage> = Arc::new(NullStorage::default());
    let first = keyed.freeze(CheckpointId::FIRST).expect("pointers are cloned");
    write(first, &incremental_target(Arc::clone(&storage), CheckpointId::FIRST));
    keyed.complete(CheckpointId::FIRST);
    for key in (0..KEYS).step_by(100) {
        state.set(&mut keyed.at(&key).expect(RIGHT_USE), 0).expect(RIGHT_USE);
    }
    let second = CheckpointId::FIRST.next();
    let target = incremental_target(storage, second);
    let mut frozen = Some(keyed.freeze(second).expect("pointers are cloned"));
    counted(&mut || {
        black_box(frozen.take().map(|frozen| write(frozen, &target)));
    });
    KEYS / 100
}
