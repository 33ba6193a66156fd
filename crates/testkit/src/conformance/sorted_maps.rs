//! Cases: sorted maps: their order, ranges, ends, and checkpoints of them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Bound;

use alluvium_core::KeyedStateHandle;
use alluvium_format::CodecError;
use alluvium_format::codec::{
    Codec, CodecSnapshot, DefaultCodec, DefaultOrderedCodec, HasOrderedCodec, TotalF64,
};
use alluvium_format::keyed::{StateKind, StateMeta};
use alluvium_state::{
    Entries, KeyContext, KeyedStateBackend, MapStateDescriptor, Ref, RestoreError, SnapshotMode,
    SortedKey, SortedMapState, SortedMapStateDescriptor, StateBackend, StateError, StateValue,
};

use super::crafted::stream_of_entry;
use super::{list_of, owned, refused};
use crate::job::{KeyedOf, TestJob, complete_all};
use crate::random::Random;

/// Entries in the order in which they come.
#[track_caller]
fn in_order<K: Clone, V: Clone>(found: Result<Entries<'_, K, V>, StateError>) -> Vec<(K, V)> {
    found.unwrap().map(|entry| pair(entry.unwrap())).collect()
}

fn pair<K: Clone, V: Clone>((key, value): (Ref<'_, K>, Ref<'_, V>)) -> (K, V) {
    (key.into_owned(), value.into_owned())
}

/// The state holds what the model does, in its order, in both directions, and at both ends.
#[track_caller]
fn check<
    UK: SortedKey + Debug,
    UV: StateValue + PartialEq + Debug,
    C: KeyContext<Namespace = ()>,
>(
    map: SortedMapState<UK, UV>,
    at: &C,
    model: &BTreeMap<UK, UV>,
) {
    let expected: Vec<_> = model.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    assert_eq!(in_order(map.entries(at)), expected);
    assert_eq!(in_order(map.range(at, ..)), expected);
    let reversed: Vec<_> = expected.iter().rev().cloned().collect();
    assert_eq!(in_order(map.range_rev(at, ..)), reversed);
    assert!(list_of(map.keys(at)).iter().eq(model.keys()));
    assert!(list_of(map.values(at)).iter().eq(model.values()));
    assert_eq!(map.first(at).unwrap().map(pair).as_ref(), expected.first());
    assert_eq!(map.last(at).unwrap().map(pair).as_ref(), expected.last());
    assert_eq!(map.is_empty(at).unwrap(), model.is_empty());
}

/// Every range between two keys, with every kind of bound, in both directions.
#[track_caller]
fn check_ranges<UK: SortedKey + Debug, UV: StateValue + PartialEq + Debug>(
    map: SortedMapState<UK, UV>,
    at: &impl KeyContext<Namespace = ()>,
    model: &BTreeMap<UK, UV>,
    bounds: &[UK],
) {
    let kinds = |key| [Bound::Included(key), Bound::Excluded(key), Bound::Unbounded];
    let all: Vec<Bound<&UK>> = bounds.iter().flat_map(kinds).collect();
    for start in &all {
        for end in &all {
            let range = (*start, *end);
            let inside = |key: &&UK| {
                let from_start = match start {
                    Bound::Included(it) => key >= it,
                    Bound::Excluded(it) => key > it,
                    Bound::Unbounded => true,
                };
                from_start
                    && match end {
                        Bound::Included(it) => key <= it,
                        Bound::Excluded(it) => key < it,
                        Bound::Unbounded => true,
                    }
            };
            let expected = model.iter().filter(|(key, _)| inside(key));
            let mut expected: Vec<_> = expected.map(|(k, v)| (k.clone(), v.clone())).collect();
            assert_eq!(in_order(map.range(at, range)), expected, "{range:?}");
            expected.reverse();
            assert_eq!(in_order(map.range_rev(at, range)), expected, "{range:?}");
        }
    }
}

