use std::ops::Bound;

use alluvium_core::{
    AttemptId, KeyGroupAssigner, MaxParallelism, OperatorUid, Parallelism, SubtaskIndex,
};
use alluvium_format::CodecError;
use alluvium_format::codec::{DefaultCodec, Framed, UserCodec};
use alluvium_state::{SnapshotMode, SnapshotTarget, StateBackend, StateRef};
use alluvium_storage::{CheckpointStreams, ReadAccess, StreamPolicy};
use tempfile::TempDir;

use super::*;
use crate::engine::EngineError;
use crate::long_list::{Header, Span};
use crate::row_key::RowRange;

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
    let sorted = SortedMapStateDescriptor::<u64, u64>::new("sorted");
    let sorted = keyed.sorted_map_state(sorted).unwrap();
    let long = keyed.list_state(ListStateDescriptor::<u64>::new("long").long()).unwrap();
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
        sorted.put(&mut at, 1, 1),
        sorted.range_rev(&at, 1..).map(drop),
        sorted.range(&at, (Bound::Excluded(5), Bound::Excluded(5))).map(drop),
        sorted.pop_first(&mut at).map(drop),
        list.pop_front(&mut at).map(drop),
        list.truncate(&mut at, 1),
        long.elements_from(&at, 1).map(drop),
        long.add_all(&mut at, []),
        long.pop_front(&mut at).map(drop),
        long.remove_front(&mut at, 1),
        long.clear(&mut at),
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

/// The value of a header.
fn header(positions: std::ops::Range<u64>) -> Vec<u8> {
    Header::empty().with_span(Span(positions)).to_bytes()
}

/// Rows of a long list that do not fit its header are refused, and not taken for a shorter list.
#[test]
fn long_lists_with_missing_rows_are_refused() {
    /// The rows of a list of three, and what becomes of them.
    type Damage = fn(&Store, &Column, &[u8]);
    let element = |row: &[u8], position: u64| [row, &position.to_be_bytes()].concat();
    let damages: [(&str, Damage); 4] = [
        ("a gap", |store, column, row| {
            store.delete(column, &[row, &1_u64.to_be_bytes()].concat()).unwrap();
        }),
        ("no header", |store, column, row| store.delete(column, row).unwrap()),
        ("no last row", |store, column, row| {
            store.delete(column, &[row, &2_u64.to_be_bytes()].concat()).unwrap();
        }),
        ("a header of another list", |store, column, row| {
            store.put(column, row, &header(1..3)).unwrap();
        }),
    ];
    for (what, damage) in damages {
        let (_work, mut keyed) = open::<u64>(128);
        let long = keyed.list_state(ListStateDescriptor::<u64>::new("long").long()).unwrap();
        long.add_all(&mut keyed.at(&1).unwrap(), [7, 8, 9]).unwrap();
        let column = keyed.tables.first().unwrap().column.clone();
        let row = keyed.key.clone();
        assert!(keyed.store.get(&column, &element(&row, 2)).unwrap().is_some());
        damage(&keyed.store, &column, &row);
        let at = keyed.at(&1).unwrap();
        let elements = long.elements(&at).unwrap().map(|it| it.map(|it| *it));
        let read = elements.collect::<Result<Vec<_>, _>>();
        match read {
            Err(StateError::Decode { state, .. }) => assert_eq!(state, "long"),
            // What a header says counts, and without one there is no list.
            Ok(read) if what == "no header" => assert_eq!(read, [0_u64; 0]),
            Ok(read) if what == "a header of another list" => assert_eq!(read, [8, 9]),
            read => panic!("{what}: {read:?}"),
        }
        let storage = alluvium_storage::open("memory:alluvium-rocksdb-unit").unwrap();
        let target = SnapshotTarget {
            streams: CheckpointStreams::new(storage, StreamPolicy::files()),
            checkpoint: CheckpointId::FIRST,
            attempt: AttemptId::new(1),
            mode: SnapshotMode::Full,
        };
        let written = keyed.freeze(CheckpointId::FIRST).unwrap().write(&target);
        let error = written.err().unwrap_or_else(|| panic!("{what} is written"));
        let is_named = matches!(
            &error,
            SnapshotError::Encode { state, source: CodecError::Invalid { what: "long list", .. } }
                if state == "long"
        );
        assert!(is_named, "{what}: {error}");
    }
}

