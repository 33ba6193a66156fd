//! What compactions drop of states with a time to live, and what they leave.

use std::time::Duration;

use alluvium_core::{KeyedStateHandle, SubtaskIndex};
use alluvium_state::{
    KeyedStateBackend, ListState, ListStateDescriptor, MapState, MapStateDescriptor, SnapshotMode,
    SortedMapState, SortedMapStateDescriptor, StateTtl, UpdateType, ValueState,
    ValueStateDescriptor,
};
use alluvium_testkit::clock::ManualClock;
use alluvium_testkit::job::{KeyedOf, TestJob};
use rocksdb::{BottommostLevelCompaction, CompactOptions};
use tempfile::TempDir;

use super::*;
use crate::RocksDbStateBackend;

type Job<'b> = TestJob<'b, RocksDbStateBackend, u64>;
type Keyed = KeyedOf<RocksDbStateBackend, u64>;

const KEYS: u64 = 30;

/// A backend that compacts when it is told to.
fn backend() -> (TempDir, RocksDbStateBackend) {
    let work = tempfile::tempdir().unwrap();
    let backend = RocksDbStateBackend::new(work.path());
    (work, backend.customize_column(|options| options.set_disable_auto_compactions(true)))
}

fn ttl_by(clock: &ManualClock) -> StateTtl {
    StateTtl::new(Duration::from_millis(100), clock.state_clock())
}

#[derive(Clone, Copy)]
struct States {
    value: ValueState<u64>,
    list: ListState<u64>,
    long: ListState<u64>,
    map: MapState<u8, u64>,
    sorted: SortedMapState<u8, u64>,
}

fn register(keyed: &mut Keyed, ttl: &StateTtl) -> States {
    let value = ValueStateDescriptor::<u64>::new("value").ttl(ttl.clone());
    let list = ListStateDescriptor::<u64>::new("list").ttl(ttl.clone());
    let long = ListStateDescriptor::<u64>::new("long").long().ttl(ttl.clone());
    let map = MapStateDescriptor::<u8, u64>::new("map").ttl(ttl.clone());
    let sorted = SortedMapStateDescriptor::<u8, u64>::new("sorted").ttl(ttl.clone());
    States {
        value: keyed.value_state(value).unwrap(),
        list: keyed.list_state(list).unwrap(),
        map: keyed.map_state(map).unwrap(),
        sorted: keyed.sorted_map_state(sorted).unwrap(),
        long: keyed.list_state(long).unwrap(),
    }
}

/// Half of the keys get everything at 1,000 ms; all of them get the rest at 1,080 ms.
fn fill(keyed: &mut Keyed, states: States, clock: &ManualClock) {
    let States { value, list, long, map, sorted } = states;
    clock.set(1_000);
    for key in 0..KEYS / 2 {
        let mut at = keyed.at(&key).unwrap();
        value.set(&mut at, key).unwrap();
        list.add_all(&mut at, [1, 2]).unwrap();
        long.add_all(&mut at, [1, 2]).unwrap();
        map.put(&mut at, 1, key).unwrap();
        map.put(&mut at, 2, key).unwrap();
        sorted.put(&mut at, 1, key).unwrap();
        sorted.put(&mut at, 2, key).unwrap();
    }
    clock.set(1_080);
    for key in 0..KEYS {
        let mut at = keyed.at(&key).unwrap();
        list.add(&mut at, 3).unwrap();
        long.add(&mut at, 3).unwrap();
        map.put(&mut at, 3, key).unwrap();
        sorted.put(&mut at, 3, key).unwrap();
        if key >= KEYS / 2 {
            value.set(&mut at, key).unwrap();
        }
    }
}

/// Rewrites all files of a state; what is merged the first time is shown to the filter the second.
fn compact(keyed: &Keyed) {
    for table in &keyed.tables {
        for _ in 0..2 {
            let mut options = CompactOptions::default();
            options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
            let (db, column) = (keyed.store.engine().db(), &table.column);
            db.compact_range_cf_opt(&column, None::<&[u8]>, None::<&[u8]>, &options);
        }
    }
    keyed.store.engine().check().unwrap();
}

/// Number of rows, and the bytes of their values, as they are stored.
fn stored(keyed: &Keyed, table: usize) -> (usize, usize) {
    let mut rows = keyed.store.rows(&keyed.tables[table].column, RowRange::default()).unwrap();
    let (mut count, mut len_bytes) = (0, 0);
    while let Some((_, value)) = rows.row().unwrap() {
        count += 1;
        len_bytes += value.len();
        rows.advance();
    }
    (count, len_bytes)
}

/// Bytes of a stamp and a number.
const STAMPED: usize = 16;

