//! Cases: wrong use is an error, and leaves everything as it was.

use alluvium_core::SubtaskIndex;
use alluvium_format::codec::PostcardCodec;
use alluvium_state::{
    AggregateFunction, AggregatingStateDescriptor, KeyContext, KeyedStateBackend,
    ListStateDescriptor, MapStateDescriptor, ReducingStateDescriptor, StateBackend, StateError,
    StateRef, ValueStateDescriptor,
};

use super::{owned, refused};
use crate::job::TestJob;
use crate::model::change::{
    CountAndSum, aggregating_state, list_state, map_state, reducing_state, value_state,
};

#[track_caller]
fn assert_foreign_handle<T>(outcome: Result<T, StateError>) {
    let error = refused(outcome);
    assert!(matches!(error, StateError::ForeignHandle), "{error}");
}

/// A subtask refuses the keys of the others, by key and by key group, and owns its own.
pub fn a_key_of_another_subtask_is_refused<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut subtasks = job.open(3, &[]);
    for number in 0..60 {
        let key = format!("key-{number}");
        let (owner, group) = (job.owner_of(&key, 3), job.key_group_of(&key));
        for (index, state) in subtasks.iter_mut().enumerate() {
            assert_eq!(state.key_group_of(&key).unwrap(), group, "{key}");
            if index == owner {
                assert!(state.at(&key).is_ok(), "{key} in subtask {index}");
                assert!(state.at_key_group(group, &key, &1_u32).is_ok());
                continue;
            }
            let range = state.key_groups();
            let errors = [
                refused(state.at(&key).map(drop)),
                refused(state.at_namespace(&key, &1_u32).map(drop)),
                refused(state.at_key_group(group, &key, &1_u32).map(drop)),
            ];
            for error in errors {
                let StateError::ForeignKeyGroup { key_group, range: named } = error else {
                    panic!("{key} in subtask {index}: {error}")
                };
                assert_eq!((key_group, named), (group, range));
            }
        }
    }
}

/// A handle works with the backend that made it and with no other, also of the same subtask.
pub fn a_handle_of_another_backend_is_refused<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let (mut own, mut other) = (job.open_one(&[]), job.open_one(&[]));
    let value = value_state(&mut other);
    let list = list_state(&mut other);
    let map = map_state(&mut other);
    let reducing = reducing_state(&mut other);
    let aggregating = aggregating_state(&mut other);
    // The same states in the same order, so that only the backend tells the handles apart.
    let own_value = value_state(&mut own);
    let _ = (list_state(&mut own), map_state(&mut own));
    let _ = (reducing_state(&mut own), aggregating_state(&mut own));

    let key = "key".to_owned();
    let mut at = own.at_namespace(&key, &1).unwrap();
    assert_foreign_handle(value.get(&at).map(drop));
    assert_foreign_handle(value.set(&mut at, 1));
    assert_foreign_handle(value.update(&mut at, |_| ()));
    assert_foreign_handle(list.elements(&at).map(drop));
    assert_foreign_handle(list.add(&mut at, String::new()));
    assert_foreign_handle(list.add_all(&mut at, []));
    assert_foreign_handle(list.set(&mut at, Vec::new()));
    assert_foreign_handle(list.set(&mut at, vec![String::new()]));
    assert_foreign_handle(map.get(&at, &1).map(drop));
    assert_foreign_handle(map.put(&mut at, 1, String::new()));
    assert_foreign_handle(map.update(&mut at, 1, |_| ()));
    assert_foreign_handle(map.remove(&mut at, &1));
    assert_foreign_handle(map.entries(&at).map(drop));
    assert_foreign_handle(reducing.get(&at).map(drop));
    assert_foreign_handle(reducing.add(&mut at, 1));
    assert_foreign_handle(aggregating.get(&at));
    assert_foreign_handle(aggregating.add(&mut at, 1));
    clear_is_refused(&mut at, value);
    clear_is_refused(&mut at, list);
    clear_is_refused(&mut at, map);
    clear_is_refused(&mut at, reducing);
    clear_is_refused(&mut at, aggregating);
    assert_eq!(owned(own_value.get(&at)), None);
    drop(at);
    assert_foreign_handle(own.keys(value, &1));
    assert_foreign_handle(own.keys(map, &1));
    assert_eq!(own.entry_count().unwrap(), 0);
}

#[track_caller]
fn clear_is_refused<C: KeyContext>(at: &mut C, state: impl StateRef<Namespace = C::Namespace>) {
    assert_foreign_handle(at.clear(state));
}

/// Another aggregation with the accumulator of [`CountAndSum`].
struct OnlyCount;

impl AggregateFunction for OnlyCount {
    type Input = u64;
    type Accumulator = (u64, u64);
    type Output = u64;

    fn create(&self) -> (u64, u64) {
        (0, 0)
    }

    fn add(&self, (count, _): &mut (u64, u64), _: u64) {
        *count += 1;
    }

    fn result(&self, (count, _): &(u64, u64)) -> u64 {
        *count
    }

    fn merge(&self, (count, _): &mut (u64, u64), (other, _): &(u64, u64)) {
        *count += other;
    }
}

