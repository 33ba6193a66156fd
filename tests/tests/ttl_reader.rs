//! States with a time to live through the reader in another language: of every kind and on every backend
//! it gives the values and the stamps that the backend itself has.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use alluvium::core::{
    AssignerName, AttemptId, CheckpointId, CheckpointMetadata, CheckpointProperties, JobId,
    KeyedStateHandle, OperatorState, SubtaskIndex, SubtaskState,
};
use alluvium::format::codec::{DefaultCodec, DefaultOrderedCodec, Stamped, TtlCodec};
use alluvium::prelude::{
    AggregateFunction, AggregatingState, AggregatingStateDescriptor, HeapStateBackend,
    KeyedStateBackend, ListState, ListStateDescriptor, MapState, MapStateDescriptor, ReducingState,
    ReducingStateDescriptor, SnapshotMode, SortedMapState, SortedMapStateDescriptor, StateBackend,
    StateMapKind, StateTtl, StreamPolicy, ValueState, ValueStateDescriptor,
};
use alluvium::runtime::CheckpointStore;
use alluvium_testkit::clock::ManualClock;
use alluvium_testkit::job::{KeyedOf, TestJob, complete_all};
use alluvium_testkit::random::Random;
use alluvium_tests::top;

const TIME_TO_LIVE: Duration = Duration::from_millis(100);
/// When entries are written. At the last of these times, what was written at the first one only has
/// expired.
const TIMES_MS: [u64; 4] = [1_000, 1_040, 1_080, 1_120];
const LAST_EXPIRED_MS: i64 = 1_020;
const PARALLELISM: u32 = 2;
const ALWAYS_FILES: StreamPolicy = StreamPolicy { inline_below_bytes: 0, max_inline_bytes: None };
const KEYS: u64 = 40;

/// The values of all states, as JSON, by state and key.
type Values = BTreeMap<(String, String), String>;

/// Adds numbers up.
struct Sum;

impl AggregateFunction for Sum {
    type Input = u64;
    type Accumulator = u64;
    type Output = u64;

    fn create(&self) -> u64 {
        0
    }

    fn add(&self, sum: &mut u64, input: u64) {
        *sum += input;
    }

    fn result(&self, sum: &u64) -> u64 {
        *sum
    }

    fn merge(&self, sum: &mut u64, other: &u64) {
        *sum += other;
    }
}

/// Gives an accumulator of [`Sum`] as it is stored.
struct StampedSum;

impl AggregateFunction for StampedSum {
    type Input = ();
    type Accumulator = Stamped<u64>;
    type Output = Stamped<u64>;

    fn create(&self) -> Stamped<u64> {
        Stamped { stamp_ms: 0, value: 0 }
    }

    fn add(&self, _: &mut Stamped<u64>, (): ()) {}

    fn result(&self, accumulator: &Stamped<u64>) -> Stamped<u64> {
        *accumulator
    }

    fn merge(&self, _: &mut Stamped<u64>, _: &Stamped<u64>) {}
}

#[derive(Clone, Copy)]
struct States {
    value: ValueState<u64>,
    list: ListState<u64>,
    long: ListState<u64>,
    map: MapState<u32, String>,
    sorted: SortedMapState<u32, String>,
    reducing: ReducingState<u64>,
    aggregating: AggregatingState<Sum>,
}

fn register(keyed: &mut impl KeyedStateBackend, clock: &ManualClock) -> States {
    let ttl = StateTtl::new(TIME_TO_LIVE, clock.state_clock()).cleanup_incrementally(0);
    let reduce = |sum: &mut u64, other| *sum += other;
    let value = ValueStateDescriptor::<u64>::new("value").ttl(ttl.clone());
    let list = ListStateDescriptor::<u64>::new("list").ttl(ttl.clone());
    let long = ListStateDescriptor::<u64>::new("long list").long().ttl(ttl.clone());
    let map = MapStateDescriptor::<u32, String>::new("map").ttl(ttl.clone());
    let sorted = SortedMapStateDescriptor::<u32, String>::new("sorted map").ttl(ttl.clone());
    let reducing = ReducingStateDescriptor::<u64>::new("reducing", reduce).ttl(ttl.clone());
    let aggregating = AggregatingStateDescriptor::new("aggregating", Sum).ttl(ttl);
    States {
        value: keyed.value_state(value).unwrap(),
        list: keyed.list_state(list).unwrap(),
        long: keyed.list_state(long).unwrap(),
        map: keyed.map_state(map).unwrap(),
        sorted: keyed.sorted_map_state(sorted).unwrap(),
        reducing: keyed.reducing_state(reducing).unwrap(),
        aggregating: keyed.aggregating_state(aggregating).unwrap(),
    }
}

