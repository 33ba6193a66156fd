//! Cases: engines that know types at run time only, beside jobs that have them.

use std::ops::Bound;

use alluvium_format::codec::CodecSnapshot;
use alluvium_state::dynamic::{DynAt, DynKind, DynStateDescriptor};
use alluvium_state::{KeyedStateBackend, ScanOrder, StateBackend, StateError, TimeDomain};

use super::{list_of, map_of, owned, refused, sorted};
use crate::job::TestJob;
use crate::model::by_bytes::{DynStates, codec_of, encoded, open, ordered, snapshot};
use crate::model::change::{
    Change, aggregating_state, list_state, map_state, reduce, reducing_state, timers, value_state,
};
use crate::model::{Kind, Model, check_contents};
use crate::random::Random;

const EVENT: TimeDomain = TimeDomain::EventTime;

/// A dynamic engine reads what a typed job wrote, state by state, and the job what the engine wrote:
/// values, lists, maps, reduced values, accumulators, timers, keys and their key groups.
pub fn dynamic_and_typed_state_are_the_same<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut typed = job.open_one(&[]);
    let (key, namespace) = ("key".to_owned(), 7);
    let (value, list, map) =
        (value_state(&mut typed), list_state(&mut typed), map_state(&mut typed));
    let (reducing, aggregating) = (reducing_state(&mut typed), aggregating_state(&mut typed));
    let service = timers(&mut typed);
    let mut at = typed.at_namespace(&key, &namespace).unwrap();
    value.set(&mut at, 5).unwrap();
    list.add_all(&mut at, ["a".to_owned(), String::new()]).unwrap();
    map.put(&mut at, 1, "one".to_owned()).unwrap();
    map.put(&mut at, 2, "two".to_owned()).unwrap();
    reducing.add(&mut at, 3).unwrap();
    aggregating.add(&mut at, 40).unwrap();
    service.register(&mut at, EVENT, -9).unwrap();
    drop(at);
    let handles = job.snapshot_one(&mut typed);

    let mut state = open(&job, backend, &handles);
    let (k, n) = (encoded(&key), encoded(&namespace));
    let at = DynAt { key: &k, namespace: &n };
    assert_eq!(state.unregistered_states().len(), 6);
    assert_eq!(state.key_group_of(&k).unwrap(), job.key_group_of(&key));
    let own = DynStates::register(&mut *state);
    assert_eq!(state.value_get(own.of(Kind::Value), at).unwrap(), Some(encoded(&5_u64)));
    let elements = [encoded(&"a".to_owned()), encoded(&String::new())];
    assert_eq!(state.list_get(own.of(Kind::List), at).unwrap(), elements);
    let entries = [(1_u32, "one"), (2, "two")].map(|(k, v)| (encoded(&k), encoded(&v.to_owned())));
    assert_eq!(sorted(state.map_entries(own.of(Kind::Map), at).unwrap()), entries);
    assert_eq!(state.map_get(own.of(Kind::Map), at, &encoded(&3_u32)).unwrap(), None);
    assert_eq!(state.reducing_get(own.of(Kind::Reducing), at).unwrap(), Some(encoded(&3_u64)));
    let sum = state.aggregating_get(own.of(Kind::Aggregating), at).unwrap();
    assert_eq!(sum, Some(encoded(&(1_u64, 40_u64))));
    assert_eq!(state.next_timer_ms(own.of(Kind::Timers), EVENT).unwrap(), Some(-9));
    let group = job.key_group_of(&key);
    let pairs = state.keys_and_namespaces_in_group(own.of(Kind::Map), group).unwrap();
    assert_eq!(pairs, [(k.clone(), n.clone())]);
    assert_eq!(state.entry_count().unwrap(), 6);

    state.value_set(own.of(Kind::Value), at, &encoded(&6_u64)).unwrap();
    state.list_add(own.of(Kind::List), at, &encoded(&"b".to_owned())).unwrap();
    state.map_put(own.of(Kind::Map), at, &encoded(&3_u32), &encoded(&"three".to_owned())).unwrap();
    state.map_remove(own.of(Kind::Map), at, &encoded(&1_u32)).unwrap();
    state.reducing_add(own.of(Kind::Reducing), at, &encoded(&4_u64)).unwrap();
    state.aggregating_add(own.of(Kind::Aggregating), at, &encoded(&2_u64)).unwrap();
    let timer = state.pop_timer(own.of(Kind::Timers), EVENT, 0).unwrap().unwrap();
    assert_eq!((timer.time_ms, timer.key_group), (-9, group));
    assert_eq!((&timer.key, &timer.namespace), (&k, &n));
    assert!(state.timer_register(own.of(Kind::Timers), at, EVENT, 12).unwrap());
    assert!(state.timer_register(own.of(Kind::Timers), at, EVENT, 13).unwrap());
    assert!(state.timer_delete(own.of(Kind::Timers), at, EVENT, 13).unwrap());
    let other = encoded(&8_u32);
    let elsewhere = DynAt { key: &k, namespace: &other };
    state.list_set(own.of(Kind::List), elsewhere, &[&encoded(&"c".to_owned())]).unwrap();
    state.merge_namespaces(own.of(Kind::List), &k, &n, &[&other]).unwrap();
    state.value_set(own.of(Kind::Value), elsewhere, &encoded(&1_u64)).unwrap();
    state.clear(own.of(Kind::Value), elsewhere).unwrap();
    let handles = snapshot(&job, &mut *state, 100);

    let mut typed = job.open_one(&handles);
    let (value, list, map) =
        (value_state(&mut typed), list_state(&mut typed), map_state(&mut typed));
    let (reducing, aggregating) = (reducing_state(&mut typed), aggregating_state(&mut typed));
    let service = timers(&mut typed);
    assert_eq!(typed.keys_and_namespaces(value).unwrap(), [(key.clone(), namespace)]);
    assert_eq!(typed.keys_and_namespaces(list).unwrap(), [(key.clone(), namespace)]);
    let at = typed.at_namespace(&key, &namespace).unwrap();
    assert_eq!(owned(value.get(&at)), Some(6));
    assert_eq!(list_of(list.elements(&at)), ["a", "", "b", "c"]);
    let entries = [(2, "two".to_owned()), (3, "three".to_owned())];
    assert_eq!(map_of(map.entries(&at)), entries.into());
    assert_eq!(owned(reducing.get(&at)), Some(reduce(3, 4)));
    assert_eq!(aggregating.get(&at).unwrap(), Some((2, 42)));
    drop(at);
    assert_eq!(typed.next_timer_ms(service, EVENT).unwrap(), Some(12));
}