/// Text that cannot be written when it is empty.
#[derive(Debug, Clone)]
struct NeverEmpty;

impl UserCodec<String> for NeverEmpty {
    fn name(&self) -> &'static str {
        "never-empty"
    }

    fn version(&self) -> u32 {
        1
    }

    fn encode(&self, value: &String, out: &mut Vec<u8>) -> Result<(), BoxedError> {
        out.extend_from_slice(value.as_bytes());
        if value.is_empty() { Err("empty".into()) } else { Ok(()) }
    }

    fn decode(&self, _: u32, bytes: &[u8]) -> Result<String, BoxedError> {
        Ok(String::from_utf8(bytes.to_vec())?)
    }
}

type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// More is written before the error than fits into a batch; nothing of it is there afterwards.
#[test]
fn an_element_that_cannot_be_encoded_leaves_a_long_list_as_it_was() {
    let (_work, mut keyed) = open::<u64>(128);
    let descriptor = ListStateDescriptor::with_codec("long", Framed::new(NeverEmpty)).long();
    let long = keyed.list_state(descriptor).unwrap();
    let mut at = keyed.at(&1).unwrap();
    long.add(&mut at, "first".to_owned()).unwrap();
    let large = || (0..6).map(|_| "x".repeat(400_000));
    let error = long.add_all(&mut at, large().chain([String::new()])).unwrap_err();
    assert!(matches!(error, StateError::Encode { .. }), "{error}");
    let error = long.set(&mut at, large().chain([String::new()]).collect()).unwrap_err();
    assert!(matches!(error, StateError::Encode { .. }), "{error}");
    assert_eq!(long.len(&at).unwrap(), 1);
    let column = &keyed.tables.first().unwrap().column;
    let mut rows = keyed.store.rows(column, RowRange::default()).unwrap();
    let mut count = 0;
    while rows.row().unwrap().is_some() {
        rows.advance();
        count += 1;
    }
    assert_eq!(count, 2, "a header and one element");
}

/// What was removed is outside of what is read, and nothing of an emptied list is left.
#[test]
fn rows_of_removed_elements_are_gone() {
    let (_work, mut keyed) = open::<u64>(128);
    let long = keyed.list_state(ListStateDescriptor::<u16>::new("long").long()).unwrap();
    let mut at = keyed.at(&1).unwrap();
    long.add_all(&mut at, 0..100).unwrap();
    long.remove_front(&mut at, 40).unwrap();
    long.truncate(&mut at, 10).unwrap();
    long.add(&mut at, 7).unwrap();
    let rows = |keyed: &Keyed<u64>| {
        let column = &keyed.tables.first().unwrap().column;
        let mut rows = keyed.store.rows(column, RowRange::default()).unwrap();
        let mut found = Vec::new();
        while let Some((row, value)) = rows.row().unwrap() {
            found.push((row.to_vec(), value.to_vec()));
            rows.advance();
        }
        found
    };
    let found = rows(&keyed);
    assert_eq!(found.len(), 12, "a header and eleven elements");
    let prefix = keyed.key.clone();
    assert_eq!(found[0], (prefix.clone(), header(40..51)));
    assert_eq!(found[11], ([prefix.as_slice(), &50_u64.to_be_bytes()].concat(), vec![7, 0]));
    long.remove_front(&mut keyed.at(&1).unwrap(), 11).unwrap();
    assert_eq!(rows(&keyed), []);
}

/// A row that lies among those of another key group is never read by its key, and is refused by who lists
/// the keys.
#[test]
fn a_key_of_another_key_group_is_refused_when_keys_are_listed() {
    let (_work, mut keyed) = open::<u64>(128);
    let value = keyed.value_state(ValueStateDescriptor::<u64>::new("value")).unwrap();
    value.set(&mut keyed.at(&1).unwrap(), 7).unwrap();
    assert_eq!(keyed.keys(value, &()).unwrap(), [1]);
    let (column, mut row) = (keyed.tables[0].column.clone(), keyed.key.clone());
    row[0] ^= 1;
    keyed.store.put(&column, &row, &[9, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    assert_eq!(value.get(&keyed.at(&1).unwrap()).unwrap().map(|it| *it), Some(7));
    let error = keyed.keys(value, &()).unwrap_err();
    assert!(
        matches!(&error, StateError::MisplacedKey { state, .. } if state == "value"),
        "{error}"
    );
}
