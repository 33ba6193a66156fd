use std::sync::Arc;

use alluvium_core::{
    AttemptId, CheckpointId, MaxParallelism, OperatorState, Parallelism, SubtaskState,
};
use alluvium_storage::{CheckpointStreams, HandleReader, ReadAccess, StreamPolicy};

use bytes::Bytes;

use super::*;
use crate::{RestoreError, SnapshotMode};

pub(super) fn parallelism(n: u32) -> Parallelism {
    Parallelism::new(n, MaxParallelism::new(128).unwrap()).unwrap()
}

/// Lets old subtasks fill their state, writes it, and restores it at another parallelism.
fn rescale(
    old: u32,
    new: u32,
    fill: impl Fn(u32, &mut OperatorStateBackend),
) -> Vec<OperatorStateBackend> {
    let filled = (0..old).map(|subtask| {
        let mut backend = OperatorStateBackend::new(Vec::new());
        fill(subtask, &mut backend);
        backend
    });
    restored(&filled.collect::<Vec<_>>(), new).unwrap()
}

/// Writes the state of all subtasks, and restores it at another parallelism.
pub(super) fn restored(
    old: &[OperatorStateBackend],
    new: u32,
) -> Result<Vec<OperatorStateBackend>, RestoreError> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let storage = alluvium_storage::open(&format!("memory:operator-{number}")).unwrap();
    let streams = CheckpointStreams::new(Arc::clone(&storage), StreamPolicy::files());
    let attempt = AttemptId::new(1);
    let mode = SnapshotMode::Full;
    let target = SnapshotTarget { streams, checkpoint: CheckpointId::FIRST, attempt, mode };
    let uid = OperatorUid::new("op").unwrap();
    let parallelism_of = |count: usize| parallelism(u32::try_from(count).unwrap());
    let write = |(index, backend): (SubtaskIndex, &OperatorStateBackend)| {
        let operator = backend.freeze().unwrap().write(&target, &uid, index).unwrap();
        SubtaskState { index, keyed: None, operator }
    };
    let subtasks = parallelism_of(old.len()).subtasks().zip(old).map(write).collect();
    let parallelism_of_old = parallelism_of(old.len());
    let operator = OperatorState { uid: uid.clone(), parallelism: parallelism_of_old, subtasks };
    let reader = HandleReader::new(storage, ReadAccess::Copy);
    let states = restore_operator_states(&operator, parallelism(new), &reader)?;
    Ok(states.into_iter().map(OperatorStateBackend::new).collect())
}

fn list(name: &str) -> ListStateDescriptor<u32> {
    ListStateDescriptor::new(name)
}

fn split_items(backends: &mut [OperatorStateBackend], name: &str) -> Vec<Vec<u32>> {
    let items = |backend: &mut OperatorStateBackend| {
        let handle = backend.list_state(list(name)).unwrap();
        backend.items(handle).unwrap().to_vec()
    };
    backends.iter_mut().map(items).collect()
}

#[test]
fn split_state_is_cut_into_runs_and_remainders_rotate() {
    let fill = |i: u32, backend: &mut OperatorStateBackend| {
        for name in ["a", "b"] {
            let handle = backend.list_state(list(name)).unwrap();
            backend.update(handle, vec![i * 10, i * 10 + 1]).unwrap();
        }
    };
    let mut up = rescale(2, 3, fill);
    assert_eq!(split_items(&mut up, "a"), [vec![0, 1], vec![10], vec![11]]);
    assert_eq!(split_items(&mut up, "b"), [vec![11], vec![0, 1], vec![10]]);
    let mut down = rescale(2, 1, fill);
    assert_eq!(split_items(&mut down, "a"), [vec![0, 1, 10, 11]]);
    let mut same = rescale(2, 2, fill);
    assert_eq!(split_items(&mut same, "a"), [vec![0, 1], vec![10, 11]]);
}

#[test]
fn union_state_goes_to_everyone_and_broadcast_state_follows_the_old_index() {
    let fill = |i: u32, backend: &mut OperatorStateBackend| {
        let union = backend.union_list_state(list("union")).unwrap();
        backend.add(union, i).unwrap();
        let descriptor = BroadcastStateDescriptor::<String, u32>::new("rules");
        let rules = backend.broadcast_state(descriptor).unwrap();
        backend.broadcast_put(rules, "limit".to_owned(), 7).unwrap();
        backend.broadcast_put(rules, "gone".to_owned(), 7).unwrap();
        backend.broadcast_put(rules, "limit".to_owned(), 8).unwrap();
        backend.broadcast_remove(rules, &"gone".to_owned()).unwrap();
    };
    for new in [1, 2, 3, 5] {
        for mut backend in rescale(3, new, fill) {
            let union = backend.union_list_state(list("union")).unwrap();
            assert_eq!(backend.items(union).unwrap(), [0, 1, 2]);
            let descriptor = BroadcastStateDescriptor::<String, u32>::new("rules");
            let rules = backend.broadcast_state(descriptor).unwrap();
            assert_eq!(backend.broadcast_get(rules, &"limit".to_owned()).unwrap(), Some(&8));
            assert_eq!(backend.broadcast_entries(rules).unwrap().len(), 1);
        }
    }
}

