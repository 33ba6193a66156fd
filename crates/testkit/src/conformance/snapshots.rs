//! Cases: freezing, writing and restoring at the same parallelism.

use std::io;
use std::sync::Arc;

use alluvium_core::{KeyedStateHandle, MaxParallelism, StoragePath};
use alluvium_state::{
    KeyedStateBackend, ListStateDescriptor, SnapshotError, StateBackend, ValueState,
    ValueStateDescriptor,
};
use alluvium_storage::{StorageError, StreamPolicy};

use super::basics::one_of_each;
use super::{list_of, owned, sorted};
use crate::faulty::{Fault, FaultyStorage};
use crate::job::{KeyedOf, TestJob, abort_all, complete_all, fresh_memory};
use crate::model::change::{Change, value_state};
use crate::model::{Address, Kind, Model, check_contents, content_at};
use crate::random::Random;

/// The namespaces of the cases that use a model.
pub(super) const NAMESPACES: [u32; 2] = [1, 2];
/// Every snapshot becomes a file.
pub(super) const ALWAYS_FILES: StreamPolicy =
    StreamPolicy { inline_below_bytes: 0, max_inline_bytes: None };

/// Makes random changes in the subtasks of a job and in a model.
pub(super) fn change_at_random<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    subtasks: &mut [KeyedOf<B, String>],
    model: &mut Model,
    random: &mut Random,
    changes: usize,
) {
    let parallelism = u32::try_from(subtasks.len()).unwrap();
    for _ in 0..changes {
        let key = format!("key-{}", random.below(40));
        let (namespace, change) = (*random.pick(&NAMESPACES), Change::draw(random));
        let owner = subtasks.get_mut(job.owner_of(&key, parallelism)).unwrap();
        change.apply(owner, &key, namespace);
        model.apply(&key, namespace, &change);
    }
}

/// The handles of a snapshot of some random state, and the model of it.
pub(super) fn random_snapshot<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    parallelism: u32,
    seed: u64,
) -> (Vec<KeyedStateHandle>, Model) {
    let (mut model, mut random) = (Model::default(), Random::new(seed));
    let mut subtasks = job.open(parallelism, &[]);
    change_at_random(job, &mut subtasks, &mut model, &mut random, 400);
    (job.snapshot(&mut subtasks), model)
}

fn restored_is<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    parallelism: u32,
    handles: &[KeyedStateHandle],
    model: &Model,
) {
    let mut subtasks = job.open(parallelism, handles);
    check_contents(job, &mut subtasks, &NAMESPACES, model);
}

/// Every entry of all kinds comes back under its key and namespace, and can be changed on.
pub fn all_kinds_come_back<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let (handles, mut model) = random_snapshot(&job, 2, 1);
    for kind in Kind::ALL {
        assert!(model.contents().keys().any(|address| address.kind == kind), "{kind:?}");
    }
    let mut subtasks = job.open(2, &handles);
    check_contents(&job, &mut subtasks, &NAMESPACES, &model);
    change_at_random(&job, &mut subtasks, &mut model, &mut Random::new(2), 400);
    check_contents(&job, &mut subtasks, &NAMESPACES, &model);
    let handles = job.snapshot(&mut subtasks);
    restored_is(&job, 2, &handles, &model);
}

/// What is written after a freeze is in the state and not in the snapshot.
pub fn a_frozen_state_does_not_see_later_writes<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut subtasks = job.open(1, &[]);
    let mut model = Model::default();
    let mut random = Random::new(3);
    change_at_random(&job, &mut subtasks, &mut model, &mut random, 400);

    let (frozen, before) = (job.freeze(&mut subtasks), model.clone());
    for address in before.contents().keys() {
        let Address { kind, key, namespace } = address;
        let changes = one_of_each().into_iter().filter(|change| change.kind() == *kind);
        for change in changes.chain([Change::Clear(*kind)]) {
            change.apply(subtasks.first_mut().unwrap(), key, *namespace);
            model.apply(key, *namespace, &change);
            let found = content_at(subtasks.first_mut().unwrap(), address);
            assert_eq!(found.as_ref(), model.get(address), "{address:?} after {change:?}");
        }
    }
    assert_eq!(model, Model::default(), "everything was removed");
    change_at_random(&job, &mut subtasks, &mut model, &mut random, 100);

    let checkpoint = frozen.checkpoint();
    let handles = frozen.write();
    complete_all(&mut subtasks, checkpoint);
    restored_is(&job, 1, &handles, &before);
    check_contents(&job, &mut subtasks, &NAMESPACES, &model);
}

