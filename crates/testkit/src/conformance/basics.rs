//! Cases: the kinds of state, clearing, namespaces, keys.

use std::collections::BTreeMap;

use alluvium_state::{
    AggregatingStateDescriptor, KeyedStateBackend, ListStateDescriptor, MapStateDescriptor,
    ReducingStateDescriptor, StateBackend, TimeDomain, ValueStateDescriptor,
};

use super::{list_of, map_of, owned, sorted};
use crate::job::TestJob;
use crate::model::change::{Change, CountAndSum, reduce};
use crate::model::{Address, Kind, Model, check_contents, content_at};

/// A value is absent, then set, replaced, changed in place, and absent again when it is cleared.
pub fn a_value_is_set_changed_and_cleared<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let value = state.value_state(ValueStateDescriptor::<u64>::new("value")).unwrap();
    let key = "key".to_owned();
    let mut at = state.at(&key).unwrap();
    assert_eq!(owned(value.get(&at)), None);
    value.set(&mut at, 7).unwrap();
    assert_eq!(owned(value.get(&at)), Some(7));
    value.set(&mut at, 8).unwrap();
    let doubled = value.update(&mut at, |n| {
        *n *= 2;
        *n
    });
    assert_eq!(doubled.unwrap(), 16);
    assert_eq!(owned(value.get(&at)), Some(16));
    value.clear(&mut at).unwrap();
    assert_eq!(owned(value.get(&at)), None);
    value.clear(&mut at).unwrap();

    value.update(&mut at, |n| *n += 1).unwrap();
    assert_eq!(owned(value.get(&at)), Some(1), "an update begins with the default");
    value.update_or_insert_with(&mut at, || 100, |n| *n += 1).unwrap();
    assert_eq!(owned(value.get(&at)), Some(2), "an update keeps what is there");
    value.clear(&mut at).unwrap();
    value.update_or_insert_with(&mut at, || 100, |n| *n += 1).unwrap();
    assert_eq!(owned(value.get(&at)), Some(101), "an update begins with what it is given");
}

/// Elements come back in the order in which they were added; setting replaces all of them.
pub fn a_list_keeps_its_order<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let list = state.list_state(ListStateDescriptor::<i32>::new("list")).unwrap();
    let key = "key".to_owned();
    let mut at = state.at(&key).unwrap();
    assert!(list_of(list.elements(&at)).is_empty());
    list.add(&mut at, 3).unwrap();
    list.add(&mut at, 1).unwrap();
    list.add_all(&mut at, [2, 1, 3]).unwrap();
    assert_eq!(list_of(list.elements(&at)), [3, 1, 2, 1, 3]);
    list.set(&mut at, vec![9, 8]).unwrap();
    list.add(&mut at, 7).unwrap();
    assert_eq!(list_of(list.elements(&at)), [9, 8, 7]);
    list.clear(&mut at).unwrap();
    assert!(list_of(list.elements(&at)).is_empty());
    list.add(&mut at, 5).unwrap();
    assert_eq!(list_of(list.elements(&at)), [5]);
}

/// A map gives back what was put under each user key, one by one and all together.
pub fn a_map_holds_what_was_put<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let map = state.map_state(MapStateDescriptor::<String, u64>::new("map")).unwrap();
    let key = "key".to_owned();
    let [a, b, c] = ["a", "b", ""].map(str::to_owned);
    let mut at = state.at(&key).unwrap();
    assert!(map.is_empty(&at).unwrap());
    assert_eq!(owned(map.get(&at, &a)), None);
    map.put(&mut at, a.clone(), 1).unwrap();
    map.put(&mut at, b.clone(), 2).unwrap();
    map.put(&mut at, a.clone(), 10).unwrap();
    map.update(&mut at, c.clone(), |n| *n += 5).unwrap();
    let before = map.update(&mut at, b.clone(), |n| std::mem::replace(n, 20)).unwrap();
    assert_eq!(before, 2);
    assert_eq!(owned(map.get(&at, &a)), Some(10));
    assert_eq!(owned(map.get(&at, &b)), Some(20));
    assert!(map.contains(&at, &c).unwrap());
    assert!(!map.is_empty(&at).unwrap());
    let expected = [(a.clone(), 10), (b.clone(), 20), (c.clone(), 5)];
    assert_eq!(map_of(map.entries(&at)), expected.into());
    assert_eq!(sorted(list_of(map.keys(&at))), [c.clone(), a.clone(), b.clone()]);
    assert_eq!(sorted(list_of(map.values(&at))), [5, 10, 20]);
    map.remove(&mut at, &a).unwrap();
    map.remove(&mut at, &"absent".to_owned()).unwrap();
    assert!(!map.contains(&at, &a).unwrap());
    assert_eq!(map_of(map.entries(&at)), [(b, 20), (c, 5)].into());
    map.clear(&mut at).unwrap();
    assert!(map.is_empty(&at).unwrap());
}