/// Bytes of the header of a long list.
const HEADER: usize = 24;

fn all_stored(keyed: &Keyed) -> [(usize, usize); 5] {
    [0, 1, 2, 3, 4].map(|table| stored(keyed, table))
}

fn full(keys: usize) -> [(usize, usize); 5] {
    let half = keys / 2;
    let entries = keys + 2 * half;
    let map = (entries, entries * STAMPED);
    // One group, with its count, of three elements for half of the keys.
    let lists = (half * (1 + 3 * STAMPED)) + half * (1 + STAMPED);
    let long = (entries + keys, entries * STAMPED + keys * HEADER);
    [(keys, keys * STAMPED), (keys, lists), map, map, long]
}

fn cleaned(keys: usize) -> [(usize, usize); 5] {
    let map = (keys, keys * STAMPED);
    let long = (2 * keys, keys * (STAMPED + HEADER));
    [(keys / 2, keys / 2 * STAMPED), (keys, keys * (1 + STAMPED)), map, map, long]
}

#[test]
fn compactions_drop_values_entries_and_elements_one_by_one() {
    let (_work, backend) = backend();
    let job = Job::new(&backend);
    let clock = ManualClock::default();
    let mut keyed = job.open_one(&[]);
    let states = register(&mut keyed, &ttl_by(&clock));
    fill(&mut keyed, states, &clock);
    clock.set(1_099);
    compact(&keyed);
    assert_eq!(all_stored(&keyed), full(30), "nothing has expired");
    clock.set(1_100);
    compact(&keyed);
    assert_eq!(all_stored(&keyed), cleaned(30));
    // What is left is what it was.
    for key in 0..KEYS {
        let at = keyed.at(&key).unwrap();
        let value = states.value.get(&at).unwrap().map(|value| *value);
        assert_eq!(value, (key >= KEYS / 2).then_some(key));
        let list: Vec<u64> = states.list.elements(&at).unwrap().map(|it| *it.unwrap()).collect();
        assert_eq!(list, [3]);
        let long: Vec<u64> = states.long.elements(&at).unwrap().map(|it| *it.unwrap()).collect();
        assert_eq!((long, states.long.len(&at).unwrap()), (vec![3], 1));
        let map: Vec<u8> = states.map.keys(&at).unwrap().map(|it| *it.unwrap()).collect();
        assert_eq!(map, [3]);
        let sorted = states.sorted.keys(&at).unwrap().map(|it| *it.unwrap());
        assert_eq!(sorted.collect::<Vec<u8>>(), [3]);
    }
    clock.set(1_180);
    compact(&keyed);
    assert_eq!(all_stored(&keyed), [(0, 0); 5]);
}

#[test]
fn compactions_drop_nothing_where_they_should_not() {
    let (_work, backend) = backend();
    let job = Job::new(&backend);
    let clock = ManualClock::default();
    let mut keyed = job.open_one(&[]);
    let states = register(&mut keyed, &ttl_by(&clock).cleanup_in_compactions(None));
    fill(&mut keyed, states, &clock);
    clock.set(9_000);
    compact(&keyed);
    assert_eq!(all_stored(&keyed), full(30));
}

/// The files of a checkpoint become a column before anybody says how long its rows live.
#[test]
fn restored_rows_expire_once_their_state_is_registered() {
    let (_work, backend) = backend();
    let job = Job::new(&backend);
    let clock = ManualClock::default();
    let mut keyed = job.open_one(&[]);
    let states = register(&mut keyed, &ttl_by(&clock));
    fill(&mut keyed, states, &clock);
    let handles: Vec<KeyedStateHandle> = job.snapshot_one(&mut keyed);
    clock.set(1_100);
    let mut keyed = job.open_one(&handles);
    for kept in keyed.kept.values() {
        let db = keyed.store.engine().db();
        db.compact_range_cf(&&kept.column, None::<&[u8]>, None::<&[u8]>);
    }
    register(&mut keyed, &ttl_by(&clock));
    assert_eq!(all_stored(&keyed).map(|(rows, _)| rows), full(30).map(|(rows, _)| rows));
    compact(&keyed);
    assert_eq!(all_stored(&keyed), cleaned(30));
}

