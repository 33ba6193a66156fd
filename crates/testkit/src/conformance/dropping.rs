//! Cases: restored state that the job does not register any more, listed and dropped.

use std::collections::BTreeMap;

use alluvium_format::codec::{Codec, DefaultCodec};
use alluvium_format::keyed::StateKind;
use alluvium_state::{
    KeyedStateBackend, ListStateDescriptor, MapStateDescriptor, SnapshotMode, StateBackend,
    StateError, TimerDescriptor, ValueStateDescriptor,
};
use alluvium_storage::StreamPolicy;

use super::{map_of, owned, refused};
use crate::job::{KeyedOf, TestJob, abort_all, complete_all};

fn names<S: KeyedStateBackend>(state: &S) -> Vec<String> {
    state.unregistered_states().into_iter().map(|meta| meta.name).collect()
}

/// Values, a list, a map and timers of 40 keys.
fn fill<B: StateBackend>(state: &mut KeyedOf<B, String>) {
    let value = state.value_state(ValueStateDescriptor::<u64>::new("value")).unwrap();
    let list = state.list_state(ListStateDescriptor::<u32>::new("list")).unwrap();
    let map = state.map_state(MapStateDescriptor::<u32, String>::new("map")).unwrap();
    let timers = state.timers(TimerDescriptor::new("timers")).unwrap();
    for number in 0..40 {
        let key = format!("key-{number}");
        let mut at = state.at(&key).unwrap();
        value.set(&mut at, number).unwrap();
        list.add(&mut at, 5).unwrap();
        map.put(&mut at, 6, "six".to_owned()).unwrap();
        timers.register(&mut at, alluvium_state::TimeDomain::EventTime, 7).unwrap();
    }
}

/// The restored states that nobody registered are listed with kind and codecs; one that is
/// registered is not listed any more.
pub fn unregistered_states_are_listed<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    fill::<B>(&mut state);
    assert!(names(&state).is_empty());
    let handles = job.snapshot_one(&mut state);
    let mut state = job.open_one(&handles);
    let listed: BTreeMap<_, _> =
        state.unregistered_states().into_iter().map(|meta| (meta.name.clone(), meta)).collect();
    let kinds: Vec<_> = listed.values().map(|meta| (meta.name.as_str(), meta.kind)).collect();
    let expected = [
        ("list", StateKind::List),
        ("map", StateKind::Map),
        ("timers", StateKind::Timers),
        ("value", StateKind::Value),
    ];
    assert_eq!(kinds, expected);
    let map = listed.get("map").unwrap();
    assert_eq!(map.value, Codec::<BTreeMap<u32, String>>::snapshot(&DefaultCodec));
    assert_eq!(map.namespace, Codec::<()>::snapshot(&DefaultCodec));
    state.value_state(ValueStateDescriptor::<u64>::new("value")).unwrap();
    assert_eq!(names(&state), ["list", "map", "timers"]);
}

/// What is dropped is in no later snapshot, full or incremental, and what is not dropped stays. A
/// name can be registered anew, as another kind, and begins empty.
pub fn a_dropped_state_is_in_no_later_snapshot<B: StateBackend>(backend: &B) {
    for mode in [SnapshotMode::Incremental, SnapshotMode::Full] {
        let mut job = TestJob::<B, String>::new(backend);
        job.mode = mode;
        let mut state = job.open_one(&[]);
        fill::<B>(&mut state);
        let handles = job.snapshot_one(&mut state);
        let mut state = job.open_one(&handles);
        assert!(state.drop_restored_state("list").unwrap());
        assert!(state.drop_restored_state("timers").unwrap());
        assert!(!state.drop_restored_state("timers").unwrap(), "it is gone already");
        assert!(!state.drop_restored_state("never there").unwrap());
        assert_eq!(names(&state), ["map", "value"]);
        let handles = job.snapshot_one(&mut state);
        let mut state = job.open_one(&handles);
        assert_eq!(names(&state), ["map", "value"]);
        let list = state.map_state(MapStateDescriptor::<u64, u64>::new("list")).unwrap();
        assert!(state.keys(list, &()).unwrap().is_empty());
        let map = state.map_state(MapStateDescriptor::<u32, String>::new("map")).unwrap();
        let key = "key-3".to_owned();
        let at = state.at(&key).unwrap();
        assert_eq!(map_of(map.entries(&at)), [(6, "six".to_owned())].into());
    }
}

