//! Values that are written anew when their state is registered: what was frozen before, what was
//! refused, and user keys whose bytes change.

#![expect(clippy::unwrap_used, reason = "a call that fails fails the test")]

use std::collections::BTreeMap;
use std::path::Path;

use alluvium_core::KeyedStateHandle;
use alluvium_format::codec::PostcardCodec;
use alluvium_rocksdb::RocksDbStateBackend;
use alluvium_state::{
    KeyedStateBackend, ListStateDescriptor, MapStateDescriptor, StateError, ValueStateDescriptor,
};
use alluvium_testkit::job::TestJob;

type Job<'b> = TestJob<'b, RocksDbStateBackend, u64>;

fn backend() -> RocksDbStateBackend {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
    RocksDbStateBackend::new(base.join("alluvium-rocksdb-migration"))
}

fn postcard(version: u32) -> PostcardCodec<u32> {
    PostcardCodec::new("user-key", version)
}

/// 1,000 values, lists and maps of narrow numbers.
fn narrow(job: &Job<'_>) -> Vec<KeyedStateHandle> {
    let mut state = job.open_one(&[]);
    let value = state.value_state(ValueStateDescriptor::<u16>::new("value")).unwrap();
    let list = state.list_state(ListStateDescriptor::<u16>::new("list")).unwrap();
    let map = state.map_state(MapStateDescriptor::<u8, u16>::new("map")).unwrap();
    for key in 0..1_000_u64 {
        let small = u16::try_from(key).unwrap();
        let mut at = state.at(&key).unwrap();
        value.set(&mut at, small).unwrap();
        list.add(&mut at, small).unwrap();
        list.add_all(&mut at, [1, 2]).unwrap();
        map.put(&mut at, 255, small).unwrap();
        map.put(&mut at, 0, 7).unwrap();
    }
    job.snapshot_one(&mut state)
}

fn check_wide(job: &Job<'_>, handles: &[KeyedStateHandle]) {
    let mut state = job.open_one(handles);
    let value = state.value_state(ValueStateDescriptor::<u64>::new("value")).unwrap();
    let list = state.list_state(ListStateDescriptor::<u64>::new("list")).unwrap();
    let map = state.map_state(MapStateDescriptor::<u64, u64>::new("map")).unwrap();
    assert_eq!(state.entry_count().unwrap(), 3_000);
    for key in 0..1_000_u64 {
        let at = state.at(&key).unwrap();
        assert_eq!(*value.get(&at).unwrap().unwrap(), key);
        let elements: Vec<u64> =
            list.elements(&at).unwrap().map(|element| *element.unwrap()).collect();
        assert_eq!(elements, [key, 1, 2]);
        let entries = map.entries(&at).unwrap().map(|entry| entry.unwrap());
        let entries: BTreeMap<u64, u64> = entries.map(|(k, v)| (*k, *v)).collect();
        assert_eq!(entries, [(255, key), (0, 7)].into());
    }
}

#[test]
fn what_was_frozen_before_a_migration_is_written_as_it_was() {
    let backend = backend();
    let job = Job::new(&backend);
    let handles = narrow(&job);
    let mut state = job.open_one(&handles);
    let frozen = job.freeze_one(&mut state);
    state.value_state(ValueStateDescriptor::<u64>::new("value")).unwrap();
    state.map_state(MapStateDescriptor::<u64, u64>::new("map")).unwrap();
    let after = job.freeze_one(&mut state);
    drop(state);
    let (before, after) = (frozen.write(), after.write());
    check_wide(&job, &before);
    check_wide(&job, &after);
    let mut state = job.open_one(&before);
    state.value_state(ValueStateDescriptor::<u16>::new("value")).unwrap();
    let mut state = job.open_one(&after);
    let narrow = state.value_state(ValueStateDescriptor::<u16>::new("value"));
    assert!(matches!(narrow, Err(StateError::IncompatibleSchema { part: "value", .. })));
}

#[test]
fn user_keys_that_become_equal_are_refused_and_nothing_is_lost() {
    let backend = backend();
    let job = Job::new(&backend);
    let descriptor =
        |version| MapStateDescriptor::with_codecs("map", postcard(version), postcard(9));
    let mut state = job.open_one(&[]);
    let map = state.map_state(descriptor(1)).unwrap();
    for key in 0..50_u64 {
        let mut at = state.at(&key).unwrap();
        for user_key in 0..10 {
            map.put(&mut at, user_key, user_key + 100).unwrap();
        }
    }
    let handles = job.snapshot_one(&mut state);

    let migrated = |step: fn(u32) -> u32| {
        MapStateDescriptor::with_codecs("map", postcard(2).migrate_from(1, step), postcard(9))
    };
    let mut state = job.open_one(&handles);
    let halved = state.map_state(migrated(|user_key| user_key / 2));
    assert!(matches!(halved, Err(StateError::Decode { .. })), "{halved:?}");
    // Each user key gets the bytes that another one had.
    let map = state.map_state(migrated(|user_key| 9 - user_key)).unwrap();
    for key in 0..50_u64 {
        let at = state.at(&key).unwrap();
        assert_eq!(map.entries(&at).unwrap().count(), 10);
        for user_key in 0..10 {
            assert_eq!(*map.get(&at, &user_key).unwrap().unwrap(), 109 - user_key);
        }
    }
}