/// A program by bytes, with every change of every kind, ends as the model does, and so does what it has
/// written, read by bytes and with types.
pub fn programs_by_bytes_do_what_programs_with_types_do<B: StateBackend>(backend: &B) {
    const NAMESPACES: [u32; 2] = [0, 7];
    let job = TestJob::<B, String>::new(backend);
    let (mut model, mut random) = (Model::default(), Random::new(11));
    let mut handles = Vec::new();
    for round in 0..4 {
        let mut state = open(&job, backend, &handles);
        let own = DynStates::register(&mut *state);
        for _ in 0..150 {
            let key = format!("key-{}", random.below(8));
            let (namespace, change) = (*random.pick(&NAMESPACES), Change::draw(&mut random));
            own.apply(&mut *state, &key, namespace, &change);
            model.apply(&key, namespace, &change);
        }
        model.check(&own.contents(&mut *state));
        handles = snapshot(&job, &mut *state, 100 + round);
        let mut typed = [job.open_one(&handles)];
        check_contents(&job, &mut typed, &NAMESPACES, &model);
    }
}

/// Keys, namespaces, user keys, values and elements that are not one whole encoding are refused, and
/// nothing is written.
pub fn bytes_that_are_not_whole_are_refused<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = open(&job, backend, &[]);
    let own = DynStates::register(&mut *state);
    let (k, n) = (encoded(&"key".to_owned()), encoded(&7_u32));
    let at = DynAt { key: &k, namespace: &n };
    let (long, short) = ([0; 9], [0; 7]);
    for bytes in [&long[..], &short[..], &[]] {
        let user_key = encoded(&1_u32);
        let errors = [
            refused(state.value_set(own.of(Kind::Value), at, bytes)),
            refused(state.reducing_add(own.of(Kind::Reducing), at, bytes)),
            refused(state.list_add(own.of(Kind::List), at, b"\x05four")),
            refused(state.list_set(
                own.of(Kind::List),
                at,
                &[&encoded(&"whole".to_owned()), b"\x01xx"],
            )),
            refused(state.map_put(own.of(Kind::Map), at, &user_key, b"\x80")),
            refused(state.list_add(own.of(Kind::LongList), at, b"\x05four")),
            refused(state.map_put(own.of(Kind::SortedMap), at, &ordered(1), b"\x80")),
        ];
        for error in errors {
            assert!(matches!(error, StateError::Encode { .. }), "{error}");
        }
        let at_key = DynAt { key: b"\x09x", namespace: &n };
        let errors = [
            refused(state.map_put(own.of(Kind::Map), at, bytes, &encoded(&"value".to_owned()))),
            refused(state.map_get(own.of(Kind::Map), at, bytes)),
            refused(state.map_remove(own.of(Kind::SortedMap), at, bytes)),
            refused(state.sorted_map_range(
                own.of(Kind::SortedMap),
                at,
                (Bound::Unbounded, Bound::Excluded(bytes)),
                ScanOrder::Descending,
                usize::MAX,
            )),
            refused(state.value_get(own.of(Kind::Value), at_key)),
            refused(state.value_get(own.of(Kind::Value), DynAt { namespace: bytes, ..at })),
            refused(state.key_group_of(at_key.key).map(|_| None::<Vec<u8>>)),
        ];
        for error in errors {
            assert!(matches!(error, StateError::Key { .. }), "{error}");
        }
    }
    assert_eq!(state.entry_count().unwrap(), 0);
}

