//! Cases: which keys and namespaces have something, and going through them.

use std::collections::BTreeSet;

use alluvium_state::{
    KeyedStateBackend, ListState, ListStateDescriptor, StateBackend, StateError, TimeDomain,
    TimerDescriptor, Timers, ValueState, ValueStateDescriptor,
};

use super::{owned, refused, sorted};
use crate::job::TestJob;

fn values<S: KeyedStateBackend>(state: &mut S) -> ValueState<u64, u32> {
    state.value_state(ValueStateDescriptor::<u64>::new("value").namespaced()).unwrap()
}

fn lists<S: KeyedStateBackend>(state: &mut S) -> ListState<u64, u32> {
    state.list_state(ListStateDescriptor::<u64>::new("list").namespaced()).unwrap()
}

fn timers<S: KeyedStateBackend>(state: &mut S) -> Timers<u32> {
    state.timers(TimerDescriptor::new("timers").namespaced()).unwrap()
}

fn name(number: usize) -> String {
    format!("key-{number}")
}

/// The first number from `from` on whose key is in a key group that is wanted.
fn number_in<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    from: usize,
    is_wanted: impl Fn(u16) -> bool,
) -> usize {
    (from..from + 100_000).find(|number| is_wanted(job.key_group_of(&name(*number)).get())).unwrap()
}

/// Each key group lists its own keys, under one namespace or with all namespaces, each once; all
/// together are what `keys` and `keys_and_namespaces` list. Also after a restore at another
/// parallelism, and for timers.
pub fn keys_are_listed_by_key_group<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let (value, timer) = (values(&mut state), timers(&mut state));
    let mut expected = BTreeSet::new();
    for number in 0..60 {
        for namespace in (0..3).filter(|namespace| number % (namespace + 1) == 0) {
            let (key, namespace) = (name(number), u32::try_from(namespace).unwrap());
            let mut at = state.at_namespace(&key, &namespace).unwrap();
            value.set(&mut at, 1).unwrap();
            for time_ms in 0..3 {
                timer.register(&mut at, TimeDomain::EventTime, time_ms).unwrap();
                timer.register(&mut at, TimeDomain::ProcessingTime, time_ms).unwrap();
            }
            drop(at);
            expected.insert((key, namespace));
        }
    }
    let handles = job.snapshot_one(&mut state);
    let mut subtasks = vec![state];
    subtasks.extend(job.open(3, &handles));
    let (one, three) = subtasks.split_at_mut(1);
    for subtasks in [one, three] {
        let (mut found, mut found_timers) = (BTreeSet::new(), BTreeSet::new());
        for state in subtasks {
            let (value, timer) = (values(state), timers(state));
            for key_group in state.key_groups().iter() {
                let pairs = sorted(state.keys_and_namespaces_in_group(value, key_group).unwrap());
                assert!(pairs.iter().all(|(key, _)| job.key_group_of(key) == key_group));
                for namespace in 0..4_u32 {
                    let own = pairs.iter().filter(|(_, n)| *n == namespace);
                    let own: Vec<String> = own.map(|(key, _)| key.clone()).collect();
                    let keys = state.keys_in_group(value, &namespace, key_group).unwrap();
                    assert_eq!(sorted(keys), own, "of values");
                    let keys = state.keys_in_group(timer, &namespace, key_group).unwrap();
                    assert_eq!(sorted(keys), own, "of timers");
                }
                let with_timers = state.keys_and_namespaces_in_group(timer, key_group).unwrap();
                assert_eq!(sorted(with_timers), pairs);
            }
            let pairs = state.keys_and_namespaces(value).unwrap();
            assert!(pairs.into_iter().all(|pair| found.insert(pair)), "a pair comes twice");
            let pairs = state.keys_and_namespaces(timer).unwrap();
            assert!(pairs.into_iter().all(|pair| found_timers.insert(pair)), "a pair comes twice");
        }
        assert_eq!(found, expected);
        assert_eq!(found_timers, expected);
    }
}