/// Without anything left, no file of the checkpoint with the dropped states is referred to.
pub fn files_of_dropped_states_are_not_referred_to<B: StateBackend>(backend: &B) {
    let mut job = TestJob::<B, String>::new(backend);
    job.policy = StreamPolicy { inline_below_bytes: 0, ..StreamPolicy::files() };
    let mut state = job.open_one(&[]);
    fill::<B>(&mut state);
    let old = job.snapshot_one(&mut state);
    let mut state = job.open_one(&old);
    for name in names(&state) {
        assert!(state.drop_restored_state(&name).unwrap());
    }
    let value = state.value_state(ValueStateDescriptor::<u64>::new("value")).unwrap();
    value.set(&mut state.at(&"new".to_owned()).unwrap(), 1).unwrap();
    let new = job.snapshot_one(&mut state);
    let old_files: Vec<_> = old.iter().flat_map(alluvium_core::KeyedStateHandle::files).collect();
    assert!(!old_files.is_empty());
    for handle in &new {
        assert!(handle.files().all(|file| !old_files.contains(&file)), "{handle:?}");
    }
    for file in old_files {
        job.storage().delete(file).unwrap();
    }
    let mut state = job.open_one(&new);
    let value = state.value_state(ValueStateDescriptor::<u64>::new("value")).unwrap();
    assert_eq!(state.keys(value, &()).unwrap(), ["new"]);
    assert_eq!(state.entry_count().unwrap(), 1);
}

/// A state that is made anew under the name of a dropped one shares nothing with it, whichever
/// snapshots are on their way: one that was frozen before has the old one, later ones the new one.
pub fn a_name_is_free_after_dropping<B: StateBackend>(backend: &B) {
    for is_completed_late in [false, true] {
        let mut job = TestJob::<B, String>::new(backend);
        job.policy = StreamPolicy { inline_below_bytes: 0, ..StreamPolicy::files() };
        let mut state = job.open_one(&[]);
        fill::<B>(&mut state);
        let handles = job.snapshot_one(&mut state);
        let mut state = job.open_one(&handles);
        let before = job.freeze_one(&mut state);
        let checkpoint = before.checkpoint();
        assert!(state.drop_restored_state("value").unwrap());
        let descriptor = || ValueStateDescriptor::<u64>::new("value");
        let value = state.value_state(descriptor()).unwrap();
        value.set(&mut state.at(&"key-1".to_owned()).unwrap(), 1_000).unwrap();
        let before = before.write();
        if is_completed_late {
            complete_all(std::slice::from_mut(&mut state), checkpoint);
        } else {
            abort_all(std::slice::from_mut(&mut state), checkpoint);
        }
        let mut contents = Vec::new();
        let first = job.snapshot_one(&mut state);
        value.set(&mut state.at(&"key-2".to_owned()).unwrap(), 2_000).unwrap();
        let second = job.snapshot_one(&mut state);
        for handles in [&before, &first, &second] {
            let mut state = job.open_one(handles);
            let value = state.value_state(descriptor()).unwrap();
            let count = state.keys(value, &()).unwrap().len();
            let mut get = |key: &str| {
                let key = key.to_owned();
                owned(value.get(&state.at(&key).unwrap()))
            };
            contents.push((count, get("key-1"), get("key-2"), get("key-3")));
        }
        let expected = [
            (40, Some(1), Some(2), Some(3)),
            (1, Some(1_000), None, None),
            (2, Some(1_000), Some(2_000), None),
        ];
        assert_eq!(contents, expected, "completed late: {is_completed_late}");
    }
}

/// A registered state is not dropped, by name; it keeps what it has.
pub fn a_registered_state_is_not_dropped<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    fill::<B>(&mut state);
    let error = refused(state.drop_restored_state("value"));
    assert!(matches!(&error, StateError::Registered { name } if name == "value"), "{error}");
    let handles = job.snapshot_one(&mut state);
    let mut state = job.open_one(&handles);
    let value = state.value_state(ValueStateDescriptor::<u64>::new("value")).unwrap();
    let error = refused(state.drop_restored_state("value"));
    assert!(matches!(&error, StateError::Registered { name } if name == "value"), "{error}");
    assert_eq!(owned(value.get(&state.at(&"key-9".to_owned()).unwrap())), Some(9));
}
