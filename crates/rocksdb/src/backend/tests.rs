use alluvium_core::{KeyGroupAssigner, MaxParallelism, OperatorUid, Parallelism, SubtaskIndex};
use alluvium_format::codec::DefaultCodec;
use alluvium_state::StateRef;
use alluvium_storage::ReadAccess;
use tempfile::TempDir;

use super::*;
use crate::engine::EngineError;

type Keyed<K> = RocksDbKeyedStateBackend<K, DefaultCodec>;

fn open<K>(max: u32) -> (TempDir, Keyed<K>)
where
    K: StateKey,
    DefaultCodec: Codec<K>,
{
    let work = tempfile::tempdir().unwrap();
    let storage = alluvium_storage::open("memory:alluvium-rocksdb-unit").unwrap();
    let spec = KeyedBackendSpec {
        uid: OperatorUid::new("unit").unwrap(),
        subtask: SubtaskIndex::new(0),
        parallelism: Parallelism::new(1, MaxParallelism::new(max).unwrap()).unwrap(),
        key: DefaultCodec,
        assigner: KeyGroupAssigner::<K>::Stable,
        hash_seed: 42,
    };
    let reader = HandleReader::new(storage, ReadAccess::Copy);
    let keyed = RocksDbStateBackend::new(work.path()).open(spec, &[], &reader).unwrap();
    (work, keyed)
}

#[test]
fn a_failed_write_fails_everything_that_follows() {
    let (_work, mut keyed) = open::<u64>(128);
    let value = keyed.value_state(ValueStateDescriptor::<u64>::new("value")).unwrap();
    let list = keyed.list_state(ListStateDescriptor::<u64>::new("list")).unwrap();
    let map = keyed.map_state(MapStateDescriptor::<u64, u64>::new("map")).unwrap();
    value.set(&mut keyed.at(&1).unwrap(), 1).unwrap();
    keyed.store.engine().poison(EngineError::new("write a row", "disk full"));

    let mut at = keyed.at(&1).unwrap();
    let outcomes = [
        value.get(&at).map(drop),
        value.set(&mut at, 2),
        value.update(&mut at, |n| *n += 1),
        value.clear(&mut at),
        list.elements(&at).map(drop),
        list.add(&mut at, 1),
        list.add_all(&mut at, []),
        list.set(&mut at, vec![1]),
        map.get(&at, &1).map(drop),
        map.put(&mut at, 1, 1),
        map.remove(&mut at, &1),
        map.entries(&at).map(drop),
        map.clear(&mut at),
        keyed.keys(value, &()).map(drop),
        keyed.entry_count().map(drop),
        keyed.multi_get(value, &[1], &()).map(drop),
    ];
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(matches!(error, StateError::Engine { .. }), "{error}");
        assert!(error.to_string().ends_with("RocksDB cannot write a row: disk full"), "{error}");
    }
    let error = keyed.freeze(CheckpointId::FIRST).err().expect("frozen");
    assert!(matches!(error, SnapshotError::Engine { .. }), "{error}");
}

#[test]
fn many_keys_are_read_at_once_in_the_order_of_the_request() {
    let (_work, mut keyed) = open::<String>(300);
    let descriptor = ValueStateDescriptor::<String>::new("value").namespaced::<u8>();
    let value = keyed.value_state(descriptor).unwrap();
    let keys: Vec<String> = (0..500).map(|n| format!("{}", n * 7919 % 500)).collect();
    for key in keys.iter().step_by(2) {
        let text = format!("value of {key}");
        value.set(&mut keyed.at_namespace(key, &3).unwrap(), text).unwrap();
    }
    let found = keyed.multi_get(value, &keys, &3).unwrap();
    for (number, (key, found)) in keys.iter().zip(&found).enumerate() {
        let expected = (number % 2 == 0).then(|| format!("value of {key}"));
        assert_eq!(*found, expected, "{key}");
    }
    assert!(keyed.multi_get(value, &keys, &4).unwrap().iter().all(Option::is_none));
    assert_eq!(keyed.multi_get(value, &[], &3).unwrap(), []);
    let foreign = ValueState::<u64, u8>::new(value.id());
    assert!(matches!(keyed.multi_get(foreign, &keys, &3), Err(StateError::ForeignHandle)));
}

#[test]
fn a_map_larger_than_a_batch_is_cleared_and_its_neighbours_stay() {
    let (_work, mut keyed) = open::<Vec<u8>>(1);
    let descriptor = MapStateDescriptor::<Vec<u8>, String>::new("map").namespaced::<u8>();
    let map = keyed.map_state(descriptor).unwrap();
    // Rows that end in bytes of 255, and the rows that come next.
    let (large, next) = (vec![255; 3], vec![255, 255, 255, 255]);
    for key in [&large, &next] {
        for namespace in [254, 255] {
            let mut at = keyed.at_namespace(key, &namespace).unwrap();
            for user_key in [vec![], vec![255], vec![0]] {
                map.put(&mut at, user_key, "kept".to_owned()).unwrap();
            }
        }
    }
    let mut at = keyed.at_namespace(&large, &255).unwrap();
    for number in 0..20_000_u32 {
        let user_key = [vec![255; 60], number.to_be_bytes().to_vec()].concat();
        map.put(&mut at, user_key, "x".to_owned()).unwrap();
    }
    assert_eq!(map.entries(&at).unwrap().count(), 20_003);
    map.clear(&mut at).unwrap();
    assert!(map.is_empty(&at).unwrap());
    for (key, namespace) in [(&large, 254), (&next, 254), (&next, 255)] {
        let at = keyed.at_namespace(key, &namespace).unwrap();
        assert_eq!(map.entries(&at).unwrap().count(), 3, "{key:?} {namespace}");
    }
    assert_eq!(keyed.entry_count().unwrap(), 3);
    let keys = keyed.keys(map, &255).unwrap();
    assert_eq!(keys, [next]);
}

#[test]
fn elements_and_user_keys_without_bytes_are_counted() {
    let (_work, mut keyed) = open::<()>(128);
    let list = keyed.list_state(ListStateDescriptor::<()>::new("list")).unwrap();
    let map = keyed.map_state(MapStateDescriptor::<(), u8>::new("map")).unwrap();
    let mut at = keyed.at(&()).unwrap();
    list.add_all(&mut at, [(); 300]).unwrap();
    list.add(&mut at, ()).unwrap();
    map.put(&mut at, (), 7).unwrap();
    assert_eq!(list.elements(&at).unwrap().count(), 301);
    assert_eq!(map.entries(&at).unwrap().count(), 1);
    map.remove(&mut at, &()).unwrap();
    assert_eq!(keyed.entry_count().unwrap(), 1);
}

#[test]
fn the_local_folder_goes_with_the_last_user_of_the_database() {
    let (work, mut keyed) = open::<u64>(128);
    keyed.value_state(ValueStateDescriptor::<u64>::new("value")).unwrap();
    let dir = keyed.store.engine().dir().to_owned();
    assert!(dir.starts_with(work.path()));
    let frozen = keyed.freeze(CheckpointId::FIRST).unwrap();
    drop(keyed);
    assert!(dir.exists(), "frozen state still reads it");
    drop(frozen);
    assert!(!dir.exists());
}
