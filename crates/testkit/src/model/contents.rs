//! Reading everything that subtasks hold.
//!
//! Invariants: an entry that two subtasks have, or that a subtask has outside its key groups, is a
//! failure and not a difference.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use alluvium_state::{
    KeyContext, KeyedStateBackend, ListState, Ref, SortedMapState, StateBackend, StateError,
    TimeDomain,
};

use super::change::{
    TIMES_MS, aggregating_state, list_state, long_list_state, map_state, reducing_state,
    sorted_map_state, timers, value_state,
};
use super::{Address, Content, Contents, Kind, Model};
use crate::job::{KeyedOf, TestJob};

/// What one subtask holds at an address.
///
/// Panics: when the key belongs to another subtask.
pub fn content_at<S: KeyedStateBackend<Key = String>>(
    backend: &mut S,
    address: &Address,
) -> Option<Content> {
    let Address { kind, key, namespace } = address;
    match kind {
        Kind::Value => {
            let state = value_state(backend);
            let at = backend.at_namespace(key, namespace).unwrap();
            state.get(&at).unwrap().map(|value| Content::Value(*value))
        }
        Kind::List => {
            let state = list_state(backend);
            let elements = list_at(state, &backend.at_namespace(key, namespace).unwrap());
            (!elements.is_empty()).then_some(Content::List(elements))
        }
        Kind::LongList => {
            let state = long_list_state(backend);
            let elements = list_at(state, &backend.at_namespace(key, namespace).unwrap());
            (!elements.is_empty()).then_some(Content::LongList(elements))
        }
        Kind::Map => {
            let state = map_state(backend);
            let at = backend.at_namespace(key, namespace).unwrap();
            let mut map = BTreeMap::new();
            for entry in state.entries(&at).unwrap() {
                let (user_key, value) = entry.unwrap();
                let before = map.insert(*user_key, value.into_owned());
                assert_eq!(before, None, "user key {} comes twice", *user_key);
            }
            assert_eq!(state.is_empty(&at).unwrap(), map.is_empty());
            (!map.is_empty()).then_some(Content::Map(map))
        }
        Kind::SortedMap => {
            let state = sorted_map_state(backend);
            let at = backend.at_namespace(key, namespace).unwrap();
            let map = sorted_map_at(state, &at);
            (!map.is_empty()).then_some(Content::SortedMap(map))
        }
        Kind::Reducing => {
            let state = reducing_state(backend);
            let at = backend.at_namespace(key, namespace).unwrap();
            state.get(&at).unwrap().map(|value| Content::Reducing(*value))
        }
        Kind::Aggregating => {
            let state = aggregating_state(backend);
            let at = backend.at_namespace(key, namespace).unwrap();
            state.get(&at).unwrap().map(Content::Aggregating)
        }
        Kind::Timers => {
            let state = timers(backend);
            let mut at = backend.at_namespace(key, namespace).unwrap();
            let all =
                TimeDomain::ALL.into_iter().flat_map(|domain| TIMES_MS.map(|ms| (domain, ms)));
            // There is no other way to look: what is new was not there.
            let found = all.filter(|(domain, time_ms)| {
                let is_new = state.register(&mut at, *domain, *time_ms).unwrap();
                assert_eq!(is_new, is_new && state.delete(&mut at, *domain, *time_ms).unwrap());
                !is_new
            });
            let found: BTreeSet<_> = found.collect();
            (!found.is_empty()).then_some(Content::Timers(found))
        }
    }
}

/// What a list holds; what is behind a position is a part of that.
fn list_at(state: ListState<String, u32>, at: &impl KeyContext<Namespace = u32>) -> Vec<String> {
    let owned = |element: Result<Ref<'_, String>, StateError>| element.unwrap().into_owned();
    let elements: Vec<_> = state.elements(at).unwrap().map(owned).collect();
    assert_eq!(state.len(at).unwrap(), elements.len() as u64);
    for position in [1, 3] {
        let found = state.elements_from(at, position as u64).unwrap().map(owned);
        assert!(found.eq(elements.iter().skip(position).cloned()), "from {position}");
    }
    elements
}