#[track_caller]
fn assert_name_reused<T>(outcome: Result<T, StateError>) {
    let error = refused(outcome);
    let StateError::NameReused { name, registered, requested } = &error else { panic!("{error}") };
    assert_eq!(name, "name");
    assert_ne!(registered, requested, "the message tells both apart");
}

/// A name that is registered cannot be had with another kind, type, codec, namespace or function.
pub fn a_name_stands_for_one_kind_and_one_set_of_types<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let name = "name";
    let mut state = job.open_one(&[]);
    let value = state.value_state(ValueStateDescriptor::<u64>::new(name)).unwrap();
    let key = "key".to_owned();
    value.set(&mut state.at(&key).unwrap(), 1).unwrap();

    assert_name_reused(state.list_state(ListStateDescriptor::<u64>::new(name)));
    assert_name_reused(state.map_state(MapStateDescriptor::<u64, u64>::new(name)));
    assert_name_reused(state.reducing_state(ReducingStateDescriptor::<u64>::new(name, |_, _| ())));
    let descriptor = AggregatingStateDescriptor::new(name, CountAndSum);
    assert_name_reused(state.aggregating_state(descriptor));
    assert_name_reused(state.value_state(ValueStateDescriptor::<u32>::new(name)));
    assert_name_reused(state.value_state(ValueStateDescriptor::<Option<u64>>::new(name)));
    let postcard = PostcardCodec::<u64>::new("u64", 1);
    assert_name_reused(state.value_state(ValueStateDescriptor::with_codec(name, postcard)));
    let namespaced = ValueStateDescriptor::<u64>::new(name).namespaced::<u32>();
    assert_name_reused(state.value_state(namespaced));
    assert_eq!(owned(value.get(&state.at(&key).unwrap())), Some(1), "what is there stays");

    let mut state = job.open_one(&[]);
    let descriptor = AggregatingStateDescriptor::new(name, CountAndSum);
    state.aggregating_state(descriptor).unwrap();
    assert_name_reused(state.aggregating_state(AggregatingStateDescriptor::new(name, OnlyCount)));
    assert_name_reused(state.value_state(ValueStateDescriptor::<(u64, u64)>::new(name)));

    // A list and a value may be stored by the same codec and are still not the same.
    let mut state = job.open_one(&[]);
    state.list_state(ListStateDescriptor::<u64>::new(name)).unwrap();
    assert_name_reused(state.value_state(ValueStateDescriptor::<Vec<u64>>::new(name)));
}

/// Registering a state again gives a handle of the same state, with what is in it.
pub fn the_same_descriptor_gives_the_same_handle<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    assert_eq!(value_state(&mut state).id(), value_state(&mut state).id());
    assert_eq!(list_state(&mut state).id(), list_state(&mut state).id());
    assert_eq!(map_state(&mut state).id(), map_state(&mut state).id());
    assert_eq!(aggregating_state(&mut state).id(), aggregating_state(&mut state).id());
    assert_ne!(value_state(&mut state).id(), list_state(&mut state).id());

    let add = ReducingStateDescriptor::<u64>::new("sum", |value, other| *value += other);
    let other = ReducingStateDescriptor::<u64>::new("sum", |value, _| *value = 0);
    let first = state.reducing_state(add).unwrap();
    let again = state.reducing_state(other).unwrap();
    assert_eq!(first.id(), again.id());
    let key = "key".to_owned();
    let mut at = state.at(&key).unwrap();
    first.add(&mut at, 1).unwrap();
    again.add(&mut at, 2).unwrap();
    assert_eq!(owned(again.get(&at)), Some(3), "the function stays the one given first");
}

/// Names are counted in bytes; an empty one and one of 1,025 bytes are refused.
pub fn names_have_1_to_1024_bytes<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.try_open(SubtaskIndex::new(0), 1, &[]).unwrap();
    for bad in [String::new(), "n".repeat(1025), "\u{e9}".repeat(513)] {
        let errors = [
            refused(state.value_state(ValueStateDescriptor::<u64>::new(&bad))),
            refused(state.list_state(ListStateDescriptor::<u64>::new(&bad))),
            refused(state.map_state(MapStateDescriptor::<u64, u64>::new(&bad))),
            refused(state.reducing_state(ReducingStateDescriptor::<u64>::new(&bad, |_, _| ()))),
            refused(state.aggregating_state(AggregatingStateDescriptor::new(&bad, CountAndSum))),
        ];
        for error in errors {
            let StateError::InvalidName { len_bytes } = error else { panic!("{error}") };
            assert_eq!(len_bytes, bad.len());
        }
    }
    for good in ["n".to_owned(), "n".repeat(1024), "\u{e9}".repeat(512), " /..\0".to_owned()] {
        let value = state.value_state(ValueStateDescriptor::<u64>::new(&good)).unwrap();
        value.set(&mut state.at(&good).unwrap(), 1).unwrap();
    }
    let handles = job.snapshot_one(&mut state);
    let mut restored = job.open_one(&handles);
    for good in ["n".repeat(1024), " /..\0".to_owned()] {
        let value = restored.value_state(ValueStateDescriptor::<u64>::new(&good)).unwrap();
        assert_eq!(owned(value.get(&restored.at(&good).unwrap())), Some(1));
    }
}