#[test]
fn state_that_nobody_registers_is_kept() {
    let backends = rescale(1, 1, |_, backend| {
        let handle = backend.list_state(list("later")).unwrap();
        backend.add(handle, 5).unwrap();
    });
    let frozen = backends[0].freeze().unwrap();
    assert_eq!(frozen.states()[0].name, "later");
    let mut again = OperatorStateBackend::new(frozen.states().to_vec());
    let handle = again.list_state(list("later")).unwrap();
    assert_eq!(again.items(handle).unwrap(), [5]);
    assert!(!again.has_restored("later"));
    assert!(backends[0].has_restored("later"));
}

#[test]
fn wrong_use_is_an_error() {
    let mut backend = OperatorStateBackend::new(Vec::new());
    let handle = backend.list_state(list("x")).unwrap();
    let again = backend.list_state(list("x")).unwrap();
    backend.add(again, 1).unwrap();
    assert_eq!(backend.items(handle).unwrap(), [1]);
    let reused = backend.union_list_state(list("x")).unwrap_err();
    assert!(matches!(reused, StateError::NameReused { .. }), "{reused}");
    let reused = backend.list_state(ListStateDescriptor::<String>::new("x")).unwrap_err();
    assert!(matches!(reused, StateError::NameReused { .. }), "{reused}");
    let empty = backend.list_state(list("")).unwrap_err();
    assert!(matches!(empty, StateError::InvalidName { len_bytes: 0 }));
    let other = OperatorStateBackend::new(Vec::new());
    assert!(matches!(other.items(handle), Err(StateError::ForeignHandle)));
}

#[test]
fn a_changed_codec_or_mode_is_refused_by_name() {
    let fill = |_: u32, backend: &mut OperatorStateBackend| {
        let handle = backend.list_state(list("x")).unwrap();
        backend.add(handle, 7).unwrap();
    };
    let mut backend = rescale(1, 1, fill).remove(0);
    let error = backend.list_state(ListStateDescriptor::<String>::new("x")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "restored state \"x\" has item codec u32, which cannot be read as string"
    );
    let error = backend.union_list_state(list("x")).unwrap_err();
    assert!(matches!(error, StateError::KindChanged { .. }), "{error}");
    let wide = backend.list_state(ListStateDescriptor::<u64>::new("x")).unwrap();
    assert_eq!(backend.items(wide).unwrap(), [7_u64]);
}

#[test]
fn union_state_that_nobody_registers_does_not_multiply() {
    let fill = |i: u32, backend: &mut OperatorStateBackend| {
        let union = backend.union_list_state(list("union")).unwrap();
        backend.add(union, i).unwrap();
    };
    let handed_out = rescale(3, 3, fill);
    let written: usize = (0_u16..)
        .zip(handed_out)
        .map(|(subtask, backend)| {
            let frozen = backend.for_subtask(SubtaskIndex::new(subtask)).freeze().unwrap();
            frozen.states()[0].items.len()
        })
        .sum();
    assert_eq!(written, 3, "as many items as there were");
}

#[test]
fn partitions_of_raw_state_go_to_one_subtask_each() {
    let fill = |i: u32, backend: &mut OperatorStateBackend| {
        let raw = backend.raw_operator_state("raw").unwrap();
        for partition in 0..3_u8 {
            let bytes = vec![u8::try_from(i).unwrap(), partition, 0];
            backend.add(raw, bytes.into()).unwrap();
        }
        backend.add(raw, Bytes::new()).unwrap();
    };
    for new in [1, 2, 3, 5] {
        let mut found = Vec::new();
        for mut backend in rescale(2, new, fill) {
            let raw = backend.raw_operator_state("raw").unwrap();
            found.extend_from_slice(backend.items(raw).unwrap());
        }
        found.sort();
        let partitions: Vec<Bytes> =
            [&[][..], &[], &[0, 0, 0], &[0, 1, 0], &[0, 2, 0], &[1, 0, 0], &[1, 1, 0], &[1, 2, 0]]
                .map(Bytes::from_static)
                .to_vec();
        assert_eq!(found, partitions, "parallelism {new}");
    }
}

#[test]
fn restored_state_that_nobody_registers_is_listed_and_dropped() {
    let fill = |i: u32, backend: &mut OperatorStateBackend| {
        for name in ["a", "b"] {
            let handle = backend.list_state(list(name)).unwrap();
            backend.add(handle, i).unwrap();
        }
        let union = backend.union_list_state(list("union")).unwrap();
        backend.add(union, i).unwrap();
    };
    let mut backends = rescale(2, 1, fill);
    let backend = backends.first_mut().unwrap();
    backend.list_state(list("a")).unwrap();
    let listed: Vec<_> = backend.unregistered_states().collect();
    let item = Codec::<u32>::snapshot(&DefaultCodec);
    let expected =
        [("b", DistributionMode::Split, &item), ("union", DistributionMode::Union, &item)];
    assert_eq!(listed, expected);
    let error = backend.drop_restored_state("a").unwrap_err();
    assert!(matches!(&error, StateError::Registered { name } if name == "a"), "{error}");
    assert!(backend.drop_restored_state("union").unwrap());
    assert!(!backend.drop_restored_state("union").unwrap());
    let frozen = backend.freeze().unwrap();
    let names: Vec<_> = frozen.states().iter().map(|state| state.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}
