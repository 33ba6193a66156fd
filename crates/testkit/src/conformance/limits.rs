//! Cases: the longest keys, and values that are easily lost.

use std::fmt::Display;

use alluvium_core::CheckpointId;
use alluvium_format::CodecError;
use alluvium_state::{
    KeyedStateBackend, ListStateDescriptor, MAX_KEY_LEN_BYTES, MapStateDescriptor, SnapshotError,
    StateBackend, StateError, TimeDomain, TimerDescriptor, ValueStateDescriptor,
};

use super::{list_of, map_of, owned, refused};
use crate::job::{KeyedOf, TestJob};

/// Bytes of the length in front of a text of more than 16,383 bytes.
const PREFIX_LEN_BYTES: usize = 3;

/// A text of the greatest length that a key may have, and some bytes more.
fn long(more: usize) -> String {
    "k".repeat(MAX_KEY_LEN_BYTES - PREFIX_LEN_BYTES + more)
}

/// What is too long is named, with its length and the limit.
#[track_caller]
fn assert_too_large(error: &dyn Display, what: &str) {
    let (text, found) = (error.to_string(), (MAX_KEY_LEN_BYTES + 1).to_string());
    let limit = MAX_KEY_LEN_BYTES.to_string();
    assert!([what, &found, &limit].iter().all(|part| text.contains(part)), "{text}");
}

/// What brings something too long is refused, or else the next snapshot is: as soon as the backend
/// encodes it. Once it was removed everything is as before.
#[track_caller]
fn refused_at_once_or_when_written<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    state: &mut KeyedOf<B, String>,
    access: Result<(), StateError>,
    what: &str,
) {
    if let Err(error) = access {
        assert!(matches!(error, StateError::TooLarge { .. }), "{error}");
        return assert_too_large(&error, what);
    }
    let checkpoint = CheckpointId::new(1_000).unwrap();
    let error = match state.freeze(checkpoint) {
        Err(error) => error,
        Ok(frozen) => refused(frozen.write(&job.target(checkpoint))),
    };
    state.abort(checkpoint);
    let is_named = |error: &SnapshotError| {
        matches!(error, SnapshotError::Encode { state, source: CodecError::TooLarge { .. } }
            if state == "state")
    };
    assert!(is_named(&error), "{error}");
    assert_too_large(&error, what);
}

/// Keys, namespaces and user keys of 64 KiB are stored and come back.
pub fn keys_of_64_kib_come_back<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let descriptor = || MapStateDescriptor::<String, u64>::new("map").namespaced::<String>();
    let service = || TimerDescriptor::new("timers").namespaced::<String>();
    let (map, timers) = (state.map_state(descriptor()).unwrap(), state.timers(service()).unwrap());
    let (key, namespace) = (long(0), long(0));
    let mut at = state.at_namespace(&key, &namespace).unwrap();
    map.put(&mut at, long(0), 7).unwrap();
    assert!(timers.register(&mut at, TimeDomain::EventTime, 5).unwrap());
    drop(at);
    let handles = job.snapshot_one(&mut state);
    let mut state = job.open_one(&handles);
    let (map, timers) = (state.map_state(descriptor()).unwrap(), state.timers(service()).unwrap());
    assert_eq!(state.keys_and_namespaces(map).unwrap(), [(key.clone(), namespace.clone())]);
    let fired = state.pop_timer(timers, TimeDomain::EventTime, 5).unwrap().unwrap();
    assert_eq!((fired.time_ms, fired.key, fired.namespace), (5, long(0), long(0)));
    let at = state.at_namespace(&key, &namespace).unwrap();
    assert_eq!(map_of(map.entries(&at)), [(long(0), 7)].into());
}

