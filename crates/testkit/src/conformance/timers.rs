//! Cases: timers, and what becomes of them in checkpoints.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_core::KeyedStateHandle;
use alluvium_format::CodecError;
use alluvium_format::codec::{Codec, DefaultCodec};
use alluvium_format::keyed::{StateKind, StateMeta};
use alluvium_state::TimeDomain::{EventTime, ProcessingTime};
use alluvium_state::{
    KeyedStateBackend, RestoreError, SnapshotMode, StateBackend, StateError, TimeDomain,
    TimerDescriptor, Timers, ValueStateDescriptor,
};

use super::crafted::stream_of_entry;
use super::{refused, sorted};
use crate::job::{KeyedOf, TestJob};
use crate::model::Model;
use crate::model::change::{Change, TIMES_MS};
use crate::model::check_timers;
use crate::random::Random;

/// Time, key and namespace of a timer that fired.
type Fired = (i64, String, u32);

fn service<S: KeyedStateBackend<Key = String>>(state: &mut S, name: &str) -> Timers<u32> {
    state.timers(TimerDescriptor::new(name).namespaced()).unwrap()
}

#[track_caller]
fn register<S: KeyedStateBackend<Key = String>>(
    state: &mut S,
    timers: Timers<u32>,
    domain: TimeDomain,
    (time_ms, key, namespace): (i64, &str, u32),
) -> bool {
    let key = key.to_owned();
    let mut at = state.at_namespace(&key, &namespace).unwrap();
    timers.register(&mut at, domain, time_ms).unwrap()
}

#[track_caller]
fn delete<S: KeyedStateBackend<Key = String>>(
    state: &mut S,
    timers: Timers<u32>,
    domain: TimeDomain,
    (time_ms, key, namespace): (i64, &str, u32),
) -> bool {
    let key = key.to_owned();
    let mut at = state.at_namespace(&key, &namespace).unwrap();
    timers.delete(&mut at, domain, time_ms).unwrap()
}

/// Everything that fires up to a time.
#[track_caller]
fn fire<S: KeyedStateBackend<Key = String>>(
    state: &mut S,
    timers: Timers<u32>,
    domain: TimeDomain,
    up_to_ms: i64,
) -> Vec<Fired> {
    let mut fired = Vec::new();
    while let Some(timer) = state.pop_timer(timers, domain, up_to_ms).unwrap() {
        fired.push((timer.time_ms, timer.key, timer.namespace));
    }
    fired
}

fn fired(timers: &[(i64, &str, u32)]) -> Vec<Fired> {
    timers
        .iter()
        .map(|(time_ms, key, namespace)| (*time_ms, (*key).to_owned(), *namespace))
        .collect()
}

/// A timer is there once, however often it is registered, and until it is deleted.
pub fn a_timer_is_there_once<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let timers = service(&mut state, "t");
    assert_eq!(state.next_timer_ms(timers, EventTime).unwrap(), None);
    assert!(!delete(&mut state, timers, EventTime, (5, "a", 1)));
    assert!(register(&mut state, timers, EventTime, (5, "a", 1)));
    assert!(!register(&mut state, timers, EventTime, (5, "a", 1)));
    assert_eq!(state.entry_count().unwrap(), 1);
    assert_eq!(state.next_timer_ms(timers, EventTime).unwrap(), Some(5));
    assert!(delete(&mut state, timers, EventTime, (5, "a", 1)));
    assert!(!delete(&mut state, timers, EventTime, (5, "a", 1)));
    assert_eq!(state.next_timer_ms(timers, EventTime).unwrap(), None);
    assert!(register(&mut state, timers, EventTime, (5, "a", 1)));
    assert_eq!(fire(&mut state, timers, EventTime, 5), fired(&[(5, "a", 1)]));
    assert!(register(&mut state, timers, EventTime, (5, "a", 1)));
    assert_eq!(fire(&mut state, timers, EventTime, 5), fired(&[(5, "a", 1)]));
    assert_eq!(state.entry_count().unwrap(), 0);
}