/// 1. A subtask takes files that hold rows of another one's key groups as they are.
/// 2. One filter drops these, and what has expired of its own.
#[test]
fn rows_of_other_key_groups_and_expired_rows_go_together() {
    let (_work, backend) = backend();
    let job = Job::new(&backend);
    let clock = ManualClock::default();
    let mut keyed = job.open_one(&[]);
    let states = register(&mut keyed, &ttl_by(&clock));
    fill(&mut keyed, states, &clock);
    let handles = job.snapshot_one(&mut keyed);
    let mut sum = [(0, 0); 5];
    for index in 0..2 {
        let mut keyed = job.try_open(SubtaskIndex::new(index), 2, &handles).unwrap();
        clock.set(1_099);
        register(&mut keyed, &ttl_by(&clock));
        assert_eq!(stored(&keyed, 0).0, 30, "rows of both");
        clock.set(1_100);
        compact(&keyed);
        for (sum, (rows, len_bytes)) in sum.iter_mut().zip(all_stored(&keyed)) {
            *sum = (sum.0 + rows, sum.1 + len_bytes);
        }
    }
    assert_eq!(sum, cleaned(30));
}

/// A full snapshot reads rows for as long as it takes; compactions do not ask snapshots of RocksDB.
/// (None begins before the snapshot has begun, so what one would drop is asked here.)
#[test]
fn what_a_frozen_state_has_to_write_is_not_dropped_meanwhile() {
    let (_work, backend) = backend();
    let mut job = Job::new(&backend);
    job.mode = SnapshotMode::Full;
    let clock = ManualClock::default();
    let mut keyed = job.open_one(&[]);
    let states = register(&mut keyed, &ttl_by(&clock));
    fill(&mut keyed, states, &clock);
    clock.set(1_099);
    let frozen = job.freeze_one(&mut keyed);
    clock.set(5_000);
    let dropping_ms = |keyed: &Keyed| {
        let rules = |table: &Table| table.format.expiry.as_ref()?.for_compaction();
        let rules: Vec<_> = keyed.tables.iter().filter_map(rules).collect();
        rules.iter().map(TtlMoment::now_ms).collect::<Vec<_>>()
    };
    assert_eq!(dropping_ms(&keyed), [1_099; 5]);
    let handles = frozen.write();
    assert_eq!(dropping_ms(&keyed), [5_000; 5]);
    compact(&keyed);
    assert_eq!(all_stored(&keyed), [(0, 0); 5], "dropped once it was written");
    clock.set(1_099);
    let mut keyed = job.open_one(&handles);
    register(&mut keyed, &ttl_by(&clock));
    assert_eq!(all_stored(&keyed).map(|(rows, _)| rows), full(30).map(|(rows, _)| rows));
}

/// A read leaves a new stamp behind; until it is written, the old one must not let the row expire.
#[test]
fn what_was_read_is_not_dropped_before_it_has_its_new_stamp() {
    let (_work, backend) = backend();
    let job = Job::new(&backend);
    let clock = ManualClock::default();
    let mut keyed = job.open_one(&[]);
    let states = register(&mut keyed, &ttl_by(&clock).update(UpdateType::OnReadAndWrite));
    fill(&mut keyed, states, &clock);
    clock.set(1_099);
    let at = keyed.at(&0).unwrap();
    assert!(states.value.get(&at).unwrap().is_some());
    assert_eq!(states.list.elements(&at).unwrap().count(), 3);
    assert_eq!(states.long.elements(&at).unwrap().count(), 3);
    assert!(states.map.get(&at, &1).unwrap().is_some());
    assert_eq!(states.sorted.range(&at, 1..=2).unwrap().count(), 2);
    clock.set(5_000);
    compact(&keyed);
    clock.set(1_198);
    let at = keyed.at(&0).unwrap();
    assert!(states.value.get(&at).unwrap().is_some());
    assert_eq!(states.list.elements(&at).unwrap().count(), 3);
    assert_eq!(states.long.elements(&at).unwrap().count(), 3);
    assert!(states.map.get(&at, &1).unwrap().is_some());
    assert_eq!(states.sorted.range(&at, 1..=2).unwrap().count(), 2);
}

#[test]
fn the_age_of_files_at_which_they_are_compacted_is_that_of_the_job() {
    let (_work, backend) = backend();
    let job = Job::new(&backend);
    let clock = ManualClock::default();
    let mut keyed = job.open_one(&[]);
    let age = Some(Duration::from_secs(77));
    let ttl = ttl_by(&clock).cleanup_in_compactions(age);
    keyed.value_state(ValueStateDescriptor::<u64>::new("value").ttl(ttl)).unwrap();
    let dir = std::fs::read_dir(keyed.store.engine().dir()).unwrap();
    let options = dir.map(|entry| entry.unwrap().path());
    let options = options.filter(|path| path.display().to_string().contains("OPTIONS-"));
    let told = options.max().map(std::fs::read_to_string).unwrap().unwrap();
    assert!(told.contains("periodic_compaction_seconds=77"), "{told}");
}