/// A sorted map gives back what was put under each user key, in the order of user keys; what is not
/// there is none.
pub fn a_sorted_map_holds_what_was_put_in_order<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let descriptor = SortedMapStateDescriptor::<String, u64>::new("sorted");
    let map = state.sorted_map_state(descriptor).unwrap();
    let key = "key".to_owned();
    let [b, a, none] = ["b", "a", ""].map(str::to_owned);
    let mut at = state.at(&key).unwrap();
    check(map, &at, &BTreeMap::new());
    assert_eq!(owned(map.get(&at, &a)), None);
    map.put(&mut at, b.clone(), 2).unwrap();
    map.put(&mut at, a.clone(), 1).unwrap();
    map.put(&mut at, a.clone(), 10).unwrap();
    map.update(&mut at, none.clone(), |n| *n += 5).unwrap();
    let before = map.update(&mut at, b.clone(), |n| std::mem::replace(n, 20)).unwrap();
    assert_eq!(before, 2);
    assert_eq!(owned(map.get(&at, &a)), Some(10));
    assert!(map.contains(&at, &none).unwrap());
    check(map, &at, &[(none.clone(), 5), (a.clone(), 10), (b.clone(), 20)].into());
    map.remove(&mut at, &none).unwrap();
    map.remove(&mut at, &"absent".to_owned()).unwrap();
    assert!(!map.contains(&at, &none).unwrap());
    check(map, &at, &[(a, 10), (b, 20)].into());
    map.clear(&mut at).unwrap();
    check(map, &at, &BTreeMap::new());
}

/// Puts keys in some order, removes some, and looks at all ranges between them.
fn check_key_type<B: StateBackend, UK: SortedKey + HasOrderedCodec + Debug>(
    backend: &B,
    keys: &[UK],
) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let map = state.sorted_map_state(SortedMapStateDescriptor::<UK, u64>::new("sorted")).unwrap();
    let own = "key".to_owned();
    let mut model = BTreeMap::new();
    let mut random = Random::new(keys.len() as u64);
    // Neighbours in the same column family, before and after.
    for other in ["", "kex", "kez", "key\0", "ke"].map(str::to_owned) {
        let mut at = state.at(&other).unwrap();
        for user_key in keys {
            map.put(&mut at, user_key.clone(), 0).unwrap();
        }
    }
    let mut at = state.at(&own).unwrap();
    for number in 0..3 * keys.len() as u64 {
        let user_key = random.pick(keys).clone();
        map.put(&mut at, user_key.clone(), number).unwrap();
        model.insert(user_key, number);
        let other = random.pick(keys);
        if random.one_in(4) {
            map.remove(&mut at, other).unwrap();
            model.remove(other);
        }
    }
    check(map, &at, &model);
    check_ranges(map, &at, &model, keys);
    drop(at);
    let handles = job.snapshot_one(&mut state);
    let mut state = job.open_one(&handles);
    let map = state.sorted_map_state(SortedMapStateDescriptor::<UK, u64>::new("sorted")).unwrap();
    let at = state.at(&own).unwrap();
    check(map, &at, &model);
    check_ranges(map, &at, &model, keys);
}

/// Entries come in the order of `Ord`, whatever sort of type the user keys are of.
pub fn user_keys_of_all_sorts_are_in_their_order<B: StateBackend>(backend: &B) {
    check_key_type(backend, &[0_u8, 1, 127, 128, 255]);
    check_key_type(backend, &[0_u64, 255, 256, 65_536, 1 << 63, u64::MAX]);
    check_key_type(backend, &[i32::MIN, -256, -1, 0, 1, 256, i32::MAX]);
    check_key_type(backend, &[()]);
    let texts =
        ["", "\0", "\0\0", "\u{1}", "a", "a\0", "a\u{1}b", "ab", "b", "\u{e9}", "\u{1f600}"];
    let texts = texts.map(str::to_owned);
    check_key_type(backend, &texts);
    check_key_type(backend, &[vec![], vec![0], vec![0, 255], vec![1], vec![255], vec![255, 255]]);
    check_key_type(backend, &[None, Some(-1_i16), Some(0), Some(1)]);
    let floats = [f64::NEG_INFINITY, -1.5, -0.0, 0.0, 1.5, f64::INFINITY, f64::NAN];
    check_key_type(backend, &floats.map(TotalF64));
    let pairs: Vec<_> =
        texts.iter().flat_map(|text| [-1_i64, 0].map(|n| (text.clone(), n))).collect();
    check_key_type(backend, &pairs);
}