/// Keys, namespaces, domains and services do not see each other's timers.
pub fn domains_namespaces_and_services_are_apart<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let (one, other) = (service(&mut state, "one"), service(&mut state, "other"));
    for (timers, domain) in [(one, EventTime), (one, ProcessingTime), (other, EventTime)] {
        for (key, namespace) in [("a", 1), ("a", 2), ("b", 1)] {
            assert!(register(&mut state, timers, domain, (7, key, namespace)));
        }
    }
    assert!(delete(&mut state, one, EventTime, (7, "a", 1)));
    let rest = fired(&[(7, "a", 2), (7, "b", 1)]);
    assert_eq!(sorted(state.keys(one, &2).unwrap()), ["a"]);
    assert_eq!(sorted(state.keys(one, &1).unwrap()), ["a", "b"]);
    assert_eq!(fire(&mut state, one, EventTime, 7), rest);
    assert_eq!(fire(&mut state, one, EventTime, i64::MAX), []);
    let all = fired(&[(7, "a", 1), (7, "a", 2), (7, "b", 1)]);
    assert_eq!(fire(&mut state, one, ProcessingTime, 7), all);
    assert_eq!(fire(&mut state, other, ProcessingTime, 7), []);
    assert_eq!(fire(&mut state, other, EventTime, 7), all);
}

/// Time, then encoded key, then encoded namespace; nothing fires before its time.
pub fn timers_fire_in_order<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let timers = service(&mut state, "t");
    let mut random = Random::new(1);
    let encoded = |key: &String, namespace: u32| {
        let mut bytes = Vec::new();
        DefaultCodec.encode(key, &mut bytes).unwrap();
        DefaultCodec.encode(&namespace, &mut bytes).unwrap();
        bytes
    };
    let mut expected = BTreeMap::new();
    for _ in 0..400 {
        let key = "k".repeat(random.index(4)) + &random.below(5).to_string();
        let (time_ms, namespace) = (*random.pick(&TIMES_MS), *random.pick(&[1_u32, 2, 256]));
        let place = (time_ms, encoded(&key, namespace));
        let is_new = register(&mut state, timers, EventTime, (time_ms, &key, namespace));
        assert_eq!(expected.insert(place, (time_ms, key, namespace)).is_none(), is_new);
    }
    let mut expected: Vec<_> = expected.into_values().collect();
    for up_to_ms in TIMES_MS {
        let first = expected.first().map(|(time_ms, ..)| *time_ms);
        assert_eq!(state.next_timer_ms(timers, EventTime).unwrap(), first);
        if up_to_ms > i64::MIN {
            assert_eq!(fire(&mut state, timers, EventTime, up_to_ms - 1), []);
        }
        let later = expected.split_off(expected.iter().filter(|f| f.0 <= up_to_ms).count());
        assert_eq!(fire(&mut state, timers, EventTime, up_to_ms), expected);
        expected = later;
    }
    assert_eq!(state.next_timer_ms(timers, EventTime).unwrap(), None);
}

/// A timer for a time that has passed fires next, and so do timers that are registered while others
/// fire, in their order.
pub fn timers_that_are_registered_while_firing_fire<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let timers = service(&mut state, "t");
    register(&mut state, timers, EventTime, (10, "a", 1));
    register(&mut state, timers, EventTime, (20, "a", 1));
    let pop = |state: &mut KeyedOf<B, String>, up_to_ms| {
        let timer = state.pop_timer(timers, EventTime, up_to_ms).unwrap();
        timer.map(|timer| (timer.time_ms, timer.key, timer.namespace))
    };
    assert_eq!(pop(&mut state, 20), Some((10, "a".to_owned(), 1)));
    // One in the past, the one that has just fired, one that is due, one that is not.
    for time_ms in [-5, 10, 15, 25] {
        assert!(register(&mut state, timers, EventTime, (time_ms, "b", 1)));
    }
    assert!(delete(&mut state, timers, EventTime, (15, "b", 1)));
    assert_eq!(pop(&mut state, 20), Some((-5, "b".to_owned(), 1)));
    assert_eq!(pop(&mut state, 20), Some((10, "b".to_owned(), 1)));
    assert_eq!(pop(&mut state, 20), Some((20, "a".to_owned(), 1)));
    assert_eq!(pop(&mut state, 20), None);
    assert_eq!(state.next_timer_ms(timers, EventTime).unwrap(), Some(25));
}

