//! Cases: engines that know types at run time only, beside jobs that have them.

use std::sync::Arc;

use alluvium_core::{CheckpointId, KeyedStateHandle, SubtaskIndex};
use alluvium_format::codec::{Codec, CodecSnapshot, DefaultCodec, HasCodec, Input};
use alluvium_state::dynamic::{
    DynAggregate, DynAt, DynKeyedState, DynKind, DynState, DynStateBackend, DynStateDescriptor,
    EncodedCodec,
};
use alluvium_state::{KeyedBackendSpec, KeyedStateBackend, StateBackend, StateError, TimeDomain};

use super::{list_of, map_of, owned, refused, sorted};
use crate::job::TestJob;
use crate::model::change::{
    aggregating_state, list_state, map_state, reduce, reducing_state, timers, value_state,
};

fn codec_of<T: HasCodec>() -> CodecSnapshot {
    Codec::<T>::snapshot(&DefaultCodec)
}

fn encoded<T: HasCodec>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    DefaultCodec.encode(value, &mut bytes).unwrap();
    bytes
}

fn decoded<T: HasCodec>(bytes: &[u8]) -> T {
    let mut input = Input::new(bytes);
    let value = DefaultCodec.decode(&mut input).unwrap();
    input.finish().unwrap();
    value
}

/// [`reduce`] over bytes.
fn reduce_bytes(value: &mut Vec<u8>, other: &[u8]) {
    *value = encoded(&reduce(decoded(value), decoded(other)));
}

/// Counts inputs and adds them up, over bytes.
struct CountAndSumBytes;

impl CountAndSumBytes {
    fn join(accumulator: &mut Vec<u8>, count: u64, sum: u64) {
        let before: (u64, u64) = decoded(accumulator);
        *accumulator = encoded(&(before.0 + count, before.1.wrapping_add(sum)));
    }
}

impl DynAggregate for CountAndSumBytes {
    fn create(&self) -> Vec<u8> {
        encoded(&(0_u64, 0_u64))
    }

    fn add(&self, accumulator: &mut Vec<u8>, input: &[u8]) {
        Self::join(accumulator, 1, decoded(input));
    }

    fn result(&self, accumulator: &[u8]) -> Vec<u8> {
        accumulator.to_vec()
    }

    fn merge(&self, accumulator: &mut Vec<u8>, other: &[u8]) {
        let (count, sum) = decoded(other);
        Self::join(accumulator, count, sum);
    }
}

/// Opens the only subtask, with keys that are encoded texts.
fn open<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    backend: &dyn DynStateBackend,
    handles: &[KeyedStateHandle],
) -> Box<dyn DynKeyedState> {
    let spec = KeyedBackendSpec {
        uid: job.uid.clone(),
        subtask: SubtaskIndex::new(0),
        parallelism: job.parallelism(1),
        key: EncodedCodec::new(codec_of::<String>()).unwrap(),
        assigner: alluvium_core::KeyGroupAssigner::Stable,
        hash_seed: 77,
    };
    backend.open_dynamic(spec, handles, &job.reader()).unwrap()
}

/// A whole checkpoint.
fn snapshot<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    state: &mut dyn DynKeyedState,
    number: u64,
) -> Vec<KeyedStateHandle> {
    let checkpoint = CheckpointId::new(number).unwrap();
    let written = state.freeze(checkpoint).unwrap().write(&job.target(checkpoint)).unwrap();
    state.complete(checkpoint);
    Vec::from_iter(written)
}

fn register(state: &mut dyn DynKeyedState, name: &str, kind: DynKind) -> DynState {
    let namespace = codec_of::<u32>();
    state.register(DynStateDescriptor { name: name.to_owned(), namespace, kind }).unwrap()
}

/// The states of random programs.
struct States {
    value: DynState,
    list: DynState,
    map: DynState,
    reducing: DynState,
    aggregating: DynState,
    timers: DynState,
}