/// The first and the last entry are taken until there is none, with others put in between.
pub fn the_first_and_the_last_entry_are_taken<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let map = state.sorted_map_state(SortedMapStateDescriptor::<i32, String>::new("sorted"));
    let map = map.unwrap();
    let key = "key".to_owned();
    let mut at = state.at(&key).unwrap();
    assert_eq!(map.pop_first(&mut at).unwrap(), None);
    assert_eq!(map.pop_last(&mut at).unwrap(), None);
    let mut model = BTreeMap::new();
    let mut random = Random::new(7);
    for round in 0..300 {
        for _ in 0..random.below(4) {
            let user_key = i32::try_from(random.below(1_000)).unwrap() - 500;
            map.put(&mut at, user_key, round.to_string()).unwrap();
            model.insert(user_key, round.to_string());
        }
        assert_eq!(map.pop_first(&mut at).unwrap(), model.pop_first());
        if random.one_in(3) {
            assert_eq!(map.pop_last(&mut at).unwrap(), model.pop_last());
        }
    }
    check(map, &at, &model);
    while let Some(last) = model.pop_last() {
        assert_eq!(map.pop_last(&mut at).unwrap(), Some(last));
    }
    assert_eq!(map.first(&at).unwrap().map(pair), None);
    drop(at);
    assert!(state.keys(map, &()).unwrap().is_empty(), "a map without entries is none");
    assert_eq!(state.entry_count().unwrap(), 0);
}

/// A range may be left before its end, and the map be written to afterwards.
pub fn writes_between_ranges_are_seen_by_the_next_range<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let map = state.sorted_map_state(SortedMapStateDescriptor::<u32, u32>::new("sorted")).unwrap();
    let key = "key".to_owned();
    let mut at = state.at(&key).unwrap();
    let mut model: BTreeMap<u32, u32> = (0..1_000).map(|n| (n * 3, n)).collect();
    for (user_key, value) in &model {
        map.put(&mut at, *user_key, *value).unwrap();
    }
    for from in (0..3_000).step_by(211) {
        let some: Vec<_> =
            map.range(&at, from..).unwrap().take(3).map(|it| pair(it.unwrap())).collect();
        let expected: Vec<_> = model.range(from..).take(3).map(|(k, v)| (*k, *v)).collect();
        assert_eq!(some, expected);
        for (user_key, value) in some {
            map.remove(&mut at, &user_key).unwrap();
            map.put(&mut at, user_key + 1, value).unwrap();
            model.remove(&user_key);
            model.insert(user_key + 1, value);
        }
        let before: Vec<_> =
            map.range_rev(&at, ..from).unwrap().take(3).map(|it| pair(it.unwrap())).collect();
        let expected: Vec<_> = model.range(..from).rev().take(3).map(|(k, v)| (*k, *v)).collect();
        assert_eq!(before, expected);
    }
    check(map, &at, &model);
}

/// Namespaces and keys have maps of their own; clearing takes one of them.
pub fn sorted_maps_of_keys_and_namespaces_are_apart<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let descriptor = SortedMapStateDescriptor::<u8, u64>::new("sorted").namespaced::<u32>();
    let map = state.sorted_map_state(descriptor).unwrap();
    let other = SortedMapStateDescriptor::<u8, u64>::new("other").namespaced::<u32>();
    let other = state.sorted_map_state(other).unwrap();
    let keys = ["a", "ab", "b"].map(str::to_owned);
    for (key, namespace) in keys.iter().flat_map(|key| [0_u32, 1, 256].map(|n| (key, n))) {
        let mut at = state.at_namespace(key, &namespace).unwrap();
        for user_key in [3, 1, 2, 255] {
            map.put(&mut at, user_key, u64::from(namespace) + u64::from(user_key)).unwrap();
        }
        other.put(&mut at, 9, 9).unwrap();
    }
    map.clear(&mut state.at_namespace(&keys[1], &1).unwrap()).unwrap();
    for (key, namespace) in keys.iter().flat_map(|key| [0_u32, 1, 256].map(|n| (key, n))) {
        let at = state.at_namespace(key, &namespace).unwrap();
        let expected = [1, 2, 3, 255].map(|it: u8| (it, u64::from(namespace) + u64::from(it)));
        let expected = if (key.as_str(), namespace) == ("ab", 1) { &[][..] } else { &expected };
        assert_eq!(in_order(map.entries(&at)), expected, "{key} {namespace}");
        assert_eq!(in_order(other.entries(&at)), [(9, 9)]);
    }
    let mut listed = state.keys(map, &1).unwrap();
    listed.sort();
    assert_eq!(listed, ["a", "b"]);
    assert_eq!(state.entry_count().unwrap(), 17);
}