/// Clearing deletes the timers of one key and namespace, of both domains.
pub fn clearing_deletes_the_timers_of_a_key<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let timers = service(&mut state, "t");
    for domain in TimeDomain::ALL {
        for (time_ms, key, namespace) in [(1, "a", 1), (2, "a", 1), (1, "a", 2), (3, "b", 1)] {
            register(&mut state, timers, domain, (time_ms, key, namespace));
        }
    }
    timers.clear(&mut state.at_namespace(&"a".to_owned(), &1).unwrap()).unwrap();
    timers.clear(&mut state.at_namespace(&"c".to_owned(), &1).unwrap()).unwrap();
    for domain in TimeDomain::ALL {
        assert_eq!(fire(&mut state, timers, domain, 9), fired(&[(1, "a", 2), (3, "b", 1)]));
    }
}

/// More timers than anybody keeps at hand: registered, deleted, fired and restored in turns.
pub fn many_timers_come_in_order<B: StateBackend>(backend: &B) {
    let mut job = TestJob::<B, String>::new(backend);
    job.max_parallelism = alluvium_core::MaxParallelism::new(3).unwrap();
    let mut state = job.open_one(&[]);
    let mut timers = service(&mut state, "t");
    let (mut random, mut there) = (Random::new(2), BTreeSet::new());
    for round in 0..12_i64 {
        if round == 8 {
            let handles = job.snapshot_one(&mut state);
            state = job.open_one(&handles);
            timers = service(&mut state, "t");
        }
        for _ in 0..2_000 {
            let time_ms = i64::try_from(random.below(100_000)).unwrap();
            let key = format!("{}", random.below(7));
            if random.one_in(8) {
                let was_there = there.remove(&(time_ms, key.clone()));
                assert_eq!(delete(&mut state, timers, EventTime, (time_ms, &key, 1)), was_there);
            } else {
                let is_new = there.insert((time_ms, key.clone()));
                assert_eq!(register(&mut state, timers, EventTime, (time_ms, &key, 1)), is_new);
            }
            if random.one_in(10) {
                let first = there.iter().nth(random.index(2)).cloned();
                if let Some((time_ms, key)) = first {
                    there.remove(&(time_ms, key.clone()));
                    assert!(delete(&mut state, timers, EventTime, (time_ms, &key, 1)));
                }
            }
            let first = there.first().map(|(time_ms, _)| *time_ms);
            assert_eq!(state.next_timer_ms(timers, EventTime).unwrap(), first);
        }
        let up_to_ms = round * 2_000;
        let later = there.split_off(&(up_to_ms + 1, String::new()));
        let due: Vec<_> = there.into_iter().map(|(time_ms, key)| (time_ms, key, 1)).collect();
        assert_eq!(fire(&mut state, timers, EventTime, up_to_ms), due);
        there = later;
    }
    let rest: Vec<_> = there.into_iter().map(|(time_ms, key)| (time_ms, key, 1)).collect();
    assert_eq!(fire(&mut state, timers, EventTime, i64::MAX), rest);
}

/// Registers and deletes timers of a model at random.
fn change_timers<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    subtasks: &mut [KeyedOf<B, String>],
    model: &mut Model,
    random: &mut Random,
) {
    let parallelism = u32::try_from(subtasks.len()).unwrap();
    for _ in 0..300 {
        let (key, namespace) = (format!("key-{}", random.below(40)), *random.pick(&[1, 2]));
        let (domain, time_ms) = (*random.pick(&TimeDomain::ALL), *random.pick(&TIMES_MS));
        let change = if random.one_in(3) {
            Change::TimerDelete(domain, time_ms)
        } else {
            Change::TimerRegister(domain, time_ms)
        };
        let owner = subtasks.get_mut(job.owner_of(&key, parallelism)).unwrap();
        change.apply(owner, &key, namespace);
        model.apply(&key, namespace, &change);
    }
}