/// Writes to some states of some keys.
fn write_some(
    keyed: &mut impl KeyedStateBackend<Key = String>,
    states: States,
    key: &String,
    random: &mut Random,
) {
    let mut at = keyed.at(key).unwrap();
    let number = random.below(1_000);
    match random.below(9) {
        0 => states.value.set(&mut at, number).unwrap(),
        1 => states.list.add_all(&mut at, [number, number + 1]).unwrap(),
        2 => {
            let user_key = u32::try_from(random.below(4)).unwrap();
            states.map.put(&mut at, user_key, format!("text {number}")).unwrap();
        }
        3 => {
            let user_key = u32::try_from(random.below(4)).unwrap();
            states.sorted.put(&mut at, user_key, format!("text {number}")).unwrap();
        }
        4 => states.reducing.add(&mut at, number).unwrap(),
        5 => states.aggregating.add(&mut at, number).unwrap(),
        6 => states.long.add_all(&mut at, [number, number + 1]).unwrap(),
        7 => drop(states.long.pop_front(&mut at).unwrap()),
        _ => states.list.clear(&mut at).unwrap(),
    }
}

fn json(stamped: &Stamped<impl std::fmt::Debug>) -> String {
    format!("{{\"stamp_ms\": {}, \"value\": {:?}}}", stamped.stamp_ms, stamped.value)
}

fn json_list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// The codec of stored values.
fn stamped() -> TtlCodec<DefaultCodec> {
    TtlCodec { value: DefaultCodec, first_stamp_ms: 0 }
}

/// What a restored subtask has: values and stamps as they are, since they are its values.
fn stored(keyed: &mut impl KeyedStateBackend<Key = String>, values: &mut Values) {
    let mut put = |state: &str, key: &String, json: String| {
        assert_eq!(values.insert((state.to_owned(), key.clone()), json), None, "{state} of {key}");
    };
    let value = ValueStateDescriptor::<Stamped<u64>, _>::with_codec("value", stamped());
    let value = keyed.value_state(value).unwrap();
    for key in keyed.keys(value, &()).unwrap() {
        put("value", &key, json(&value.get(&keyed.at(&key).unwrap()).unwrap().unwrap()));
    }
    let list = ListStateDescriptor::<Stamped<u64>, _>::with_codec("list", stamped());
    let long = ListStateDescriptor::<Stamped<u64>, _>::with_codec("long list", stamped()).long();
    for (name, list) in [("list", list), ("long list", long)] {
        let list = keyed.list_state(list).unwrap();
        for key in keyed.keys(list, &()).unwrap() {
            let at = keyed.at(&key).unwrap();
            let elements = list.elements(&at).unwrap().map(|element| json(&element.unwrap()));
            put(name, &key, json_list(elements));
        }
    }
    let map = MapStateDescriptor::<u32, Stamped<String>, _, _>::with_codecs(
        "map",
        DefaultCodec,
        stamped(),
    );
    let map = keyed.map_state(map).unwrap();
    for key in keyed.keys(map, &()).unwrap() {
        let at = keyed.at(&key).unwrap();
        let entries = map.entries(&at).unwrap().map(|entry| {
            let (user_key, value) = entry.unwrap();
            format!("[{}, {}]", *user_key, json(&value))
        });
        put("map", &key, sorted_entries(&json_list(entries)));
    }
    let sorted = SortedMapStateDescriptor::<u32, Stamped<String>, _, _>::with_codecs(
        "sorted map",
        DefaultOrderedCodec,
        stamped(),
    );
    let sorted = keyed.sorted_map_state(sorted).unwrap();
    for key in keyed.keys(sorted, &()).unwrap() {
        let at = keyed.at(&key).unwrap();
        let entries = sorted.entries(&at).unwrap().map(|entry| {
            let (user_key, value) = entry.unwrap();
            format!("[{}, {}]", *user_key, json(&value))
        });
        put("sorted map", &key, json_list(entries));
    }
    let reducing = ReducingStateDescriptor::<Stamped<u64>, _>::with_codec(
        "reducing",
        stamped(),
        |_: &mut Stamped<u64>, _| {},
    );
    let reducing = keyed.reducing_state(reducing).unwrap();
    for key in keyed.keys(reducing, &()).unwrap() {
        put("reducing", &key, json(&reducing.get(&keyed.at(&key).unwrap()).unwrap().unwrap()));
    }
    let aggregating = AggregatingStateDescriptor::with_codec("aggregating", stamped(), StampedSum);
    let aggregating = keyed.aggregating_state(aggregating).unwrap();
    for key in keyed.keys(aggregating, &()).unwrap() {
        let found = aggregating.get(&keyed.at(&key).unwrap()).unwrap();
        put("aggregating", &key, json(&found.unwrap()));
    }
}

/// A map as JSON, its entries in one order.
fn sorted_entries(json: &str) -> String {
    let inner = json.strip_prefix("[[").and_then(|rest| rest.strip_suffix("]]")).unwrap();
    let mut entries: Vec<_> = inner.split("], [").collect();
    entries.sort_unstable();
    format!("[[{}]]", entries.join("], ["))
}