/// The sorted map that checkpoints are taken of.
fn registered(state: &mut impl KeyedStateBackend) -> SortedMapState<(i64, String), u64> {
    state.sorted_map_state(SortedMapStateDescriptor::new("sorted")).unwrap()
}

type KeyedModel = BTreeMap<String, BTreeMap<(i64, String), u64>>;

/// Sorted maps of many keys come back, in incremental and full checkpoints, at other parallelisms,
/// with a freeze that does not see what is written after it.
pub fn sorted_maps_come_back_from_checkpoints<B: StateBackend>(backend: &B) {
    let mut job = TestJob::<B, String>::new(backend);
    let mut subtasks = job.open(2, &[]);
    let (mut random, mut model) = (Random::new(11), KeyedModel::new());
    for (round, parallelism) in (0_u64..).zip([3, 1, 2, 5, 2, 1]) {
        for _ in 0..300 {
            let key = format!("key-{}", random.below(12));
            let owner = job.owner_of(&key, u32::try_from(subtasks.len()).unwrap());
            let state = subtasks.get_mut(owner).unwrap();
            let map = registered(state);
            let mut at = state.at(&key).unwrap();
            let entries = model.entry(key.clone()).or_default();
            let text = ["", "a", "a\0", "b"].map(str::to_owned);
            let user_key =
                (i64::try_from(random.below(30)).unwrap() - 15, random.pick(&text).clone());
            match random.below(20) {
                0 => {
                    map.clear(&mut at).unwrap();
                    entries.clear();
                }
                1..5 => {
                    map.remove(&mut at, &user_key).unwrap();
                    entries.remove(&user_key);
                }
                5 => assert_eq!(map.pop_first(&mut at).unwrap(), entries.pop_first()),
                _ => {
                    map.put(&mut at, user_key.clone(), round).unwrap();
                    entries.insert(user_key, round);
                }
            }
        }
        job.mode = if round % 3 == 2 { SnapshotMode::Full } else { SnapshotMode::Incremental };
        let frozen = job.freeze(&mut subtasks);
        for state in &mut subtasks {
            let map = registered(state);
            let groups = state.key_groups();
            for key in model.keys().filter(|key| groups.contains(job.key_group_of(key))) {
                let mut at = state.at(key).unwrap();
                map.put(&mut at, (0, "after the freeze".to_owned()), 0).unwrap();
                map.pop_first(&mut at).unwrap();
            }
        }
        let checkpoint = frozen.checkpoint();
        let handles = frozen.write();
        complete_all(&mut subtasks, checkpoint);
        subtasks = job.open(parallelism, &handles);
        check_model(&job, &mut subtasks, &model);
    }
}

fn check_model<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    subtasks: &mut [KeyedOf<B, String>],
    model: &KeyedModel,
) {
    let parallelism = u32::try_from(subtasks.len()).unwrap();
    for (key, entries) in model {
        let state = subtasks.get_mut(job.owner_of(key, parallelism)).unwrap();
        let map = registered(state);
        check(map, &state.at(key).unwrap(), entries);
    }
    let listed = subtasks.iter_mut().map(|state| {
        let map = registered(state);
        state.keys(map, &()).unwrap().len()
    });
    let expected = model.values().filter(|entries| !entries.is_empty()).count();
    assert_eq!(listed.sum::<usize>(), expected);
}

/// Sorted maps that nobody registers are kept through a full and an incremental checkpoint.
pub fn sorted_maps_that_nobody_registers_are_kept<B: StateBackend>(backend: &B) {
    for mode in [SnapshotMode::Full, SnapshotMode::Incremental] {
        let mut job = TestJob::<B, String>::new(backend);
        job.mode = mode;
        let key = "key".to_owned();
        let entries: BTreeMap<_, _> = (-50..50).map(|n| ((n, n.to_string()), 7)).collect();
        let mut state = job.open_one(&[]);
        let map = registered(&mut state);
        let mut at = state.at(&key).unwrap();
        for (it, value) in &entries {
            map.put(&mut at, it.clone(), *value).unwrap();
        }
        drop(at);
        let mut handles: Vec<KeyedStateHandle> = job.snapshot_one(&mut state);
        for _ in 0..2 {
            handles = job.snapshot_one(&mut job.open_one(&handles));
        }
        let mut state = job.open_one(&handles);
        let map = registered(&mut state);
        check(map, &state.at(&key).unwrap(), &entries);
    }
}