/// Two frozen states are written in either order, each as it was at its own freeze.
pub fn overlapping_frozen_states_keep_their_own_moment<B: StateBackend>(backend: &B) {
    for in_order in [true, false] {
        let job = TestJob::<B, String>::new(backend);
        let mut subtasks = job.open(2, &[]);
        let (mut model, mut random) = (Model::default(), Random::new(4));
        change_at_random(&job, &mut subtasks, &mut model, &mut random, 200);
        let (first, at_first) = (job.freeze(&mut subtasks), model.clone());
        change_at_random(&job, &mut subtasks, &mut model, &mut random, 200);
        let (second, at_second) = (job.freeze(&mut subtasks), model.clone());
        change_at_random(&job, &mut subtasks, &mut model, &mut random, 200);
        assert!(at_first != at_second && at_second != model);

        let mut pending = vec![(first, at_first), (second, at_second)];
        if !in_order {
            pending.reverse();
        }
        for (frozen, expected) in pending {
            let checkpoint = frozen.checkpoint();
            let handles = frozen.write();
            complete_all(&mut subtasks, checkpoint);
            restored_is(&job, 2, &handles, &expected);
        }
        check_contents(&job, &mut subtasks, &NAMESPACES, &model);
    }
}

/// A checkpoint that is given up, before or after `abort`, harms neither the state nor the next.
pub fn a_frozen_state_dropped_unwritten_changes_nothing<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut subtasks = job.open(1, &[]);
    let (mut model, mut random) = (Model::default(), Random::new(5));
    for abort_first in [true, false] {
        change_at_random(&job, &mut subtasks, &mut model, &mut random, 150);
        let frozen = job.freeze(&mut subtasks);
        let checkpoint = frozen.checkpoint();
        change_at_random(&job, &mut subtasks, &mut model, &mut random, 150);
        let mut frozen = Some(frozen);
        if !abort_first {
            drop(frozen.take());
        }
        abort_all(&mut subtasks, checkpoint);
        drop(frozen);
        check_contents(&job, &mut subtasks, &NAMESPACES, &model);
    }
    let handles = job.snapshot(&mut subtasks);
    restored_is(&job, 1, &handles, &model);
}

/// A frozen state can be written by another thread, after its backend is gone.
pub fn a_frozen_state_outlives_its_backend_on_another_thread<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut subtasks = job.open(2, &[]);
    let mut model = Model::default();
    change_at_random(&job, &mut subtasks, &mut model, &mut Random::new(6), 300);
    let frozen = job.freeze(&mut subtasks);
    drop(subtasks);
    let handles = std::thread::scope(|scope| scope.spawn(|| frozen.write()).join().unwrap());
    restored_is(&job, 2, &handles, &model);
}

/// A backend in which nothing was registered writes nothing.
pub fn a_backend_without_states_has_no_handle<B: StateBackend>(backend: &B) {
    let mut job = TestJob::<B, String>::new(backend);
    job.policy = ALWAYS_FILES;
    let mut subtasks = job.open(3, &[]);
    assert_eq!(job.snapshot(&mut subtasks), []);
    assert_eq!(job.storage().list(None).unwrap(), []);
    restored_is(&job, 2, &[], &Model::default());
}