impl States {
    fn register(state: &mut dyn DynKeyedState) -> Self {
        let (number, text) = (codec_of::<u64>(), codec_of::<String>());
        let map = DynKind::Map { user_key: codec_of::<u32>(), user_value: text.clone() };
        let reduce = Arc::new(reduce_bytes);
        let aggregating = DynKind::Aggregating {
            accumulator: codec_of::<(u64, u64)>(),
            aggregate: Arc::new(CountAndSumBytes),
        };
        Self {
            value: register(state, "value", DynKind::Value { value: number.clone() }),
            list: register(state, "list", DynKind::List { element: text }),
            map: register(state, "map", map),
            reducing: register(state, "reducing", DynKind::Reducing { value: number, reduce }),
            aggregating: register(state, "aggregating", aggregating),
            timers: register(state, "timers", DynKind::Timers),
        }
    }
}

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
    let own = States::register(&mut *state);
    assert_eq!(state.value_get(own.value, at).unwrap(), Some(encoded(&5_u64)));
    let elements = [encoded(&"a".to_owned()), encoded(&String::new())];
    assert_eq!(state.list_get(own.list, at).unwrap(), elements);
    let entries = [(1_u32, "one"), (2, "two")].map(|(k, v)| (encoded(&k), encoded(&v.to_owned())));
    assert_eq!(sorted(state.map_entries(own.map, at).unwrap()), entries);
    assert_eq!(state.map_get(own.map, at, &encoded(&3_u32)).unwrap(), None);
    assert_eq!(state.reducing_get(own.reducing, at).unwrap(), Some(encoded(&3_u64)));
    let sum = state.aggregating_get(own.aggregating, at).unwrap();
    assert_eq!(sum, Some(encoded(&(1_u64, 40_u64))));
    assert_eq!(state.next_timer_ms(own.timers, EVENT).unwrap(), Some(-9));
    let group = job.key_group_of(&key);
    let pairs = state.keys_and_namespaces_in_group(own.map, group).unwrap();
    assert_eq!(pairs, [(k.clone(), n.clone())]);
    assert_eq!(state.entry_count().unwrap(), 6);

    state.value_set(own.value, at, &encoded(&6_u64)).unwrap();
    state.list_add(own.list, at, &encoded(&"b".to_owned())).unwrap();
    state.map_put(own.map, at, &encoded(&3_u32), &encoded(&"three".to_owned())).unwrap();
    state.map_remove(own.map, at, &encoded(&1_u32)).unwrap();
    state.reducing_add(own.reducing, at, &encoded(&4_u64)).unwrap();
    state.aggregating_add(own.aggregating, at, &encoded(&2_u64)).unwrap();
    let timer = state.pop_timer(own.timers, EVENT, 0).unwrap().unwrap();
    assert_eq!((timer.time_ms, timer.key_group), (-9, group));
    assert_eq!((&timer.key, &timer.namespace), (&k, &n));
    assert!(state.timer_register(own.timers, at, EVENT, 12).unwrap());
    assert!(state.timer_register(own.timers, at, EVENT, 13).unwrap());
    assert!(state.timer_delete(own.timers, at, EVENT, 13).unwrap());
    let other = encoded(&8_u32);
    let elsewhere = DynAt { key: &k, namespace: &other };
    state.list_set(own.list, elsewhere, &[&encoded(&"c".to_owned())]).unwrap();
    state.merge_namespaces(own.list, &k, &n, &[&other]).unwrap();
    state.value_set(own.value, elsewhere, &encoded(&1_u64)).unwrap();
    state.clear(own.value, elsewhere).unwrap();
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

/// Keys, namespaces, user keys, values and elements that are not one whole encoding are refused, and
/// nothing is written.
pub fn bytes_that_are_not_whole_are_refused<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = open(&job, backend, &[]);
    let own = States::register(&mut *state);
    let (k, n) = (encoded(&"key".to_owned()), encoded(&7_u32));
    let at = DynAt { key: &k, namespace: &n };
    let (long, short) = ([0; 9], [0; 7]);
    for bytes in [&long[..], &short[..], &[]] {
        let user_key = encoded(&1_u32);
        let errors = [
            refused(state.value_set(own.value, at, bytes)),
            refused(state.reducing_add(own.reducing, at, bytes)),
            refused(state.list_add(own.list, at, b"\x05four")),
            refused(state.list_set(own.list, at, &[&encoded(&"whole".to_owned()), b"\x01xx"])),
            refused(state.map_put(own.map, at, &user_key, b"\x80")),
        ];
        for error in errors {
            assert!(matches!(error, StateError::Encode { .. }), "{error}");
        }
        let at_key = DynAt { key: b"\x09x", namespace: &n };
        let errors = [
            refused(state.map_put(own.map, at, bytes, &encoded(&"value".to_owned()))),
            refused(state.map_get(own.map, at, bytes)),
            refused(state.value_get(own.value, at_key)),
            refused(state.value_get(own.value, DynAt { namespace: bytes, ..at })),
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
    let (own, foreign) = (States::register(&mut *state), States::register(&mut *other));
    assert_eq!(States::register(&mut *state).map, own.map, "registered again");
    let (k, n) = (encoded(&"key".to_owned()), encoded(&7_u32));
    let at = DynAt { key: &k, namespace: &n };
    let errors = [
        refused(state.value_get(own.reducing, at).map(drop)),
        refused(state.value_get(foreign.value, at).map(drop)),
        refused(state.list_get(own.value, at).map(drop)),
        refused(state.map_entries(own.list, at).map(drop)),
        refused(state.aggregating_get(own.map, at).map(drop)),
        refused(state.timer_register(own.value, at, EVENT, 1).map(drop)),
        refused(state.next_timer_ms(own.map, EVENT).map(drop)),
        refused(state.merge_namespaces(own.map, &k, &n, &[])),
        refused(state.clear(foreign.map, at)),
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
    let unknown = CodecSnapshot { name: "unknown".to_owned(), ..codec_of::<u64>() };
    let error = refused(again(DynKind::Value { value: unknown }));
    assert!(matches!(error, StateError::Encode { .. }), "{error}");
}