/// User keys and values of narrower types are read after migration, and stay in order.
pub fn sorted_maps_are_widened<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let narrow = SortedMapStateDescriptor::<(i8, u16), u32>::new("sorted");
    let map = state.sorted_map_state(narrow).unwrap();
    let key = "key".to_owned();
    let mut at = state.at(&key).unwrap();
    let mut model = BTreeMap::new();
    for (first, second) in [(-128_i8, 300_u16), (-1, 0), (-1, 256), (0, 255), (127, 1)] {
        map.put(&mut at, (first, second), 9).unwrap();
        model.insert((i64::from(first), u32::from(second)), 9_u64);
    }
    drop(at);
    let mut handles = job.snapshot_one(&mut state);
    for _ in 0..2 {
        let mut state = job.open_one(&handles);
        let wide = SortedMapStateDescriptor::<(i64, u32), u64>::new("sorted");
        let map = state.sorted_map_state(wide).unwrap();
        let mut at = state.at(&key).unwrap();
        check(map, &at, &model);
        check_ranges(map, &at, &model, &[(-129, 0), (-1, 5), (0, 255), (500, 0)]);
        map.put(&mut at, (1 << 40, 0), 1).unwrap();
        model.insert((1 << 40, 0), 1);
        drop(at);
        handles = job.snapshot_one(&mut state);
    }
    let mut state = job.open_one(&handles);
    let narrow = SortedMapStateDescriptor::<(i8, u16), u32>::new("sorted");
    let error = refused(state.sorted_map_state(narrow));
    assert!(matches!(error, StateError::IncompatibleSchema { part: "value", .. }), "{error}");
}

/// A map is no sorted map: their entries are stored in another order.
pub fn a_map_is_no_sorted_map<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    state.map_state(MapStateDescriptor::<u8, u8>::new("map")).unwrap();
    let sorted = SortedMapStateDescriptor::<u8, u8>::new("sorted");
    state.sorted_map_state(sorted.clone()).unwrap();
    let error = refused(state.sorted_map_state(SortedMapStateDescriptor::<u8, u8>::new("map")));
    assert!(matches!(error, StateError::NameReused { .. }), "{error}");
    let handles = job.snapshot_one(&mut state);
    let mut state = job.open_one(&handles);
    let errors = [
        refused(state.sorted_map_state(SortedMapStateDescriptor::<u8, u8>::new("map"))),
        refused(state.map_state(MapStateDescriptor::<u8, u8>::new("sorted"))),
    ];
    for error in errors {
        assert!(matches!(error, StateError::KindChanged { .. }), "{error}");
    }
    state.sorted_map_state(sorted).unwrap();
}

/// Entries that are not in the order of their user keys are refused, when they are restored or when
/// the state is registered.
pub fn entries_in_another_order_are_refused<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let key = "key".to_owned();
    let meta = || StateMeta {
        name: "sorted".to_owned(),
        kind: StateKind::SortedMap,
        namespace: Codec::<()>::snapshot(&DefaultCodec),
        value: CodecSnapshot {
            name: "map".to_owned(),
            version: 1,
            parameters: Vec::new(),
            children: vec![
                Codec::<u16>::snapshot(&DefaultOrderedCodec),
                Codec::<bool>::snapshot(&DefaultCodec),
            ],
        },
    };
    let registered = |bytes: &[u8]| {
        let restored = job.try_open_one(&[stream_of_entry(&job, meta(), &key, bytes)]);
        restored.and_then(|mut state| {
            let map =
                state.sorted_map_state(SortedMapStateDescriptor::<u16, bool>::new("sorted"))?;
            let at = state.at(&key)?;
            let first = map.first(&at)?;
            Ok(first.map(pair))
        })
    };
    assert_eq!(registered(&[2, 0, 9, 0, 1, 0, 1]).unwrap(), Some((9, false)));
    for (first, second) in [(9, 8), (9, 9)] {
        let error = refused(registered(&[2, 0, first, 0, 0, second, 1]));
        let is_named = |error: &StateError| {
            let StateError::Decode { state, source } = error else { return false };
            state == "sorted" && matches!(source, CodecError::Invalid { .. })
        };
        let RestoreError::State(error) = error else { panic!("{error}") };
        assert!(is_named(&error), "{error}");
    }
}