/// What the reader prints of the keyed state of a checkpoint.
fn read(checkpoint: &Path) -> Values {
    let script = top().join("tests/spec_reader/read_checkpoint.py");
    let output = Command::new("python3").arg(script).arg(checkpoint).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let between = |line: &str, from: &str, to: &str| {
        let rest = line.split_once(from).unwrap_or_else(|| panic!("{from} in {line}")).1;
        rest.split_once(to).unwrap().0.to_owned()
    };
    let mut values = Values::new();
    for line in text.lines().filter(|line| line.contains("\"type\": \"keyed\"")) {
        let state = between(line, "\"state\": \"", "\"");
        assert_eq!(between(line, "\"kind\": \"", "\""), state, "states are named as their kinds");
        let key = between(line, "\"key\": \"", "\"");
        let value = line.split_once("\"namespace\": null, \"value\": ").unwrap().1;
        let value = value.strip_suffix('}').unwrap();
        let value = if state == "map" { sorted_entries(value) } else { value.to_owned() };
        assert_eq!(values.insert((state, key), value), None, "{line}");
    }
    values
}

fn metadata<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    checkpoint: CheckpointId,
    handles: &[KeyedStateHandle],
) -> CheckpointMetadata {
    let subtasks = (0..).map(SubtaskIndex::new).zip(handles).map(|(index, handle)| SubtaskState {
        index,
        keyed: Some(handle.clone()),
        operator: None,
    });
    let properties = CheckpointProperties {
        job: JobId::new("job").unwrap(),
        checkpoint,
        attempt: AttemptId::new(1),
        triggered_at_ms: 0,
        completed_at_ms: 0,
        max_parallelism: job.max_parallelism,
        assigner: AssignerName::Stable,
    };
    let parallelism = job.parallelism(PARALLELISM);
    let operator =
        OperatorState { uid: job.uid.clone(), parallelism, subtasks: subtasks.collect() };
    CheckpointMetadata { properties, operators: vec![operator] }
}

fn checkpoint_and_read<B: StateBackend>(backend: &B, mode: SnapshotMode) {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("job");
    let storage = alluvium::storage::open(folder.to_str().unwrap()).unwrap();
    let store = CheckpointStore::in_folder(storage.clone(), JobId::new("job").unwrap());
    let mut job = TestJob::<B, String>::with_storage(backend, storage);
    (job.policy, job.mode) = (ALWAYS_FILES, mode);
    let (clock, mut random) = (ManualClock::new(0), Random::new(5));
    let mut subtasks: Vec<KeyedOf<B, String>> = job.open(PARALLELISM, &[]);
    let mut last = None;
    for time_ms in TIMES_MS {
        clock.set(time_ms);
        for _ in 0..2 * KEYS {
            let key = format!("key-{}", random.below(KEYS));
            let keyed = &mut subtasks[job.owner_of(&key, PARALLELISM)];
            let states = register(keyed, &clock);
            write_some(keyed, states, &key, &mut random);
        }
        let frozen = job.freeze(&mut subtasks);
        let (checkpoint, handles) = (frozen.checkpoint(), frozen.write());
        complete_all(&mut subtasks, checkpoint);
        last = Some((checkpoint, handles));
    }
    let (checkpoint, handles) = last.unwrap();
    let is_incremental = mode == SnapshotMode::Incremental;
    assert_eq!(handles.iter().any(|handle| !handle.shared.is_empty()), is_incremental);
    store.commit(&metadata(&job, checkpoint, &handles)).unwrap();

    let mut expected = Values::new();
    for mut keyed in job.open(PARALLELISM, &handles) {
        stored(&mut keyed, &mut expected);
    }
    let found = read(&folder.join(format!("chk-{checkpoint}")));
    assert_eq!(found, expected);
    assert!(found.len() > 60, "{} values", found.len());
    let stamps = found.values().flat_map(|value| value.split("\"stamp_ms\": ").skip(1));
    let stamps = stamps.map(|rest| rest.split(',').next().unwrap().parse::<i64>().unwrap());
    let expired = stamps.filter(|stamp_ms| *stamp_ms <= LAST_EXPIRED_MS).count();
    assert_eq!(
        expired > 0,
        is_incremental,
        "{expired} values have expired: full snapshots drop them"
    );
}

#[test]
fn full_snapshots_of_heap() {
    checkpoint_and_read(&HeapStateBackend::default(), SnapshotMode::Full);
    checkpoint_and_read(&HeapStateBackend::new(StateMapKind::Nested), SnapshotMode::Full);
}

#[test]
fn incremental_snapshots_of_heap() {
    let backend = HeapStateBackend::default().max_segment_entries(2);
    checkpoint_and_read(&backend, SnapshotMode::Incremental);
}

#[cfg(feature = "rocksdb")]
#[test]
fn full_snapshots_of_rocksdb() {
    let work = tempfile::tempdir().unwrap();
    let backend = alluvium::rocksdb::RocksDbStateBackend::new(work.path());
    checkpoint_and_read(&backend, SnapshotMode::Full);
}