/// A handle is of one kind and of one backend; a name stands for one kind; a codec must be known.
pub fn dynamic_handles_are_of_one_kind_and_backend<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let (mut state, mut other) = (open(&job, backend, &[]), open(&job, backend, &[]));
    let (own, foreign) = (DynStates::register(&mut *state), DynStates::register(&mut *other));
    assert_eq!(
        DynStates::register(&mut *state).of(Kind::Map),
        own.of(Kind::Map),
        "registered again"
    );
    let (k, n) = (encoded(&"key".to_owned()), encoded(&7_u32));
    let at = DynAt { key: &k, namespace: &n };
    let errors = [
        refused(state.value_get(own.of(Kind::Reducing), at).map(drop)),
        refused(state.value_get(foreign.of(Kind::Value), at).map(drop)),
        refused(state.list_get(own.of(Kind::Value), at).map(drop)),
        refused(state.map_entries(own.of(Kind::List), at).map(drop)),
        refused(state.aggregating_get(own.of(Kind::Map), at).map(drop)),
        refused(state.timer_register(own.of(Kind::Value), at, EVENT, 1).map(drop)),
        refused(state.next_timer_ms(own.of(Kind::Map), EVENT).map(drop)),
        refused(state.merge_namespaces(own.of(Kind::Map), &k, &n, &[])),
        refused(state.clear(foreign.of(Kind::Map), at)),
        refused(state.sorted_map_pop_last(own.of(Kind::Map), at).map(drop)),
        refused(state.sorted_map_first(own.of(Kind::List), at).map(drop)),
        refused(state.list_pop_front(own.of(Kind::SortedMap), at).map(drop)),
        refused(state.list_len(foreign.of(Kind::LongList), at).map(drop)),
    ];
    for error in errors {
        assert!(matches!(error, StateError::ForeignHandle), "{error}");
    }
    let mut again = |kind| {
        let (name, namespace) = ("value".to_owned(), codec_of::<u32>());
        state.register(DynStateDescriptor { name, namespace, kind })
    };
    let error = refused(again(DynKind::List { element: codec_of::<u64>() }));
    assert!(matches!(error, StateError::NameReused { .. }), "{error}");
    let error = refused(again(DynKind::Value { value: codec_of::<u32>() }));
    assert!(matches!(error, StateError::NameReused { .. }), "{error}");
    let (user_key, user_value) = (codec_of::<i32>(), codec_of::<u64>());
    let error = refused(again(DynKind::SortedMap { user_key, user_value }));
    assert!(matches!(error, StateError::Encode { .. }), "no ordered codec: {error}");
    let unknown = CodecSnapshot { name: "unknown".to_owned(), ..codec_of::<u64>() };
    let error = refused(again(DynKind::Value { value: unknown }));
    assert!(matches!(error, StateError::Encode { .. }), "{error}");
}