/// Many user keys put at once are the same as put one after the other, in maps of every size.
pub fn user_keys_put_at_once_are_all_there<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let map = state.map_state(MapStateDescriptor::<u64, u64>::new("map")).unwrap();
    let key = "key".to_owned();
    let mut at = state.at(&key).unwrap();
    map.put_all(&mut at, []).unwrap();
    drop(at);
    assert_eq!(state.entry_count().unwrap(), 0, "nothing makes no map");
    let mut expected = BTreeMap::new();
    for (from, to) in [(0, 3), (2, 17), (10, 40), (0, 200), (199, 200)] {
        let value = |user_key: u64| user_key * 1_000 + to;
        // Each twice, first with another value.
        let entries = (from..to).flat_map(|it| [(it, 1), (it, value(it))]);
        let mut at = state.at(&key).unwrap();
        map.put_all(&mut at, entries).unwrap();
        expected.extend((from..to).map(|user_key| (user_key, value(user_key))));
        assert_eq!(map_of(map.entries(&at)), expected);
        for user_key in 0..210 {
            let found = owned(map.get(&at, &user_key));
            assert_eq!(found, expected.get(&user_key).copied(), "{user_key} of {to}");
        }
    }
    for user_key in (0..200).rev() {
        let mut at = state.at(&key).unwrap();
        map.remove(&mut at, &user_key).unwrap();
        expected.remove(&user_key);
        assert_eq!(map_of(map.entries(&at)), expected, "without {user_key}");
    }
    assert_eq!(state.entry_count().unwrap(), 0);
}

/// The first value is taken as it is, the others are reduced into it in the order of adding.
pub fn a_reducing_state_reduces_in_order<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let descriptor = ReducingStateDescriptor::<u64>::new("r", |value, other| {
        *value = reduce(*value, other);
    });
    let reducing = state.reducing_state(descriptor).unwrap();
    let key = "key".to_owned();
    let mut at = state.at(&key).unwrap();
    assert_eq!(owned(reducing.get(&at)), None);
    reducing.add(&mut at, 1).unwrap();
    assert_eq!(owned(reducing.get(&at)), Some(1));
    reducing.add(&mut at, 2).unwrap();
    reducing.add(&mut at, 3).unwrap();
    assert_eq!(owned(reducing.get(&at)), Some(reduce(reduce(1, 2), 3)));
    reducing.clear(&mut at).unwrap();
    assert_eq!(owned(reducing.get(&at)), None);
    reducing.add(&mut at, 4).unwrap();
    assert_eq!(owned(reducing.get(&at)), Some(4));
}

/// Every input is added to a fresh accumulator, and what is read is the result of it.
pub fn an_aggregating_state_adds_every_input<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let descriptor = AggregatingStateDescriptor::new("a", CountAndSum);
    let aggregating = state.aggregating_state(descriptor).unwrap();
    let key = "key".to_owned();
    let mut at = state.at(&key).unwrap();
    assert_eq!(aggregating.get(&at).unwrap(), None);
    for input in [5, 0, 7] {
        aggregating.add(&mut at, input).unwrap();
    }
    assert_eq!(aggregating.get(&at).unwrap(), Some((3, 12)));
    aggregating.clear(&mut at).unwrap();
    assert_eq!(aggregating.get(&at).unwrap(), None);
    aggregating.add(&mut at, 1).unwrap();
    assert_eq!(aggregating.get(&at).unwrap(), Some((1, 1)));
}

/// One change that makes an entry in each of the states.
pub(super) fn one_of_each() -> [Change; 8] {
    [
        Change::ValueSet(1),
        Change::ListAddAll(vec!["x".to_owned(), String::new()]),
        Change::MapPut(1, "y".to_owned()),
        Change::ReducingAdd(2),
        Change::AggregatingAdd(3),
        Change::TimerRegister(TimeDomain::EventTime, 0),
        Change::SortedMapPut(1, "z".to_owned()),
        Change::OfLongList(Box::new(Change::ListAdd("w".to_owned()))),
    ]
}