/// Checkpoints of both modes, each built on the one before where it can be: their timers come back,
/// once and in order, and later changes are not among them.
pub fn timers_come_back_from_checkpoints<B: StateBackend>(backend: &B) {
    let mut job = TestJob::<B, String>::new(backend);
    let (mut model, mut random) = (Model::default(), Random::new(3));
    let mut subtasks = job.open(2, &[]);
    let (incremental, full) = (SnapshotMode::Incremental, SnapshotMode::Full);
    for mode in [incremental, incremental, incremental, full, incremental, incremental] {
        job.mode = mode;
        change_timers(&job, &mut subtasks, &mut model, &mut random);
        let frozen = job.freeze(&mut subtasks);
        let (then, checkpoint) = (model.clone(), frozen.checkpoint());
        change_timers(&job, &mut subtasks, &mut model, &mut random);
        let handles = frozen.write();
        crate::job::complete_all(&mut subtasks, checkpoint);
        check_timers(&job, &mut job.open(2, &handles), &then);
    }
    check_timers(&job, &mut subtasks, &model);
}

/// What fired before a checkpoint does not fire again after it is restored; what fired later does.
pub fn timers_that_fired_are_not_in_later_checkpoints<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let timers = service(&mut state, "t");
    for time_ms in [1, 2, 3] {
        register(&mut state, timers, EventTime, (time_ms, "a", 1));
    }
    job.snapshot_one(&mut state);
    assert_eq!(fire(&mut state, timers, EventTime, 1), fired(&[(1, "a", 1)]));
    let handles = job.snapshot_one(&mut state);
    assert_eq!(fire(&mut state, timers, EventTime, 2), fired(&[(2, "a", 1)]));
    let mut restored = job.open_one(&handles);
    let timers = service(&mut restored, "t");
    assert_eq!(restored.next_timer_ms(timers, EventTime).unwrap(), Some(2));
    let rest = fired(&[(2, "a", 1), (3, "a", 1)]);
    assert_eq!(fire(&mut restored, timers, EventTime, 9), rest);
}

/// From every parallelism to every other, each timer fires once, in the subtask of its key.
pub fn timers_are_rescaled<B: StateBackend>(backend: &B) {
    let mut job = TestJob::<B, String>::new(backend);
    for mode in [SnapshotMode::Incremental, SnapshotMode::Full] {
        job.mode = mode;
        for (before, after) in [(1, 2), (1, 5), (2, 3), (3, 2), (5, 1), (4, 4)] {
            let (mut model, mut random) = (Model::default(), Random::new(u64::from(before)));
            let mut subtasks = job.open(before, &[]);
            change_timers(&job, &mut subtasks, &mut model, &mut random);
            job.snapshot(&mut subtasks);
            change_timers(&job, &mut subtasks, &mut model, &mut random);
            let handles = job.snapshot(&mut subtasks);
            let mut subtasks = job.open(after, &handles);
            change_timers(&job, &mut subtasks, &mut model, &mut random);
            let handles = job.snapshot(&mut subtasks);
            check_timers(&job, &mut job.open(before, &handles), &model);
            check_timers(&job, &mut subtasks, &model);
        }
    }
}

/// Timers of a service that nobody registers are kept, through two rescales.
pub fn timers_that_nobody_registers_are_kept<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let (mut model, mut random) = (Model::default(), Random::new(4));
    let mut subtasks = job.open(3, &[]);
    change_timers(&job, &mut subtasks, &mut model, &mut random);
    let mut handles = job.snapshot(&mut subtasks);
    for parallelism in [5, 2] {
        handles = job.snapshot(&mut job.open(parallelism, &handles));
    }
    check_timers(&job, &mut job.open(4, &handles), &model);
}