/// A key of a byte more is refused when it is opened, and so is its key group.
pub fn longer_keys_are_refused<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let (key, namespace) = (long(1), 1_u32);
    let errors = [
        refused(state.key_group_of(&key).map(drop)),
        refused(state.at(&key).map(drop)),
        refused(state.at_namespace(&key, &namespace).map(drop)),
    ];
    for error in errors {
        assert!(matches!(error, StateError::TooLarge { what: "key", .. }), "{error}");
        assert_too_large(&error, "key");
    }
    // Who knows the key group opens the key at once.
    let value = state.value_state(ValueStateDescriptor::<u64>::new("state")).unwrap();
    let group = job.key_group_of(&key);
    let access = match state.at_key_group(group, &key, &()) {
        Ok(mut at) => value.set(&mut at, 1),
        Err(error) => Err(error),
    };
    refused_at_once_or_when_written(&job, &mut state, access, "key");
    if let Ok(mut at) = state.at_key_group(group, &key, &()) {
        value.clear(&mut at).unwrap();
    }
    value.set(&mut state.at(&"short".to_owned()).unwrap(), 2).unwrap();
    let mut state = job.open_one(&job.snapshot_one(&mut state));
    assert_eq!(state.entry_count().unwrap(), 0, "it is not registered yet");
    let value = state.value_state(ValueStateDescriptor::<u64>::new("state")).unwrap();
    assert_eq!(state.keys(value, &()).unwrap(), ["short"]);
}

/// Namespaces of a byte more are refused, of states and of timers.
pub fn longer_namespaces_are_refused<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let descriptor = ValueStateDescriptor::<u64>::new("state").namespaced::<String>();
    let value = state.value_state(descriptor).unwrap();
    let (key, namespace) = ("key".to_owned(), long(1));
    let access = value.set(&mut state.at_namespace(&key, &namespace).unwrap(), 1);
    refused_at_once_or_when_written(&job, &mut state, access, "namespace");

    let mut state = job.open_one(&[]);
    let timers = state.timers(TimerDescriptor::new("state").namespaced::<String>()).unwrap();
    let mut at = state.at_namespace(&key, &namespace).unwrap();
    let error = refused(timers.register(&mut at, TimeDomain::EventTime, 1));
    drop(at);
    assert!(matches!(error, StateError::TooLarge { what: "namespace", .. }), "{error}");
    assert_eq!(state.next_timer_ms(timers, TimeDomain::EventTime).unwrap(), None);
    assert_eq!(state.entry_count().unwrap(), 0);
}

/// User keys of a byte more are refused; values of any length are not.
pub fn longer_user_keys_are_refused<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let map = state.map_state(MapStateDescriptor::<String, String>::new("state")).unwrap();
    let key = "key".to_owned();
    map.put(&mut state.at(&key).unwrap(), "short".to_owned(), long(100_000)).unwrap();
    let access = map.put(&mut state.at(&key).unwrap(), long(1), "value".to_owned());
    refused_at_once_or_when_written(&job, &mut state, access, "user key");
    // A backend that refused to put it refuses to remove it.
    let _ = map.remove(&mut state.at(&key).unwrap(), &long(1));
    let mut state = job.open_one(&job.snapshot_one(&mut state));
    let map = state.map_state(MapStateDescriptor::<String, String>::new("state")).unwrap();
    let at = state.at(&key).unwrap();
    assert_eq!(map_of(map.entries(&at)), [("short".to_owned(), long(100_000))].into());
}

/// A user key whose value is `None`, an empty text or `()` is there, and is another thing than one
/// that is absent.
pub fn empty_values_are_entries<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let key = String::new();
    let options = || MapStateDescriptor::<String, Option<u32>>::new("options");
    let units = || MapStateDescriptor::<(), ()>::new("units");
    let texts = || ListStateDescriptor::<String>::new("texts");
    let value = || ValueStateDescriptor::<Option<String>>::new("value");
    let (map, set) = (state.map_state(options()).unwrap(), state.map_state(units()).unwrap());
    let (list, single) = (state.list_state(texts()).unwrap(), state.value_state(value()).unwrap());
    let mut at = state.at(&key).unwrap();
    map.put(&mut at, String::new(), None).unwrap();
    map.put(&mut at, "some".to_owned(), Some(0)).unwrap();
    assert!(!map.contains(&at, &"absent".to_owned()).unwrap());
    assert!(set.is_empty(&at).unwrap());
    set.put(&mut at, (), ()).unwrap();
    list.add(&mut at, String::new()).unwrap();
    single.set(&mut at, None).unwrap();
    drop(at);
    let handles = job.snapshot_one(&mut state);
    let mut restored = job.open_one(&handles);
    for state in [&mut state, &mut restored] {
        let (map, set) = (state.map_state(options()).unwrap(), state.map_state(units()).unwrap());
        let (list, single) =
            (state.list_state(texts()).unwrap(), state.value_state(value()).unwrap());
        let at = state.at(&key).unwrap();
        assert!(map.contains(&at, &String::new()).unwrap());
        assert_eq!(owned(map.get(&at, &String::new())), Some(None));
        assert_eq!(owned(map.get(&at, &"absent".to_owned())), None);
        let entries = [(String::new(), None), ("some".to_owned(), Some(0))];
        assert_eq!(map_of(map.entries(&at)), entries.into());
        assert!(set.contains(&at, &()).unwrap());
        assert_eq!(list_of(list.elements(&at)), [""]);
        assert_eq!(owned(single.get(&at)), Some(None));
        drop(at);
        assert_eq!(state.keys(single, &()).unwrap(), [""]);
    }
}