/// Clearing takes what one state holds for one key and namespace, and nothing else.
pub fn clearing_removes_one_entry_of_one_state<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    for kind in Kind::ALL {
        let mut subtasks = job.open(1, &[]);
        let mut model = Model::default();
        let [state] = subtasks.as_mut_slice() else { panic!("one subtask") };
        let keys = ["a".to_owned(), "b".to_owned()];
        for change in one_of_each() {
            for (key, namespace) in keys.iter().flat_map(|key| [(key, 1), (key, 2)]) {
                change.apply(state, key, namespace);
                model.apply(key, namespace, &change);
            }
        }
        Change::Clear(kind).apply(state, &"a".to_owned(), 2);
        model.apply("a", 2, &Change::Clear(kind));
        check_contents(&job, &mut subtasks, &[1, 2], &model);
    }
}

/// What is stored under one namespace is not seen under another, for the same key.
pub fn namespaces_are_apart<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let key = "key".to_owned();
    for change in one_of_each() {
        change.apply(&mut state, &key, 1);
        let address = Address { kind: change.kind(), key: key.clone(), namespace: 2 };
        assert_eq!(content_at(&mut state, &address), None, "{change:?}");
        change.apply(&mut state, &key, 2);
        change.apply(&mut state, &key, 2);
        let address = Address { namespace: 1, ..address };
        assert_eq!(content_at(&mut state, &address), change.result(None), "{change:?}");
    }

    // Namespaces and keys that look the same when they are written one after the other.
    let text = state.value_state(ValueStateDescriptor::<u64>::new("text").namespaced::<String>());
    let text = text.unwrap();
    let pairs = [("a", "bc"), ("ab", "c"), ("", "abc"), ("abc", "")];
    let pairs = pairs.map(|(key, namespace)| (key.to_owned(), namespace.to_owned()));
    for (number, (key, namespace)) in (0..).zip(&pairs) {
        text.set(&mut state.at_namespace(key, namespace).unwrap(), number).unwrap();
    }
    for (number, (key, namespace)) in (0..).zip(&pairs) {
        let at = state.at_namespace(key, namespace).unwrap();
        assert_eq!(owned(text.get(&at)), Some(number), "{key:?} {namespace:?}");
    }
}

/// What is stored for one key is not seen by another, also of the same key group.
pub fn keys_are_apart<B: StateBackend>(backend: &B) {
    let mut job = TestJob::<B, String>::new(backend);
    job.max_parallelism = alluvium_core::MaxParallelism::new(1).unwrap();
    let mut state = job.open_one(&[]);
    let keys = ["", "\0", "a", "a\0", "aa", "A"].map(str::to_owned);
    for (times, key) in (1..).zip(&keys) {
        for change in one_of_each() {
            let address = Address { kind: change.kind(), key: key.clone(), namespace: 0 };
            assert_eq!(content_at(&mut state, &address), None, "{key:?}");
            (0..times).for_each(|_| change.apply(&mut state, key, 0));
        }
    }
    for (times, key) in (1..).zip(&keys) {
        for change in one_of_each() {
            let address = Address { kind: change.kind(), key: key.clone(), namespace: 0 };
            let expected = (0..times).fold(None, |before, _| change.result(before));
            assert_eq!(content_at(&mut state, &address), expected, "{key:?}");
        }
    }
}

/// Two states of the same types under two names hold their own values.
pub fn states_of_the_same_types_are_apart<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let one = state.value_state(ValueStateDescriptor::<u64>::new("one")).unwrap();
    let other = state.value_state(ValueStateDescriptor::<u64>::new("One")).unwrap();
    let key = "key".to_owned();
    let mut at = state.at(&key).unwrap();
    one.set(&mut at, 1).unwrap();
    assert_eq!(owned(other.get(&at)), None);
    other.set(&mut at, 2).unwrap();
    one.clear(&mut at).unwrap();
    assert_eq!(owned(other.get(&at)), Some(2));
    drop(at);
    assert!(state.keys(one, &()).unwrap().is_empty());
    assert_eq!(state.keys(other, &()).unwrap(), ["key"]);
}