/// The key groups of other subtasks and the handles of other backends are refused.
pub fn keys_of_foreign_key_groups_are_refused<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut subtasks = job.open(2, &[]);
    let foreign = subtasks.last().unwrap().key_groups().first();
    let (first, last) = subtasks.split_at_mut(1);
    let (own, other) = (values(first.first_mut().unwrap()), values(last.first_mut().unwrap()));
    let state = first.first_mut().unwrap();
    let errors = [
        refused(state.keys_in_group(own, &1, foreign)),
        refused(state.keys_and_namespaces_in_group(own, foreign)),
    ];
    for error in errors {
        assert!(matches!(error, StateError::ForeignKeyGroup { .. }), "{error}");
    }
    let errors = [
        refused(state.keys(other, &1)),
        refused(state.keys_and_namespaces(other)),
        refused(state.apply_to_all_keys(other, &1, |_, _| Ok(()))),
    ];
    for error in errors {
        assert!(matches!(error, StateError::ForeignHandle), "{error}");
    }
}

/// A function is applied to each key of the namespace once, and may change the state that is gone
/// through as well as others.
pub fn a_function_is_applied_to_all_keys<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let (value, list) = (values(&mut state), lists(&mut state));
    for number in 0..50 {
        for namespace in [1, 2] {
            let key = name(number);
            let mut at = state.at_namespace(&key, &namespace).unwrap();
            value.set(&mut at, number as u64).unwrap();
        }
    }
    let mut seen = BTreeSet::new();
    let applied = state.apply_to_all_keys(value, &1, |key, at| {
        assert!(seen.insert(key.clone()), "{key} comes twice");
        let number = owned(value.get(at)).unwrap();
        list.add(at, number)?;
        if number % 2 == 0 { value.clear(at) } else { value.set(at, number + 100) }
    });
    applied.unwrap();
    assert_eq!(seen.len(), 50);
    for number in 0..50 {
        let key = name(number);
        let at = state.at_namespace(&key, &1).unwrap();
        let number = number as u64;
        let left = (number % 2 == 1).then_some(number + 100);
        assert_eq!(owned(value.get(&at)), left);
        assert_eq!(super::list_of(list.elements(&at)), [number]);
        drop(at);
        let at = state.at_namespace(&key, &2).unwrap();
        assert_eq!(owned(value.get(&at)), Some(number), "of another namespace");
    }
    let mut calls = 0;
    let stopped = state.apply_to_all_keys(value, &2, |_, at| {
        calls += 1;
        value.clear(at)?;
        Err(StateError::ForeignHandle)
    });
    assert!(matches!(refused(stopped), StateError::ForeignHandle));
    assert_eq!((calls, state.keys(value, &2).unwrap().len()), (1, 49), "an error ends the visit");
}

/// Key groups are visited in ascending order, each as it is when its turn comes: what is added to a
/// later one is visited, what is added to one that has begun is not, and what is removed from a
/// later one is not.
pub fn keys_that_come_and_go_during_a_visit<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let value = values(&mut state);
    let early = name(number_in(&job, 0, |group| group < 32));
    let middle_number = number_in(&job, 0, |group| group == 64);
    let middle = name(middle_number);
    let neighbour = name(number_in(&job, middle_number + 1, |group| group == 64));
    let late = name(number_in(&job, 0, |group| group > 96));
    let later = name(number_in(&job, 0, |group| group > 65 && group < 90));
    for key in [&middle, &late] {
        value.set(&mut state.at_namespace(key, &7).unwrap(), 1).unwrap();
    }
    let mut visited = Vec::new();
    let outcome: Result<(), StateError> = state.for_each_key(value, &7, |state, group, key| {
        assert_eq!(job.key_group_of(key), group);
        visited.push(key.clone());
        if *key == middle {
            for added in [&early, &neighbour, &later] {
                value.set(&mut state.at_namespace(added, &7)?, 2)?;
            }
            value.clear(&mut state.at_namespace(&late, &7)?)?;
            value.clear(&mut state.at_namespace(key, &7)?)?;
        }
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(visited, [middle.clone(), later.clone()]);
    assert_eq!(sorted(state.keys(value, &7).unwrap()), sorted([early, neighbour, later]));

    // A key that is removed after its key group has begun is visited, and has nothing.
    let other = name(number_in(&job, middle_number + 1, |group| group == 64));
    let mut state = job.open_one(&[]);
    let value = values(&mut state);
    for key in [&middle, &other] {
        value.set(&mut state.at_namespace(key, &7).unwrap(), 1).unwrap();
    }
    let mut found = Vec::new();
    let outcome: Result<(), StateError> = state.for_each_key(value, &7, |state, _, key| {
        found.push(owned(value.get(&state.at_namespace(key, &7)?)));
        for key in [&middle, &other] {
            value.clear(&mut state.at_namespace(key, &7)?)?;
        }
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(found, [Some(1), None]);
}