/// `()` as a key: one key in one key group, with an encoding of no bytes.
pub fn a_unit_key_is_a_key<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, ()>::new(backend);
    let mut state = job.open_one(&[]);
    let descriptor = || MapStateDescriptor::<(), u64>::new("map");
    let map = state.map_state(descriptor()).unwrap();
    let timers = state.timers(TimerDescriptor::new("timers")).unwrap();
    let mut at = state.at(&()).unwrap();
    map.put(&mut at, (), 3).unwrap();
    assert!(timers.register(&mut at, TimeDomain::EventTime, -1).unwrap());
    assert!(!timers.register(&mut at, TimeDomain::EventTime, -1).unwrap());
    drop(at);
    let handles = job.snapshot_one(&mut state);
    for parallelism in [1, 4] {
        let mut subtasks = job.open(parallelism, &handles);
        let state = subtasks.get_mut(job.owner_of(&(), parallelism)).unwrap();
        let map = state.map_state(descriptor()).unwrap();
        assert_eq!(state.keys(map, &()).unwrap(), [()]);
        assert_eq!(owned(map.get(&state.at(&()).unwrap(), &())), Some(3));
        let timers = state.timers(TimerDescriptor::new("timers")).unwrap();
        assert_eq!(state.next_timer_ms(timers, TimeDomain::EventTime).unwrap(), Some(-1));
    }
}

/// Timers at both ends of time, and in the past of what has fired.
pub fn timers_at_the_ends_of_time<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let service = || TimerDescriptor::new("timers");
    let timers = state.timers(service()).unwrap();
    let key = "key".to_owned();
    for time_ms in [i64::MAX, 0, i64::MIN, -1] {
        let mut at = state.at(&key).unwrap();
        assert!(timers.register(&mut at, TimeDomain::EventTime, time_ms).unwrap());
    }
    let handles = job.snapshot_one(&mut state);
    let mut restored = job.open_one(&handles);
    for state in [&mut state, &mut restored] {
        let timers = state.timers(service()).unwrap();
        let mut pop = |up_to_ms| {
            let timer = state.pop_timer(timers, TimeDomain::EventTime, up_to_ms).unwrap();
            timer.map(|timer| timer.time_ms)
        };
        assert_eq!(pop(i64::MIN), Some(i64::MIN));
        assert_eq!(pop(i64::MIN), None);
        assert_eq!((pop(0), pop(0), pop(0)), (Some(-1), Some(0), None));
        assert_eq!(pop(i64::MAX - 1), None);
        let mut at = state.at(&key).unwrap();
        assert!(timers.register(&mut at, TimeDomain::EventTime, i64::MIN).unwrap());
        drop(at);
        let mut pop = |up_to_ms| {
            let timer = state.pop_timer(timers, TimeDomain::EventTime, up_to_ms).unwrap();
            timer.map(|timer| timer.time_ms)
        };
        assert_eq!((pop(0), pop(i64::MAX)), (Some(i64::MIN), Some(i64::MAX)));
        assert_eq!(pop(i64::MAX), None);
    }
}