/// Setting an empty list removes the list, and adding no element makes none.
pub fn an_empty_list_is_no_list<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let list = state.list_state(ListStateDescriptor::<u64>::new("list")).unwrap();
    let (emptied, untouched) = ("emptied".to_owned(), "untouched".to_owned());
    let mut at = state.at(&emptied).unwrap();
    list.add(&mut at, 1).unwrap();
    list.set(&mut at, Vec::new()).unwrap();
    assert!(list_of(list.elements(&at)).is_empty());
    drop(at);
    let mut at = state.at(&untouched).unwrap();
    list.add_all(&mut at, []).unwrap();
    list.set(&mut at, Vec::new()).unwrap();
    assert!(list_of(list.elements(&at)).is_empty());
    drop(at);
    assert!(state.keys(list, &()).unwrap().is_empty());
    assert_eq!(state.entry_count().unwrap(), 0);
}

/// A key whose map lost its last entry is no longer listed.
pub fn a_map_without_its_last_entry_is_no_map<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let map = state.map_state(MapStateDescriptor::<u32, u64>::new("map")).unwrap();
    let key = "key".to_owned();
    let mut at = state.at(&key).unwrap();
    map.remove(&mut at, &1).unwrap();
    map.put(&mut at, 1, 1).unwrap();
    map.put(&mut at, 2, 2).unwrap();
    map.remove(&mut at, &1).unwrap();
    drop(at);
    assert_eq!(state.keys(map, &()).unwrap(), ["key"]);
    let mut at = state.at(&key).unwrap();
    map.remove(&mut at, &2).unwrap();
    assert!(map.is_empty(&at).unwrap());
    drop(at);
    assert!(state.keys(map, &()).unwrap().is_empty());
    assert_eq!(state.entry_count().unwrap(), 0);
}

/// `keys` lists each key that has something in the state under the namespace, once, and no other.
pub fn keys_lists_exactly_the_keys_of_the_namespace<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let descriptor = ListStateDescriptor::<u64>::new("list").namespaced::<u32>();
    let list = state.list_state(descriptor).unwrap();
    let other = state.value_state(ValueStateDescriptor::<u64>::new("other").namespaced::<u32>());
    let other = other.unwrap();
    for number in 0..100_u64 {
        let key = format!("key-{number}");
        let namespace = u32::try_from(number % 3).unwrap();
        let mut at = state.at_namespace(&key, &namespace).unwrap();
        list.add_all(&mut at, [number, number]).unwrap();
        if number.is_multiple_of(4) {
            list.clear(&mut at).unwrap();
        }
        drop(at);
        other.set(&mut state.at_namespace(&key, &7).unwrap(), number).unwrap();
    }
    for namespace in 0..3 {
        let expected = (0..100).filter(|n| n % 3 == namespace && n % 4 != 0);
        let expected = sorted(expected.map(|n| format!("key-{n}")));
        assert_eq!(sorted(state.keys(list, &namespace).unwrap()), expected, "{namespace}");
    }
    assert!(state.keys(list, &7).unwrap().is_empty());
    assert_eq!(state.keys(other, &7).unwrap().len(), 100);
}

/// Looking at a key that has nothing leaves it as it is.
pub fn reading_makes_no_entry<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut subtasks = job.open(1, &[]);
    for state in &mut subtasks {
        for kind in Kind::ALL {
            let address = Address { kind, key: "key".to_owned(), namespace: 1 };
            assert_eq!(content_at(state, &address), None);
            Change::Clear(kind).apply(state, &address.key, 1);
            Change::MapRemove(1).apply(state, &address.key, 1);
        }
        assert_eq!(state.entry_count().unwrap(), 0);
    }
    check_contents(&job, &mut subtasks, &[1], &Model::default());
}

/// A list or a map counts as one entry, however long it is, and a timer as one; each namespace
/// counts for itself.
pub fn entries_are_counted_once_per_key_and_namespace<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let (a, b) = ("a".to_owned(), "b".to_owned());
    assert_eq!(state.entry_count().unwrap(), 0);
    for user_key in 0..10 {
        Change::MapPut(user_key, String::new()).apply(&mut state, &a, 1);
        Change::ListAdd(String::new()).apply(&mut state, &a, 1);
    }
    assert_eq!(state.entry_count().unwrap(), 2);
    Change::ListAdd(String::new()).apply(&mut state, &a, 2);
    Change::ListAdd(String::new()).apply(&mut state, &b, 2);
    assert_eq!(state.entry_count().unwrap(), 4);
    Change::Clear(Kind::Map).apply(&mut state, &a, 1);
    assert_eq!(state.entry_count().unwrap(), 3);
    Change::TimerRegister(TimeDomain::EventTime, 0).apply(&mut state, &a, 1);
    Change::TimerRegister(TimeDomain::EventTime, 1_000).apply(&mut state, &a, 1);
    assert_eq!(state.entry_count().unwrap(), 5);
}