#[test]
fn reading_many_keys_sees_what_reading_one_does() {
    let (_work, backend) = backend();
    let job = Job::new(&backend);
    let clock = ManualClock::default();
    let mut keyed = job.open_one(&[]);
    let states = register(&mut keyed, &ttl_by(&clock));
    fill(&mut keyed, states, &clock);
    clock.set(1_100);
    let found = keyed.multi_get(states.value, &[20, 1, 100, 29], &()).unwrap();
    assert_eq!(found, [Some(20), None, None, Some(29)]);
}

/// 1. A compaction drops the header of a list that has expired and meets its elements later, or the
///    other way round.
/// 2. A new list of the same key begins at the positions of what is left of the old one.
#[test]
fn what_is_left_of_an_expired_list_never_comes_back() {
    let (_work, backend) = backend();
    let mut job = Job::new(&backend);
    let clock = ManualClock::new(1_000);
    let mut keyed = job.open_one(&[]);
    let long = register(&mut keyed, &ttl_by(&clock)).long;
    long.add_all(&mut keyed.at(&1).unwrap(), [1, 2, 3]).unwrap();
    clock.set(1_050);
    long.add_all(&mut keyed.at(&2).unwrap(), [1, 2, 3, 4]).unwrap();
    let (column, header) = (keyed.tables[4].column.clone(), keyed.key.clone());
    let element = |position: u64| [header.as_slice(), &position.to_be_bytes()].concat();
    clock.set(1_149);
    for position in [0, 2] {
        keyed.store.delete(&column, &element(position)).unwrap();
    }
    let elements = |keyed: &mut Keyed| -> Vec<u64> {
        let at = keyed.at(&2).unwrap();
        long.elements(&at).unwrap().map(|element| *element.unwrap()).collect()
    };
    assert_eq!(elements(&mut keyed), [2, 4]);
    assert_eq!(keyed.keys(long, &()).unwrap(), [2]);
    assert_eq!(long.pop_front(&mut keyed.at(&2).unwrap()).unwrap(), Some(2));
    keyed.store.delete(&column, &header).unwrap();
    assert_eq!(elements(&mut keyed), [0; 0]);
    assert_eq!(keyed.keys(long, &()).unwrap(), [0; 0]);
    long.add(&mut keyed.at(&2).unwrap(), 7).unwrap();
    assert_eq!(elements(&mut keyed), [7]);
    assert_eq!(keyed.entry_count().unwrap(), 2, "the old list of key 1, and the new one");
    for mode in [SnapshotMode::Full, SnapshotMode::Incremental] {
        job.mode = mode;
        let handles = job.snapshot_one(&mut keyed);
        let mut restored = job.open_one(&handles);
        let long = ListStateDescriptor::<u64>::new("long");
        let whole = restored.list_state(long).unwrap();
        let at = restored.at(&2).unwrap();
        let found = whole.elements(&at).unwrap().map(|element| *element.unwrap());
        assert_eq!(found.collect::<Vec<_>>(), [7], "{mode:?}");
    }
}

/// What a list says of its newest element is right after every change of it.
#[test]
fn a_list_is_kept_as_long_as_its_newest_element() {
    let (_work, backend) = backend();
    let job = Job::new(&backend);
    let clock = ManualClock::new(1_090);
    let mut keyed = job.open_one(&[]);
    let long = register(&mut keyed, &ttl_by(&clock).update(UpdateType::OnReadAndWrite)).long;
    let see = |keyed: &mut Keyed| -> Vec<u64> {
        let at = keyed.at(&1).unwrap();
        long.elements(&at).unwrap().map(|element| *element.unwrap()).collect()
    };
    long.add_all(&mut keyed.at(&1).unwrap(), 0..6).unwrap();
    // The clock goes back: a later write has an earlier stamp.
    clock.set(1_000);
    long.add(&mut keyed.at(&1).unwrap(), 6).unwrap();
    clock.set(1_120);
    compact(&keyed);
    long.truncate(&mut keyed.at(&1).unwrap(), 5).unwrap();
    long.remove_front(&mut keyed.at(&1).unwrap(), 2).unwrap();
    assert_eq!(see(&mut keyed), [2, 3, 4]);
    clock.set(1_219);
    compact(&keyed);
    assert_eq!(see(&mut keyed), [2, 3, 4], "refreshed by the read");
    drop(keyed.freeze(alluvium_core::CheckpointId::FIRST).unwrap());
    clock.set(1_318);
    compact(&keyed);
    assert_eq!(stored(&keyed, 4), (4, 3 * STAMPED + HEADER));
    clock.set(1_319);
    compact(&keyed);
    assert_eq!(stored(&keyed, 4), (0, 0));
}