/// State of which everything was removed comes back empty, as does state that was never used.
pub fn a_cleared_backend_comes_back_empty<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    value_state(&mut state);
    let unused = job.snapshot_one(&mut state);
    restored_is(&job, 1, &unused, &Model::default());
    for change in one_of_each() {
        change.apply(&mut state, &"key".to_owned(), 1);
        Change::Clear(change.kind()).apply(&mut state, &"key".to_owned(), 1);
    }
    let cleared = job.snapshot_one(&mut state);
    restored_is(&job, 1, &cleared, &Model::default());
}

/// State that no function of the restored job asks for is kept and written again, twice.
pub fn state_that_nobody_registers_survives_two_rounds<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let (mut handles, mut model) = random_snapshot(&job, 2, 7);
    for round in 0..2_u64 {
        let mut subtasks = job.open(2, &handles);
        let key = "key-1".to_owned();
        let change = Change::ValueSet(round);
        change.apply(subtasks.get_mut(job.owner_of(&key, 2)).unwrap(), &key, 1);
        model.apply(&key, 1, &change);
        handles = job.snapshot(&mut subtasks);
    }
    // Once without registering anything at all.
    handles = job.snapshot(&mut job.open(2, &handles));
    restored_is(&job, 2, &handles, &model);
}

/// States are found by their names, whatever the order in which they are registered.
pub fn states_are_found_by_name_in_any_order<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let names = ["a", "b", "c", "d"];
    let key = "key".to_owned();
    let register = |state: &mut KeyedOf<B, String>, name: &str| -> ValueState<u64> {
        state.value_state(ValueStateDescriptor::<u64>::new(name)).unwrap()
    };
    let mut state = job.open_one(&[]);
    for (number, name) in (0..).zip(names) {
        let value = register(&mut state, name);
        value.set(&mut state.at(&key).unwrap(), number).unwrap();
    }
    let handles = job.snapshot_one(&mut state);
    let mut restored = job.open_one(&handles);
    register(&mut restored, "new");
    for (number, name) in (0..).zip(names).collect::<Vec<_>>().into_iter().rev() {
        let value = register(&mut restored, name);
        assert_eq!(owned(value.get(&restored.at(&key).unwrap())), Some(number), "{name}");
    }
}

/// Tens of thousands of keys in two key groups, added, changed and removed under three freezes.
pub fn many_keys_grow_under_frozen_states<B: StateBackend>(backend: &B) {
    const KEYS: u64 = 24_000;
    let mut job = TestJob::<B, u64>::new(backend);
    job.max_parallelism = MaxParallelism::new(2).unwrap();
    let mut state = job.open_one(&[]);
    let descriptor = || ValueStateDescriptor::<u64>::new("value");
    let value = state.value_state(descriptor()).unwrap();
    let mut pending = Vec::new();
    for key in 0..KEYS {
        if key % (KEYS / 4) == KEYS / 8 {
            pending.push((job.freeze_one(&mut state), key));
        }
        value.set(&mut state.at(&key).unwrap(), key).unwrap();
        // Behind the front, keys are changed, and every fifth is removed.
        let behind = key / 2;
        let mut at = state.at(&behind).unwrap();
        match behind % 5 {
            0 => value.clear(&mut at).unwrap(),
            _ => value.update(&mut at, |n| *n += 1).unwrap(),
        }
    }
    let expected = |front: u64| {
        let mut content = std::collections::BTreeMap::new();
        for key in 0..front {
            content.insert(key, key);
            match (key / 2) % 5 {
                0 => drop(content.remove(&(key / 2))),
                _ => *content.entry(key / 2).or_default() += 1,
            }
        }
        content
    };
    pending.push((job.freeze_one(&mut state), KEYS));
    for (frozen, front) in pending {
        let mut restored = job.open_one(&frozen.write());
        let (value, expected) = (restored.value_state(descriptor()).unwrap(), expected(front));
        assert_eq!(restored.entry_count().unwrap(), expected.len(), "front {front}");
        let keys = sorted(restored.keys(value, &()).unwrap());
        assert!(keys.iter().eq(expected.keys()), "front {front}");
        for (key, number) in &expected {
            assert_eq!(owned(value.get(&restored.at(key).unwrap())), Some(*number), "key {key}");
        }
    }
}