/// A service is found again under its name, which nothing else may have; handles of other backends
/// are refused, and so are restored timers under another namespace or kind.
pub fn timer_services_are_registered_like_states<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let timers = service(&mut state, "t");
    assert_eq!(format!("{timers:?}"), format!("{:?}", service(&mut state, "t")));
    let value = ValueStateDescriptor::<u64>::new("t");
    let error = refused(state.value_state(value.clone()));
    assert!(matches!(error, StateError::NameReused { .. }), "{error}");
    let error = refused(state.timers(TimerDescriptor::new("t")));
    assert!(matches!(error, StateError::NameReused { .. }), "{error}");
    let error = refused(state.timers(TimerDescriptor::new("")));
    assert!(matches!(error, StateError::InvalidName { len_bytes: 0 }), "{error}");

    let mut other = job.open_one(&[]);
    service(&mut other, "t");
    let error = refused(other.next_timer_ms(timers, EventTime));
    assert!(matches!(error, StateError::ForeignHandle), "{error}");
    let error = refused(other.pop_timer(timers, EventTime, 0));
    assert!(matches!(error, StateError::ForeignHandle), "{error}");
    let key = "a".to_owned();
    let mut at = other.at_namespace(&key, &1).unwrap();
    let error = refused(timers.register(&mut at, EventTime, 0));
    assert!(matches!(error, StateError::ForeignHandle), "{error}");
    let error = refused(timers.delete(&mut at, EventTime, 0));
    assert!(matches!(error, StateError::ForeignHandle), "{error}");

    register(&mut state, timers, EventTime, (5, "a", 1));
    let mut restored = job.open_one(&job.snapshot_one(&mut state));
    let error = refused(restored.value_state(value));
    assert!(matches!(error, StateError::KindChanged { .. }), "{error}");
    let error = refused(restored.timers(TimerDescriptor::new("t")));
    let is_named = matches!(
        &error,
        StateError::IncompatibleSchema { state, part: "namespace", .. } if state == "t"
    );
    assert!(is_named, "{error}");
    let timers = service(&mut restored, "t");
    assert_eq!(fire(&mut restored, timers, EventTime, 5), fired(&[(5, "a", 1)]));
}

/// The handle of a stream with one timer of the key `a`, whatever its domain is.
fn stream_of_one<B: StateBackend>(job: &TestJob<'_, B, String>, code: u8) -> KeyedStateHandle {
    let meta = StateMeta {
        name: "t".to_owned(),
        kind: StateKind::Timers,
        namespace: Codec::<(u8, i64, u32)>::snapshot(&DefaultCodec),
        value: Codec::<()>::snapshot(&DefaultCodec),
    };
    let (key, mut namespace) = ("a".to_owned(), Vec::new());
    DefaultCodec.encode(&(code, 5_i64, 1_u32), &mut namespace).unwrap();
    stream_of_entry(job, meta, &key, &namespace)
}

/// A restored timer of a domain that nobody knows is refused, when it is restored or registered.
pub fn a_timer_of_an_unknown_domain_is_refused<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    for domain in TimeDomain::ALL {
        let mut state = job.open_one(&[stream_of_one(&job, domain.code())]);
        let timers = service(&mut state, "t");
        assert_eq!(fire(&mut state, timers, domain, 5), fired(&[(5, "a", 1)]));
    }
    for code in [0, 3, 255] {
        let service = || TimerDescriptor::new("t").namespaced::<u32>();
        let restored = job.try_open_one(&[stream_of_one(&job, code)]);
        let registered = restored.and_then(|mut state| Ok(state.timers(service())?));
        let error = refused(registered);
        let is_named = matches!(
            &error,
            RestoreError::State(StateError::Decode { state, source: CodecError::Invalid { .. } })
                if state == "t"
        );
        assert!(is_named, "{error}");
    }
}