/// What a sorted map holds; its ranges and its ends are parts of that.
fn sorted_map_at(
    state: SortedMapState<i32, String, u32>,
    at: &impl KeyContext<Namespace = u32>,
) -> BTreeMap<i32, String> {
    let pair = |entry: Result<(Ref<'_, i32>, Ref<'_, String>), StateError>| {
        let (user_key, value) = entry.unwrap();
        (*user_key, value.into_owned())
    };
    let entries: Vec<_> = state.entries(at).unwrap().map(pair).collect();
    assert!(entries.is_sorted_by(|(a, _), (b, _)| a < b), "user keys are not in order");
    let map: BTreeMap<_, _> = entries.into_iter().collect();
    let owned = |(user_key, value): (&i32, &String)| (*user_key, value.clone());
    for (start, end) in [(-2, 2), (0, 3), (-4, -3)] {
        let found: Vec<_> = state.range(at, start..end).unwrap().map(pair).collect();
        assert!(found.into_iter().eq(map.range(start..end).map(owned)), "{start}..{end}");
        let range = (Bound::Excluded(start), Bound::Included(end));
        let found: Vec<_> = state.range_rev(at, range).unwrap().map(pair).collect();
        assert!(found.into_iter().eq(map.range(range).rev().map(owned)), "{range:?}");
    }
    assert_eq!(state.first(at).unwrap().map(Ok).map(pair), map.first_key_value().map(owned));
    assert_eq!(state.last(at).unwrap().map(Ok).map(pair), map.last_key_value().map(owned));
    map
}

/// The keys of one state of a subtask under a namespace.
fn keys_of<S: KeyedStateBackend<Key = String>>(
    backend: &mut S,
    kind: Kind,
    namespace: u32,
) -> Vec<String> {
    let keys = match kind {
        Kind::Value => {
            let state = value_state(backend);
            backend.keys(state, &namespace)
        }
        Kind::List => {
            let state = list_state(backend);
            backend.keys(state, &namespace)
        }
        Kind::Map => {
            let state = map_state(backend);
            backend.keys(state, &namespace)
        }
        Kind::Reducing => {
            let state = reducing_state(backend);
            backend.keys(state, &namespace)
        }
        Kind::Aggregating => {
            let state = aggregating_state(backend);
            backend.keys(state, &namespace)
        }
        Kind::LongList => {
            let state = long_list_state(backend);
            backend.keys(state, &namespace)
        }
        Kind::SortedMap => {
            let state = sorted_map_state(backend);
            backend.keys(state, &namespace)
        }
        Kind::Timers => {
            let state = timers(backend);
            backend.keys(state, &namespace)
        }
    };
    keys.unwrap()
}

/// Everything that the subtasks of a job hold under some namespaces. Registers all states.
///
/// Panics: when a key is held twice or by a subtask that does not own it, when `keys` lists a key
/// that has nothing, or when the number of entries is not what `entry_count` says.
pub fn contents_of<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    subtasks: &mut [KeyedOf<B, String>],
    namespaces: &[u32],
) -> Contents {
    contents_of_kinds(job, subtasks, &Kind::ALL, namespaces)
}

/// The same for subtasks that hold no other kinds than these.
pub(super) fn contents_of_kinds<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    subtasks: &mut [KeyedOf<B, String>],
    kinds: &[Kind],
    namespaces: &[u32],
) -> Contents {
    let mut contents = Contents::new();
    for (index, backend) in subtasks.iter_mut().enumerate() {
        let mut added = 0;
        for (kind, namespace) in
            kinds.iter().flat_map(|kind| namespaces.iter().map(move |n| (*kind, *n)))
        {
            for key in keys_of(backend, kind, namespace) {
                let group = job.key_group_of(&key);
                let range = backend.key_groups();
                assert!(range.contains(group), "subtask {index} ({range}) holds {key:?} ({group})");
                let address = Address { kind, key, namespace };
                let found = content_at(backend, &address);
                let content = found.unwrap_or_else(|| panic!("{address:?} is listed and empty"));
                added += content.entry_count();
                let twice = contents.insert(address.clone(), content);
                assert!(twice.is_none(), "{address:?} comes twice");
            }
        }
        assert_eq!(backend.entry_count().unwrap(), added, "number of entries of subtask {index}");
    }
    contents
}

/// Compares everything that the subtasks of a job hold with a model.
///
/// Panics: at the first difference, and as [`contents_of`].
#[track_caller]
pub fn check_contents<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    subtasks: &mut [KeyedOf<B, String>],
    namespaces: &[u32],
    model: &Model,
) {
    model.check(&contents_of(job, subtasks, namespaces));
}