/// A list of thousands of elements is frozen between appends, and each freeze has its length.
pub fn a_long_list_grows_under_a_frozen_state<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let descriptor = || ListStateDescriptor::<u32>::new("list");
    let list = state.list_state(descriptor()).unwrap();
    let key = "key".to_owned();
    let mut pending = Vec::new();
    for element in 0..10_000 {
        if element % 2_500 == 1_000 {
            pending.push((job.freeze_one(&mut state), element));
        }
        list.add(&mut state.at(&key).unwrap(), element).unwrap();
    }
    list.set(&mut state.at(&key).unwrap(), vec![1]).unwrap();
    for (frozen, len) in pending {
        let mut restored = job.open_one(&frozen.write());
        let list = restored.list_state(descriptor()).unwrap();
        let found = list_of(list.elements(&restored.at(&key).unwrap()));
        assert!(found.iter().copied().eq(0..len), "{} of {len} elements", found.len());
    }
    assert_eq!(list_of(list.elements(&state.at(&key).unwrap())), [1]);
}

/// A full disk, at whichever operation, fails the snapshot with its cause, leaves no file, and
/// neither the state nor a later snapshot suffers.
pub fn a_failed_write_leaves_no_file_and_the_state_goes_on<B: StateBackend>(backend: &B) {
    let faulty = FaultyStorage::new(fresh_memory());
    let mut job = TestJob::<B, String>::with_storage(backend, Arc::new(faulty.clone()));
    job.policy = ALWAYS_FILES;
    let mut subtasks = job.open(1, &[]);
    let (mut model, mut random) = (Model::default(), Random::new(8));
    for attempt in 0..1_000 {
        change_at_random(&job, &mut subtasks, &mut model, &mut random, 20);
        let frozen = job.freeze(&mut subtasks);
        let checkpoint = frozen.checkpoint();
        let (before, failed) = (faulty.operation_count(), faulty.failed_count());
        faulty.set_fault(Some(Fault::once(before + 1 + attempt, io::ErrorKind::StorageFull)));
        let outcome = frozen.try_write();
        faulty.set_fault(None);
        if faulty.failed_count() == failed {
            assert!(attempt > 0, "no operation was counted");
            complete_all(&mut subtasks, checkpoint);
            return restored_is(&job, 1, &outcome.unwrap(), &model);
        }
        let error = refused_with_cause(outcome);
        assert_eq!(error, io::ErrorKind::StorageFull, "operation {attempt}");
        let folder = StoragePath::new(&format!("chk-{checkpoint}")).unwrap();
        assert_eq!(job.storage().list(Some(&folder)).unwrap(), [], "operation {attempt}");
        abort_all(&mut subtasks, checkpoint);
        check_contents(&job, &mut subtasks, &NAMESPACES, &model);
    }
    panic!("a small snapshot takes more than 1,000 operations");
}

#[track_caller]
fn refused_with_cause<T>(outcome: Result<T, SnapshotError>) -> io::ErrorKind {
    match super::refused(outcome) {
        SnapshotError::Storage(StorageError::Io { source, .. }) => source.kind(),
        other => panic!("{other}"),
    }
}

/// Snapshots that become files are named by their handles and read back.
pub fn snapshots_in_files_come_back<B: StateBackend>(backend: &B) {
    let mut job = TestJob::<B, String>::new(backend);
    job.policy = ALWAYS_FILES;
    let (handles, model) = random_snapshot(&job, 3, 9);
    assert_eq!(handles.len(), 3);
    for handle in &handles {
        let file = handle.stream.file().expect("a file, not inlined");
        assert_eq!(job.storage().len_bytes(file).unwrap(), handle.stream.len_bytes);
    }
    restored_is(&job, 3, &handles, &model);
}
